//! What scripts rely on: JSON, `--events`, `--require`, quiet output, log lines, exit codes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::*;

/// Returns the value of the only line of a process's standard output.
fn json_line(output: &std::process::Output) -> Value {
    let text = stdout(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Returns the values of the lines of a file.
fn json_lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn run_json_is_one_line_and_events_has_a_line_for_each_training_run() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events.jsonl");
    let mut command = run_command(SMOKE, &folder.path().join("runs"), &["replicates=1"]);
    let output = command.arg("--json").arg("--events").arg(&events).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let result = json_line(&output);
    let run_dir = run_dir(&folder.path().join("runs"));
    assert_eq!(result["folder"], run_dir.display().to_string());
    assert_eq!(result["run"], run_dir.file_name().unwrap().to_str().unwrap());
    assert_eq!((result["state"].as_str(), result["exit_code"].as_u64()), (Some("finished"), Some(0)));
    assert_eq!((result["done"].as_u64(), result["trainings"].as_u64()), (Some(9), Some(9)));
    assert!(Path::new(result["report"].as_str().unwrap()).exists() && is_iso_time(&result["ended"]), "{result}");

    let lines = json_lines(&events);
    assert_eq!(lines.len(), 9);
    let rows = rows(&run_dir, "rounds.csv");
    for (index, line) in lines.iter().enumerate() {
        assert!(is_iso_time(&line["time"]) && line["seconds"].is_number(), "{line}");
        assert_eq!((line["ended"].as_u64(), line["outcome"].as_str()), (Some(index as u64 + 1), Some("done")));
        let text = |key: &str| line[key].as_str().map_or_else(|| line[key].to_string(), str::to_owned);
        let is_same = |row: &&std::collections::BTreeMap<String, String>| {
            ["arm", "round", "replicate", "repeat"].iter().all(|key| row[*key] == text(key))
        };
        let row = rows.iter().find(is_same).unwrap();
        let accuracy: f64 = row["final_test_accuracy"].parse().unwrap();
        assert_eq!(line["final_test_accuracy"].as_f64(), Some(accuracy));
    }
    let mut again = run_command(SMOKE, &folder.path().join("runs"), &["replicates=2"]);
    assert!(again.arg("--events").arg(&events).output().unwrap().status.success());
    assert_eq!(json_lines(&events).len(), 18, "lines are appended, for new training runs only");
}

#[test]
fn events_file_that_cannot_be_opened_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let output = run_command(SMOKE, &runs, &[]).args(["--events", "/dev/null/x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not open `/dev/null/x` for `--events`"), "{}", stderr(&output));
    assert!(!runs.exists());
}

#[cfg(target_os = "linux")]
#[test]
fn events_that_cannot_be_written_are_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_command(SMOKE, folder.path(), &["replicates=1"]).args(["--events", "/dev/full"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("could not write `/dev/full`"), "{}", stderr(&output));
    assert_eq!(rows(&run_dir(folder.path()), "rounds.csv").len(), 9, "the run is finished all the same");
}

#[test]
fn other_commands_print_json() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1"]);
    let json = |args: &[&str]| json_line(&lth_in(runs, args));
    let report = json(&["report", "smoke", "--json"]);
    assert!(Path::new(report["report"].as_str().unwrap()).exists() && report["skipped"] == serde_json::json!([]));
    let clean = json(&["clean", "--dry-run", "--json"]);
    assert_eq!((&clean["dry_run"], clean["files"].is_u64()), (&Value::Bool(true), true));
    let stability = json(&["stability", "smoke", "--round", "0", "--points", "2", "--json", "-q"]);
    assert_eq!((stability["selected"].as_u64(), stability["measured"].as_u64()), (Some(1), Some(1)));
    let landscape = json(&["landscape", "smoke", "--round", "0", "--points", "2", "--directions", "1", "--json", "-q"]);
    assert_eq!((landscape["selected"].as_u64(), landscape["measured"].as_u64()), (Some(1), Some(1)));
    let init = json(&["init", runs.join("new.toml").to_str().unwrap(), "--json"]);
    assert!(Path::new(init["schema"].as_str().unwrap()).exists());
}

#[test]
fn rm_json_names_the_runs_and_what_stays() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("mine-12345678");
    for (name, text) in [("rounds.csv", "key\n"), ("notes.txt", "a user's")] {
        lth::system::files::write(&run.join(name), text.as_bytes()).unwrap();
    }
    let rm = |option: &str| lth_in(folder.path(), &["rm", "mine", "--json", option]);
    let expected = |dry_run: bool, bytes: u64, foreign: &[&Path]| serde_json::json!({ "dry_run": dry_run, "runs": [run], "bytes": bytes, "foreign": foreign });
    assert_eq!(json_line(&rm("--dry-run")), expected(true, 12, &[]));
    let refused = lth_in(folder.path(), &["rm", "mine", "--json"]);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(2), ""), "{}", stderr(&refused));
    assert!(run.join("rounds.csv").exists());
    assert_eq!(json_line(&rm("--yes")), expected(false, 4, &[&run.join("notes.txt")]));
    assert!(!run.join("rounds.csv").exists() && run.join("notes.txt").exists());
}

#[test]
fn quiet_prints_the_result_and_twice_quiet_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |option: &str| run_command(SMOKE, folder.path(), &["replicates=1"]).arg(option).output().unwrap();
    let once = run("-q");
    assert!(stderr(&once).is_empty() && stdout(&once).contains("winning_ticket"), "{}", stdout(&once));
    let twice = run("-qq");
    assert!(twice.status.success() && twice.stdout.is_empty() && twice.stderr.is_empty(), "{}", stderr(&twice));
}

#[test]
fn log_lines_have_clock_times() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let log = String::from_utf8(output.stderr.clone()).unwrap();
    let ended: Vec<&str> = log.lines().filter(|line| without_time(line).starts_with('[')).collect();
    assert!(ended.len() == 9 && ended.iter().all(|line| without_time(line) != *line), "{log}");
}

#[test]
fn repeated_training_runs_have_a_count_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    // Weights that were not kept.
    let again = run_ok(SMOKE, folder.path(), &["replicates=1", "run.keep=all"]);
    let counts: Vec<String> =
        stderr(&again).lines().filter_map(|line| Some(line.split_once(']')?.0.to_owned() + "]")).collect();
    let all = counts.len();
    assert!(all > 0, "{}", stderr(&again));
    assert_eq!(counts, (1..=all).map(|n| format!("[repeated {n}/{all}]")).collect::<Vec<_>>());
}

#[test]
fn show_require_is_met_or_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let show = |requirements: &[&str]| {
        let options: Vec<&str> = requirements.iter().flat_map(|text| ["--require", text]).collect();
        lth_in(folder.path(), &[&["show", "smoke"], &options[..]].concat())
    };
    let met = show(&["dense.0.final_test_accuracy >= 0", "winning_ticket.2.final_test_accuracy.min <= 1"]);
    assert_eq!(met.status.code(), Some(0), "{}", stderr(&met));
    let unmet = show(&["dense.0.final_test_accuracy > 1"]);
    assert_eq!(unmet.status.code(), Some(1));
    assert!(stderr(&unmet).contains("error: required `dense.0.final_test_accuracy > 1`, got 0."), "{}", stderr(&unmet));
    for wrong in ["dense.0.accuracy > 1", "nobody.0.final_test_accuracy > 0", "dense"] {
        assert_eq!(show(&[wrong]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn exit_codes_are_those_of_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1"]);
    let mnist = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let empty = runs.join("empty");
    let empty = empty.to_str().unwrap();
    for (code, args) in [
        (0, &["show", "smoke"][..]),
        (0, &["ls"]),
        (0, &["train", SMOKE, "--set", "replicates=1", "-qq"]),
        (1, &["run", mnist, "--data-dir", empty]),
        (1, &["data", "check", "mnist", "--data-dir", empty]),
        (1, &["doctor", "--require", "data=mnist", "--data-dir", empty]),
        (2, &["show", "nowhere"]),
        (2, &["compare", "smoke", "nowhere"]),
        (2, &["stability", "nowhere"]),
        (2, &["landscape", "nowhere"]),
        (2, &["evaluate", "nowhere"]),
        (2, &["clean", "nowhere"]),
        (2, &["run", "nowhere.toml"]),
        (2, &["run", SMOKE, "--set", "train.lr=fast"]),
        (2, &["run", SMOKE, "--unset", "train.lr"]),
        (2, &["frobnicate"]),
    ] {
        let output = lth_in(runs, args);
        assert_eq!(output.status.code(), Some(code), "lth {}: {}", args.join(" "), stderr(&output));
    }
}
