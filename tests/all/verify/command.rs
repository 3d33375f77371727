//! `lth verify`: what it finds, and that it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use lth::artifacts::{
    RunChecksums, RunManifest, mask_from_bytes, mask_to_bytes, tensors_from_bytes, tensors_to_bytes,
    to_checksummed_json,
};
use lth::base::key::sha256;
use lth::base::tensors::TensorMap;
use lth::system::files;
use lth::system::paths::RunDir;
use serde_json::Value;

use crate::support::*;

/// Runs a small experiment: a dense network, and a round of a ticket and of its controls.
fn small_run() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1", "run.keep=all"]);
    folder
}

/// Returns the result of `lth verify smoke --json`, and whether it succeeded.
fn verify(runs: &Path, args: &[&str]) -> (Value, bool) {
    let output = lth_in(runs, &[&["verify", "smoke", "--json"], args].concat());
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(&output));
    (serde_json::from_str(&stdout(&output)).unwrap(), output.status.success())
}

/// Returns the names of the checks in this state.
fn checks_in(result: &Value, state: &str) -> Vec<String> {
    let checks = result["checks"].as_array().unwrap().iter().filter(|check| check["state"] == state);
    checks.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// Returns the bytes and the time of the last change of every file.
fn contents(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for path in files::list(folder).unwrap() {
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let changed = path.metadata().unwrap().modified().unwrap();
            found.insert(path.clone(), (fs::read(&path).unwrap(), changed));
        }
    }
    found
}

/// Returns the folder in the store of the training run of an arm.
fn entry(runs: &Path, arm: &str) -> PathBuf {
    let row = rows(&run_dir(runs), "rounds.csv").into_iter().find(|row| row["arm"] == arm).unwrap();
    runs.join("store").join(&row["key"])
}

/// Writes a file of an entry, and its checksum into the manifest, as a defect of the program would.
fn replace(entry: &Path, name: &str, bytes: &[u8]) {
    files::write(&entry.join(name), bytes).unwrap();
    edit_json(&entry.join("done.json"), |page| {
        page["files"][name] = serde_json::json!({ "bytes": bytes.len(), "sha256": sha256(bytes) });
    });
}

fn edit_tensors(entry: &Path, name: &str, edit: impl FnOnce(&mut TensorMap)) {
    let mut tensors = tensors_from_bytes(&fs::read(entry.join(name)).unwrap()).unwrap();
    edit(&mut tensors);
    replace(entry, name, &tensors_to_bytes(&tensors).unwrap());
}

#[test]
fn verify_of_whole_run_passes_and_changes_nothing() {
    let folder = small_run();
    let before = contents(folder.path());
    let (result, is_ok) = verify(folder.path(), &["--deep", "--retrain", "2", "--seed", "7"]);
    assert!(is_ok && result["differs"] == false && result["exit_code"] == 0, "{result}");
    assert_eq!(checks_in(&result, "skipped"), ["stability.csv", "landscape.csv", "robustness.csv", "scores"]);
    assert_eq!(checks_in(&result, "passed").len(), 14, "{result}");
    let compared = |name: &str| {
        let checks = result["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == name).unwrap()["compared"].as_u64().unwrap()
    };
    assert_eq!((compared("entries"), compared("evaluation"), compared("retraining")), (5, 5, 2));
    assert!(contents(folder.path()) == before, "a file was changed");
    let text = stdout_of(folder.path(), &["verify", "smoke"]);
    let is_masks = |line: &&str| line.starts_with("masks ") && line.contains(" 5 training runs  passed ");
    assert!(text.lines().any(|line| is_masks(&line)), "{text}");
}

#[test]
fn verify_finds_defects_behind_right_checksums() {
    let folder = small_run();
    let runs = folder.path();
    let before = contents(runs);
    let ticket = entry(runs, "winning_ticket");
    let reset = || before.iter().for_each(|(path, (bytes, _))| files::write(path, bytes).unwrap());
    let found = |args: &[&str]| {
        let (result, is_ok) = verify(runs, args);
        assert_eq!(is_ok, result["differs"] == false);
        reset();
        checks_in(&result, "differs")
    };

    let mut mask = mask_from_bytes(&fs::read(ticket.join("mask.safetensors")).unwrap()).unwrap();
    let (kept, pruned) =
        (mask.0[0].kept.iter().position(|&kept| kept).unwrap(), mask.0[0].kept.iter().position(|&kept| !kept).unwrap());
    mask.0[0].kept.swap(kept, pruned);
    replace(&ticket, "mask.safetensors", &mask_to_bytes(&mask).unwrap());
    let differing = found(&[]);
    assert!(
        ["masks", "pruning", "weights"].iter().all(|name| differing.iter().any(|found| found == name)),
        "{differing:?}"
    );

    edit_tensors(&ticket, "final.safetensors", |tensors| tensors.0[0].values[pruned] = 1.0);
    assert_eq!(found(&[]), ["weights"], "a pruned weight is not 0");
    edit_tensors(&ticket, "final.safetensors", |tensors| tensors.0[0].values[kept] += 1.0);
    assert_eq!(found(&["--deep"]), ["evaluation"], "its scores are not those of its curve");
    edit_tensors(&entry(runs, "dense"), "start.safetensors", |tensors| tensors.0[0].values[kept] += 1.0);
    assert!(found(&[]).contains(&"starts".to_owned()), "θ₀ is not what its seed draws");

    let curve = fs::read_to_string(ticket.join("curve.json")).unwrap();
    replace(&ticket, "curve.json", curve.replacen("\"iteration\":", "\"iteration\":1", 1).as_bytes());
    assert_eq!(found(&[]), ["curves", "csv files"]);

    let rounds = run_dir(runs).join("rounds.csv");
    let text = fs::read_to_string(&rounds).unwrap().replacen("dense,1,1,0,1.0", "dense,1,1,0,0.5", 1);
    let list = RunChecksums::default().with(&[("rounds.csv", text.clone().into_bytes())]);
    files::write(&rounds, text.as_bytes()).unwrap();
    files::write(&run_dir(runs).join("SHA256SUMS"), &list.to_bytes()).unwrap();
    let differing = found(&[]);
    assert!(differing.contains(&"csv files".to_owned()), "{differing:?}");
    assert_eq!(verify(runs, &[]).0["differs"], false, "the run is whole again");
}

#[test]
fn verify_by_retraining_finds_other_bytes() {
    let folder = small_run();
    let dense = entry(folder.path(), "random_reinit");
    edit_tensors(&dense, "final.safetensors", |tensors| {
        tensors.0.iter_mut().flat_map(|tensor| &mut tensor.values).filter(|w| **w != 0.0).for_each(|w| *w *= 1.5);
    });
    assert!(verify(folder.path(), &[]).1, "no invariant is broken");
    let (result, is_ok) = verify(folder.path(), &["--retrain", "100"]);
    assert!(!is_ok);
    assert_eq!(checks_in(&result, "differs"), ["retraining"]);
    assert!(result.to_string().contains("final.safetensors has other bytes now"), "{result}");
}

#[test]
fn verify_on_another_machine_says_that_last_digits_may_differ() {
    let folder = small_run();
    let run = RunDir(run_dir(folder.path()));
    let mut manifest = RunManifest::load(&run).unwrap().unwrap();
    manifest.processor = "Other Processor 1".to_owned();
    files::write(&run.file(RunDir::MANIFEST), &manifest.to_bytes().unwrap()).unwrap();
    let dense = entry(folder.path(), "random_reinit");
    let scale = |factor: f32| {
        edit_tensors(&dense, "final.safetensors", |tensors| {
            tensors.0.iter_mut().flat_map(|tensor| &mut tensor.values).for_each(|w| *w *= factor);
        });
    };
    scale(1.000_001);
    let (result, is_ok) = verify(folder.path(), &["--deep"]);
    assert!(is_ok && result.to_string().contains("the run was made on Other Processor 1 with lth"), "{result}");
    scale(1.5);
    let (result, is_ok) = verify(folder.path(), &["--deep"]);
    assert!(!is_ok && result.to_string().contains("verify it on Other Processor 1"), "{result}");
}

#[test]
fn verify_of_archived_run_and_of_run_of_older_version_has_plain_rows() {
    let folder = small_run();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1", "rounds=1", "run.keep=all"]);
    let name = run_dir(runs).file_name().unwrap().to_str().unwrap().to_owned();
    let args = ["run", SMOKE, "--fresh", "--set", "replicates=1", "--set", "rounds=1"];
    assert!(lth_in(runs, &args).status.success());
    let archived = stdout_of(runs, &["verify", &format!("{name}.old-1")]);
    assert!(archived.contains("entries    5 training runs  passed"), "{archived}");
    assert!(archived.contains("`--fresh` has archived the run"), "{archived}");
    // The manifest listed the entries that were trained again.
    let manifest = stdout_of(runs, &["verify", &format!("{name}.old-1"), "--manifest"]);
    assert!(manifest.contains("\"store/old-1/"), "{manifest}");
    assert!(!manifest.contains(&format!("\"store/{}", entry_key(&runs.join(&name), "dense"))), "{manifest}");

    // What a version without checksums has written.
    let run = runs.join(&name);
    let bare = |path: &Path, format: Option<u32>| {
        let mut page: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        page.as_object_mut().unwrap().shift_remove("checksum");
        if let Some(format) = format {
            page["format"] = format.into();
        }
        files::write(path, &serde_json::to_vec_pretty(&page).unwrap()).unwrap();
    };
    for arm in ["dense", "winning_ticket", "random_reinit", "random_mask"] {
        bare(&runs.join("store").join(entry_key(&run, arm)).join("done.json"), Some(1));
    }
    bare(&run.join("run.json"), None);
    fs::remove_file(run.join("SHA256SUMS")).unwrap();
    let (result, is_ok) = verify(runs, &[]);
    assert!(is_ok, "{result}");
    assert_eq!(checks_in(&result, "skipped"), ["checksums", "stability.csv", "landscape.csv", "robustness.csv"]);
    assert_eq!(finished_count(&run_ok(SMOKE, runs, &["replicates=1", "rounds=1"])), 0, "nothing is trained again");
    assert!(run.join("SHA256SUMS").exists());
}

/// Returns the key of the training run of an arm.
fn entry_key(run: &Path, arm: &str) -> String {
    rows(run, "rounds.csv").into_iter().find(|row| row["arm"] == arm).unwrap()["key"].clone()
}

#[test]
fn counts_and_outcome_of_older_manifest_are_compared_with_its_files() {
    let folder = small_run();
    let done = entry(folder.path(), "winning_ticket").join("done.json");
    let mut page: Value = serde_json::from_slice(&fs::read(&done).unwrap()).unwrap();
    page.as_object_mut().unwrap().shift_remove("checksum");
    page["format"] = 1.into();
    let before = reproducible_files(&run_dir(folder.path()));
    let one_less = page["weights_kept"][0].as_u64().unwrap() - 1;
    for (key, value) in [
        ("weights_kept", serde_json::json!([one_less, 1])),
        ("outcome", serde_json::json!({ "diverged": { "iteration": 120 } })),
    ] {
        let mut changed = page.clone();
        changed[key] = value;
        files::write(&done, &serde_json::to_vec_pretty(&changed).unwrap()).unwrap();
        let again = run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1", "run.keep=all"]);
        assert_eq!(finished_count(&again), 1, "{key}: {}", stderr(&again));
        assert_same(&reproducible_files(&run_dir(folder.path())), &before);
    }
}

#[test]
fn release_manifest_has_the_checksum_of_every_file() {
    let folder = small_run();
    let text = stdout_of(folder.path(), &["verify", "smoke", "--manifest"]);
    let manifest: Value = serde_json::from_str(&text).unwrap();
    let listed = manifest["files"].as_array().unwrap();
    for file in listed {
        let bytes = fs::read(folder.path().join(file["path"].as_str().unwrap())).unwrap();
        assert_eq!(
            (file["bytes"].as_u64().unwrap(), file["sha256"].as_str().unwrap()),
            (bytes.len() as u64, &*sha256(&bytes))
        );
    }
    let name = |ending: &str| listed.iter().any(|file| file["path"].as_str().unwrap().ends_with(ending));
    for ending in ["config.toml", "rounds.csv", "report/index.html", "done.json", "mask.safetensors"] {
        assert!(name(ending), "{ending}");
    }
    assert!(!name("lock") && !name(".written-by-lth"), "{text}");
    assert_eq!(manifest["training_runs"].as_array().unwrap().len(), 5);
    assert!(manifest["training_runs"][0]["sha256"]["final.safetensors"].is_string(), "{text}");
}

/// Writes a file without the syncs of `files::write`, which take most of the time where thousands are written.
fn replace_in_place(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs::File::create(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn changed_bit_in_any_byte_of_a_manifest_makes_the_training_run_count_as_damaged() {
    let folder = small_run();
    let runs = folder.path();
    let document = smoke_document(&["replicates=1", "rounds=1", "run.keep=all"]);
    let study = study(&document);
    let store = lth::runner::Store { runs: lth::system::paths::RunsDir(runs.to_owned()) };
    let spec = study.plan.trainings.iter().find(|spec| spec.arm == "winning_ticket").unwrap();
    let done = runs.join("store").join(spec.key.to_string()).join("done.json");
    let bytes = fs::read(&done).unwrap();
    assert!(store.load(spec).unwrap().is_some());
    for byte in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[byte] ^= 1 << (byte % 8);
        replace_in_place(&done, &changed);
        // A changed number of the format may be that of a newer version, which is an error.
        assert!(!matches!(store.load(spec), Ok(Some(_))), "byte {byte}");
    }
    let page: Value = serde_json::from_slice(&bytes).unwrap();
    let mut page = page.as_object().unwrap().clone();
    page.shift_remove("checksum");
    assert_eq!(to_checksummed_json(&page).unwrap(), bytes, "the checksum is that of the contents");
}
