//! `[sweep]` and `--sweep`: several experiments as one command over one store.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::*;

/// A tiny version of the smoke experiment: one replicate of one round, 5 training runs.
const TINY: [&str; 3] = ["replicates=1", "rounds=1", "train.iterations=40"];
const RATES: [&str; 2] = ["--sweep", "prune.rate.linear=0.2,0.4,0.6"];

/// Runs `lth COMMAND` on the tiny experiment with more arguments.
fn tiny(command: &str, runs: &Path, more: &[&str]) -> std::process::Output {
    let sets = TINY.iter().flat_map(|set| ["--set", set]);
    lth().args([command, SMOKE]).args(sets).args(more).env("LTH_RUNS_DIR", runs).output().unwrap()
}

fn sweep_folder(runs: &Path) -> PathBuf {
    let mut folders = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path());
    folders.find(|path| path.to_string_lossy().contains("-sweep-")).unwrap()
}

/// Returns the rows of the table of a sweep, each as (value of the swept key, arm, round).
fn table(runs: &Path, key: &str) -> Vec<(String, String, String)> {
    let row =
        |row: &std::collections::BTreeMap<String, String>| (row[key].clone(), row["arm"].clone(), row["round"].clone());
    rows(&sweep_folder(runs), "sweep.csv").iter().map(row).collect()
}

#[test]
fn sweep_trains_shared_runs_once_and_gives_the_results_of_single_runs() {
    let (folder, single) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = folder.path();
    let plan: Value = serde_json::from_slice(&tiny("plan", runs, &[&RATES[..], &["--json"]].concat()).stdout).unwrap();
    // The dense network is the same for all points.
    assert_eq!((&plan["trainings"], &plan["shared"], &plan["stored"]), (&13.into(), &2.into(), &0.into()));
    assert_eq!(plan["iterations_to_go"], 13 * 40);
    let output = tiny("run", runs, &RATES);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("sweep: 3 points, 13 training runs; 2 more shared"), "{}", stderr(&output));
    assert_eq!(fs::read_dir(runs.join("store")).unwrap().count(), 13);
    assert!(stdout(&output).contains("\nbest point by validation accuracy: prune.rate.linear="), "{}", stdout(&output));
    for (rate, dir) in ["0.2", "0.4", "0.6"].iter().zip(run_dirs_by_rate(runs)) {
        let set = format!("prune.rate.linear={rate}");
        run_ok(SMOKE, single.path(), &[&TINY[..], &[&set]].concat());
        let of_single = single.path().join(dir.file_name().unwrap());
        assert_same(&reproducible_files(&dir), &reproducible_files(&of_single));
    }
    // dense, and the ticket, two reinitializations (one row) and the random mask at round 1.
    let table = table(runs, "prune.rate.linear");
    assert_eq!(table.len(), 3 * 4);
    assert_eq!(table[0], ("0.2".to_owned(), "dense".to_owned(), "0".to_owned()));
    let page = fs::read_to_string(sweep_folder(runs).join("report/report.md")).unwrap();
    assert!(page.contains("The best run by validation accuracy at early stop is rate 0."), "{page}");
    // Again: nothing is trained.
    let again: Value = serde_json::from_slice(&tiny("plan", runs, &[&RATES[..], &["--json"]].concat()).stdout).unwrap();
    assert_eq!((&again["stored"], &again["iterations_to_go"]), (&13.into(), &0.into()));
}

/// Returns the folders of the runs in the order of their pruning rates.
fn run_dirs_by_rate(runs: &Path) -> Vec<PathBuf> {
    let with_rate = |rate: &str| {
        let line = format!("linear = {rate} ");
        let has_line = |dir: &PathBuf| {
            fs::read_to_string(dir.join("resolved.toml")).is_ok_and(|text| text.contains(line.trim_end()))
        };
        run_dirs(runs).into_iter().find(has_line).unwrap()
    };
    ["0.2", "0.4", "0.6"].map(with_rate).to_vec()
}

#[test]
fn sweep_of_the_file_is_that_of_the_options() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text = fs::read_to_string(SMOKE).unwrap();
    let path =
        config(folder.path(), &format!("{text}\n[sweep]\nprune.rate.linear = [0.2, 0.4]\ntrain.lr = [1e-3, 2e-3]\n"));
    let runs = folder.path().join("runs");
    let output = run_command(&path, &runs, &TINY).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let options = ["--sweep", "prune.rate.linear=0.2,0.4", "--sweep", "train.lr=1e-3,2e-3"];
    assert!(tiny("run", other.path(), &options).status.success());
    let names = |runs: &Path| {
        let mut names: Vec<_> = run_dirs(runs).iter().map(|dir| dir.file_name().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&runs), names(other.path()));
    assert_eq!(sweep_folder(&runs).file_name(), sweep_folder(other.path()).file_name());
    let figures = sweep_folder(&runs).join("report/figures");
    let csv = fs::read_to_string(figures.join("sweep_best_validation.csv")).unwrap();
    assert_eq!(csv.lines().filter(|line| line.starts_with("winning_ticket,")).count(), 4, "{csv}");
    assert!(fs::read_to_string(figures.join("sweep_best_validation.svg")).unwrap().contains("class=\"cell"));
    // One experiment of the file.
    let one = lth().args(["check", &path]).output().unwrap();
    assert!(stderr(&one).contains("`--unset sweep` leaves one experiment"), "{}", stderr(&one));
    assert!(lth().args(["check", &path, "--unset", "sweep"]).output().unwrap().status.success());
}

#[test]
fn sweep_goes_on_after_a_failure_and_lists_it() {
    let runs = tempfile::tempdir().unwrap();
    let sweep = ["--sweep", "train.lr=1e30,2e-3", "--set", "train.optimizer=sgd", "--json"];
    let output = tiny("run", runs.path(), &sweep);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).ends_with("error: point `train.lr=1e30` failed\n"), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3, "a line for each point, and one for the sweep");
    assert_eq!((&lines[0]["exit_code"], &lines[1]["exit_code"]), (&1.into(), &0.into()));
    assert_eq!((&lines[2]["failed"], &lines[2]["points"]), (&serde_json::json!(["train.lr=1e30"]), &2.into()));
    assert_eq!(lines[2]["best"]["point"], "train.lr=2e-3");
    // The dense network of the failed point, which diverged, and all of the other.
    assert_eq!(table(runs.path(), "train.lr").len(), 1 + 4);
}

#[test]
fn fresh_sweep_trains_shared_runs_once() {
    let runs = tempfile::tempdir().unwrap();
    assert!(tiny("run", runs.path(), &RATES).status.success());
    let events = runs.path().join("events.jsonl");
    let fresh = ["--fresh", "--events", events.to_str().unwrap()];
    let output = tiny("run", runs.path(), &[&RATES[..], &fresh].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(&events).unwrap().lines().count(), 13);
}

#[test]
fn jobs_of_a_sweep_train_it_in_parts() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = folder.path();
    let args = [&RATES[..], &["--jobs", "--json"]].concat();
    let list: Value = serde_json::from_slice(&tiny("plan", runs, &args).stdout).unwrap();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 13, "shared training runs are one job");
    for jobs in ["7-12", "0-6"] {
        assert!(tiny("run", runs, &[&RATES[..], &["--job", jobs]].concat()).status.success());
    }
    assert!(tiny("run", runs, &[&RATES[..], &["--no-training"]].concat()).status.success());
    assert!(tiny("run", whole.path(), &RATES).status.success());
    let csv = |runs: &Path| fs::read_to_string(sweep_folder(runs).join("sweep.csv")).unwrap();
    assert_eq!(csv(runs), csv(whole.path()));
}

#[test]
fn mistakes_in_a_sweep_name_the_point_and_nothing_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let error = |sweep: &[&str]| {
        let output = tiny("run", &runs, sweep);
        assert_eq!(output.status.code(), Some(2), "{sweep:?}");
        stderr(&output)
    };
    let unknown = error(&["--sweep", "train.lrr=0.1,0.2"]);
    assert!(unknown.contains("unknown key `lrr`") && unknown.contains("did you mean `lr`?"), "{unknown}");
    let wrong = error(&["--sweep", "train.lr=0.1,abc"]);
    assert!(wrong.contains("got the text \"abc\""), "{wrong}");
    assert!(wrong.contains("note: at point 2 of 2 of the sweep: train.lr=abc"), "{wrong}");
    assert!(error(&["--sweep", "train.lr="]).contains("a value is empty"));
    let same = error(&["--sweep", "train.lr=1e-3,0.001"]);
    assert!(same.contains("the same experiment: `train.lr=1e-3` and `train.lr=0.001`"), "{same}");
    let text = format!("{}\n[sweep]\ntrain.lr = []\n", fs::read_to_string(SMOKE).unwrap());
    let output = run_command(&config(folder.path(), &text), &runs, &[]).output().unwrap();
    assert!(stderr(&output).contains("the axis has no value"), "{}", stderr(&output));
    let thousand: Vec<String> = (0..3_200).map(|value| value.to_string()).collect();
    let seeds = format!("seed={}", thousand.join(","));
    let sizes = format!("train.batch_size={}", thousand.join(","));
    let many = error(&["--sweep", &seeds, "--sweep", &sizes]);
    assert!(many.contains("the sweep has 10240000 points; at most 10000 are allowed"), "{many}");
    assert!(!runs.exists());
}
