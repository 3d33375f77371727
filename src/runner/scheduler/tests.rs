//! The order of the scheduler's work on the smoke experiment, compared with orders that were derived by hand.

use std::collections::BTreeSet;

use super::super::jobs::{StoreIndex, plan_jobs};
use super::super::training_graph::TrainingGraph;
use super::*;
use crate::base::key::ContentHash;
use crate::base::units::Iteration;
use crate::config::KeepWeights;
use crate::lottery::Plan;
use crate::lottery::test_support::study;

fn plan() -> Plan {
    study(&["rounds=3", "replicates=1"]).plan
}

/// Three replicates, each with a dense network and two rounds of one arm: three lockstep groups of three training runs.
fn replicates() -> Plan {
    study(&["replicates=3", "rounds=2", "arms={ticket={mask='iterative',weights='rewind'}}"]).plan
}

/// A store, as the keys of the training runs in it.
struct Index {
    /// Training runs that are stored.
    stored: BTreeSet<ContentHash>,
    /// Training runs whose final weights and snapshots are stored.
    weights: BTreeSet<ContentHash>,
}

impl StoreIndex for Index {
    fn has(&self, key: &ContentHash, _: Dependency) -> bool {
        self.weights.contains(key)
    }

    fn progress(&self, _: &ContentHash) -> Option<Iteration> {
        None
    }
}

/// A store with all final weights and no snapshots.
struct OnlyFinalWeights;

impl StoreIndex for OnlyFinalWeights {
    fn has(&self, _: &ContentHash, dependency: Dependency) -> bool {
        dependency == Dependency::FinalWeights
    }

    fn progress(&self, _: &ContentHash) -> Option<Iteration> {
        Some(Iteration(20))
    }
}

fn keys<'a>(specs: impl IntoIterator<Item = &'a TrainingSpec>) -> BTreeSet<ContentHash> {
    specs.into_iter().map(|spec| spec.key).collect()
}

fn jobs<'a>(plan: &'a Plan, lanes: usize, keep: KeepWeights, index: &Index) -> JobPlan<'a> {
    let graph = TrainingGraph::new(plan, lanes);
    let stored = graph.nodes.iter().map(|node| index.stored.contains(&node.spec.key).then_some(Outcome::Done));
    let stored = stored.collect();
    plan_jobs(graph, keep, stored, index)
}

fn scheduler<'a>(plan: &'a Plan, lanes: usize, keep: KeepWeights, index: &Index) -> Scheduler<'a> {
    Scheduler::new(jobs(plan, lanes, keep, index), |_| 1.0, keep == KeepWeights::Needed)
}

/// A scheduler of a plan of which nothing is stored.
fn fresh(plan: &Plan, lanes: usize) -> Scheduler<'_> {
    scheduler(plan, lanes, KeepWeights::Needed, &Index { stored: BTreeSet::new(), weights: BTreeSet::new() })
}

fn find<'a>(plan: &'a Plan, arm: &str, round: u32) -> &'a TrainingSpec {
    plan.trainings.iter().find(|spec| spec.arm == arm && spec.round.0 == round).unwrap()
}

fn failure() -> TrainingFailure {
    TrainingFailure { cause: "a cause".into(), by_audit: false }
}

/// Takes the next group and finishes its tasks at once. Returns arm and round of each, with ` again` for a rerun; of
/// other work, its name.
fn finish_next(scheduler: &mut Scheduler<'_>) -> String {
    match scheduler.next() {
        NextWork::Train(group) => {
            let finish = |task: &Task<'_>| {
                scheduler.finish(task.node, Outcome::Done);
                let again = if task.job.is_rerun { " again" } else { "" };
                format!("{} {}{again}", task.spec.arm, task.spec.round)
            };
            group.tasks.iter().map(finish).collect::<Vec<_>>().join(", ")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn longest_dependency_path_runs_first() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    let order: Vec<String> = (0..4).map(|_| finish_next(&mut scheduler)).collect();
    assert_eq!(order, ["dense 0", "winning_ticket 1", "winning_ticket 2", "winning_ticket 3"]);
    (0..9).for_each(|_| assert!(finish_next(&mut scheduler).starts_with("random_")));
    assert_eq!(finish_next(&mut scheduler), "Finished");
    assert_eq!(scheduler.progress().done, plan.trainings.len());
}

#[test]
fn job_is_assigned_once_and_waits_for_its_parents() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    assert!(matches!(scheduler.next(), NextWork::Train(group) if group.tasks[0].spec.arm == "dense"));
    assert!(matches!(scheduler.next(), NextWork::Wait));
}

#[test]
fn chain_reruns_only_as_far_back_as_weights_are_missing() {
    let plan = plan();
    let last = find(&plan, "winning_ticket", 3).key;
    // The final weights of round 1 are stored, those of round 2 are not.
    let stored = keys(plan.trainings.iter().filter(|spec| spec.key != last));
    let weights = keys(plan.trainings.iter().filter(|spec| spec.key != find(&plan, "winning_ticket", 2).key));
    let mut scheduler = scheduler(&plan, 1, KeepWeights::Needed, &Index { stored, weights });
    let order: Vec<String> = (0..2).map(|_| finish_next(&mut scheduler)).collect();
    assert_eq!(order, ["winning_ticket 2 again", "winning_ticket 3"]);
}

#[test]
fn rerun_for_a_snapshot_stops_at_its_iteration() {
    let arms = "arms={late={mask='iterative',weights='rewind',rewind_to='30it'}}";
    let plan = study(&["rounds=1", "replicates=1", arms]).plan;
    let stored = keys([find(&plan, "dense", 0)]);
    let jobs = jobs(&plan, 1, KeepWeights::Needed, &Index { weights: BTreeSet::new(), stored });
    // The final weights are missing too, and the first round prunes by them.
    assert_eq!(jobs.to_run().map(|(_, steps)| steps).collect::<Vec<_>>(), [120, 90]);
    let graph = TrainingGraph::new(&plan, 1);
    let jobs = plan_jobs(graph, KeepWeights::Needed, vec![Some(Outcome::Done), None], &OnlyFinalWeights);
    assert_eq!(jobs.jobs[0], Some(Job { is_rerun: true, from: Iteration(20), until: Iteration(30) }));
}

#[test]
fn intermediate_weights_are_freed_when_their_child_has_ended() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    let freed = |scheduler: &mut Scheduler<'_>| -> Vec<u32> {
        let nodes = scheduler.take_freeable();
        nodes.into_iter().map(|node| scheduler.graph().nodes[node].spec.round.0).collect()
    };
    (0..2).for_each(|_| drop(finish_next(&mut scheduler)));
    assert!(freed(&mut scheduler).is_empty(), "round 1 has a child to come");
    finish_next(&mut scheduler);
    assert_eq!(freed(&mut scheduler), [1]);
    finish_next(&mut scheduler);
    assert_eq!(freed(&mut scheduler), [2], "each once; the last round of the chain stays, and the dense network");
}

#[test]
fn kept_weights_are_not_freed_and_are_made_again_where_they_are_missing() {
    let plan = plan();
    let reruns = |keep: KeepWeights| {
        let weights = keys(plan.trainings.iter().filter(|spec| spec.round.0 == 3));
        let mut scheduler = scheduler(&plan, 1, keep, &Index { stored: keys(&plan.trainings), weights });
        let mut again: Vec<String> = (0..plan.trainings.len()).map(|_| finish_next(&mut scheduler)).collect();
        again.retain(|work| work != "Finished");
        assert!(keep == KeepWeights::Needed || scheduler.take_freeable().is_empty());
        again
    };
    assert!(reruns(KeepWeights::Needed).is_empty());
    assert_eq!(reruns(KeepWeights::Tickets), ["dense 0 again", "winning_ticket 1 again", "winning_ticket 2 again"]);
    let all = reruns(KeepWeights::All);
    assert_eq!(all.len(), 1 + 2 * 4, "every round but the last, whose weights are stored: {all:?}");
}

#[test]
fn failure_blocks_what_depends_on_it_and_nothing_else() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    finish_next(&mut scheduler);
    let NextWork::Train(group) = scheduler.next() else { panic!("round 1 is ready") };
    scheduler.fail(group.tasks[0].node, failure());
    assert!(matches!(scheduler.next(), NextWork::Finished));
    let progress = scheduler.progress();
    assert_eq!((progress.done, progress.failed, progress.blocked, progress.open), (1, 1, 11, 0));
}

#[test]
fn requeued_job_whose_parent_failed_is_blocked() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    let dense = scheduler.graph().node_index(&find(&plan, "dense", 0).key).unwrap();
    finish_next(&mut scheduler);
    let NextWork::Train(round_1) = scheduler.next() else { panic!("round 1 is ready") };
    scheduler.fail(dense, failure());
    scheduler.requeue(round_1.tasks[0].node);
    assert_eq!(scheduler.blocked_by(round_1.tasks[0].node), Some(dense), "it needs weights that cannot be made again");
}

#[test]
fn poll_tries_each_group_of_other_processes_in_turn() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    (0..4).for_each(|_| drop(finish_next(&mut scheduler)));
    let mut held = Vec::new();
    let mut polled = Vec::new();
    while polled.is_empty() || polled.len() < held.len() {
        match scheduler.next() {
            NextWork::Train(group) => {
                scheduler.mark_held_elsewhere(group.tasks[0].node);
                held.push(group.tasks[0].node);
            }
            NextWork::Poll(group) => {
                let node = group.tasks[0].node;
                assert!(matches!(scheduler.next(), NextWork::Wait), "one polls, the others wait");
                scheduler.mark_held_elsewhere(node);
                polled.push(node);
            }
            other => panic!("{other:?}"),
        }
    }
    polled.sort_unstable();
    held.sort_unstable();
    assert_eq!(polled, held);
}

#[test]
fn poll_that_gets_its_group_lets_others_poll() {
    let plan = plan();
    let mut scheduler = fresh(&plan, 1);
    (0..4).for_each(|_| drop(finish_next(&mut scheduler)));
    let polled = loop {
        match scheduler.next() {
            NextWork::Train(group) => scheduler.mark_held_elsewhere(group.tasks[0].node),
            NextWork::Poll(group) => break group.tasks[0].node,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(scheduler.next(), NextWork::Wait));
    scheduler.end_poll(polled);
    assert!(matches!(scheduler.next(), NextWork::Poll(group) if group.tasks[0].node != polled));
}

#[test]
fn rerun_that_fails_loses_the_weights_and_nothing_else() {
    let plan = plan();
    let open = [find(&plan, "winning_ticket", 3).key, find(&plan, "random_mask", 1).key];
    let stored = keys(plan.trainings.iter().filter(|spec| !open.contains(&spec.key)));
    let weights = keys(plan.trainings.iter().filter(|spec| spec.round.0 == 0));
    let mut scheduler = scheduler(&plan, 1, KeepWeights::Needed, &Index { stored, weights });
    let NextWork::Train(group) = scheduler.next() else { panic!("round 1 is run again") };
    assert!(group.tasks[0].job.is_rerun && group.tasks[0].spec.key == find(&plan, "winning_ticket", 1).key);
    scheduler.fail(group.tasks[0].node, failure());
    assert_eq!(finish_next(&mut scheduler), "random_mask 1", "its mask is stored all the same");
    assert_eq!(finish_next(&mut scheduler), "Finished");
    let node_index = |key: &ContentHash| scheduler.graph().node_index(key).unwrap();
    let round_2 = node_index(&find(&plan, "winning_ticket", 2).key);
    assert_eq!(scheduler.blocked_by(node_index(&open[0])), Some(round_2), "not a second failure");
    let progress = scheduler.progress();
    assert_eq!((progress.blocked, progress.failed, progress.lost, progress.open), (1, 0, 2, 0));
}

#[test]
fn lockstep_group_is_assigned_whole_and_its_children_wait_for_all_of_it() {
    let plan = replicates();
    let mut scheduler = fresh(&plan, 4);
    let NextWork::Train(group) = scheduler.next() else { panic!("the dense networks are ready") };
    let lanes: Vec<(usize, u32)> = group.tasks.iter().map(|task| (task.lane, task.spec.replicate)).collect();
    assert_eq!(lanes, [(0, 1), (1, 2), (2, 3)]);
    scheduler.finish(group.tasks[0].node, Outcome::Done);
    scheduler.finish(group.tasks[1].node, Outcome::Done);
    assert!(matches!(scheduler.next(), NextWork::Wait));
    // Cancelled: it is assigned again, in its own lane.
    scheduler.requeue(group.tasks[2].node);
    let NextWork::Train(again) = scheduler.next() else { panic!("one of them is to be run") };
    assert_eq!((again.tasks.len(), again.tasks[0].lane, again.lanes.len()), (1, 2, 3));
    scheduler.finish(again.tasks[0].node, Outcome::Done);
    assert_eq!(finish_next(&mut scheduler), "ticket 1, ticket 1, ticket 1");
}

#[test]
fn lockstep_group_runs_without_its_blocked_members() {
    let plan = replicates();
    let mut scheduler = fresh(&plan, 4);
    let NextWork::Train(group) = scheduler.next() else { panic!("the dense networks are ready") };
    scheduler.fail(group.tasks[1].node, failure());
    scheduler.finish(group.tasks[0].node, Outcome::Done);
    scheduler.finish(group.tasks[2].node, Outcome::Done);
    let NextWork::Train(group) = scheduler.next() else { panic!("two of the first rounds are ready") };
    assert_eq!((group.lanes.len(), group.tasks.iter().map(|task| task.lane).collect::<Vec<_>>()), (3, vec![0, 2]));
}

#[test]
fn lockstep_group_of_another_process_is_polled_as_one() {
    let plan = replicates();
    let mut scheduler = fresh(&plan, 4);
    let NextWork::Train(group) = scheduler.next() else { panic!("the dense networks are ready") };
    group.tasks.iter().for_each(|task| scheduler.mark_held_elsewhere(task.node));
    let NextWork::Poll(polled) = scheduler.next() else { panic!("nothing else is left") };
    assert_eq!(polled.tasks.len(), 3);
    assert!(matches!(scheduler.next(), NextWork::Wait), "one polls, the others wait");
    polled.tasks.iter().for_each(|task| scheduler.finish(task.node, Outcome::Done));
    assert_eq!(finish_next(&mut scheduler), "ticket 1, ticket 1, ticket 1");
}

#[test]
fn lockstep_groups_have_the_steps_of_their_longest_job() {
    let plan = replicates();
    let nothing = || Index { stored: BTreeSet::new(), weights: keys(&plan.trainings) };
    let alone = jobs(&plan, 1, KeepWeights::Needed, &nothing());
    let pairs = jobs(&plan, 2, KeepWeights::Needed, &nothing());
    let longest = |jobs: &JobPlan<'_>| {
        jobs.graph
            .longest_path(|group| jobs.group_steps(group).unwrap_or(0) as f64 * jobs.graph.lanes(group).len() as f64)
    };
    assert_eq!((alone.groups_to_run().count(), longest(&alone)), (9, 3.0 * 120.0));
    assert_eq!((pairs.groups_to_run().count(), longest(&pairs)), (6, 3.0 * 2.0 * 120.0));
    // A group takes its time whatever of it is stored.
    let stored = keys(plan.trainings.iter().filter(|spec| spec.replicate == 1));
    let half = jobs(&plan, 2, KeepWeights::Needed, &Index { stored, ..nothing() });
    let lane_steps: u64 = half.groups_to_run().map(|(group, steps)| steps * half.graph.lanes(group).len() as u64).sum();
    assert_eq!((half.to_run().count(), lane_steps), (6, 9 * 120));
}
