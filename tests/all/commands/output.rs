//! Output that cannot be written: exit code 1 with the reason of the system. A closed pipe is not an error.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::*;

/// Returns every command that prints a result, with its arguments in `folder`.
fn commands(folder: &Path) -> Vec<Vec<String>> {
    let runs = folder.display().to_string();
    let path = |name: &str| folder.join(name).display().to_string();
    let own = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let with_runs = |words: &[&str]| own(&[words, &["--runs", &runs]].concat());
    vec![
        own(&["--help"]),
        own(&["--version"]),
        own(&["help", "run"]),
        with_runs(&["run", SMOKE, "--set", "replicates=1"]),
        with_runs(&["run", SMOKE, "--set", "replicates=1", "--quiet"]),
        with_runs(&["run", SMOKE, "--set", "replicates=1", "--quiet", "--json"]),
        with_runs(&["plan", SMOKE]),
        with_runs(&["plan", SMOKE, "--json"]),
        own(&["check", SMOKE]),
        own(&["check", SMOKE, "--json"]),
        with_runs(&["show", "smoke"]),
        with_runs(&["show", "smoke", "--csv"]),
        with_runs(&["show", "smoke", "--json"]),
        with_runs(&["runs"]),
        with_runs(&["runs", "--json"]),
        with_runs(&["compare", "smoke", "other"]),
        with_runs(&["compare", "smoke", "other", "--json"]),
        with_runs(&["report", "smoke"]),
        with_runs(&["report", "smoke", "--json"]),
        with_runs(&["clean", "--dry-run"]),
        with_runs(&["clean", "--dry-run", "--json"]),
        with_runs(&["stability", "smoke", "--round", "0", "--points", "2", "--quiet"]),
        with_runs(&["landscape", "smoke", "--round", "0", "--points", "2", "--directions", "1", "--quiet"]),
        with_runs(&["evaluate", "smoke", "--round", "0", "--attack", "none", "--corruption", "none", "--quiet"]),
        with_runs(&["doctor"]),
        with_runs(&["doctor", "--json"]),
        own(&["data", "check"]),
        own(&["data", "show", "strokes", "--out", &path("sheet.png")]),
        own(&["data", "show", "strokes", "--json", "--out", &path("sheet2.png")]),
        own(&["generate", "schema"]),
        own(&["generate", "config-reference"]),
        own(&["generate", "man"]),
        own(&["generate", "man", "--out", &path("man")]),
        own(&["generate", "completions", "bash"]),
        own(&["init", "-"]),
        own(&["init", "--json", &path("json_mine.toml")]),
        own(&["generate", "schema", "--of", "rounds.csv"]),
        own(&["init", &path("mine.toml")]),
    ]
}

fn folder_with_runs() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    run_ok(SMOKE, folder.path(), &["replicates=1", "name=other", "seed=2"]);
    folder
}

fn command(args: &[String], folder: &Path) -> Command {
    let mut command = lth();
    command.args(args).current_dir(folder).stderr(Stdio::piped());
    command
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_exit_code_1_with_the_reason() {
    let folder = folder_with_runs();
    for args in commands(folder.path()) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(&args, folder.path()).stdout(full).spawn().unwrap().wait_with_output().unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "lth {}: {text}", args.join(" "));
        let expected =
            "error: could not write to standard output\n  Caused by: No space left on device (os error 28)\n";
        assert!(text.ends_with(expected), "lth {}: {text}", args.join(" "));
    }
}

// regression: output into a descriptor that cannot be written to was taken for written
#[cfg(unix)]
#[test]
fn output_into_descriptor_that_is_only_readable_is_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let read_only = File::open("/dev/null").unwrap();
    let output = lth().args(["generate", "schema"]).current_dir(&folder).stdout(read_only).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("Bad file descriptor"), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn output_into_a_closed_pipe_is_no_error() {
    let folder = folder_with_runs();
    for args in
        commands(folder.path()).into_iter().filter(|args| args.last().is_none_or(|last| !last.ends_with("mine.toml")))
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(&args, folder.path()).stdout(writer).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "lth {}: {}", args.join(" "), stderr(&output));
        assert!(!stderr(&output).contains("standard output"), "lth {}: {}", args.join(" "), stderr(&output));
    }
}
