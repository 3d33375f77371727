//! `lth evaluate` on files with tickets.

use std::collections::BTreeMap;
use std::fs;

use super::*;

/// Options that make an evaluation short.
const SHORT: [&str; 7] = ["--corruption", "blur", "--attack", "fgsm", "--epsilon", "0.1", "--attack-images=20"];

fn evaluate(runs: &Path, args: &[&str]) -> Output {
    lth().arg("evaluate").args(args).args(SHORT).env("LTH_RUNS_DIR", runs).output().unwrap()
}

fn evaluate_ok(runs: &Path, args: &[&str]) -> Output {
    let output = evaluate(runs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn evaluate_fails(runs: &Path, args: &[&str], code: i32) -> String {
    let output = evaluate(runs, args);
    assert_eq!((output.status.code(), stdout(&output)), (Some(code), String::new()), "{args:?}: {}", stderr(&output));
    stderr(&output)
}

/// Exports every network of [`SMOKE`] at round 1, and the dense network; returns the paths of the files.
fn export_all(runs: &Path) -> Vec<String> {
    let pattern = runs.join("{arm}_{replicate}_{round}_{repeat}.safetensors");
    let args = ["export", "smoke", "--round", "0", "--round", "1", "--json", "-q", "-o", pattern.to_str().unwrap()];
    let result: serde_json::Value = serde_json::from_str(&ticket_ok(runs, &args)).unwrap();
    let files = result["files"].as_array().unwrap();
    files.iter().map(|file| file["file"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn tickets_in_files_are_measured_as_in_their_run() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["run.keep=all", "replicates=2", "rounds=1"]);
    evaluate_ok(runs, &["smoke"]);
    let run = run_dir(runs);
    let files = export_all(runs);
    assert_eq!(files.len(), rows(&run, "rounds.csv").len());
    let out = runs.join("robustness");
    let paths: Vec<&str> = files.iter().map(String::as_str).collect();
    let printed = evaluate_ok(runs, &[&paths[..], &["--out", out.to_str().unwrap()]].concat());
    let sorted = |dir: &Path, name: &str| {
        let mut rows: Vec<BTreeMap<String, String>> = rows(dir, name);
        rows.sort();
        rows
    };
    for name in ["robustness.csv", "calibration.csv", "class_accuracy.csv"] {
        assert_eq!(sorted(&out, name), sorted(&run, name), "{name}");
    }
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(report.contains("compared with the dense network, mean accuracy over blur at 5 levels"), "{report}");
    assert!(out.join("figures/robustness.svg").is_file(), "{report}");
    assert!(stdout(&printed).contains("report in"), "{}", stdout(&printed));
    // The report is written again.
    evaluate_ok(runs, &[&paths[..1], &["--out", out.to_str().unwrap()]].concat());
    assert_eq!(rows(&out, "calibration.csv").len(), 1);
    let json = evaluate_ok(runs, &[paths[0], paths[1], "--json", "-q"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!((json["measured"].as_u64(), json["calibration"].as_array().unwrap().len()), (Some(2), 2));
}

#[test]
fn compact_ticket_is_as_robust() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["prune.rate={linear=0.9,output=0.5}"]);
    let path = export(runs, "winning_ticket", 2, "t.safetensors");
    let small = runs.join("small.safetensors");
    let [path, small] = [path.to_str().unwrap(), small.to_str().unwrap()];
    ticket_ok(runs, &["compact", path, "-o", small]);
    let [whole, compact] = [path, small].map(|path| {
        let output = evaluate_ok(runs, &[path, "--json", "-q"]);
        serde_json::from_str::<serde_json::Value>(&stdout(&output)).unwrap()
    });
    let pairs = whole["robustness"].as_array().unwrap().iter().zip(compact["robustness"].as_array().unwrap());
    for (whole, compact) in pairs {
        let columns =
            |row: &serde_json::Value| ["condition", "strength", "weights_remaining"].map(|key| row[key].clone());
        assert_eq!(columns(whole), columns(compact));
        let loss = |row: &serde_json::Value| row["loss"].as_f64().unwrap();
        assert!((loss(whole) - loss(compact)).abs() < 1e-4 * loss(whole), "{whole} {compact}");
    }
    let both = evaluate_fails(runs, &[path, small], 2);
    assert!(both.contains("are of the same training run") && both.contains("name one of them"), "{both}");
}

#[test]
fn tickets_of_several_runs_have_the_name_of_their_run() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1", "rounds=1"]);
    let path = export(runs, "winning_ticket", 1, "t.safetensors");
    let elsewhere = tempfile::tempdir().unwrap();
    let dense = export(runs, "dense", 0, "d.safetensors");
    let other_runs = elsewhere.path().join("other");
    run_ok(SMOKE, &other_runs, &["replicates=1", "rounds=1", "train.lr=3e-3"]);
    let other = export(&other_runs, "winning_ticket", 1, "u.safetensors");
    let printed = stdout(&evaluate_ok(runs, &[path.to_str().unwrap(), other.to_str().unwrap()]));
    for dir in [run_dir(runs), run_dir(&other_runs)] {
        let name = format!("{}/winning_ticket", dir.file_name().unwrap().to_str().unwrap());
        assert!(printed.contains(&name), "{printed}");
    }
    // Each is compared with the dense network of its run.
    let out = elsewhere.path().join("report");
    let files = [&path, &dense, &other].map(|path| path.to_str().unwrap());
    evaluate_ok(runs, &[&files[..], &["--out", out.to_str().unwrap()]].concat());
    let report = fs::read_to_string(out.join("report.md")).unwrap().replace('\\', "");
    let name = run_dir(runs).file_name().unwrap().to_str().unwrap().to_owned();
    assert!(report.contains(&format!("{name}/winning_ticket compared with the dense network")), "{report}");
    assert!(report.contains(&format!("| {name}/winning_ticket | {name}/dense | 1 |")), "{report}");
    assert!(report.contains("### Accuracy by class"), "{report}");
    // Other test images.
    let fewer_runs = elsewhere.path().join("fewer");
    run_ok(SMOKE, &fewer_runs, &["replicates=1", "rounds=1", "data.test_limit=50"]);
    let fewer = export(&fewer_runs, "winning_ticket", 1, "v.safetensors");
    let refused = evaluate_fails(runs, &[path.to_str().unwrap(), fewer.to_str().unwrap()], 2);
    assert!(refused.contains("the test images of") && refused.contains("v.safetensors"), "{refused}");
    let printed = stdout(&evaluate_ok(runs, &[fewer.to_str().unwrap()]));
    assert!(printed.contains("test accuracy on 50 of"), "{printed}");
}

#[test]
fn evaluate_refuses_files_that_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1", "rounds=1"]);
    let path = export(runs, "winning_ticket", 1, "t.safetensors");
    let path = path.to_str().unwrap();
    let foreign = runs.join("foreign.safetensors");
    lth::system::files::write(&foreign, b"no ticket").unwrap();
    let foreign = foreign.to_str().unwrap();
    let out = runs.join("out").to_str().unwrap().to_owned();
    let report = run_dir(runs).join("report");
    let (runs_text, report) = (runs.to_str().unwrap(), report.to_str().unwrap());
    let cases: [(&[&str], i32, &str); 11] = [
        (&[path, "--arm", "dense"], 2, "are for a run, and these are files"),
        (&[path, "--events", "e.jsonl"], 2, "are for a run, and these are files"),
        (&[runs_text], 2, "is a folder with tickets, and no run"),
        (&[path, "--out", path], 2, "is a file"),
        (&[path, "--out", report], 2, "holds another report"),
        (&[path, "smoke"], 2, "`smoke` is not a file of a ticket"),
        (&["smoke", "--out", &out], 2, "`--out` is for tickets in files"),
        (&[path, foreign], 1, "foreign.safetensors` as a ticket"),
        (&["none.safetensors"], 1, "none.safetensors"),
        (&[], 2, "RUN|FILE"),
        (&[path, "--corruption", "fog"], 2, "there is no `fog`"),
    ];
    for (args, code, problem) in cases {
        let error = evaluate_fails(runs, args, code);
        assert!(error.contains(problem), "{args:?}: {error}");
    }
    assert!(!Path::new(&out).exists());
    // A file of the user is not replaced.
    lth::system::files::write(&Path::new(&out).join("calibration.csv"), b"mine").unwrap();
    let refused = evaluate_fails(runs, &[path, "--out", &out], 2);
    assert!(refused.contains("calibration.csv") && refused.contains("--out"), "{refused}");
    assert_eq!(fs::read(Path::new(&out).join("calibration.csv")).unwrap(), b"mine");
}
