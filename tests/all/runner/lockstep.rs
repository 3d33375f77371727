//! Training runs in lockstep groups, most of them with the fake trainer: each has the numbers that it has alone in a
//! trainer.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lth::artifacts::RoundRow;
use lth::base::outcome::OutcomeKind;
use lth::config::ConfigDocument;
use lth::engine::EngineKind;
use lth::runner::RunOutcome;
use lth::system::files::Lock;
use lth::system::paths::RunsDir;

use crate::fake::{CONFIG, Fault, RecordedEvents, run_experiment};
use crate::support::{
    SMOKE, SMOKE_TRAININGS, assert_same, plan_of, reproducible_files, run_command, run_dir, run_ok, stderr,
};

/// Three replicates of a chain of two rounds, with a reinit of each ticket: 15 training runs. By what they depend on,
/// there are four sets that can train in lockstep: the 3 dense networks; the 3 first rounds; the 3 second rounds and
/// the 3 reinits of first rounds; the 3 reinits of second rounds.
fn document(lanes: u32, more: &[&str]) -> ConfigDocument {
    let arms = "arms={ticket={mask='iterative',weights='rewind'},reinit={mask={of='ticket'},weights='reinit'}}";
    let mut sets = vec!["replicates=3".to_owned(), "run.engine=dense".to_owned(), arms.to_owned()];
    sets.push(format!("run.lanes={lanes}"));
    sets.extend(more.iter().map(|&set| set.to_owned()));
    ConfigDocument::parse("fake.toml", CONFIG, &sets).unwrap()
}

fn run(folder: &Path, lanes: u32, fault: Fault, at: u64) -> (RunOutcome, RecordedEvents) {
    run_experiment(folder, &document(lanes, &[]), fault, at)
}

/// Returns the rows of the experiment with one lane.
fn rows_alone(fault: Fault, at: u64) -> Vec<RoundRow> {
    run(tempfile::tempdir().unwrap().path(), 1, fault, at).0.rounds
}

/// Returns the number of groups that were started, and the distinct numbers of lanes of the trainers that were built,
/// ascending.
fn groups_and_lanes(events: RecordedEvents) -> (usize, Vec<usize>) {
    let mut lanes: Vec<usize> = events.builds.into_inner().unwrap().into_iter().map(|(_, lanes)| lanes).collect();
    lanes.sort_unstable();
    lanes.dedup();
    (events.starts.into_inner().unwrap().len(), lanes)
}

/// The number of kept weights after one round: half of the 784·4 weights of the first layer, and three quarters of the
/// 4·10 of the output layer.
const ROUND_1: u64 = 1568 + 30;
/// The number of kept weights after two rounds.
const ROUND_2: u64 = 784 + 22;

#[test]
fn lockstep_group_equals_single_trainings() {
    let alone = rows_alone(Fault::None, 0);
    for (lanes, groups, trainer_lanes) in
        [(1, 15, vec![1]), (2, 9, vec![1, 2]), (4, 5, vec![2, 3, 4]), (64, 4, vec![3, 6])]
    {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, events) = run(folder.path(), lanes, Fault::None, 0);
        assert_eq!((outcome.progress.done, &outcome.failures, &outcome.audit_failures), (15, &vec![], &vec![]));
        assert!(outcome.rounds == alone, "with {lanes} lanes: {:#?}", outcome.rounds);
        assert_eq!(groups_and_lanes(events), (groups, trainer_lanes), "with {lanes} lanes");
        assert_eq!(groups_and_lanes(run(folder.path(), lanes, Fault::None, 0).1).0, 0, "all of it is in the store");
    }
}

/// It failed with all its training runs.
#[test]
fn lockstep_group_that_does_not_fit_into_memory_is_trained_in_parts() {
    let alone = rows_alone(Fault::None, 0);
    // The first group has 3 lanes; half of an odd number is rounded down.
    for (lanes, fitting, trainer_lanes) in [(64, 3, vec![3, 6]), (64, 2, vec![1, 3]), (2, 1, vec![1, 2])] {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, events) = run(folder.path(), lanes, Fault::TooManyLanes(fitting), 0);
        assert_eq!((outcome.progress.done, &outcome.failures, &outcome.audit_failures), (15, &vec![], &vec![]));
        assert!(outcome.rounds == alone, "with {fitting} lanes: {:#?}", outcome.rounds);
        let messages = events.messages.lock().unwrap().clone();
        assert!(messages[0].starts_with("warning: the fake has too little memory. These"), "{messages:?}");
        assert!(messages.last().unwrap().contains(&format!("from now on {fitting} are trained")) || fitting == 2);
        assert_eq!(groups_and_lanes(events).1, trainer_lanes, "with {fitting} lanes");
    }
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = run(folder.path(), 4, Fault::TooManyLanes(0), 0);
    assert_eq!(outcome.progress.done, 0, "one network does not fit either");
    assert_eq!(outcome.failures.len(), 3, "{:?}", outcome.failures);
    assert!(outcome.failures.iter().all(|text| text.contains("too little memory")), "{:?}", outcome.failures);
}

#[test]
fn lockstep_group_is_started_with_the_id_of_its_first_training() {
    let folder = tempfile::tempdir().unwrap();
    let (_, events) = run(folder.path(), 4, Fault::None, 0);
    let mut starts = events.starts.into_inner().unwrap();
    starts.sort();
    let names: Vec<&str> = starts.iter().map(|(name, ..)| name.as_str()).collect();
    let expected = [
        "dense round 0 replicate 1 and 2 more",
        "reinit round 2 replicate 1 and 2 more",
        "ticket round 1 replicate 1 and 2 more",
        "ticket round 2 replicate 1 and 3 more",
        "ticket round 2 replicate 3 and 1 more",
    ];
    assert_eq!(names, expected);
    assert!(starts.iter().all(|(.., iterations)| *iterations == 3), "{starts:?}");
    let mut ends = events.ends.into_inner().unwrap();
    ends.sort();
    ends.dedup();
    assert_eq!(ends.len(), 15, "each training run has an event when it ends");
}

#[test]
fn lockstep_lane_that_diverges_ends_and_others_go_on() {
    let alone = rows_alone(Fault::Diverge, ROUND_2);
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = run(folder.path(), 64, Fault::Diverge, ROUND_2);
    assert!(outcome.rounds == alone);
    let summary = outcome.progress;
    assert_eq!((summary.done, summary.diverged, summary.blocked, summary.open), (9, 3, 3, 0));
    for row in &outcome.rounds {
        assert_eq!(row.outcome.is(OutcomeKind::Diverged), row.arm == "ticket" && row.round == 2, "{row:?}");
    }
    assert_eq!(run(folder.path(), 64, Fault::None, 0).0.progress, summary, "a stored result is not trained again");
}

#[test]
fn lockstep_trainer_error_fails_group_and_blocks_dependents() {
    for fault in [Fault::Error, Fault::Panic] {
        let folder = tempfile::tempdir().unwrap();
        let (outcome, _) = run(folder.path(), 64, fault, ROUND_2);
        let summary = outcome.progress;
        // Done: the dense networks and the first rounds. Failed: the second rounds, and the reinits of first rounds in
        // their group. Blocked: the reinits of second rounds.
        assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (6, 6, 3, 0), "{fault:?}");
        assert!(outcome.failures.iter().all(|failure| failure.contains("the fake")), "{:?}", outcome.failures);
        let (outcome, events) = run(folder.path(), 64, Fault::None, 0);
        assert_eq!((outcome.progress.done, groups_and_lanes(events)), (15, (2, vec![3, 6])));
        assert!(outcome.rounds == rows_alone(Fault::None, 0));
    }
}

#[test]
fn lockstep_audit_failure_fails_one_lane() {
    let folder = tempfile::tempdir().unwrap();
    // The second rounds train in one group with the reinits of first rounds, and the audit before the first step fails
    // only the lanes of the second rounds.
    let (outcome, _) = run(folder.path(), 64, Fault::WrongStart, ROUND_2);
    let summary = outcome.progress;
    assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (9, 3, 3, 0));
    assert_eq!((outcome.audit_failures.len(), outcome.failures.len()), (3, 0), "{:?}", outcome.audit_failures);
    assert!(
        outcome.audit_failures.iter().all(|failure| failure.starts_with("ticket round 2 ")),
        "{:?}",
        outcome.audit_failures
    );
    // In the group of the first rounds, the audit fails every lane.
    let (outcome, _) = run(tempfile::tempdir().unwrap().path(), 64, Fault::WrongStart, ROUND_1);
    assert_eq!((outcome.progress.done, outcome.progress.failed, outcome.progress.blocked), (3, 3, 9));
}

#[test]
fn lockstep_resume_keeps_lanes_of_group() {
    let whole = tempfile::tempdir().unwrap();
    let (outcome, _) = run(whole.path(), 64, Fault::LaneDependent, 0);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 64, Fault::LaneDependent, 0);
    assert!(outcome.rounds != rows_alone(Fault::LaneDependent, 0), "the numbers of this trainer depend on its lanes");
    // As if the process was killed while it saved the results of groups: one member is missing of each of the three
    // groups of tickets and reinits with 3, 6 and 3 lanes.
    let is_missing = |row: &&RoundRow| row.replicate == 2 && (row.arm == "ticket" || row.round == 2);
    for row in outcome.rounds.iter().filter(is_missing) {
        fs::remove_dir_all(folder.path().join("store").join(&row.key)).unwrap();
    }
    let (again, events) = run(folder.path(), 64, Fault::LaneDependent, 0);
    assert!(again.rounds == outcome.rounds, "equal to the last digit");
    let ends = events.ends.lock().unwrap().len();
    assert_eq!(
        (ends, groups_and_lanes(events)),
        (3, (3, vec![3, 6])),
        "only the missing ones are trained, with the lanes of the first run"
    );
}

#[test]
fn lockstep_rerun_of_freed_weights_keeps_lanes_of_group() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = run(folder.path(), 64, Fault::LaneDependent, 0);
    let of = |arm: &str, round| {
        let row = outcome.rounds.iter().find(|row| (row.arm.as_str(), row.round, row.replicate) == (arm, round, 3));
        folder.path().join("store").join(&row.unwrap().key)
    };
    assert!(!of("ticket", 1).join("final.safetensors").exists(), "freed when the second round was done");
    fs::remove_dir_all(of("ticket", 2)).unwrap();
    let (again, events) = run(folder.path(), 64, Fault::LaneDependent, 0);
    assert!(again.rounds == outcome.rounds && again.failures.is_empty(), "{:?}", again.failures);
    assert_eq!(groups_and_lanes(events), (2, vec![3, 6]), "the first round for its weights, then the second");
}

#[test]
fn lockstep_groups_are_shared_by_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    // The processes have groups of different members. A group whose members another process holds in part waits.
    let outcomes = std::thread::scope(|scope| {
        let path = folder.path();
        let runs = [2, 64].map(|lanes| scope.spawn(move || run(path, lanes, Fault::None, 0).0));
        runs.map(|run| run.join().unwrap())
    });
    for outcome in outcomes {
        assert_eq!((outcome.progress.done, &outcome.failures), (15, &vec![]));
        assert!(outcome.rounds == rows_alone(Fault::None, 0));
    }
}

#[test]
fn lockstep_group_waits_for_training_held_elsewhere() {
    let (folder, alone) = (tempfile::tempdir().unwrap(), rows_alone(Fault::None, 0));
    let runs = RunsDir(folder.path().to_owned());
    let lock = |arm: &str, round, replicate| {
        let row = alone.iter().find(|row| (row.arm.as_str(), row.round, row.replicate) == (arm, round, replicate));
        let key = serde_json::from_value(row.unwrap().key.clone().into()).unwrap();
        runs.training_dir(&key)
    };
    let held = Lock::try_exclusive(&lock("ticket", 1, 2).lock_file()).unwrap().unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| run(folder.path(), 64, Fault::None, 0).0);
        while !lock("dense", 0, 3).manifest_file().exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Three times the poll interval.
        std::thread::sleep(Duration::from_millis(600));
        for replicate in [1, 3] {
            assert!(!lock("ticket", 1, replicate).manifest_file().exists(), "none of the group is trained");
        }
        drop(held);
        let outcome = run.join().unwrap();
        assert!(outcome.rounds == alone && outcome.progress.done == 15);
    });
}

#[test]
fn lockstep_groups_have_one_engine() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["network.architecture=lenet_300_100", "prune.rate={linear=0.9}", "run.engine=auto"];
    let (outcome, events) = run_experiment(folder.path(), &document(4, &sets), Fault::None, 0);
    assert_eq!(outcome.progress.done, 15);
    assert!(
        events.builds.lock().unwrap().iter().all(|(kind, _)| *kind == EngineKind::Dense),
        "the sparse engine has one lane, so a group with several lanes is dense"
    );
    assert!(outcome.rounds.iter().all(|row| row.engine.is(EngineKind::Dense) && row.outcome.is(OutcomeKind::Done)));
}

/// Overrides for the smoke experiment with groups of two and three training runs.
const REAL: [&str; 2] = ["run.lanes=3", "train.iterations=600"];

fn stored(runs: &Path) -> usize {
    let entries = fs::read_dir(runs.join("store")).into_iter().flatten();
    entries.filter(|entry| entry.as_ref().unwrap().path().join("done.json").exists()).count()
}

#[test]
fn lockstep_resume_after_kill_gives_same_bytes() {
    let (alone, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let message = stderr(&run_ok(SMOKE, alone.path(), &REAL));
    assert!(
        message.contains("\nsmoke: 18 training runs; 10,800 iterations to go\n  ")
            && message.contains(", dense with 3 lanes on cpu\n"),
        "{message}"
    );
    let mut killed = 0;
    for least in [1, 4, 9] {
        let mut command = run_command(SMOKE, folder.path(), &REAL);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while stored(folder.path()) < least && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
    }
    assert!(killed == 3 && stored(folder.path()) < SMOKE_TRAININGS, "each process was killed at work");
    run_ok(SMOKE, folder.path(), &[&REAL[..], &["run.workers=1"]].concat());
    assert_same(&reproducible_files(&run_dir(folder.path())), &reproducible_files(&run_dir(alone.path())));
}

#[test]
fn lockstep_rerun_of_missing_trainings_gives_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &REAL);
    let before = reproducible_files(&run_dir(folder.path()));
    let mut entries: Vec<_> =
        fs::read_dir(folder.path().join("store")).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    // The weights that they depend on may have been freed, and are then made again in their own groups.
    for entry in entries.iter().step_by(4) {
        fs::remove_dir_all(entry).unwrap();
    }
    let plan = plan_of(SMOKE, folder.path(), &REAL);
    assert_eq!((plan["lanes"].as_u64(), plan["stored"].as_u64()), (Some(3), Some(13)));
    assert!(plan["time"]["seconds"].as_f64().unwrap() > 0.0);
    run_ok(SMOKE, folder.path(), &REAL);
    assert_same(&reproducible_files(&run_dir(folder.path())), &before);
}
