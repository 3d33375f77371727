//! The runner with the fake trainer: failures, panics, audit, order and every arm, in milliseconds.

use std::fs;
use std::path::Path;

use lth::config::ConfigDocument;
use lth::engine::EngineKind;
use lth::runner::RunOutcome;

use crate::fake::{CONFIG, Fault, run_experiment};
use crate::support::{ALL_ARMS, smoke_document};

/// Runs the experiment of the fake. Also returns id and outcome of each training run that ended, sorted.
fn run(folder: &Path, fault: Fault, at: u64) -> (RunOutcome, Vec<String>) {
    let (outcome, events) =
        run_experiment(folder, &ConfigDocument::parse("fake.toml", CONFIG, &[]).unwrap(), fault, at);
    let mut ends = events.ends.into_inner().unwrap();
    ends.sort();
    (outcome, ends)
}

/// Runs one replicate of the smoke experiment with these overrides. Also returns the training runs that it started,
/// each as (id, number of iterations), sorted.
fn run_arms(folder: &Path, sets: &[&str]) -> (RunOutcome, Vec<(String, u64)>) {
    let document = smoke_document(&[&["replicates=1"], sets].concat());
    let (outcome, events) = run_experiment(folder, &document, Fault::None, 0);
    assert_eq!((&outcome.audit_failures, &outcome.failures), (&vec![], &vec![]));
    let starts = events.starts.into_inner().unwrap().into_iter();
    let mut starts: Vec<_> = starts.map(|(id, _, iterations)| (id, iterations)).collect();
    starts.sort();
    (outcome, starts)
}

/// The number of weights of the dense network, 784·4 + 4·10.
const DENSE: u64 = 3176;
/// The number of kept weights after one round: half of the first layer, and three quarters of the output layer.
const ROUND_1: u64 = 1568 + 30;

#[test]
fn failure_stops_only_dependents_and_is_retried() {
    let folder = tempfile::tempdir().unwrap();
    for fault in [Fault::Error, Fault::Panic] {
        let (outcome, ends) = run(folder.path(), fault, ROUND_1);
        let summary = outcome.progress;
        assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (2, 1, 3, 0));
        assert!(ends.contains(&"ticket round 1 replicate 1: failed".to_owned()), "{ends:?}");
        assert!(outcome.failures[0].contains("the fake"), "{:?}", outcome.failures);
        assert!(outcome.blocked.contains(&"reinit round 1 replicate 1 needs ticket round 1 replicate 1".to_owned()));
    }
    let (outcome, ends) = run(folder.path(), Fault::None, 0);
    assert_eq!((outcome.progress.done, ends.len()), (6, 4), "the two that were done are not trained again");
}

#[test]
fn threads_of_single_training_are_cores_of_all_workers() {
    let folder = tempfile::tempdir().unwrap();
    // A chain, so that one training run trains at a time.
    let arms = r#"arms={ticket={mask="iterative",weights="rewind"}}"#;
    let threads = |engine: &str| {
        let sets = [arms.to_owned(), format!("run.engine={engine}")];
        let (_, events) =
            run_experiment(folder.path(), &ConfigDocument::parse("fake.toml", CONFIG, &sets).unwrap(), Fault::None, 0);
        let threads = events.threads.lock().unwrap().clone();
        assert!(threads.len() > 9, "asked at every step: {threads:?}");
        threads
    };
    // Two workers share at most two threads.
    let shared_threads = std::thread::available_parallelism().unwrap().get().min(2);
    assert!(threads("sparse").iter().all(|&threads| threads == shared_threads));
    assert!(threads("dense").iter().all(|&threads| threads == 1));
}

#[test]
fn divergence_is_stored_and_not_retried() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = run(folder.path(), Fault::Diverge, ROUND_1);
    assert_eq!((outcome.progress.done, outcome.progress.diverged, outcome.progress.blocked), (2, 1, 3));
    let (outcome, ends) = run(folder.path(), Fault::None, 0);
    assert_eq!((outcome.progress.diverged, ends.len()), (1, 0), "a result is not trained again");
}

#[test]
fn audit_finds_revived_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, _) = run(folder.path(), Fault::Revive, DENSE);
    assert_eq!((outcome.progress.failed, outcome.progress.done), (1, 2), "the dense networks have nothing to revive");
    assert!(
        outcome.audit_failures[0].contains("audit: a pruned weight is not 0 at the end"),
        "{:?}",
        outcome.audit_failures
    );
}

#[test]
fn arms_of_every_kind_run_together() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, starts) = run_arms(folder.path(), &[ALL_ARMS]);
    assert_eq!(outcome.progress.done, outcome.rounds.len());
    // An arm has a row for each of two rounds, times its repeats; arms with a dense mask have one row, and arms with a
    // grid or with `at` or `every` one for each size or round that they name.
    let row_count = |arm: &str| outcome.rounds.iter().filter(|row| row.arm == arm).count();
    assert_eq!(["dense", "fresh", "random_reinit", "continued_ticket", "grid_reinit"].map(row_count), [1, 1, 2, 1, 2]);
    assert_eq!(["late", "late_reinit", "random_mask", "grid", "at_init_grid"].map(row_count), [2, 4, 4, 3, 2]);
    for row in &outcome.rounds {
        let rewinds_to_30 = row.arm.contains("late_") || row.arm.ends_with("late");
        let expected = match row.arm.as_str() {
            "late_reset" => 120 - 40,
            "fine_tuned" => 120 - 100,
            "grid_tuned" => 120 - 60,
            _ if rewinds_to_30 => 120 - 30,
            _ => 120,
        };
        assert_eq!(row.iterations, expected, "{}", row.arm);
    }
    // Iterative and one-shot pruning have the same first round, so `winning_ticket` and `one_shot` share that training
    // run, and so do `late` and `one_shot_late`.
    assert_eq!(starts.len(), outcome.rounds.len() - 2);
    assert!(run_arms(folder.path(), &[ALL_ARMS]).1.is_empty(), "everything is in the store");
}

const TICKET: &str = "winning_ticket={mask='iterative',weights='rewind'}";
const LATE: &str = "late={mask='iterative',weights='rewind',rewind_to='30it'}";

#[test]
fn rewind_to_k_makes_snapshot_on_demand_and_again_if_missing() {
    let folder = tempfile::tempdir().unwrap();
    let started = |arms: &[&str]| run_arms(folder.path(), &[&format!("arms={{{}}}", arms.join(","))]).1;
    let training = |name: &str, iterations: u64| (format!("{name} replicate 1"), iterations);
    assert_eq!(started(&[TICKET]).len(), 3);
    let entries = lth::system::files::list(&folder.path().join("store")).unwrap();
    let dense = entries.iter().find(|entry| entry.join("start.safetensors").exists()).unwrap();
    let state = dense.join("at-30.safetensors");
    assert!(!state.exists(), "no arm needs it");
    // For an arm that rewinds to iteration 30, the dense network trains its first 30 iterations again.
    let late = [training("late round 1", 90), training("late round 2", 90)];
    assert_eq!(started(&[TICKET, LATE]), [vec![training("dense round 0", 30)], late.to_vec()].concat());
    let first = fs::read(&state).unwrap();
    // A missing snapshot is made again only if a training run needs it.
    fs::remove_file(&state).unwrap();
    assert!(started(&[TICKET, LATE]).is_empty());
    let noisy = "noisy={mask={of='late'},weights='noise',noise=1.0,at=[2]}";
    assert_eq!(started(&[TICKET, LATE, noisy]), [training("dense round 0", 30), training("noisy round 2", 90)]);
    assert!(fs::read(&state).unwrap() == first, "the same bytes");
    // If two snapshots and the final weights are missing, the dense network trains once to its end.
    fs::remove_file(&state).unwrap();
    fs::remove_file(dense.join("final.safetensors")).unwrap();
    let shot = "shot={mask={one_shot={cut=[0.5]}},weights='rewind',rewind_to='1ep'}";
    assert_eq!(started(&[TICKET, LATE, shot]), [training("dense round 0", 120), training("shot round 1", 80)]);
    assert!(dense.join("at-40.safetensors").exists() && fs::read(&state).unwrap() == first);
}

#[test]
fn engines_take_snapshots_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let arms = format!("arms={{{LATE},tuned={{mask={{of='late'}},weights='final'}}}}");
    let run = |more: &[&str]| {
        let sets = ["replicates=1", "network.architecture=lenet_300_100", "prune.rate={linear=0.9}", &arms];
        let document = smoke_document(&[&sets[..], more].concat());
        let (outcome, events) = run_experiment(folder.path(), &document, Fault::None, 0);
        assert_eq!((&outcome.audit_failures, &outcome.failures, outcome.progress.done), (&vec![], &vec![], 5));
        let builds = events.builds.into_inner().unwrap();
        let mut builds: Vec<EngineKind> = builds.into_iter().map(|(kind, _)| kind).collect();
        builds.sort();
        let engines: Vec<String> = outcome.rounds.iter().map(|row| row.engine.as_str().to_owned()).collect();
        (builds, engines)
    };
    let (builds, engines) = run(&[]);
    assert_eq!(engines, ["dense", "sparse", "sparse", "sparse", "sparse"]);
    assert_eq!(builds[0], EngineKind::Dense);
    assert!((2..=4).contains(&builds.len()), "each of two workers builds at most one of each engine: {builds:?}");
    assert_eq!(
        builds.iter().filter(|kind| **kind == EngineKind::Dense).count(),
        1,
        "a worker builds no trainer that it does not need"
    );
    let (builds, engines) = run(&["run.engine=dense"]);
    assert!(engines.iter().all(|engine| engine == "dense") && builds.iter().all(|kind| *kind == EngineKind::Dense));
}
