//! `lth stability` on the real binary: copies with another order of the data, and the line between them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use lth::base::mask::Mask;
use lth::base::tensors::{Snapshot, TensorMap};
use lth::data::Split;
use lth::engine::{EngineKind, TrainerSpec};
use lth::lottery::{Study, all_ones};
use lth::network::init_weights;

use crate::support::*;

fn stability(runs: &Path, args: &[&str]) -> Output {
    lth().arg("stability").args(args).env("LTH_RUNS_DIR", runs).output().unwrap()
}

fn stability_ok(runs: &Path, args: &[&str]) -> Output {
    let output = stability(runs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// Returns the number of lines between copies that were measured.
fn measured(output: &Output) -> usize {
    stderr(output).lines().filter(|line| line.starts_with("measured ")).count()
}

/// Returns the rows of `stability.csv` by (arm, replicate, round).
fn lines(run_dir: &Path) -> BTreeMap<(String, String, String), Vec<BTreeMap<String, String>>> {
    let mut lines: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for row in rows(run_dir, "stability.csv") {
        lines.entry((row["arm"].clone(), row["replicate"].clone(), row["round"].clone())).or_default().push(row);
    }
    lines
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap()
}

/// Returns the errors [train, test] of the last evaluation of a stored training run.
fn stored_errors(runs: &Path, key: &str) -> [f64; 2] {
    let curve = fs::read(runs.join("store").join(key).join("curve.json")).unwrap();
    let curve: serde_json::Value = serde_json::from_slice(&curve).unwrap();
    let last = curve.as_array().unwrap().last().unwrap();
    ["train", "test"].map(|part| 1.0 - last[part]["accuracy"].as_f64().unwrap())
}

#[test]
fn stability_ends_are_the_two_runs_and_nothing_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let run_dir = run_dir(runs);
    let before = reproducible_files(&run_dir);
    let first = stability_ok(runs, &["smoke"]);
    // Three lines in each replicate: the dense network and two rounds. The weights of the first round had been freed.
    assert_eq!((measured(&first), finished_count(&first)), (6, 2 + 6), "{}", stderr(&first));
    let lines = lines(&run_dir);
    let names: Vec<String> = lines.keys().map(|(arm, replicate, round)| format!("{arm} {replicate} {round}")).collect();
    let all = [
        "dense 1 0",
        "dense 2 0",
        "winning_ticket 1 1",
        "winning_ticket 1 2",
        "winning_ticket 2 1",
        "winning_ticket 2 2",
    ];
    assert_eq!(names, all);
    for (name, line) in &lines {
        assert_eq!(line.len(), 30, "{name:?}");
        let (copy, own) = (&line[0], &line[29]);
        assert_eq!((number(copy, "alpha"), number(own, "alpha")), (0.0, 1.0));
        let errors = |row| [number(row, "train_error"), number(row, "test_error")];
        assert_eq!(errors(own), stored_errors(runs, &own["key"]), "{name:?}: the training itself, to the digit");
        assert_eq!(errors(copy), stored_errors(runs, &copy["copy_key"]), "{name:?}: its copy, to the digit");
        let curve = |key: &str| fs::read_to_string(runs.join("store").join(key).join("curve.json")).unwrap();
        let (one, other) = (curve(&own["key"]), curve(&own["copy_key"]));
        assert_ne!(one, other, "{name:?}: another order is another training");
        let start = |text: &str| text.split("},").next().unwrap().to_owned();
        assert_eq!(start(&one), start(&other), "{name:?}: and begins alike");
        let errors: Vec<f64> = line.iter().map(|row| number(row, "test_error")).collect();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        assert!((-1.0..=1.0).contains(&(worst - f64::midpoint(errors[0], errors[29]))), "{errors:?}");
    }
    let mut after = reproducible_files(&run_dir);
    let table = after.remove("stability.csv").unwrap();
    after.retain(|name, _| !name.starts_with("report/") && name != "SHA256SUMS");
    assert!(after.iter().all(|(name, text)| before[name] == *text), "the other files of the run do not change");

    let again = stability_ok(runs, &["smoke"]);
    assert_eq!((measured(&again), finished_count(&again)), (0, 0), "{}", stderr(&again));
    assert_eq!(
        (stdout(&again), reproducible_files(&run_dir)["stability.csv"].clone()),
        (stdout(&first), table.clone())
    );
    // Only missing or damaged measurements are made again.
    let of = |line: &[BTreeMap<String, String>]| runs.join("store").join(&line[0]["copy_key"]).join("stability.json");
    let files: Vec<_> = lines.values().map(|line| of(line)).collect();
    fs::remove_file(&files[0]).unwrap();
    lth::system::files::write(&files[3], b"{}").unwrap();
    let repaired = stability_ok(runs, &["smoke", "--quiet"]);
    assert!(stderr(&repaired).is_empty(), "{}", stderr(&repaired));
    assert_eq!(reproducible_files(&run_dir)["stability.csv"], table);
    assert_eq!(finished_count(&run_ok(SMOKE, runs, &[])), 0);
    assert_eq!(reproducible_files(&run_dir)["stability.csv"], table, "a run keeps it");
}

#[test]
fn stability_report_needs_only_run_folder() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["data.test_limit=200"]);
    let printed = stdout(&stability_ok(runs, &["smoke", "--round", "0", "--points", "5", "--workers", "1"]));
    assert!(printed.contains("\ndense ") && !printed.contains("winning_ticket"), "{printed}");
    assert!(printed.contains("test accuracy on 200 of 300 test images\nfiles in "), "{printed}");
    let run_dir = run_dir(runs);
    assert_eq!(rows(&run_dir, "stability.csv").len(), 2 * 5);
    stability_ok(runs, &["smoke", "--round", "2", "--points", "5"]);
    assert_eq!(rows(&run_dir, "stability.csv").len(), 4 * 5, "earlier measurements stay");
    fs::remove_dir_all(runs.join("store")).unwrap();
    let output = lth().arg("report").arg(&run_dir).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let page = fs::read_to_string(run_dir.join("report/report.md")).unwrap();
    assert!(page.contains("## Stability to the order of the data"), "{page}");
    let all = lines(&run_dir);
    let instability = |replicate: &str| {
        let line = &all[&("winning_ticket".to_owned(), replicate.to_owned(), "2".to_owned())];
        let errors: Vec<f64> = line.iter().map(|row| 100.0 * number(row, "test_error")).collect();
        errors.iter().copied().fold(0.0, f64::max) - f64::midpoint(errors[0], errors[4])
    };
    let (a, b) = (instability("1"), instability("2"));
    let cell = format!("{:.2} ({:.2}–{:.2})", f64::midpoint(a, b), a.min(b), a.max(b));
    let row = page.lines().find(|line| line.contains("| winning\\_ticket | 2 | 36.2% |") && line.contains(&cell));
    let stable = if f64::midpoint(a, b) < 2.0 { "| yes | 2 |" } else { "| no | 2 |" };
    assert!(row.is_some_and(|row| row.ends_with(stable)), "{cell}: {page}");
    for figure in ["instability", "between_copies"] {
        let drawn = fs::read_to_string(run_dir.join(format!("report/figures/{figure}.svg"))).unwrap();
        assert_eq!(drawn.matches("200 of 300 test images").count(), 1, "{figure}: the panel of test images");
    }
}

#[test]
fn stability_copies_of_every_arm_start_like_original() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let sets = [ALL_ARMS, "replicates=1"];
    run_ok(SMOKE, runs, &sets);
    let arms: Vec<String> = rows(&run_dir(runs), "rounds.csv").iter().map(|row| row["arm"].clone()).collect();
    let words: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    stability_ok(runs, &[&["smoke", "--points", "2"], words.as_slice()].concat());
    let run_dir = run_dir(runs);
    let of = |file: &str| -> std::collections::BTreeSet<String> {
        rows(&run_dir, file).iter().map(|row| row["key"].clone()).collect()
    };
    assert_eq!(of("stability.csv"), of("rounds.csv"), "the audit looked at each");
    let first = |key: &str| -> serde_json::Value {
        let curve = fs::read(runs.join("store").join(key).join("curve.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&curve).unwrap()[0].clone()
    };
    for row in rows(&run_dir, "stability.csv") {
        assert_eq!(first(&row["key"]), first(&row["copy_key"]), "{} {}", row["arm"], row["round"]);
    }
}

#[test]
fn stability_does_not_depend_on_workers() {
    let of = |workers: &str| {
        let folder = tempfile::tempdir().unwrap();
        run_ok(SMOKE, folder.path(), &[]);
        stability_ok(folder.path(), &["smoke", "--workers", workers, "--points", "4"]);
        reproducible_files(&run_dir(folder.path()))
    };
    assert_same(&of("1"), &of("3"));
}

#[test]
fn stability_refuses_unknown_names_and_damaged_runs() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1"]);
    let name = run_dir(runs).file_name().unwrap().to_str().unwrap().to_owned();
    let error_message = |args: &[&str]| {
        let output = stability(runs, args);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{args:?}");
        stderr(&output)
    };
    let hint = "\n\nhint: one of: 0, 1, 2";
    assert_eq!(
        error_message(&["smoke", "--round", "7"]).trim_end(),
        format!("error: there is no round 7 in `{name}`{hint}")
    );
    assert!(error_message(&["smoke", "--arm", "ticket"]).contains("there is no arm `ticket`"));
    assert!(error_message(&["smkoe"]).contains("there is no run `smkoe`"));
    assert!(error_message(&["smoke", "--points", "1"]).contains("1 is not in 2..=1000"));
    let none = error_message(&["smoke", "--arm", "dense", "--round", "1"]);
    assert!(none.contains("none of the selected training runs is done") && none.contains("hint: "), "{none}");
    let resolved = run_dir(runs).join("resolved.toml");
    let text = fs::read_to_string(&resolved).unwrap();
    lth::system::files::write(&resolved, text.replace("seed = 1", "seed = 2").as_bytes()).unwrap();
    // As an older version wrote the run, without checksums.
    fs::remove_file(resolved.with_file_name("SHA256SUMS")).unwrap();
    assert!(error_message(&["smoke"]).contains("has training runs that its experiment does not have here"));
    fs::remove_file(&resolved).unwrap();
    assert!(error_message(&["smoke"]).contains("resolved.toml` is missing, or of another version"));
}

/// Returns the study of [`SMOKE`] with other layers, its initial weights, mask and data set, and the spec of its
/// trainer.
fn normed(layers: &str, batch_size: usize) -> (Study, TensorMap, Mask, lth::data::Dataset, TrainerSpec) {
    let network = format!("network={{layers={layers}}}");
    let batch = format!("train.batch_size={batch_size}");
    let study = crate::support::study(&smoke_document(&[&network, &batch]));
    let Study { experiment, resolved, .. } = &study;
    let stream = lth::base::rng::Stream::of_replicate(1, 1, lth::base::rng::Purpose::Init);
    let init = experiment.network.init;
    let weights = init_weights(&resolved.network, init, 0.1, &mut stream.generator(0));
    let dataset = resolved.dataset.load(&experiment.data, 1).unwrap();
    let (mask, spec) = (all_ones(&resolved.network), TrainerSpec::new(resolved.network.clone(), experiment, None));
    (study, weights, mask, dataset, spec)
}

#[test]
fn batch_norm_statistics_are_recomputed_from_images() {
    let (_, weights, mask, dataset, spec) =
        normed("[\"batch_norm\",{conv={out=4}},\"batch_norm\",\"relu\",\"global_avg_pool\",{linear={out=10}}]", 100);
    let dataset = std::sync::Arc::new(dataset);
    let images = dataset.indices(Split::Train);
    assert_eq!(images.len(), 300);
    let mut trainer = EngineKind::Dense.engine().build(&spec, &dataset, 1).unwrap();
    trainer.load(0, &Snapshot::initial(weights.clone()), &mask).unwrap();
    let fresh = trainer.snapshot(0).unwrap().buffers;
    trainer.recompute_batch_norm(images).unwrap();
    let there = trainer.snapshot(0).unwrap().buffers;
    assert!(fresh.0.iter().zip(&there.0).all(|(before, after)| before.values != after.values), "{there:?}");
    // The first batch norm sees the pixels, of which the mean is known.
    let lth::data::Normalization::Affine { scale, offset } = dataset.normalization else {
        panic!("another normalization")
    };
    let pixel = |image: &u32| dataset.images[*image as usize * 784..][..784].iter().map(|&byte| f64::from(byte));
    let mean = images.iter().flat_map(pixel).sum::<f64>() / (300.0 * 784.0) * scale + offset;
    let found = f64::from(there.get("bn1.running_mean").unwrap().values[0]);
    assert!((found - mean).abs() < 1e-5, "{found} and {mean}");
    let mut other = fresh;
    other.0.iter_mut().for_each(|tensor| tensor.values.fill(7.5));
    trainer.load(0, &Snapshot { buffers: other, ..Snapshot::initial(weights) }, &mask).unwrap();
    trainer.recompute_batch_norm(images).unwrap();
    assert_eq!(trainer.snapshot(0).unwrap().buffers, there, "to the bit");
}

#[test]
fn batch_norm_statistics_between_copies_are_recomputed() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let layers =
        "network={layers=[{conv={out=4,stride=2}},\"batch_norm\",\"relu\",\"global_avg_pool\",{linear={out=10}}]}";
    let sets = [layers, "prune={rate={conv=0.2,output=0.1}}", "replicates=1", "rounds=1", "train.lr=0.02"];
    run_ok(SMOKE, runs, &sets);
    stability_ok(runs, &["smoke", "--points", "3"]);
    let lines = lines(&run_dir(runs));
    assert_eq!(lines.len(), 2);
    for (name, line) in lines {
        // Recomputed from other images than the last batches of the training run, so the error is only about the same.
        let [_, test] = stored_errors(runs, &line[2]["key"]);
        assert!((number(&line[2], "test_error") - test).abs() < 0.1, "{name:?}: {line:?}, and {test}");
    }
}
