//! Killed, interrupted, damaged: the same command goes on, and the files are those of a run that was left alone.

use std::fs;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use lth::base::random::{Purpose, Stream};

use crate::support::*;

/// Long enough that most kills fall into a training or a write.
const LENGTH: &str = "train.iterations=300";

fn start(runs: &std::path::Path) -> Child {
    let mut command = run_command(SMOKE, runs, &[LENGTH]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn alone() -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let output = run_well(SMOKE, folder.path(), &[LENGTH]);
    (folder, output)
}

#[test]
fn killed_twenty_times_it_ends_with_the_same_bytes() {
    let (alone, output) = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut moments = Stream::of_replicate(1, 1, Purpose::Order).generator(0);
    let mut killed = 0;
    for _ in 0..20 {
        let mut child = start(folder.path());
        std::thread::sleep(Duration::from_millis(200 + moments.below(400)));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    assert!(killed >= 3, "some kills must find it at work: {killed}");
    let end = run_well(SMOKE, folder.path(), &[LENGTH]);
    assert_eq!(stdout(&end).lines().count(), stdout(&output).lines().count());
    assert_same(&promised(&view(folder.path())), &promised(&view(alone.path())));
}

#[cfg(unix)]
#[test]
fn signals_stop_it_and_it_goes_on() {
    let (alone, _) = alone();
    for (signal, code) in [("INT", 130), ("TERM", 75)] {
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path());
        // Until the first training has ended, so that there is something to go on from.
        while !view_has_a_row(folder.path()) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains("the same command goes on"), "{}", stderr(&output));
        let rest = run_well(SMOKE, folder.path(), &[LENGTH]);
        assert!(trained(&rest) < SMOKE_TRAININGS, "what was done is not done again");
        assert_same(&promised(&view(folder.path())), &promised(&view(alone.path())));
    }
}

fn view_has_a_row(runs: &std::path::Path) -> bool {
    let Ok(entries) = fs::read_dir(runs.join("store")) else { return false };
    entries.filter_map(Result::ok).any(|entry| entry.path().join("done.json").exists())
}

#[test]
fn final_weights_are_kept_only_while_they_are_needed() {
    let (alone, _) = alone();
    let kept = fs::read_dir(alone.path().join("store"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().join("final.safetensors").exists())
        .count();
    assert_eq!(kept, 4, "per replicate those of the dense network and of the chain's last round");
}

#[test]
fn freed_weights_are_made_again_where_they_are_missed() {
    let (alone, _) = alone();
    let before = promised(&view(alone.path()));
    let tickets: Vec<_> = rows(&view(alone.path()), "rounds.csv")
        .into_iter()
        .filter(|row| row["arm"] == "winning_ticket" && row["replicate"] == "1")
        .collect();
    let last = tickets.iter().find(|row| row["round"] == "2").unwrap();
    fs::remove_dir_all(alone.path().join("store").join(&last["key"])).unwrap();
    let again = run_well(SMOKE, alone.path(), &[LENGTH]);
    assert_eq!(trained(&again), 2, "round 1 for its final weights, then round 2: {}", stderr(&again));
    assert_same(&promised(&view(alone.path())), &before);
}

#[test]
fn weights_that_do_not_come_back_the_same_are_refused() {
    let (alone, _) = alone();
    let rows = rows(&view(alone.path()), "rounds.csv");
    let of_round = |round: &str| {
        let row = rows
            .iter()
            .find(|row| row["arm"] == "winning_ticket" && row["replicate"] == "1" && row["round"] == round)
            .unwrap();
        alone.path().join("store").join(&row["key"])
    };
    fs::remove_dir_all(of_round("2")).unwrap();
    let done = of_round("1").join("done.json");
    let mut page: serde_json::Value = serde_json::from_slice(&fs::read(&done).unwrap()).unwrap();
    page["files"]["final.safetensors"]["sha256"] = "0".repeat(64).into();
    lth::base::files::write(&done, page.to_string().as_bytes()).unwrap();
    let output = run(SMOKE, alone.path(), &[LENGTH]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("not what they were"), "{}", stderr(&output));
}

#[test]
fn a_damaged_entry_is_trained_again() {
    let (alone, _) = alone();
    let before = promised(&view(alone.path()));
    let mut damaged = 0;
    for (i, entry) in fs::read_dir(alone.path().join("store")).unwrap().enumerate() {
        let file = ["curve.json", "mask.safetensors", "done.json"].get(i).copied();
        if let Some(file) = file {
            lth::base::files::write(&entry.unwrap().path().join(file), b"{").unwrap();
            damaged += 1;
        }
    }
    let again = run_well(SMOKE, alone.path(), &[LENGTH]);
    assert!(trained(&again) >= damaged);
    assert_same(&promised(&view(alone.path())), &before);
}
