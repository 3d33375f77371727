//! Two processes on a folder whose files cannot be locked (flock fails, by `shim.c`), with claims in place of locks.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use lth::system::files::{self, list};

use super::experiment::{TINY, differences};
use super::injection::shim;
use crate::support::*;

/// Training runs of a tenth of a second or longer, so that a process can be suspended or killed during one.
const SETS: [&str; 3] = ["train.iterations=2000", "train.evaluate_every=200", "run.workers=1"];

/// The number of training runs of [`TINY`].
const TRAININGS: usize = 14;

/// Returns the results of one process with locks, which runs once for all tests.
fn reference() -> &'static BTreeMap<PathBuf, Vec<u8>> {
    static REFERENCE: OnceLock<BTreeMap<PathBuf, Vec<u8>>> = OnceLock::new();
    REFERENCE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        run_ok(&config(folder.path(), TINY), &runs, &SETS);
        results(&runs)
    })
}

/// A folder without file locks.
struct Bench {
    _folder: tempfile::TempDir,
    /// The folder, without symbolic links: the library compares paths.
    root: PathBuf,
    config: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let config = config(&root, TINY);
        Self { _folder: folder, root, config }
    }

    fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// Returns a command of the binary for which flock fails with `ENOLCK` in the folder of runs. `stale`: the seconds
    /// after which it takes a claim over.
    fn command(&self, mut command: Command, shim: &Path, stale: f64) -> Command {
        command.env("LD_PRELOAD", shim).env("FAULT_PREFIX", self.runs()).env("FAULT_CALLS", "flock");
        command.env("FAULT_AT", "1").env("FAULT_FOREVER", "1").env("FAULT_ERRNO", "37");
        command.env("LTH_LOCKS", "claims").env("LTH_TEST_STALE_SECONDS", stale.to_string());
        command
    }

    /// Starts a run. Each training run that ends adds a line to the file `events`.
    fn start(&self, shim: &Path, stale: f64, events: &str) -> Child {
        let mut command = self.command(run_command(&self.config, &self.runs(), &SETS), shim, stale);
        command.arg("--events").arg(self.root.join(events));
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Returns the number of training runs that the process with this file of events trained.
    fn trained(&self, events: &str) -> usize {
        let lines = fs::read_to_string(self.root.join(events)).unwrap();
        let events = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        events.filter(|event| !event["worker"].is_null()).count()
    }

    /// Suspends a process that has trained a training run, while it trains another one.
    fn suspend_in_training(&self, process: &Child, events: &str) {
        let is_training = || {
            let names = self.claims().into_iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
            let mut keys = names.filter_map(|name| Some(name.split_once(".lock.exclusive-")?.0.to_owned()));
            // The curve is the first file that is written at the end.
            keys.any(|key| !self.runs().join("store").join(key).join("curve.json").exists())
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            assert!(Instant::now() < deadline, "no training run was claimed");
            std::thread::sleep(Duration::from_millis(10));
            if !(self.root.join(events).exists() && self.trained(events) > 0 && is_training()) {
                continue;
            }
            send(process, "STOP");
            std::thread::sleep(Duration::from_millis(50));
            if is_training() {
                return;
            }
            send(process, "CONT");
        }
    }

    /// Asserts that the files are those of the reference, and that each training run was trained once, by the two
    /// processes with these files of events.
    fn check(&self, events: [&str; 2]) {
        let differences = differences(&self.runs(), reference());
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        let trained = events.map(|events| self.trained(events));
        assert_eq!(trained.iter().sum::<usize>(), TRAININGS, "{trained:?}");
        assert!(trained.iter().all(|&count| count > 0), "{trained:?}");
        assert!(self.runs().join(".locks/gate").is_dir());
    }

    /// Returns the claims; none if there is no folder of claims yet.
    fn claims(&self) -> Vec<PathBuf> {
        list(&self.runs().join(".locks/gate")).unwrap()
    }
}

/// Waits for a process, and asserts that it succeeded.
fn success(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn send(child: &Child, name: &str) {
    Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap();
}

#[test]
fn run_without_locks_names_the_variable_for_claims() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let mut command = bench.command(run_command(&bench.config, &bench.runs(), &SETS), shim, 60.0);
    let output = command.env_remove("LTH_LOCKS").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = stderr(&output);
    assert!(message.contains("has no file locks") && message.contains("hint: set LTH_LOCKS=claims"), "{message}");
    let output = command.env("LTH_LOCKS", "yes").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("LTH_LOCKS is `yes`; the only value is `claims`"), "{}", stderr(&output));
}

#[test]
fn two_processes_with_claims_train_each_training_run_once() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    for process in ["a", "b"].map(|events| bench.start(shim, 60.0, events)) {
        success(process);
    }
    bench.check(["a", "b"]);
    assert_eq!(bench.claims(), Vec::<PathBuf>::new());
    // The folder has claims from now on, also for a process that is not told so.
    let mut again = bench.command(run_command(&bench.config, &bench.runs(), &SETS), shim, 60.0);
    let again = again.env_remove("LTH_LOCKS").output().unwrap();
    assert!(again.status.success() && finished_count(&again) == 0, "{}", stderr(&again));
    let mut doctor = lth();
    doctor.args(["doctor", "--runs"]).arg(bench.runs());
    let text = stdout(&bench.command(doctor, shim, 60.0).output().unwrap());
    assert!(text.contains("claim files in place of file locks (LTH_LOCKS=claims): the file"), "{text}");
}

/// The killed process is not waited for, so that it seems to run on this host: only its heartbeat has ended.
#[test]
fn killed_process_with_claims_is_replaced_after_the_stale_time() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let mut first = bench.start(shim, 2.0, "a");
    bench.suspend_in_training(&first, "a");
    first.kill().unwrap();
    let since = Instant::now();
    let second = bench.start(shim, 2.0, "b");
    success(second);
    assert!(since.elapsed() > Duration::from_secs_f64(1.5), "{:?}", since.elapsed());
    first.wait().unwrap();
    bench.check(["a", "b"]);
    let shared = |path: &PathBuf| path.to_str().unwrap().contains(".run.shared-");
    assert!(bench.claims().iter().all(shared), "{:?}", bench.claims());
    // Its claim on the run is left, and `lth rm` removes it.
    let mut rm = lth();
    rm.args(["rm", "tiny", "--yes", "--runs"]).arg(bench.runs());
    let output = bench.command(rm, shim, 2.0).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(bench.claims(), Vec::<PathBuf>::new());
}

#[test]
fn process_with_claims_that_was_killed_on_this_host_is_replaced_at_once() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let mut first = bench.start(shim, 600.0, "a");
    bench.suspend_in_training(&first, "a");
    first.kill().unwrap();
    first.wait().unwrap();
    success(bench.start(shim, 600.0, "b"));
    bench.check(["a", "b"]);
}

#[test]
fn suspended_process_finds_its_claim_taken_over() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    let first = bench.start(shim, 1.5, "a");
    bench.suspend_in_training(&first, "a");
    success(bench.start(shim, 1.5, "b"));
    send(&first, "CONT");
    let output = success(first);
    assert!(stderr(&output).contains("another process took over the claim"), "{}", stderr(&output));
    bench.check(["a", "b"]);
    assert_eq!(bench.claims(), Vec::<PathBuf>::new());
}

/// A process of another host holds the claim on a run: first it beats, and then it does not.
#[test]
fn rm_waits_for_a_heartbeat_of_another_host() {
    let Some(shim) = shim() else { return };
    let bench = Bench::new();
    success(bench.start(shim, 60.0, "a"));
    let name = run_dir(&bench.runs()).file_name().unwrap().to_str().unwrap().to_owned();
    let claim = bench.runs().join(format!(".locks/gate/{name}.run.shared-abcdefghijkl"));
    let write = |beats: u32| files::write(&claim, format!("process 7 on elsewhere\n\n{beats}\n").as_bytes()).unwrap();
    write(0);
    let rm = || {
        let mut rm = lth();
        rm.args(["rm", "tiny", "--yes", "--runs"]).arg(bench.runs());
        let mut rm = bench.command(rm, shim, 3.0);
        rm.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut refused = rm();
    for beats in 0.. {
        write(beats);
        std::thread::sleep(Duration::from_millis(100));
        if refused.try_wait().unwrap().is_some() {
            break;
        }
    }
    let refused = refused.wait_with_output().unwrap();
    assert!(stderr(&refused).contains("is running; nothing was deleted"), "{}", stderr(&refused));
    let output = success(rm());
    assert!(stderr(&output).contains("waiting for a heartbeat of process 7 on elsewhere"), "{}", stderr(&output));
    assert!(run_dirs(&bench.runs()).is_empty() && !claim.exists());
}
