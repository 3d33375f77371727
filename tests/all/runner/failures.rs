//! The runner with a trainer that trains nothing: failures, panics, audit, order and every arm, in milliseconds.

use std::fs;
use std::path::Path;

use lth::config::ConfigDocument;
use lth::engine::EngineKind;
use lth::runner::RunOutcome;

use crate::fake::{CONFIG, Mishap, run_experiment};
use crate::support::{ALL_ARMS, smoke_document};

fn run(folder: &Path, mishap: Mishap, at: u64) -> (RunOutcome, Vec<String>) {
    let (report, told) = run_experiment(folder, &ConfigDocument::parse("fake.toml", CONFIG, &[]).unwrap(), mishap, at);
    let mut ends = told.ends.into_inner().unwrap();
    ends.sort();
    (report, ends)
}

/// Runs one replicate of the smoke experiment with these overrides; returns the trainings it started, sorted by name,
/// with the number of iterations of each.
fn run_arms(folder: &Path, sets: &[&str]) -> (RunOutcome, Vec<(String, u64)>) {
    let document = smoke_document(&[&["replicates=1"], sets].concat());
    let (report, told) = run_experiment(folder, &document, Mishap::None, 0);
    assert_eq!((&report.broken, &report.failures), (&vec![], &vec![]));
    let starts = told.starts.into_inner().unwrap().into_iter();
    let mut starts: Vec<_> = starts.map(|(label, _, iterations)| (label, iterations)).collect();
    starts.sort();
    (report, starts)
}

/// 784·4 + 4·10 weights, then half of the first layer and a quarter of the output layer a round.
const DENSE: u64 = 3176;
const ROUND_1: u64 = 1568 + 30;

#[test]
fn failure_stops_only_dependents_and_is_retried() {
    let folder = tempfile::tempdir().unwrap();
    for mishap in [Mishap::Error, Mishap::Panic] {
        let (report, ends) = run(folder.path(), mishap, ROUND_1);
        let summary = report.progress;
        assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (2, 1, 3, 0));
        assert!(ends.contains(&"ticket round 1 replicate 1: failed".to_owned()), "{ends:?}");
        assert!(report.failures[0].contains("the fake"), "{:?}", report.failures);
        assert!(report.blocked.contains(&"reinit round 1 replicate 1 needs ticket round 1 replicate 1".to_owned()));
    }
    let (report, ends) = run(folder.path(), Mishap::None, 0);
    assert_eq!((report.progress.done, ends.len()), (6, 4), "the two that were done are not trained again");
}

#[test]
fn threads_of_single_training_are_cores_of_all_workers() {
    let folder = tempfile::tempdir().unwrap();
    // One after the other.
    let arms = r#"arms={ticket={mask="iterative",weights="rewind"}}"#;
    let threads = |engine: &str| {
        let sets = [arms.to_owned(), format!("run.engine={engine}")];
        let (_, told) =
            run_experiment(folder.path(), &ConfigDocument::parse("fake.toml", CONFIG, &sets).unwrap(), Mishap::None, 0);
        let threads = told.threads.lock().unwrap().clone();
        assert!(threads.len() > 9, "asked at every step: {threads:?}");
        threads
    };
    let all = std::thread::available_parallelism().unwrap().get().min(2);
    assert!(threads("sparse").iter().all(|&threads| threads == all));
    assert!(threads("dense").iter().all(|&threads| threads == 1));
}

#[test]
fn divergence_is_stored_and_not_retried() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = run(folder.path(), Mishap::Diverge, ROUND_1);
    assert_eq!((report.progress.done, report.progress.diverged, report.progress.blocked), (2, 1, 3));
    let (report, ends) = run(folder.path(), Mishap::None, 0);
    assert_eq!((report.progress.diverged, ends.len()), (1, 0), "it is not tried again");
}

#[test]
fn audit_finds_revived_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = run(folder.path(), Mishap::Revive, DENSE);
    assert_eq!((report.progress.failed, report.progress.done), (1, 2), "the dense networks have nothing to revive");
    assert!(report.broken[0].contains("audit: a pruned weight is not 0 at the end"), "{:?}", report.broken);
}

#[test]
fn arms_of_every_kind_run_together() {
    let folder = tempfile::tempdir().unwrap();
    let (report, starts) = run_arms(folder.path(), &[ALL_ARMS]);
    assert_eq!(report.progress.done, report.rounds.len());
    // Arms of two rounds but for those with a grid or a choice, those with repeats, and those on a dense mask.
    let of_arm = |arm: &str| report.rounds.iter().filter(|row| row.arm == arm).count();
    assert_eq!(["dense", "fresh", "random_reinit", "continued_ticket", "grid_reinit"].map(of_arm), [1, 1, 2, 1, 2]);
    assert_eq!(["late", "late_reinit", "random_mask", "grid", "at_init_grid"].map(of_arm), [2, 4, 4, 3, 2]);
    for row in &report.rounds {
        let late = row.arm.contains("late_") || row.arm.ends_with("late");
        let expected = match row.arm.as_str() {
            "late_reset" => 120 - 40,
            "fine_tuned" => 120 - 100,
            "grid_tuned" => 120 - 60,
            _ if late => 120 - 30,
            _ => 120,
        };
        assert_eq!(row.iterations, expected, "{}", row.arm);
    }
    // The first rounds of the ticket and of what is cut like it in one step are one training, and so are both kinds of
    // late ticket's.
    assert_eq!(starts.len(), report.rounds.len() - 2);
    assert!(run_arms(folder.path(), &[ALL_ARMS]).1.is_empty(), "all of it is in the store");
}

const TICKET: &str = "winning_ticket={mask='iterative',weights='rewind'}";
const LATE: &str = "late={mask='iterative',weights='rewind',rewind_to='30it'}";

#[test]
fn rewind_to_k_makes_snapshot_on_demand_and_again_if_missing() {
    let folder = tempfile::tempdir().unwrap();
    let begun = |arms: &[&str]| run_arms(folder.path(), &[&format!("arms={{{}}}", arms.join(","))]).1;
    let named = |name: &str, iterations: u64| (format!("{name} replicate 1"), iterations);
    assert_eq!(begun(&[TICKET]).len(), 3);
    let entries = lth::system::files::list(&folder.path().join("store")).unwrap();
    let dense = entries.iter().find(|entry| entry.join("start.safetensors").exists()).unwrap();
    let state = dense.join("at-30.safetensors");
    assert!(!state.exists(), "nobody has asked for it");
    // An arm that begins there: of the dense network the first 30 iterations run again.
    let late = [named("late round 1", 90), named("late round 2", 90)];
    assert_eq!(begun(&[TICKET, LATE]), [vec![named("dense round 0", 30)], late.to_vec()].concat());
    let first = fs::read(&state).unwrap();
    // It is missed only where somebody needs it.
    fs::remove_file(&state).unwrap();
    assert!(begun(&[TICKET, LATE]).is_empty());
    let noisy = "noisy={mask={of='late'},weights='noise',noise=1.0,at=[2]}";
    assert_eq!(begun(&[TICKET, LATE, noisy]), [named("dense round 0", 30), named("noisy round 2", 90)]);
    assert!(fs::read(&state).unwrap() == first, "to the byte");
    // Two states and the final weights at once: one whole training.
    fs::remove_file(&state).unwrap();
    fs::remove_file(dense.join("final.safetensors")).unwrap();
    let shot = "shot={mask={one_shot={cut=[0.5]}},weights='rewind',rewind_to='1ep'}";
    assert_eq!(begun(&[TICKET, LATE, shot]), [named("dense round 0", 120), named("shot round 1", 80)]);
    assert!(dense.join("at-40.safetensors").exists() && fs::read(&state).unwrap() == first);
}

#[test]
fn engines_take_snapshots_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let arms = format!("arms={{{LATE},tuned={{mask={{of='late'}},weights='final'}}}}");
    let run = |more: &[&str]| {
        let sets = ["replicates=1", "network.architecture=lenet_300_100", "prune.rate={linear=0.9}", &arms];
        let document = smoke_document(&[&sets[..], more].concat());
        let (report, told) = run_experiment(folder.path(), &document, Mishap::None, 0);
        assert_eq!((&report.broken, &report.failures, report.progress.done), (&vec![], &vec![], 5));
        let builds = told.builds.into_inner().unwrap();
        let mut builds: Vec<EngineKind> = builds.into_iter().map(|(kind, _)| kind).collect();
        builds.sort();
        let engines: Vec<String> = report.rounds.iter().map(|row| row.engine.as_str().to_owned()).collect();
        (builds, engines)
    };
    let (builds, engines) = run(&[]);
    assert_eq!(engines, ["dense", "sparse", "sparse", "sparse", "sparse"]);
    assert_eq!(builds[0], EngineKind::Dense);
    assert!((2..=4).contains(&builds.len()), "one each at most in either worker: {builds:?}");
    assert_eq!(
        builds.iter().filter(|kind| **kind == EngineKind::Dense).count(),
        1,
        "no worker has one that it never needs"
    );
    let (builds, engines) = run(&["run.engine=dense"]);
    assert!(engines.iter().all(|engine| engine == "dense") && builds.iter().all(|kind| *kind == EngineKind::Dense));
}
