//! Locks, lists of keys and temporary files: what a run, `lth clean` and `lth report` do with them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lth::system::files::{self, Lock};

use crate::support::*;

const SETS: [&str; 2] = ["replicates=1", "rounds=1"];

#[cfg(unix)]
#[test]
fn run_that_waits_for_admission_says_so_and_hears_signals() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join(".locks/gate");
    let _held = Lock::try_exclusive(&gate).unwrap().unwrap();
    let mut command = run_command(SMOKE, folder.path(), &SETS);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let expected = format!("waiting for process {} on ", std::process::id());
    assert!(lines.by_ref().any(|line| line.contains(&expected) && line.contains("gate")), "no word of the holder");
    std::process::Command::new("kill").args(["-s", "TERM", &child.id().to_string()]).status().unwrap();
    let since = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(!folder.path().join("store").exists());
}

#[test]
fn keys_that_are_damaged_keep_all_weights_and_are_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &SETS);
    let name = run_dir(runs).file_name().unwrap().to_str().unwrap().to_owned();
    let keys = runs.join(".locks").join(format!("{name}.keys"));
    let whole = fs::read(&keys).unwrap();
    let weights = |runs: &Path| {
        let entries = files::list(&runs.join("store")).unwrap();
        entries.iter().filter(|entry| entry.join("final.safetensors").exists()).count()
    };
    let before = weights(runs);
    for damaged in [&b""[..], b"x\n", &whole[..70]] {
        files::write(&keys, damaged).unwrap();
        let output = lth_in(runs, &["clean", "--yes"]);
        assert!(stderr(&output).contains(".keys` is damaged"), "{}", stderr(&output));
        assert_eq!(weights(runs), before);
        assert_eq!(finished_count(&run_ok(SMOKE, runs, &SETS)), 0);
        assert_eq!(fs::read(&keys).unwrap(), whole);
    }
}

#[test]
fn temporary_files_of_killed_processes_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &SETS);
    let run = run_dir(runs);
    let [locks, report] = [runs.join(".locks"), run.join("report")];
    let temporary = |folder: &Path| folder.join(".tmp-lth-aB3xyZ");
    let leave =
        |folders: &[&Path]| folders.iter().for_each(|folder| files::write(&temporary(folder), b"half").unwrap());
    let figures = report.join("figures");
    leave(&[&locks, &report, &figures, &run]);
    run_ok(SMOKE, runs, &SETS);
    for folder in [&locks, &report, &figures, &run] {
        assert!(!temporary(folder).exists(), "{}", folder.display());
    }
    leave(&[&report, &figures]);
    stdout_of(runs, &["report", "smoke"]);
    assert!(!temporary(&report).exists() && !temporary(&figures).exists());
    leave(&[&locks]);
    stdout_of(runs, &["clean", "--yes"]);
    assert!(!temporary(&locks).exists());
}

#[cfg(unix)]
#[test]
fn fresh_archives_more_training_runs_than_files_may_be_open() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["replicates=8", "train.iterations=10", "train.evaluate_every=10"];
    run_ok(SMOKE, folder.path(), &sets);
    let set = sets.map(|set| format!("--set {set}")).join(" ");
    let script = format!("ulimit -n 48; exec \"$0\" run {SMOKE} --fresh --runs \"$1\" {set}");
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &script, env!("CARGO_BIN_EXE_lth")]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(files::list(&folder.path().join("store/old-1")).unwrap().len(), 72);
}

#[cfg(unix)]
#[test]
fn lock_that_is_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &SETS);
    let name = run_dir(folder.path()).file_name().unwrap().to_str().unwrap().to_owned();
    let victim = folder.path().join("thesis.txt");
    files::write(&victim, b"mine").unwrap();
    let lock = folder.path().join(".locks").join(format!("{name}.write"));
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&victim, &lock).unwrap();
    let output = run(SMOKE, folder.path(), &SETS);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("is a symbolic link"), "{}", stderr(&output));
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}
