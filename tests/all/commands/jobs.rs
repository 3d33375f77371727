//! Jobs of an experiment on a cluster: `lth plan --jobs` and `--format`, and `lth run --job`, `--shard` and
//! `--no-training`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::*;

/// The smoke experiment with one replicate: 9 training runs.
const SETS: [&str; 1] = ["replicates=1"];

/// Runs `lth run` on the small experiment with more arguments, and asserts its exit code.
fn run_with(runs: &Path, more: &[&str], code: i32) -> Output {
    let output = run_command(SMOKE, runs, &SETS).args(more).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{more:?}: {}", stderr(&output));
    output
}

/// Returns the jobs of `lth plan --jobs --json`.
fn jobs(runs: &Path, more: &[&str]) -> Vec<Value> {
    let args = [&["plan", SMOKE, "--set", SETS[0], "--jobs", "--json"][..], more].concat();
    let list: Value = serde_json::from_str(&stdout_of(runs, &args)).unwrap();
    list["jobs"].as_array().unwrap().clone()
}

/// The number of training runs that were trained, by the lines of `--events`.
fn trained(events: &Path) -> usize {
    let text = fs::read_to_string(events).unwrap_or_default();
    text.lines().filter(|line| !line.contains("\"worker\":null")).count()
}

#[test]
fn jobs_in_any_order_give_the_bytes_of_one_run() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = folder.path();
    run_ok(SMOKE, whole.path(), &SETS);
    let listed = jobs(runs, &[]);
    assert_eq!(listed.len(), 9);
    // The last job first: it trains what it needs.
    let output = run_with(runs, &["--job", "8"], 0);
    assert_eq!(stdout(&output), "4 of 9 training runs are done; 5 belong to other jobs\n");
    assert_eq!(rows(&run_dir(runs), "rounds.csv").len(), 4, "what is stored");
    assert_eq!(jobs(runs, &[]).iter().filter(|job| job["is_done"] == true).count(), 4);
    for job in listed.iter().rev() {
        run_with(runs, &["--job", job["job"].as_str().unwrap()], 0);
    }
    let output = run_with(runs, &["--job", "0-8"], 0);
    assert!(stdout(&output).starts_with("9 of 9 training runs are done; `--no-training`"), "{}", stdout(&output));
    run_with(runs, &["--no-training"], 0);
    assert_eq!(results(runs), results(whole.path()));
}

#[test]
fn shards_divide_the_jobs_and_share_what_they_need() {
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = folder.path();
    let events = [0, 1, 2].map(|shard| runs.join(format!("events{shard}.jsonl")));
    let start = |shard: usize| {
        let mut command = run_command(SMOKE, runs, &SETS);
        command.args(["--shard", &format!("{}/3", shard + 1), "--events"]).arg(&events[shard]);
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut processes = [0, 1, 2].map(start);
    assert!(processes.iter_mut().all(|process| process.wait().unwrap().success()));
    assert_eq!(events.iter().map(|path| trained(path)).sum::<usize>(), 9, "each training run was trained once");
    run_with(runs, &["--no-training"], 0);
    run_ok(SMOKE, whole.path(), &SETS);
    assert_eq!(results(runs), results(whole.path()));
}

#[test]
fn two_processes_with_one_job_train_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let events = [0, 1].map(|process| runs.join(format!("events{process}.jsonl")));
    let start = |path: &std::path::PathBuf| {
        let mut command = run_command(SMOKE, runs, &SETS);
        command.args(["--job", "auto", "--events"]).arg(path).env("SLURM_ARRAY_TASK_ID", "2").spawn().unwrap()
    };
    let mut processes = events.each_ref().map(start);
    assert!(processes.iter_mut().all(|process| process.wait().unwrap().success()));
    // Job 2 and what it needs: the dense network and the ticket of round 1.
    assert_eq!(jobs(runs, &[]).iter().filter(|job| job["is_done"] == true).count(), 3);
    assert_eq!(events.iter().map(|path| trained(path)).sum::<usize>(), 3);
}

#[test]
fn report_without_training_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_with(runs, &["--job", "0"], 0);
    let output = run_with(runs, &["--no-training", "--json"], 1);
    assert!(stderr(&output).contains("error: 8 of 9 training runs have not been trained"), "{}", stderr(&output));
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&result["state"], &result["done"], &result["left_out"]), (&"incomplete".into(), &1.into(), &8.into()));
    assert_eq!(rows(&run_dir(runs), "rounds.csv").len(), 1);
}

#[test]
fn jobs_of_the_list_come_after_those_they_depend_on() {
    let runs = tempfile::tempdir().unwrap();
    let listed = jobs(runs.path(), &[]);
    for (index, job) in listed.iter().enumerate() {
        assert_eq!(job["index"], index);
        for before in job["dependencies"].as_array().unwrap() {
            let before = &listed[usize::try_from(before.as_u64().unwrap()).unwrap()];
            assert!(before["level"].as_u64() < job["level"].as_u64());
        }
        assert!(
            job["command"]
                .as_str()
                .unwrap()
                .ends_with(&format!("--set run.lanes=1 --runs {} --job {index}", runs.path().display())),
            "{job}"
        );
    }
    // All jobs of a level fit into a minute together.
    let packed = jobs(runs.path(), &["--per-job", "60"]);
    let ranges: Vec<&str> = packed.iter().map(|job| job["job"].as_str().unwrap()).collect();
    assert_eq!(ranges, ["0", "1", "2-5", "6-8"]);
    let text = stdout_of(runs.path(), &["plan", SMOKE, "--set", SETS[0], "--jobs", "--nodes", "100"]);
    assert!(text.contains("on 100 nodes, each with one job at a time"), "{text}");
}

#[test]
fn jobs_that_do_not_exist_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let error = |more: &[&str]| stderr(&run_with(runs.path(), more, 2));
    assert!(error(&["--job", "9"]).contains("there is no job 9: the plan has the 9 jobs 0 to 8"));
    assert!(error(&["--job", "x"]).contains("`--job x` is not a list of job numbers"));
    assert!(error(&["--shard", "4/3"]).contains("`--shard 4/3` is not a shard"));
    assert!(error(&["--job", "auto"]).contains("needs the number of a task in a variable"));
    assert!(error(&["--job", "1", "--fresh"]).contains("cannot be used with"));
    let from_stdin = lth().args(["plan", "-", "--jobs"]).output().unwrap();
    assert!(stderr(&from_stdin).contains("jobs cannot read the experiment from standard input"));
    assert!(!runs.path().join("store").exists());
}

/// Writes the jobs in the format of an engine to a file in `folder`, and returns its text.
fn job_file(folder: &Path, engine: &str) -> String {
    let mut command = lth();
    command.args(["plan", SMOKE, "--set", SETS[0], "--runs", "shared runs", "--per-job", "60", "--format", engine]);
    let output = command.current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    lth::system::files::write(&folder.join("jobs"), text.as_bytes()).unwrap();
    text
}

/// Replaces what differs between machines.
fn normalized(text: &str, folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap();
    let text = text.replace(env!("CARGO_BIN_EXE_lth"), "lth").replace(SMOKE, "smoke.toml");
    without_number(&text, "--mem=").replace(folder.to_str().unwrap(), "/work")
}

/// Replaces the digits after `start` in every line by `N`.
fn without_number(text: &str, start: &str) -> String {
    let line = |line: &str| match line.split_once(start) {
        Some((before, after)) => format!("{before}{start}N{}", after.trim_start_matches(|c: char| c.is_ascii_digit())),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn job_files_are_pinned() {
    for engine in ["slurm", "hyperqueue", "make", "parallel"] {
        let folder = tempfile::tempdir().unwrap();
        let text = job_file(folder.path(), engine);
        insta::assert_snapshot!(format!("jobs_{engine}"), normalized(&text, folder.path()));
    }
}

/// Asserts that the runs in `folder` are those of one local run.
fn assert_results(folder: &Path) {
    let whole = tempfile::tempdir().unwrap();
    run_ok(SMOKE, whole.path(), &SETS);
    let without_configs = |runs: &Path| {
        let mut results = results(runs);
        // They record the options of the command that wrote them last, such as `run.workers`.
        results
            .retain(|path, _| !["config.toml", "resolved.toml", "SHA256SUMS"].iter().any(|name| path.ends_with(name)));
        results.retain(|path, _| !path.starts_with("report"));
        results
    };
    assert_eq!(without_configs(&folder.join("shared runs")), without_configs(whole.path()));
}

/// Returns whether a program can be started; prints that a test is skipped if not.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn make_runs_the_jobs_and_nothing_twice() {
    if !is_installed("make") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    job_file(folder.path(), "make");
    let make = || {
        let output = Command::new("make").args(["-j", "2", "-f", "jobs"]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    assert_eq!(make().matches(" --job ").count(), 4);
    assert_results(folder.path());
    assert_eq!(make().matches(" --job ").count(), 0, "everything is stored");
}

#[test]
fn gnu_parallel_runs_the_jobs() {
    if !is_installed("parallel") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    job_file(folder.path(), "parallel");
    let output = Command::new("bash").arg("jobs").current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_results(folder.path());
}

/// One point of this sweep diverges, the other does not need it.
const DIVERGES: [&str; 8] =
    ["--set", "replicates=1", "--set", "rounds=1", "--set", "train.optimizer=sgd", "--sweep", "train.lr=1e30,2e-3"];

#[test]
fn gnu_parallel_goes_on_after_a_failure_and_for_another_folder() {
    if !is_installed("parallel") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for runs in ["a", "b"] {
        let args = [&["plan", SMOKE, "--format", "parallel", "--runs", runs][..], &DIVERGES].concat();
        let script = lth().args(args).current_dir(folder.path()).output().unwrap().stdout;
        lth::system::files::write(&folder.path().join("jobs"), &script).unwrap();
        for _ in 0..2 {
            let output = Command::new("bash").arg("jobs").current_dir(folder.path()).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
            assert!(
                stdout(&output).contains("best point by validation accuracy: train.lr=2e-3"),
                "{}",
                stdout(&output)
            );
        }
        assert_eq!(fs::read_dir(folder.path().join(runs).join("store")).unwrap().count(), 1 + 5);
    }
}

#[test]
fn shard_without_a_job_ends_well() {
    let runs = tempfile::tempdir().unwrap();
    let output = run_with(runs.path(), &["--shard", "12/12"], 0);
    assert!(stderr(&output).ends_with("note: this shard has no job\n"), "{}", stderr(&output));
    assert!(!runs.path().join("store").exists());
}

#[test]
fn make_refuses_names_that_cannot_be_targets() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = lth();
    let output = command.args(["plan", SMOKE, "--format", "make", "--runs", "a;b"]).current_dir(folder.path()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("name another folder with `--runs`"), "{}", stderr(&output));
}

/// A stand-in for `sbatch` that runs every task at once, one after the other, again as long as `scontrol requeue` asks
/// for it; and one for `scontrol`.
const SBATCH: &str = r#"#!/usr/bin/env bash
array=''
while [[ $1 == -* ]]; do
  [[ $1 == --array=* ]] && array=${1#--array=0-}
  [[ $1 == --dependency=* ]] && echo "$1" >> dependencies.log
  shift
done
echo "$@" >> sbatch.log
if [[ -z $array ]]; then SLURM_JOB_ID=8 bash "$@" >> report.log 2>&1; echo 8; exit; fi
for ((task = 0; task <= ${array%\%*}; task++)); do
  while rm -f requeued; SLURM_ARRAY_JOB_ID=7 SLURM_ARRAY_TASK_ID=$task bash "$@" >> tasks.log 2>&1; [[ -e requeued ]]; do :; done
done
echo 7
"#;

#[test]
fn slurm_script_runs_the_jobs_and_queues_stopped_ones_again() {
    if ignores_signal(10) || ignores_signal(15) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    job_file(folder.path(), "slurm");
    let tool = |name: &str, text: &str| {
        let path = folder.path().join("bin").join(name);
        lth::system::files::write(&path, text.as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    tool("sbatch", SBATCH);
    tool("scontrol", "#!/usr/bin/env bash\necho \"$@\" >> scontrol.log\ntouch requeued\n");
    // The first call waits for USR2, which Slurm sends to the script before the time limit, and ends as lth does then.
    let wrapper = format!(
        "#!/usr/bin/env bash\nif [[ ! -e signalled ]]; then\n  touch signalled\n  trap 'exit 75' USR2\n  (sleep 0.2; kill \
         -USR2 $PPID) &\n  sleep 60 & wait $!\nfi\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_lth")
    );
    tool("lth-slow", &wrapper);
    let script = fs::read_to_string(folder.path().join("jobs")).unwrap();
    let slow = script.replace(&format!("command=({}", env!("CARGO_BIN_EXE_lth")), "command=(bin/lth-slow");
    lth::system::files::write(&folder.path().join("jobs"), slow.as_bytes()).unwrap();
    let output =
        Command::new("bash").args(["-c", "PATH=$PWD/bin:$PATH bash jobs"]).current_dir(folder.path()).output().unwrap();
    let log = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    assert!(output.status.success(), "{}{}", stderr(&output), log("tasks.log"));
    assert_eq!(log("sbatch.log").lines().count(), 5, "four levels and the report: {}", log("sbatch.log"));
    assert_eq!(log("dependencies.log"), "--dependency=afterany:7\n".repeat(4), "each level, and the report");
    assert_eq!(log("scontrol.log"), "requeue 7_0\n", "{}", log("tasks.log"));
    assert!(log("report.log").contains("report in "), "{}", log("report.log"));
    assert_results(folder.path());
}
