//! Tickets as files: exported, shown, verified, made compact, read by `PyTorch`, and used by other experiments.

mod damage;
mod evaluate;
mod files;
mod pytorch;
mod transfer;

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::*;

/// Runs `lth ticket` with these arguments.
fn ticket(runs: &Path, args: &[&str]) -> Output {
    lth().arg("ticket").args(args).env("LTH_RUNS_DIR", runs).output().unwrap()
}

/// Like [`ticket`], but asserts success and returns standard output.
fn ticket_ok(runs: &Path, args: &[&str]) -> String {
    let output = ticket(runs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Like [`ticket`], but asserts failure with this exit code and returns standard error.
fn ticket_fails(runs: &Path, args: &[&str], code: i32) -> String {
    let output = ticket(runs, args);
    assert_eq!(output.status.code(), Some(code), "{}{}", stdout(&output), stderr(&output));
    stderr(&output)
}

/// Exports one training run of [`SMOKE`] and returns the path of the file.
fn export(runs: &Path, arm: &str, round: u32, file: &str) -> PathBuf {
    let path = runs.join(file);
    let round = round.to_string();
    let selected = ["--arm", arm, "--round", &round, "--replicate", "1", "-o", path.to_str().unwrap()];
    ticket_ok(runs, &[&["export", "smoke"], &selected[..]].concat());
    path
}
