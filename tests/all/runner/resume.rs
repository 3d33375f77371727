//! Resume after kills, signals and damage, on the real binary: the files are those of an uninterrupted run.

use std::fs;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use lth::base::rng::{Purpose, Stream};

use crate::support::*;

/// A length of training runs with which most kills hit one that is training or being written.
const LENGTH: &str = "train.iterations=300";

/// Starts a run of [`LENGTH`].
fn start(runs: &std::path::Path) -> Child {
    let mut command = run_command(SMOKE, runs, &[LENGTH]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs the experiment without interruption in a new folder.
fn alone() -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let output = run_ok(SMOKE, folder.path(), &[LENGTH]);
    (folder, output)
}

#[cfg(unix)]
#[test]
fn resume_after_twenty_kills_gives_same_bytes() {
    use std::os::unix::process::ExitStatusExt;
    const LONG: [&str; 2] = ["replicates=8", "train.iterations=600"];
    let alone = tempfile::tempdir().unwrap();
    let milliseconds = |runs: &std::path::Path| {
        let watch = std::time::Instant::now();
        run_ok(SMOKE, runs, &LONG);
        watch.elapsed().as_millis() as u64
    };
    // The time of the whole run, and of a run that finds everything stored. The difference is the time of the training.
    // Each kill comes after at most a fortieth of it, so that twenty kills leave some of the training undone even if
    // the machine was only half as fast when the times were measured.
    let whole = milliseconds(alone.path());
    let nothing = milliseconds(alone.path());
    let folder = tempfile::tempdir().unwrap();
    let mut moments = Stream::of_replicate(1, 1, Purpose::Order).generator(0);
    let mut killed = 0;
    for _ in 0..20 {
        let mut command = run_command(SMOKE, folder.path(), &LONG);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let moment = nothing * 3 / 4 + moments.below((whole - nothing) / 40);
        std::thread::sleep(Duration::from_millis(moment));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().signal() == Some(9));
    }
    // On a busy machine the last processes may find nothing left to do.
    assert!(killed >= 10, "{killed} processes were killed at work");
    run_ok(SMOKE, folder.path(), &LONG);
    assert_same(&reproducible_files(&run_dir(folder.path())), &reproducible_files(&run_dir(alone.path())));
}

#[cfg(unix)]
#[test]
fn resume_after_signals_gives_same_bytes() {
    let (alone, _) = alone();
    for (signal, code) in [("INT", 130), ("TERM", 75), ("HUP", 75), ("USR1", 75), ("USR2", 75)] {
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path());
        // The first training run has ended, so that there is something to resume from.
        while !has_stored_training(folder.path()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        let message = stderr(&output);
        assert!(message.contains("training runs are done"), "{message}");
        // The command that the message names, run by a shell.
        let command = message.trim_end().lines().last().unwrap();
        let rest = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
        assert!(rest.status.success(), "{}", stderr(&rest));
        assert!(finished_count(&rest) < SMOKE_TRAININGS, "finished training runs are not trained again");
        assert_same(&reproducible_files(&run_dir(folder.path())), &reproducible_files(&run_dir(alone.path())));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn signals_ignored_from_start_do_not_stop_run() {
    let folder = tempfile::tempdir().unwrap();
    // Ignores HUP as `nohup` does. The run is long enough that it is training when the signal comes.
    let script = format!("trap '' HUP; exec \"$0\" run {SMOKE} --runs \"$1\" --set train.iterations=2000");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_lth")]).arg(folder.path()).stdin(Stdio::null());
    let mut child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !has_stored_training(folder.path()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.try_wait().unwrap().is_none(), "the run is training");
    std::process::Command::new("kill").args(["-s", "HUP", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(finished_count(&output), SMOKE_TRAININGS);
}

/// Returns whether a training run is stored in `runs`.
fn has_stored_training(runs: &std::path::Path) -> bool {
    let Ok(entries) = fs::read_dir(runs.join("store")) else { return false };
    entries.filter_map(Result::ok).any(|entry| entry.path().join("done.json").exists())
}

#[test]
fn final_weights_are_kept_only_while_needed() {
    let (alone, _) = alone();
    let kept = fs::read_dir(alone.path().join("store"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().join("final.safetensors").exists())
        .count();
    assert_eq!(kept, 4, "in each replicate those of the dense network and of the last round of the chain");
}

#[test]
fn final_weights_freed_are_remade_if_needed() {
    let (alone, _) = alone();
    let before = reproducible_files(&run_dir(alone.path()));
    let tickets: Vec<_> = rows(&run_dir(alone.path()), "rounds.csv")
        .into_iter()
        .filter(|row| row["arm"] == "winning_ticket" && row["replicate"] == "1")
        .collect();
    let last = tickets.iter().find(|row| row["round"] == "2").unwrap();
    fs::remove_dir_all(alone.path().join("store").join(&last["key"])).unwrap();
    let again = run_ok(SMOKE, alone.path(), &[LENGTH]);
    assert_eq!(finished_count(&again), 2, "round 1 for its final weights, then round 2: {}", stderr(&again));
    assert_same(&reproducible_files(&run_dir(alone.path())), &before);
}

#[test]
fn final_weights_that_differ_after_rerun_are_refused() {
    let (alone, _) = alone();
    let rows = rows(&run_dir(alone.path()), "rounds.csv");
    let of_round = |round: &str| {
        let row = rows
            .iter()
            .find(|row| row["arm"] == "winning_ticket" && row["replicate"] == "1" && row["round"] == round)
            .unwrap();
        alone.path().join("store").join(&row["key"])
    };
    fs::remove_dir_all(of_round("2")).unwrap();
    let done = of_round("1").join("done.json");
    edit_json(&done, |page| page["files"]["final.safetensors"]["sha256"] = "0".repeat(64).into());
    let output = run(SMOKE, alone.path(), &[LENGTH]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not what they were"), "{}", stderr(&output));
    assert!(stderr(&output).contains("1 training run could not be repeated"), "{}", stderr(&output));
    assert!(stderr(&output).contains("no result: 1 blocked"), "round 2 waits for it: {}", stderr(&output));
}

#[test]
fn damaged_training_is_run_again() {
    let (alone, _) = alone();
    let before = reproducible_files(&run_dir(alone.path()));
    for file in ["curve.json", "mask.safetensors", "done.json", "start.safetensors"] {
        let has_file = |entry: &std::path::PathBuf| entry.join(file).exists();
        let mut entries = fs::read_dir(alone.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
        lth::system::files::write(&entries.find(has_file).unwrap().join(file), b"{").unwrap();
        let again = run_ok(SMOKE, alone.path(), &[LENGTH]);
        assert_eq!(finished_count(&again), 1, "{file}: {}", stderr(&again));
        assert_same(&reproducible_files(&run_dir(alone.path())), &before);
    }
}

#[test]
fn damaged_final_weights_are_remade_if_needed() {
    let (alone, _) = alone();
    for entry in fs::read_dir(alone.path().join("store")).unwrap() {
        let last = entry.unwrap().path().join("final.safetensors");
        if last.exists() {
            lth::system::files::write(&last, b"{").unwrap();
        }
    }
    // The third round prunes the second's final weights, which prune the first's, and so on back to the dense network.
    let more = run_ok(SMOKE, alone.path(), &[LENGTH, "rounds=3"]);
    let fresh = tempfile::tempdir().unwrap();
    run_ok(SMOKE, fresh.path(), &[LENGTH, "rounds=3"]);
    let files_of_three_rounds = |runs: &std::path::Path| {
        run_dirs(runs)
            .into_iter()
            .find(|run_dir| rows(run_dir, "rounds.csv").len() == 26)
            .map(|run_dir| reproducible_files(&run_dir))
            .unwrap()
    };
    assert_same(&files_of_three_rounds(alone.path()), &files_of_three_rounds(fresh.path()));
    assert_eq!(finished_count(&more), 2 * 3 + 2 * 4, "three again and four anew in each replicate: {}", stderr(&more));
}

#[test]
fn training_of_newer_version_is_not_touched() {
    let (alone, _) = alone();
    let entry = fs::read_dir(alone.path().join("store")).unwrap().next().unwrap().unwrap().path();
    edit_json(&entry.join("done.json"), |page| {
        page["format"] = 99.into();
        page["kept"] = page["weights_kept"].take();
        page.as_object_mut().unwrap().remove("weights_kept");
    });
    let output = run(SMOKE, alone.path(), &[LENGTH]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("newer version"), "{}", stderr(&output));
}

#[test]
fn final_weights_are_kept_by_run_keep_and_remade_to_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let weights = || {
        let entries = fs::read_dir(folder.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|entry| entry.join("final.safetensors").exists()).count()
    };
    let plan = |keep: &str| -> serde_json::Value {
        let mut command = lth();
        command.args(["plan", SMOKE, "--json", "--set", keep, "--runs"]).arg(folder.path());
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap()
    };
    run_ok(SMOKE, folder.path(), &[]);
    let before = reproducible_files(&run_dir(folder.path()));
    assert_eq!(weights(), 2 * 2, "of the dense networks and of the last round of each chain");
    // Freed weights are made again, and the plan counts their iterations; `done.json` has the checksum that they must
    // have.
    assert_eq!(plan("run.keep=tickets")["iterations_to_go"], 2 * 120);
    let tickets = run_ok(SMOKE, folder.path(), &["run.keep=tickets"]);
    assert_eq!((weights(), finished_count(&tickets)), (2 * 3, 2));
    assert_eq!(plan("run.keep=all")["iterations_to_go"], 12 * 120);
    run_ok(SMOKE, folder.path(), &["run.keep=all"]);
    assert_eq!(weights(), SMOKE_TRAININGS);
    assert!(plan("run.keep=all")["disk_bytes"].as_u64() > plan("run.keep=needed")["disk_bytes"].as_u64());
    // A run that keeps less does not free the weights that another one keeps.
    run_ok(SMOKE, folder.path(), &["rounds=3", "name=other"]);
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &["run.keep=all"])), 0);
    assert_same(&reproducible_files(&run_dir_named(folder.path(), "smoke")), &before);
}

/// Sends a signal to a process.
#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
}

#[cfg(unix)]
#[test]
fn broken_pipe_does_not_end_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path());
    while !has_stored_training(folder.path()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    send("PIPE", &child);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[cfg(unix)]
#[test]
fn second_interrupt_ends_a_long_step_at_once_and_keeps_what_is_stored() {
    // A step takes seconds, so that the second signal comes while the first is waiting for the step.
    let slow = [
        "network.architecture={mlp={hidden=[3000,3000]}}",
        "train.batch_size=1200",
        "train.optimizer=sgd",
        "replicates=1",
        "rounds=0",
    ];
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["rounds=0", "train.iterations=20"]);
    let stored = reproducible_files(&run_dir(folder.path()));
    let mut command = run_command(SMOKE, folder.path(), &slow);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while run_dirs(folder.path()).len() < 2 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..2 {
        send("INT", &child);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    run_ok(SMOKE, folder.path(), &["rounds=0", "train.iterations=20"]);
    let first = run_dirs(folder.path()).into_iter().find(|dir| reproducible_files(dir) == stored);
    assert!(first.is_some(), "what was stored before is unchanged");
}
