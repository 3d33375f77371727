//! `lth evaluate` on the real binary: robustness, calibration and accuracy by class of trained networks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use lth::system::files::write;

use crate::support::*;

/// Options that make an evaluation short.
const SHORT: [&str; 8] =
    ["--corruption", "blur,gaussian_noise", "--epsilon", "0.1", "--steps", "2", "--attack-images", "20"];
/// The rows of a network with these options: clean, 2 corruptions at 5 levels, 2 attacks at ε = 0 and 0.1.
const SHORT_ROWS: usize = 1 + 2 * 5 + 2 * 2;

fn evaluate(runs: &Path, args: &[&str]) -> Output {
    lth().arg("evaluate").args(args).env("LTH_RUNS_DIR", runs).output().unwrap()
}

fn evaluate_ok(runs: &Path, args: &[&str]) -> Output {
    let output = evaluate(runs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn short<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &SHORT].concat()
}

/// Returns the number of networks that were measured.
fn measured(output: &Output) -> usize {
    stderr(output).lines().filter(|line| line.starts_with("measured ")).count()
}

fn number(row: &BTreeMap<String, String>, column: &str) -> f64 {
    row[column].parse().unwrap()
}

fn files(run_dir: &Path) -> Vec<Vec<u8>> {
    ["robustness.csv", "calibration.csv", "class_accuracy.csv"].map(|name| fs::read(run_dir.join(name)).unwrap()).into()
}

#[test]
fn evaluate_agrees_with_training_and_measures_once() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["run.keep=all", "replicates=2"]);
    let run_dir = run_dir(runs);
    let trained = rows(&run_dir, "rounds.csv");
    let first = evaluate_ok(runs, &short(&["smoke"]));
    assert_eq!(measured(&first), trained.len());
    assert!(stderr(&first).contains("training runs to repeat for their weights: 0"), "{}", stderr(&first));
    assert_eq!(rows(&run_dir, "robustness.csv").len(), trained.len() * SHORT_ROWS);

    // Every network of this run is trained by the dense engine or evaluates alike: no image differs.
    let calibration = rows(&run_dir, "calibration.csv");
    for (row, trained) in calibration.iter().zip(&trained) {
        assert_eq!((&row["key"], &row["recorded_accuracy"]), (&trained["key"], &trained["final_test_accuracy"]));
        assert_eq!(row["accuracy"], row["recorded_accuracy"], "{row:?}");
        assert!((0.0..=1.0).contains(&number(row, "expected_calibration_error")));
    }
    // The classes together have all images.
    let classes = rows(&run_dir, "class_accuracy.csv");
    for row in &calibration {
        let of_network = || classes.iter().filter(|class| class["key"] == row["key"]);
        let sum = |column| of_network().map(|class| number(class, column)).sum::<f64>();
        assert_eq!(sum("images"), number(row, "images"));
        assert!((sum("correct") / sum("images") - number(row, "accuracy")).abs() < 1e-12);
    }
    // An attack lowers accuracy, and PGD from its start is at least a change.
    let robustness = rows(&run_dir, "robustness.csv");
    let mean = |condition: &str, strength: &str| {
        let matching = robustness.iter().filter(|row| row["condition"] == condition && row["strength"] == strength);
        let values: Vec<f64> = matching.map(|row| number(row, "accuracy")).collect();
        assert_eq!(values.len(), trained.len(), "{condition} {strength}");
        values.iter().sum::<f64>() / values.len() as f64
    };
    assert_eq!(mean("fgsm", "0.0"), mean("pgd", "0.0"), "the same images as they are");
    assert!(mean("fgsm", "0.1") < mean("fgsm", "0.0") && mean("pgd", "0.1") < mean("pgd", "0.0"));
    assert!(mean("gaussian_noise", "0.5") < mean("clean", "0.0"));

    let before = files(&run_dir);
    let again = evaluate_ok(runs, &short(&["smoke"]));
    assert_eq!((measured(&again), stdout(&again)), (0, stdout(&first)));
    assert_eq!(files(&run_dir), before);
    // A damaged measurement is made again.
    let stored = runs.join("store").join(&trained[0]["key"]).join("robustness.json");
    write(&stored, b"{}").unwrap();
    assert_eq!(measured(&evaluate_ok(runs, &short(&["smoke", "--workers", "1"]))), 1);
    assert_eq!(files(&run_dir), before, "and is the same");
}

#[test]
fn evaluate_adds_conditions_and_keeps_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["run.keep=all", "replicates=1", "rounds=1"]);
    evaluate_ok(runs, &["smoke", "--corruption", "blur", "--attack", "none"]);
    let before = rows(&run_dir(runs), "robustness.csv");
    let args =
        ["smoke", "--corruption", "none", "--attack", "fgsm", "--norm", "l2", "--epsilon", "1", "--arm", "dense"];
    let result = evaluate_ok(runs, &[args.as_slice(), &["--json", "-q"]].concat());
    let result: serde_json::Value = serde_json::from_str(&stdout(&result)).unwrap();
    assert_eq!((result["selected"].as_u64(), result["measured"].as_u64()), (Some(1), Some(1)));
    let after = rows(&run_dir(runs), "robustness.csv");
    assert_eq!(after.len(), before.len() + 2);
    assert!(before.iter().all(|row| after.contains(row)));
    let report = fs::read_to_string(run_dir(runs).join("report/report.md")).unwrap();
    assert!(report.contains("## Robustness and calibration") && report.contains("### Accuracy by class"), "{report}");
    assert!(report.contains("compared with the dense network, mean accuracy over blur at 5 levels"), "{report}");
}

#[test]
fn evaluate_trains_freed_weights_again_only_if_named() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1", "arms.random_reinit.repeats=1"]);
    let short = |args: &[&'static str]| [args, &["--corruption", "brightness", "--attack", "none"]].concat();
    let stored = evaluate_ok(runs, &short(&["smoke"]));
    assert!(stderr(&stored).contains("without final weights left out; name them"), "{}", stderr(&stored));
    let named = evaluate_ok(runs, &short(&["smoke", "--arm", "random_reinit", "--round", "1"]));
    assert!(stderr(&named).contains("training runs to repeat for their weights: 1\n"), "{}", stderr(&named));
    assert_eq!(measured(&named), 1);
    let run_dir = run_dir(runs);
    let is_measured = |row: &&BTreeMap<String, String>| row["arm"] == "random_reinit" && row["round"] == "1";
    let calibration = rows(&run_dir, "calibration.csv");
    let row = calibration.iter().find(is_measured).unwrap();
    assert_eq!(row["accuracy"], row["recorded_accuracy"]);
    let verified = lth().args(["verify", "smoke", "--runs"]).arg(runs).output().unwrap();
    assert!(verified.status.success() && stdout(&verified).contains("robustness.csv"), "{}", stdout(&verified));
}

#[test]
fn evaluate_refuses_bad_options() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1", "rounds=1"]);
    let cases: [(&[&str], &str); 10] = [
        (&["smoke", "--round", "7"], "there is no round 7"),
        (&["smoke", "--arm", "ticket"], "there is no arm `ticket`"),
        (&["smkoe"], "there is no run `smkoe`"),
        (&["smoke", "--epsilon", "-0.1"], "`-0.1` is not a finite number of at least 0"),
        (&["smoke", "--epsilon", "inf"], "`inf` is not a finite number"),
        (&["smoke", "--epsilon", "0.1,x"], "`x` is not a number"),
        (&["smoke", "--attack", "cw"], "there is no `cw`; one of: fgsm, pgd"),
        (&["smoke", "--corruption", "fog"], "there is no `fog`; one of: gaussian_noise, blur"),
        (&["smoke", "--steps", "0"], "0 is not in 1.."),
        (&["smoke", "--norm", "l1"], "there is no `l1`; one of: linf, l2"),
    ];
    for (args, problem) in cases {
        let output = evaluate(runs, args);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{args:?}");
        assert!(stderr(&output).contains(problem), "{args:?}: {}", stderr(&output));
    }
    assert!(!run_dir(runs).join("robustness.csv").exists());
}

#[test]
fn evaluate_refuses_networks_that_do_not_have_their_recorded_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1", "rounds=1"]);
    // As if the test images were others: the recorded accuracy of the dense network is changed, with its checksum.
    let key = rows(&run_dir(runs), "rounds.csv")[0]["key"].clone();
    let curve_path = runs.join("store").join(&key).join("curve.json");
    let done_path = curve_path.with_file_name("done.json");
    let mut curve: serde_json::Value = serde_json::from_slice(&fs::read(&curve_path).unwrap()).unwrap();
    curve.as_array_mut().unwrap().last_mut().unwrap()["test"]["accuracy"] = 0.0.into();
    let curve = serde_json::to_vec(&curve).unwrap();
    let mut done: serde_json::Value = serde_json::from_slice(&fs::read(&done_path).unwrap()).unwrap();
    done["files"]["curve.json"]["sha256"] = lth::base::key::sha256(&curve).into();
    done["files"]["curve.json"]["bytes"] = curve.len().into();
    done.as_object_mut().unwrap().remove("checksum");
    write(&curve_path, &curve).unwrap();
    write(&done_path, &lth::artifacts::to_checksummed_json(&done).unwrap()).unwrap();
    let output = evaluate(runs, &short(&["smoke", "--arm", "dense"]));
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("dense round 0 replicate 1: the test accuracy is ") && message.contains("hint: "),
        "{message}"
    );
}
