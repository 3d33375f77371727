//! `lth doctor`, and the error for a device that is missing.

use std::fs;
use std::path::Path;

use crate::support::*;

fn doctor(runs: &Path, more: &[&str]) -> std::process::Output {
    let data = runs.join("no-data");
    lth().args(["doctor", "--runs"]).arg(runs).arg("--data-dir").arg(data).args(more).output().unwrap()
}

fn json(runs: &Path) -> serde_json::Value {
    let output = doctor(runs, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn doctor_shows_versions_devices_and_data() {
    let folder = tempfile::tempdir().unwrap();
    let found = json(folder.path());
    assert_eq!(found["lth"], env!("CARGO_PKG_VERSION"));
    let libraries = found["libraries"].as_array().unwrap();
    assert!(libraries.iter().any(|path| path.as_str().unwrap().ends_with("/libtorch_cpu.so")), "{libraries:?}");
    assert!(found["cores"].as_u64().unwrap() > 0);
    assert_eq!(found["store"]["trainings"], 0);
    assert_eq!(found["data"].as_array().unwrap().len(), 4);
    let text = stdout(&doctor(folder.path(), &[]));
    for word in ["libtorch_cpu.so", "CUDA", "cores", "mnist: not there", "no stored training runs"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!folder.path().join("store").exists(), "looking makes nothing");
}

#[test]
fn doctor_exits_with_1_if_requirement_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(folder.path(), &["--require", "data=mnist"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hint: `lth data fetch mnist`"), "{}", stderr(&output));
    let hidden = lth().args(["doctor", "--require", "cuda"]).env("CUDA_VISIBLE_DEVICES", "").output().unwrap();
    assert_eq!(hidden.status.code(), Some(1));
    assert!(stderr(&hidden).contains("error: CUDA is required but cannot be used: "), "{}", stderr(&hidden));
    for wrong in ["gpu", "data=minst", "data"] {
        assert_eq!(doctor(folder.path(), &["--require", wrong]).status.code(), Some(2), "{wrong}");
    }
    if let Some(real) = lth::system::user_path::env_folder_or_literal(lth::system::env::DATA) {
        let output = lth().args(["doctor", "--require", "data=mnist", "--data-dir"]).arg(real).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    } else {
        println!("skipped: a data set that is there (LTH_DATA_DIR is not set)");
    }
}

#[test]
fn doctor_shows_state_of_store() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1"]);
    let healthy = json(folder.path())["store"].clone();
    assert_eq!((healthy["trainings"].as_u64(), healthy["damaged"].as_array().map(Vec::len)), (Some(5), Some(0)));
    let store = folder.path().join("store");
    let mut entries: Vec<_> = fs::read_dir(&store).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    lth::system::files::write(&entries[0].join("curve.json"), b"[]").unwrap();
    fs::remove_file(entries[1].join("done.json")).unwrap();
    fs::rename(&entries[2], store.join("f".repeat(64))).unwrap();
    let sick = json(folder.path())["store"].clone();
    assert_eq!((sick["trainings"].as_u64(), sick["unfinished"].as_u64()), (Some(2), Some(1)));
    let damaged: Vec<&str> = sick["damaged"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    assert!(damaged.iter().any(|text| text.contains("curve.json` is damaged")), "{damaged:?}");
    let misnamed = "ffffffff: its files are not those of the training run that its name says";
    assert!(damaged.contains(&misnamed), "{damaged:?}");
}

#[test]
fn cuda_is_never_silently_replaced_by_cpu() {
    let folder = tempfile::tempdir().unwrap();
    // Hidden, so that the test is the same on a machine with a GPU.
    let mut command = run_command(SMOKE, folder.path(), &["run.device=cuda"]);
    let output = command.env("CUDA_VISIBLE_DEVICES", "").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.starts_with("error: CUDA cannot be used: ") && message.contains("--> --set run.device=cuda"),
        "{message}"
    );
    assert!(
        message.contains("hint: `cpu` trains on the processor, and so does `auto` where CUDA cannot be had"),
        "{message}"
    );
}
