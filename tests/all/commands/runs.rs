//! `lth show`, `lth runs` and `lth clean` on the real binary.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::*;

fn json(runs: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&stdout_of(runs, args)).unwrap()
}

/// Returns the number of files with final weights in the store.
fn weights(runs: &Path) -> usize {
    let entries = fs::read_dir(runs.join("store")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|entry| entry.join("final.safetensors").exists()).count()
}

#[test]
fn show_prints_table_without_data_or_store() {
    let folder = tempfile::tempdir().unwrap();
    let printed = stdout(&run_ok(SMOKE, folder.path(), &[]));
    assert_eq!(stdout_of(folder.path(), &["show", "smoke"]), printed);
    let run_dir = run_dir(folder.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("moved");
    fs::rename(&run_dir, &moved).unwrap();
    let there = stdout_of(elsewhere.path(), &["show", moved.to_str().unwrap()]);
    assert_eq!(there.replace(moved.to_str().unwrap(), run_dir.to_str().unwrap()), printed);

    let show = |more: &[&str]| stdout_of(elsewhere.path(), &[&["show", moved.to_str().unwrap()], more].concat());
    let ticket = show(&["--arm", "winning_ticket", "--round", "2"]);
    assert_eq!(ticket.lines().count(), 6, "header, one row, what it is, images, files, report: {ticket}");
    assert_eq!(show(&["--csv"]), fs::read_to_string(moved.join("rounds.csv")).unwrap());
    let rows: Value = serde_json::from_str(&show(&["--json", "--round", "0"])).unwrap();
    assert_eq!((rows["state"].as_str(), rows["done"].as_u64()), (Some("finished"), Some(18)));
    assert_eq!(rows["rounds"].as_array().unwrap().len(), 2);
    assert_eq!(rows["rounds"][0]["arm"], "dense");
}

#[test]
fn show_and_clean_refuse_unknown_names() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1"]);
    let error_message = |args: &[&str]| {
        let output = lth_in(folder.path(), args);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{}", stderr(&output));
        let name = run_dir(folder.path()).file_name().unwrap().to_str().unwrap().to_owned();
        let message = stderr(&output).replace(folder.path().to_str().unwrap(), "RUNS").replace(&name, "smoke-12345678");
        // The lines of a list of runs end with the date.
        let without_date = |line: &str| {
            let run = line.strip_prefix("  smoke-12345678");
            format!("{}\n", run.map_or(line, |_| "  smoke-12345678  DATE"))
        };
        message.lines().map(without_date).collect::<String>()
    };
    let all = [
        error_message(&["show", "nothing"]),
        error_message(&["show", "smoke", "--arm", "wining_ticket"]),
        error_message(&["show", "smoke", "--round", "7"]),
        error_message(&["clean", "nothing"]),
    ];
    assert_golden!(all.join("---\n"));
}

#[test]
fn runs_names_damaged_run_and_lists_others() {
    let folder = tempfile::tempdir().unwrap();
    assert!(stdout_of(folder.path(), &["runs"]).starts_with("no runs in "));
    run_ok(SMOKE, folder.path(), &[]);
    run_ok(SMOKE, folder.path(), &["name=other", "replicates=1"]);
    let text = stdout_of(folder.path(), &["runs"]);
    let line = text.lines().find(|line| line.starts_with("smoke-")).unwrap();
    assert!(
        line.contains("  finished  ") && line.contains("  18 of 18  ") && line.contains(" remaining, n = "),
        "{text}"
    );
    let list = json(folder.path(), &["runs", "--json"]);
    let of = |name: &str| {
        let is_named = |run: &&Value| run["name"].as_str().unwrap().starts_with(name);
        list.as_array().unwrap().iter().find(is_named).unwrap().clone()
    };
    assert_eq!(of("other-")["done"].as_u64(), Some(9));
    assert!(of("smoke-")["bytes"].as_u64().unwrap() > 100_000 && of("smoke-")["best"]["validation_accuracy"].is_f64());

    let rounds = run_dir_named(folder.path(), "other").join("rounds.csv");
    lth::system::files::write(&rounds, fs::read_to_string(&rounds).unwrap().replace("done", "d,one").as_bytes())
        .unwrap();
    let output = lth_in(folder.path(), &["runs"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("smoke-") && !stdout(&output).contains("other-"), "{}", stdout(&output));
    assert!(stderr(&output).contains("rounds.csv` is damaged"), "{}", stderr(&output));
    // As an older version wrote the run, without checksums.
    fs::remove_file(rounds.with_file_name("SHA256SUMS")).unwrap();
    let output = lth_in(folder.path(), &["show", "other"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("line 2 is no row"), "{}", stderr(&output));
}

#[test]
fn interrupted_run_says_how_to_resume() {
    let folder = tempfile::tempdir().unwrap();
    let long = ["train.iterations=1000000"];
    let mut child = run_command(SMOKE, folder.path(), &long).stderr(std::process::Stdio::null()).spawn().unwrap();
    while !(folder.path().exists() && has_manifest(folder.path())) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_eq!(json(folder.path(), &["runs", "--json"])[0]["state"], "running");
    child.kill().unwrap();
    child.wait().unwrap();
    let output = lth_in(folder.path(), &["show", "smoke"]);
    assert!(output.status.success());
    assert!(stderr(&output).contains("interrupted: 0 of 18 training runs are done"), "{}", stderr(&output));
    assert!(stderr(&output).contains("--set train.iterations=1000000"), "{}", stderr(&output));
}

/// Returns whether a run has written its manifest.
fn has_manifest(runs: &Path) -> bool {
    let entries = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path());
    entries.into_iter().any(|entry| entry.join("run.json").exists() && entry.join("rounds.csv").exists())
}

#[test]
fn clean_frees_unneeded_weights_and_no_result() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["run.keep=all"]);
    assert_eq!(weights(folder.path()), 18);
    assert!(stdout_of(folder.path(), &["clean"]).starts_with("nothing to delete"), "the run keeps all");

    // The run keeps less now, but the pins of its weights stay until `lth clean`.
    run_ok(SMOKE, folder.path(), &[]);
    assert_eq!(weights(folder.path()), 18);
    let before = reproducible_files(&run_dir(folder.path()));
    let refused = lth_in(folder.path(), &["clean"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("no terminal to ask on\n\nhint: use `--yes`"), "{}", stderr(&refused));
    let dry = stdout_of(folder.path(), &["clean", "--dry-run"]);
    assert!(dry.contains("(14 files)") && dry.contains("would be deleted"), "{dry}");
    assert_eq!(weights(folder.path()), 18, "without `--yes` nothing is deleted");
    let done = stdout_of(folder.path(), &["clean", "smoke", "--yes"]);
    assert!(done.contains("deleted 14 files"), "{done}");
    assert_eq!(weights(folder.path()), 4, "the dense networks, and the last round of each chain");
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &[])), 0);
    assert_same(&reproducible_files(&run_dir(folder.path())), &before);

    // A run whose folder was deleted needs no weights. Those of another run stay.
    run_ok(SMOKE, folder.path(), &["name=other", "seed=2"]);
    fs::remove_dir_all(run_dir_named(folder.path(), "smoke")).unwrap();
    let done = stdout_of(folder.path(), &["clean", "--yes"]);
    assert!(done.contains("of training runs of deleted runs (4 files)"), "{done}");
    assert_eq!(weights(folder.path()), 4);
    // The results are still in the store, so the run folder is made again without training.
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &[])), 0);
    assert_same(&reproducible_files(&run_dir_named(folder.path(), "smoke")), &before);
}

#[test]
fn clean_leaves_running_and_unfinished_trainings() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["run.keep=all", "replicates=1"]);
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    // Another run with the same training runs is not finished, and may need the weights of any of them.
    let long = ["replicates=1", "arms.more={mask=\"dense\",weights=\"reinit\"}", "rounds=3", "name=more"];
    let mut child = run_command(SMOKE, folder.path(), &long).stderr(std::process::Stdio::null()).spawn().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let begun =
        fs::read_dir(folder.path()).unwrap().any(|e| e.unwrap().file_name().to_str().unwrap().starts_with("more-"));
    let text = stdout_of(folder.path(), &["clean", "--dry-run"]);
    assert_eq!(text.starts_with("nothing to delete"), begun, "{text}");
    let run_dir = run_dir_named(folder.path(), "smoke");
    fs::remove_file(run_dir.join("run.json")).unwrap();
    let text = stdout_of(folder.path(), &["clean", "--dry-run"]);
    assert!(text.starts_with("nothing to delete"), "a run that does not say what it keeps keeps all: {text}");
}

#[test]
fn clean_frees_archived_trainings() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let fresh = run_command(SMOKE, folder.path(), &["replicates=1"]).arg("--fresh").output().unwrap();
    assert!(fresh.status.success());
    let text = stdout_of(folder.path(), &["clean", "--yes"]);
    assert!(text.contains("--fresh has archived (3 files)"), "final weights of two, initial ones of one: {text}");
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &["replicates=1"])), 0);
}

#[test]
fn rounds_added_to_continued_chain_train_only_new_round() {
    let folder = tempfile::tempdir().unwrap();
    // Each round prunes the final weights of the round before by their distance from the weights that that round
    // started from.
    let sets = ["arms={chain={mask='iterative',weights='final'}}", "prune.criterion=movement", "replicates=1"];
    let with_rounds = |rounds: &str| run_ok(SMOKE, folder.path(), &[&sets[..], &[rounds]].concat());
    assert_eq!(finished_count(&with_rounds("rounds=4")), 5);
    assert_eq!(finished_count(&with_rounds("rounds=5")), 1);
    stdout_of(folder.path(), &["clean", "--yes"]);
    assert_eq!(finished_count(&with_rounds("rounds=6")), 1, "`lth clean` has kept what the next round compares with");
}
