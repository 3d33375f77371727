//! Kills and signals at random moments, and two processes at once: the files are those of one run without interruption.
//! `scripts/torture` does the same for hours.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lth::base::rng::{Generator, Purpose, Stream};

use super::experiment::{TINY, differences};
use crate::support::*;

/// An experiment, and the time and results of a run without interruption.
struct Bench {
    folder: tempfile::TempDir,
    config: String,
    sets: Vec<&'static str>,
    time: Duration,
    reference: BTreeMap<PathBuf, Vec<u8>>,
    moments: Generator,
}

impl Bench {
    /// Prepares [`TINY`] with these overrides. `seed` is that of the random moments.
    fn new(sets: &[&'static str], seed: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), TINY);
        let runs = folder.path().join("reference");
        let watch = Instant::now();
        run_ok(&config, &runs, sets);
        let time = watch.elapsed();
        let moments = Stream::of_replicate(16, seed, Purpose::Order).generator(0);
        Self { config, sets: sets.to_vec(), time, reference: results(&runs), moments, folder }
    }

    fn start(&self, runs: &Path) -> Child {
        let mut command = run_command(&self.config, runs, &self.sets);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Returns a random time below this share of the time of a run.
    fn moment(&mut self, share: f64) -> Duration {
        self.time.mul_f64(self.moments.unit() * share)
    }

    /// Asserts that the files in `runs` are those of the reference.
    fn check(&self, runs: &Path) {
        let differences = differences(runs, &self.reference);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    /// Starts or resumes a run, and sends it a signal at a random moment. Returns whether it was still at work.
    fn interrupt(&mut self, runs: &Path, name: &str, number: i32, code: Option<i32>) -> bool {
        let child = self.start(runs);
        std::thread::sleep(self.moment(0.6));
        send(&child, name);
        let output = child.wait_with_output().unwrap();
        // A signal before the handlers are set ends the process at once.
        let is_killed = output.status.signal() == Some(number);
        let is_stopped = is_killed || output.status.code() == code;
        let is_done = output.status.code() == Some(0);
        assert!(is_stopped || is_done, "{name}: {}: {}", output.status, stderr(&output));
        is_stopped
    }
}

/// Sends a signal to a process.
fn send(child: &Child, name: &str) {
    Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
}

/// Stops runs by a signal at `count` random moments, repeats the command until each is done, and compares the files.
fn torture(name: &str, number: i32, code: Option<i32>, count: usize) {
    if ignores_signal(number) {
        return;
    }
    let mut bench = Bench::new(&["train.iterations=400"], number as u32);
    let mut stopped = 0;
    for chain in 0.. {
        let runs = bench.folder.path().join(format!("chain-{chain}"));
        while stopped < count && bench.interrupt(&runs, name, number, code) {
            stopped += 1;
        }
        run_ok(&bench.config, &runs, &bench.sets);
        bench.check(&runs);
        if stopped == count {
            break;
        }
    }
}

#[test]
fn torture_by_kill_gives_same_bytes() {
    torture("KILL", 9, None, 10);
}

#[test]
fn torture_by_term_gives_same_bytes() {
    torture("TERM", 15, Some(75), 8);
}

#[test]
fn torture_by_interrupt_gives_same_bytes() {
    torture("INT", 2, Some(130), 8);
}

#[test]
fn torture_by_hangup_gives_same_bytes() {
    torture("HUP", 1, Some(75), 8);
}

#[test]
fn two_processes_on_one_experiment_give_same_bytes() {
    let mut bench = Bench::new(&["train.iterations=100"], 100);
    for pair in 0..6 {
        let runs = bench.folder.path().join(format!("pair-{pair}"));
        let mut processes = vec![bench.start(&runs)];
        if pair % 2 == 1 {
            std::thread::sleep(bench.moment(0.8));
        }
        processes.push(bench.start(&runs));
        if pair % 3 == 2 {
            // The other one does all the work.
            std::thread::sleep(bench.moment(0.8));
            let mut killed = processes.swap_remove(bench.moments.below(2) as usize);
            killed.kill().unwrap();
            killed.wait().unwrap();
        }
        for process in processes {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "pair {pair}: {}", stderr(&output));
        }
        bench.check(&runs);
    }
}
