//! Trainings in lockstep groups, most of them with a trainer that trains nothing: each gives the numbers of a single
//! training.

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

use crate::fake::{CONFIG, Mishap, Told, run_experiment};
use crate::support::{SMOKE, SMOKE_TRAININGS, assert_same, plan_of, promised, run_command, run_dir, run_well, stderr};

/// Three replicates of a chain of two rounds and of the reinits of its tickets: dense networks; then first rounds; then
/// second rounds beside reinits of the first, six in all; then reinits of the second.
fn document(lanes: u32, more: &[&str]) -> ConfigDocument {
    let arms = "arms={ticket={mask='iterative',weights='rewind'},reinit={mask={of='ticket'},weights='reinit'}}";
    let mut sets = vec!["replicates=3".to_owned(), "run.engine=dense".to_owned(), arms.to_owned()];
    sets.push(format!("run.lanes={lanes}"));
    sets.extend(more.iter().map(|&set| set.to_owned()));
    ConfigDocument::parse("fake.toml", CONFIG, &sets).unwrap()
}

fn run(folder: &Path, lanes: u32, mishap: Mishap, at: u64) -> (RunOutcome, Told) {
    run_experiment(folder, &document(lanes, &[]), mishap, at)
}

fn rows_alone(mishap: Mishap, at: u64) -> Vec<RoundRow> {
    run(tempfile::tempdir().unwrap().path(), 1, mishap, at).0.rounds
}

/// Returns the number of groups started, and the lanes of the trainers that were built.
fn begun(told: Told) -> (usize, Vec<usize>) {
    let mut lanes: Vec<usize> = told.builds.into_inner().unwrap().into_iter().map(|(_, lanes)| lanes).collect();
    lanes.sort_unstable();
    lanes.dedup();
    (told.starts.into_inner().unwrap().len(), lanes)
}

/// 784·4 + 4·10 weights, then half of the first layer and a quarter of the output layer a round.
const ROUND_1: u64 = 1568 + 30;
const ROUND_2: u64 = 784 + 22;

#[test]
fn lockstep_group_equals_single_trainings() {
    let alone = rows_alone(Mishap::None, 0);
    for (lanes, groups, widths) in [(1, 15, vec![1]), (2, 9, vec![1, 2]), (4, 5, vec![2, 3, 4]), (64, 4, vec![3, 6])] {
        let folder = tempfile::tempdir().unwrap();
        let (report, told) = run(folder.path(), lanes, Mishap::None, 0);
        assert_eq!((report.progress.done, &report.failures, &report.broken), (15, &vec![], &vec![]));
        assert!(report.rounds == alone, "with {lanes} lanes: {:#?}", report.rounds);
        assert_eq!(begun(told), (groups, widths), "with {lanes} lanes");
        assert_eq!(begun(run(folder.path(), lanes, Mishap::None, 0).1).0, 0, "all of it is in the store");
    }
}

#[test]
fn lockstep_group_reports_under_first_training() {
    let folder = tempfile::tempdir().unwrap();
    let (_, told) = run(folder.path(), 4, Mishap::None, 0);
    let mut starts = told.starts.into_inner().unwrap();
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
    let mut ends = told.ends.into_inner().unwrap();
    ends.sort();
    ends.dedup();
    assert_eq!(ends.len(), 15, "every training is told of when it ends");
}

#[test]
fn lockstep_lane_that_diverges_ends_and_others_go_on() {
    let alone = rows_alone(Mishap::Diverge, ROUND_2);
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = run(folder.path(), 64, Mishap::Diverge, ROUND_2);
    assert!(report.rounds == alone);
    let summary = report.progress;
    assert_eq!((summary.done, summary.diverged, summary.blocked, summary.open), (9, 3, 3, 0));
    for row in &report.rounds {
        assert_eq!(row.outcome.is(OutcomeKind::Diverged), row.arm == "ticket" && row.round == 2, "{row:?}");
    }
    assert_eq!(run(folder.path(), 64, Mishap::None, 0).0.progress, summary, "it is a result");
}

#[test]
fn lockstep_trainer_error_fails_group_and_blocks_dependents() {
    for mishap in [Mishap::Error, Mishap::Panic] {
        let folder = tempfile::tempdir().unwrap();
        let (report, _) = run(folder.path(), 64, mishap, ROUND_2);
        let summary = report.progress;
        // The dense networks and the first rounds are done; the reinits of the first round broke beside the second.
        assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (6, 6, 3, 0), "{mishap:?}");
        assert!(report.failures.iter().all(|failure| failure.contains("the fake")), "{:?}", report.failures);
        let (report, told) = run(folder.path(), 64, Mishap::None, 0);
        assert_eq!((report.progress.done, begun(told)), (15, (2, vec![3, 6])));
        assert!(report.rounds == rows_alone(Mishap::None, 0));
    }
}

#[test]
fn lockstep_audit_failure_fails_one_lane() {
    let folder = tempfile::tempdir().unwrap();
    // Before the first step, and so for the second rounds alone, which train beside reinits.
    let (report, _) = run(folder.path(), 64, Mishap::Mislay, ROUND_2);
    let summary = report.progress;
    assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (9, 3, 3, 0));
    assert_eq!((report.broken.len(), report.failures.len()), (3, 0), "{:?}", report.broken);
    assert!(report.broken.iter().all(|broken| broken.starts_with("ticket round 2 ")), "{:?}", report.broken);
    // Not even its trainer ran on where there is nobody else.
    let (report, _) = run(tempfile::tempdir().unwrap().path(), 64, Mishap::Mislay, ROUND_1);
    assert_eq!((report.progress.done, report.progress.failed, report.progress.blocked), (3, 3, 9));
}

#[test]
fn lockstep_resume_keeps_width_of_group() {
    let whole = tempfile::tempdir().unwrap();
    let (report, _) = run(whole.path(), 64, Mishap::Width, 0);
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 64, Mishap::Width, 0);
    assert!(report.rounds != rows_alone(Mishap::Width, 0), "the numbers of this trainer depend on its lanes");
    // As if killed between two writes: of three, six and three, one each is missing.
    let gone = |row: &&RoundRow| row.replicate == 2 && (row.arm == "ticket" || row.round == 2);
    for row in report.rounds.iter().filter(gone) {
        fs::remove_dir_all(folder.path().join("store").join(&row.key)).unwrap();
    }
    let (again, told) = run(folder.path(), 64, Mishap::Width, 0);
    assert!(again.rounds == report.rounds, "to the digit");
    let ends = told.ends.lock().unwrap().len();
    assert_eq!(
        (ends, begun(told)),
        (3, (3, vec![3, 6])),
        "only what is missing is saved, in a group as wide as before"
    );
}

#[test]
fn lockstep_rerun_of_freed_weights_keeps_width_of_group() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = run(folder.path(), 64, Mishap::Width, 0);
    let of = |arm: &str, round| {
        let row = report.rounds.iter().find(|row| (row.arm.as_str(), row.round, row.replicate) == (arm, round, 3));
        folder.path().join("store").join(&row.unwrap().key)
    };
    assert!(!of("ticket", 1).join("final.safetensors").exists(), "freed when its child was done");
    fs::remove_dir_all(of("ticket", 2)).unwrap();
    let (again, told) = run(folder.path(), 64, Mishap::Width, 0);
    assert!(again.rounds == report.rounds && again.failures.is_empty(), "{:?}", again.failures);
    assert_eq!(begun(told), (2, vec![3, 6]), "the first round for its weights, then the second");
}

#[test]
fn lockstep_groups_are_shared_by_two_processes() {
    let folder = tempfile::tempdir().unwrap();
    // With other lanes each: what the one holds the other leaves alone, whatever else is in its group.
    let reports = std::thread::scope(|scope| {
        let path = folder.path();
        let runs = [2, 64].map(|lanes| scope.spawn(move || run(path, lanes, Mishap::None, 0).0));
        runs.map(|run| run.join().unwrap())
    });
    for report in reports {
        assert_eq!((report.progress.done, &report.failures), (15, &vec![]));
        assert!(report.rounds == rows_alone(Mishap::None, 0));
    }
}

#[test]
fn lockstep_group_waits_for_training_held_elsewhere() {
    let (folder, alone) = (tempfile::tempdir().unwrap(), rows_alone(Mishap::None, 0));
    let runs = RunsDir(folder.path().to_owned());
    let lock = |arm: &str, round, replicate| {
        let row = alone.iter().find(|row| (row.arm.as_str(), row.round, row.replicate) == (arm, round, replicate));
        let key = serde_json::from_value(row.unwrap().key.clone().into()).unwrap();
        runs.training_dir(&key)
    };
    let held = Lock::try_exclusive(&lock("ticket", 1, 2).lock_file()).unwrap().unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| run(folder.path(), 64, Mishap::None, 0).0);
        while !lock("dense", 0, 3).manifest_file().exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // Several times as long as it takes to ask again.
        std::thread::sleep(Duration::from_millis(600));
        for replicate in [1, 3] {
            assert!(!lock("ticket", 1, replicate).manifest_file().exists(), "none of the group is trained");
        }
        drop(held);
        let report = run.join().unwrap();
        assert!(report.rounds == alone && report.progress.done == 15);
    });
}

#[test]
fn lockstep_groups_have_one_engine() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["network.architecture=lenet_300_100", "prune.rate={linear=0.9}", "run.engine=auto"];
    let (report, told) = run_experiment(folder.path(), &document(4, &sets), Mishap::None, 0);
    assert_eq!(report.progress.done, 15);
    assert!(
        told.builds.lock().unwrap().iter().all(|(kind, _)| *kind == EngineKind::Dense),
        "the sparse one has one lane"
    );
    assert!(report.rounds.iter().all(|row| row.engine.is(EngineKind::Dense) && row.outcome.is(OutcomeKind::Done)));
}

/// Overrides for the smoke experiment with groups of two and three trainings.
const REAL: [&str; 2] = ["run.lanes=3", "train.iterations=600"];

fn stored(runs: &Path) -> usize {
    let entries = fs::read_dir(runs.join("store")).into_iter().flatten();
    entries.filter(|entry| entry.as_ref().unwrap().path().join("done.json").exists()).count()
}

#[test]
fn lockstep_resume_after_kill_gives_same_bytes() {
    let (alone, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let said = stderr(&run_well(SMOKE, alone.path(), &REAL));
    assert!(said.starts_with("smoke: 18 trainings; 10,800 iterations to go, dense with 3 lanes on cpu, "), "{said}");
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
    assert!(killed == 3 && stored(folder.path()) < SMOKE_TRAININGS, "every one of them was at work");
    run_well(SMOKE, folder.path(), &[&REAL[..], &["run.workers=1"]].concat());
    assert_same(&promised(&run_dir(folder.path())), &promised(&run_dir(alone.path())));
}

#[test]
fn lockstep_rerun_of_missing_trainings_gives_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    run_well(SMOKE, folder.path(), &REAL);
    let before = promised(&run_dir(folder.path()));
    let mut entries: Vec<_> =
        fs::read_dir(folder.path().join("store")).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    // Whichever they are: their parents' weights may have been freed, and are then made again in their own groups.
    for entry in entries.iter().step_by(4) {
        fs::remove_dir_all(entry).unwrap();
    }
    let plan = plan_of(SMOKE, folder.path(), &REAL);
    assert_eq!((plan["lanes"].as_u64(), plan["stored"].as_u64()), (Some(3), Some(13)));
    assert!(plan["time"]["seconds"].as_f64().unwrap() > 0.0);
    run_well(SMOKE, folder.path(), &REAL);
    assert_same(&promised(&run_dir(folder.path())), &before);
}
