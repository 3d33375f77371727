//! Every open, read, write, fsync, rename, … of a run fails once, and from then on for ever; the run says so with exit
//! code 1 or goes on, and the same command without the fault ends with the same bytes.
//!
//! A preloaded library, `shim.c`, makes the calls fail; renames of temporary files, which are raw system calls, fail by
//! `strace`. The suite tries a sample; with `LTH_TEST_ALL_FAULTS=1` in the environment the tests try every call, with
//! `LTH_TEST_ALL_FAULTS=n` every n-th, and print each mistake when it is found (`-- --nocapture`).
//! `LTH_TEST_FAULT_CALLS=read,mkdir` leaves only these classes of calls to the first test.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use lth::base::rng::{Purpose, Stream};

use super::experiment::{TINY, differences};
use crate::support::*;

/// The environment variable that makes these tests try every n-th call instead of a sample.
const ALL: &str = "LTH_TEST_ALL_FAULTS";

/// The environment variable with the classes of calls that [`fault_at_any_call_loses_nothing`] tries; all if not set.
const CALLS: &str = "LTH_TEST_FAULT_CALLS";

/// Classes of calls of `shim.c`. A run renames only by raw system calls.
const CLASSES: [&str; 10] =
    ["open-read", "open-write", "opendir", "read", "write", "fsync", "ftruncate", "mkdir", "unlink", "flock"];

/// Classes of calls that a full disk makes fail.
const WRITING: &str = "open-write,write,fsync,ftruncate,mkdir";

/// Errors: (number on Linux, name, the system's text).
const ENOSPC: (i32, &str, &str) = (28, "ENOSPC", "No space left on device");
const EIO: (i32, &str, &str) = (5, "EIO", "Input/output error");
const EROFS: (i32, &str, &str) = (30, "EROFS", "Read-only file system");
/// Not an error: a read or a write handles half of its bytes.
const SHORT: (i32, &str, &str) = (0, "a short count", "");

/// The end of a run that had fewer calls than the one that was counted.
const NO_CALL: &str = "no such call";

/// A call that fails.
#[derive(Clone, Copy, Debug)]
struct Fault {
    /// Classes of calls, joined by commas.
    calls: &'static str,
    /// Number of the call of these classes, from 1.
    at: u64,
    error: (i32, &'static str, &'static str),
    /// Whether all later calls fail too.
    forever: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, at, error, forever } = self;
        write!(f, "{} at call {at} of {calls}{}", error.1, if *forever { " and at all later ones" } else { "" })
    }
}

/// The library, compiled once; `None` without a C compiler.
pub(super) fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compiled = SHIM.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/faults/shim.c");
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("shim.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-shared", "-fPIC", source, "-o"]).arg(&library).arg("-ldl");
        let Ok(output) = compiler.output() else {
            println!("skipped: injected I/O errors (there is no C compiler `cc`)");
            return None;
        };
        assert!(output.status.success(), "{}", stderr(&output));
        Some(library)
    });
    compiled.as_deref()
}

/// A folder with the configuration, and the results without a fault.
struct Bench {
    _folder: tempfile::TempDir,
    /// The folder, without symbolic links: the library compares paths.
    root: PathBuf,
    config: String,
    reference: BTreeMap<PathBuf, Vec<u8>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let config = config(&root, TINY);
        run_ok(&config, &root.join("reference"), &[]);
        let reference = results(&root.join("reference"));
        Self { _folder: folder, root, config, reference }
    }

    /// Returns the command of the run into `runs`. One worker, so that the calls have one order.
    fn command(&self, runs: &Path) -> Command {
        run_command(&self.config, runs, &["run.workers=1"])
    }

    /// Runs the experiment under the library. Also returns the calls that the library logged, as "CLASS PATH".
    fn run_with(&self, shim: &Path, runs: &Path, fault: Fault) -> (Output, Vec<String>) {
        let log = runs.with_extension("log");
        let mut command = self.command(runs);
        command.env("LD_PRELOAD", shim).env("FAULT_PREFIX", runs).env("FAULT_LOG", &log);
        command.env("FAULT_CALLS", fault.calls).env("FAULT_AT", fault.at.to_string());
        command.env("FAULT_ERRNO", fault.error.0.to_string());
        if fault.forever {
            command.env("FAULT_FOREVER", "1");
        }
        let output = command.output().unwrap();
        let logged = fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect();
        (output, logged)
    }

    /// Runs the experiment under strace, with an error (its name) at a call of renameat in each thread. Also returns the
    /// log of these calls.
    fn run_traced(&self, shim: &Path, runs: &Path, fault: Option<(u64, &str)>) -> (Output, String) {
        let log = runs.with_extension("log");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e", "trace=/^renameat", "-o"]).arg(&log);
        if let Some((at, error)) = fault {
            command.arg("-e").arg(format!("inject=/^renameat:error={error}:when={at}"));
        }
        let plain = self.command(runs);
        command.arg("-E").arg(format!("LD_PRELOAD={}", shim.display())).arg(plain.get_program()).args(plain.get_args());
        (command.env_remove("LTH_RUNS_DIR").output().unwrap(), fs::read_to_string(&log).unwrap())
    }

    /// Returns the number of calls of these classes in a run without a fault.
    fn count(&self, shim: &Path, calls: &'static str) -> u64 {
        let runs = self.root.join(format!("count-{calls}"));
        let (output, logged) = self.run_with(shim, &runs, Fault { calls, at: 0, error: EIO, forever: false });
        assert!(output.status.success(), "{}", stderr(&output));
        logged.len() as u64
    }

    /// Runs the experiment with a fault and again without one; returns how the first ended, and what was wrong.
    fn attempt(&self, shim: &Path, fault: Fault) -> (String, Vec<String>) {
        let runs = self.root.join(format!("{}-{}-{}-{}", fault.calls, fault.error.0, fault.at, fault.forever));
        let (output, logged) = self.run_with(shim, &runs, fault);
        let mut wrong = self.outcome_mistakes(&output, &runs, fault.error);
        let again = self.command(&runs).env("LD_PRELOAD", shim).output().unwrap();
        wrong.extend(self.rerun_mistakes(&again, &runs));
        fs::remove_dir_all(&runs).unwrap();
        // The files of the run are also written as time passes, so one run may have fewer calls than another.
        let Some(call) = logged.first() else { return (NO_CALL.to_owned(), wrong) };
        let call = call.replace(&*runs.to_string_lossy(), "RUNS");
        (output.status.to_string(), wrong.iter().map(|what| format!("{fault} ({call}): {what}")).collect())
    }

    /// Returns what is wrong with the exit code, the message and, at exit code 0, the files of a run with a fault.
    fn outcome_mistakes(&self, output: &Output, runs: &Path, error: (i32, &str, &str)) -> Vec<String> {
        let message = stderr(output);
        let names_path = message.contains(&*self.root.to_string_lossy());
        match output.status.code() {
            Some(0) => differences(runs, &self.reference),
            Some(1) if error != SHORT && message.contains(error.2) && names_path => Vec::new(),
            Some(1) => vec![format!("exit code 1 without path and reason: {message}")],
            _ => vec![format!("{}: {message}", output.status)],
        }
    }

    /// Returns what is wrong with the run after the one with a fault.
    fn rerun_mistakes(&self, again: &Output, runs: &Path) -> Vec<String> {
        if again.status.code() != Some(0) {
            return vec![format!("the same command again: {}: {}", again.status, stderr(again))];
        }
        let differences = differences(runs, &self.reference).into_iter();
        differences.map(|what| format!("after the same command again: {what}")).collect()
    }

    /// Tries these faults, in as many threads as there are cores; prints how the runs ended, and fails with the list of
    /// mistakes.
    fn attempt_all(&self, shim: &Path, faults: &[Fault]) {
        let next = AtomicUsize::new(0);
        let ends: Mutex<BTreeMap<String, usize>> = Mutex::default();
        let mistakes: Mutex<Vec<String>> = Mutex::default();
        std::thread::scope(|scope| {
            for _ in 0..std::thread::available_parallelism().unwrap().get() {
                scope.spawn(|| {
                    while let Some(&fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let (end, wrong) = self.attempt(shim, fault);
                        let end = format!("{}, {}: {end}", fault.calls, fault.error.1);
                        *ends.lock().unwrap().entry(end).or_default() += 1;
                        for mistake in &wrong {
                            println!("{mistake}");
                        }
                        mistakes.lock().unwrap().extend(wrong);
                    }
                });
            }
        });
        let ends = ends.into_inner().unwrap();
        for (end, count) in &ends {
            println!("{count:5} × {end}");
        }
        let missed: usize = ends.iter().filter(|(end, _)| end.ends_with(NO_CALL)).map(|(_, count)| count).sum();
        assert!(missed * 2 < faults.len(), "{missed} of {} faults had no call to fail", faults.len());
        let mistakes = mistakes.into_inner().unwrap();
        assert!(mistakes.is_empty(), "{} of {} faults:\n{}", mistakes.len(), faults.len(), mistakes.join("\n"));
    }
}

/// Returns every n-th number of a call up to `count` by [`ALL`], or without it a sample of `size` of them.
fn numbers(count: u64, size: usize, seed: u32) -> Vec<u64> {
    if let Some(step) = lth::system::env::value(ALL) {
        return (1..=count).step_by(step.to_str().unwrap().parse().unwrap()).collect();
    }
    let mut generator = Stream::of_replicate(16, seed, Purpose::Order).generator(0);
    (0..size).map(|_| 1 + generator.below(count)).collect()
}

#[test]
fn fault_at_any_call_loses_nothing() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let mut faults = Vec::new();
    let chosen = lth::system::env::value(CALLS).map(|chosen| chosen.to_str().unwrap().to_owned());
    let is_chosen = |calls: &str| chosen.as_ref().is_none_or(|chosen| chosen.split(',').any(|class| class == calls));
    for (seed, calls) in (1..).zip(CLASSES).filter(|(_, calls)| is_chosen(calls)) {
        let count = bench.count(shim, calls);
        let mut add = |error, size| {
            faults.extend(numbers(count, size, seed).into_iter().map(|at| Fault { calls, at, error, forever: false }));
        };
        add(EIO, 1);
        if WRITING.split(',').any(|class| class == calls) {
            add(ENOSPC, 1);
        }
        if ["read", "write"].contains(&calls) {
            add(SHORT, 1);
        }
    }
    bench.attempt_all(shim, &faults);
}

#[test]
fn disk_that_stays_full_loses_nothing() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let count = bench.count(shim, WRITING);
    let at_calls = numbers(count, 3, 0);
    let fault = |at| Fault { calls: WRITING, at, error: ENOSPC, forever: true };
    bench.attempt_all(shim, &at_calls.into_iter().map(fault).collect::<Vec<_>>());
}

#[test]
fn disk_that_becomes_read_only_loses_nothing() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let calls = "open-write,write,fsync,ftruncate,mkdir,unlink";
    let count = bench.count(shim, calls);
    let at_calls = if lth::system::env::value(ALL).is_some() { numbers(count, 0, 0) } else { vec![1, count / 2] };
    let fault = |at| Fault { calls, at, error: EROFS, forever: true };
    bench.attempt_all(shim, &at_calls.into_iter().map(fault).collect::<Vec<_>>());
}

#[test]
fn clock_that_jumps_changes_no_result() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let runs = bench.root.join("clock");
    let under_clock = |command: &mut Command| {
        let output = command.env("LD_PRELOAD", shim).env("FAULT_CLOCK", "1").output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    let mut first = bench.command(&runs);
    first.args(["--set", "run.snapshot_every=0.001s"]).env("LD_PRELOAD", shim).env("FAULT_CLOCK", "1");
    let mut child = first.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    child.kill().unwrap();
    child.wait().unwrap();
    under_clock(&mut bench.command(&runs));
    assert_eq!(differences(&runs, &bench.reference), Vec::<String>::new());
    assert_eq!(finished_count(&under_clock(&mut bench.command(&runs))), 0, "nothing is trained again");
    for command in [&["runs"][..], &["show", "tiny"], &["clean", "--dry-run"], &["verify", "tiny"]] {
        under_clock(lth().args(command).arg("--runs").arg(&runs));
    }
}

#[test]
fn full_disk_ends_a_run_with_json() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let runs = bench.root.join("json");
    let mut command = bench.command(&runs);
    command.args(["--json", "-q"]).env("LD_PRELOAD", shim).env("FAULT_PREFIX", &runs);
    command.env("FAULT_LOG", bench.root.join("json.log")).env("FAULT_CALLS", WRITING);
    let at = (bench.count(shim, WRITING) / 2).to_string();
    command.env("FAULT_AT", at).env("FAULT_ERRNO", "28").env("FAULT_FOREVER", "1");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["exit_code"], &result["state"]), (&1.into(), &"interrupted".into()), "{result}");
    assert!(result["errors"].to_string().contains("No space left on device"), "{result}");
    assert!(!stderr(&output).contains("stopped:"), "{}", stderr(&output));
}

#[test]
fn rename_that_fails_loses_nothing() {
    let Some(shim) = shim() else { return };
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: renames that fail (strace is not installed)");
        return;
    }
    let bench = Bench::new();
    let (output, log) = bench.run_traced(shim, &bench.root.join("count-rename"), None);
    if !output.status.success() {
        println!("skipped: renames that fail (strace does not work here: {})", stderr(&output));
        return;
    }
    // strace counts the calls of each thread by itself, so a fault comes once in each thread that has as many.
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for thread in log.lines().filter(|line| line.contains("renameat")).filter_map(|line| line.split(' ').next()) {
        *counts.entry(thread).or_default() += 1;
    }
    let largest_count = counts.into_values().max().unwrap();
    let (mut failed, mut missed) = (0, 0);
    for (seed, error) in (20..).zip([ENOSPC, EIO]) {
        for at in numbers(largest_count, 1, seed) {
            let runs = bench.root.join(format!("rename-{at}-{}", error.0));
            let (output, log) = bench.run_traced(shim, &runs, Some((at, error.1)));
            let mut wrong = bench.outcome_mistakes(&output, &runs, error);
            let again = bench.command(&runs).env("LD_PRELOAD", shim).output().unwrap();
            wrong.extend(bench.rerun_mistakes(&again, &runs));
            // The files of the run are also written as time passes, so one run may have fewer calls than another.
            *if log.contains("INJECTED") { &mut failed } else { &mut missed } += 1;
            assert!(wrong.is_empty(), "{} at call {at} of renameat: {}", error.1, wrong.join("\n"));
        }
    }
    println!("{failed:5} renames failed, {missed} numbers had no call");
    assert!(failed > 0, "no call failed");
}
