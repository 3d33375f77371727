//! The board, checked by hand on the smoke experiment.

use super::*;
use crate::base::curve::Curve;
use crate::config::{ConfigDocument, read};
use crate::lottery::ResolvedExperiment;

fn plan() -> Plan {
    let text = include_str!("../../../configs/smoke.toml");
    let document =
        ConfigDocument::parse("smoke.toml", text, &["rounds=3".to_owned(), "replicates=1".to_owned()]).unwrap();
    let experiment = read(&document).unwrap();
    Plan::build(&experiment, &ResolvedExperiment::new(&experiment).unwrap()).unwrap()
}

fn done() -> StoredTraining {
    StoredTraining {
        outcome: Outcome::Done,
        curve: Curve::default(),
        weights_kept: vec![],
        profile: None,
        timing: None,
    }
}

/// The next training by arm and round; it ends at once.
fn take(board: &mut Scheduler<'_>) -> String {
    match board.next() {
        NextWork::Train(work) => {
            let told = |task: &Task<'_>| {
                let Task { training, restore, .. } = task;
                board.finish(&training.key, done());
                format!("{} {}{}", training.arm, training.round, if *restore { " again" } else { "" })
            };
            work.tasks.iter().map(told).collect::<Vec<_>>().join(", ")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn the_longest_chain_goes_first() {
    let plan = plan();
    let mut board = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let order: Vec<String> = (0..4).map(|_| take(&mut board)).collect();
    assert_eq!(order, ["dense 0", "winning_ticket 1", "winning_ticket 2", "winning_ticket 3"]);
    (0..9).for_each(|_| assert!(take(&mut board).starts_with("random_")));
    assert_eq!(take(&mut board), "Over");
    assert_eq!(board.summary().done, plan.trainings.len());
}

#[test]
fn a_training_is_given_out_once_and_waits_for_its_parents() {
    let plan = plan();
    let mut board = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    assert!(matches!(board.next(), NextWork::Train(work) if work.tasks[0].training.arm == "dense"));
    assert!(matches!(board.next(), NextWork::Wait));
}

#[test]
fn a_chain_is_run_again_only_as_far_back_as_weights_are_missing() {
    let plan = plan();
    let ticket = |round| plan.trainings.iter().find(|t| t.arm == "winning_ticket" && t.round == round).unwrap();
    let stored = |training: &TrainingSpec| Ok((training.key != ticket(3).key).then(done));
    // The final weights of round 1 are there, those of round 2 are not.
    let mut board =
        Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, stored, |key, _| *key != ticket(2).key).unwrap();
    let order: Vec<String> = (0..2).map(|_| take(&mut board)).collect();
    assert_eq!(order, ["winning_ticket 2 again", "winning_ticket 3"]);
}

#[test]
fn weights_in_between_are_freed_when_their_child_is_done() {
    let plan = plan();
    let mut board = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let freed = |board: &mut Scheduler<'_>| -> Vec<u32> {
        board.take_freeable().iter().map(|key| plan.get(key).unwrap().round).collect()
    };
    (0..2).for_each(|_| drop(take(&mut board)));
    assert!(freed(&mut board).is_empty(), "round 1 has a child to come");
    take(&mut board);
    assert_eq!(freed(&mut board), [1]);
    take(&mut board);
    assert_eq!(freed(&mut board), [2], "each once; the last round of the chain stays, and the dense network");
}

#[test]
fn weights_that_are_to_be_kept_are_not_freed_and_are_made_again_where_they_were() {
    let plan = plan();
    let rerun = |keep: KeepWeights| {
        let mut board =
            Scheduler::new(&plan, 1, keep, |_| 1.0, |_| Ok(Some(done())), |key, _| plan.get(key).unwrap().round == 3)
                .unwrap();
        let mut again: Vec<String> = (0..plan.trainings.len()).map(|_| take(&mut board)).collect();
        again.retain(|what| what != "Over");
        assert!(keep == KeepWeights::Needed || board.take_freeable().is_empty());
        again
    };
    assert!(rerun(KeepWeights::Needed).is_empty());
    assert_eq!(rerun(KeepWeights::Tickets), ["dense 0 again", "winning_ticket 1 again", "winning_ticket 2 again"]);
    let all = rerun(KeepWeights::All);
    assert_eq!(all.len(), 1 + 2 * 4, "every round but the last, whose weights are there: {all:?}");
}

#[test]
fn what_needs_a_failure_is_blocked_and_the_rest_is_not() {
    let plan = plan();
    let mut board = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    take(&mut board);
    let NextWork::Train(work) = board.next() else { panic!("round 1 is ready") };
    let training = work.tasks[0].training;
    board.fail(&training.key, TrainingFailure { cause: "a cause".into(), by_audit: false });
    assert!(matches!(board.next(), NextWork::Finished));
    let summary = board.summary();
    assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (1, 1, 11, 0));
}

#[test]
fn every_training_that_others_have_is_asked_about_in_turn() {
    let plan = plan();
    let mut board = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    take(&mut board);
    (0..3).for_each(|_| drop(take(&mut board)));
    let (mut left, mut asked) = (Vec::new(), Vec::new());
    while asked.is_empty() || asked.len() < left.len() {
        match board.next() {
            NextWork::Train(work) => {
                board.mark_elsewhere(&work.tasks[0].training.key);
                left.push(work.tasks[0].training.key);
            }
            NextWork::Poll(work) => {
                let training = work.tasks[0].training;
                assert!(matches!(board.next(), NextWork::Wait), "one asks, the others wait");
                board.mark_elsewhere(&training.key);
                asked.push(training.key);
            }
            other => panic!("{other:?}"),
        }
    }
    asked.sort();
    left.sort();
    assert_eq!(asked, left);
}

#[test]
fn who_gets_what_it_asked_for_lets_others_ask() {
    let plan = plan();
    let mut board = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    (0..4).for_each(|_| drop(take(&mut board)));
    while let NextWork::Train(work) = board.next() {
        board.mark_elsewhere(&work.tasks[0].training.key);
    }
    // The loop ended with an `Ask` that is still open: nobody else may ask until it is answered.
    assert!(matches!(board.next(), NextWork::Wait));
    let asked = board.nodes[board.groups[board.asking.unwrap()].members[0]].training.key;
    board.mark_running(&asked);
    assert!(matches!(board.next(), NextWork::Poll(work) if work.tasks[0].training.key != asked));
}

#[test]
fn a_restore_that_fails_costs_the_weights_and_nothing_else() {
    let plan = plan();
    let find = |arm: &str, round| plan.trainings.iter().find(|t| t.arm == arm && t.round == round).unwrap();
    let open = [find("winning_ticket", 3).key, find("random_mask", 1).key];
    let stored = |training: &TrainingSpec| Ok((!open.contains(&training.key)).then(done));
    let mut board =
        Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, stored, |key, _| plan.get(key).unwrap().round == 0)
            .unwrap();
    let NextWork::Train(work) = board.next() else { panic!("round 1 is run again") };
    assert!(work.tasks[0].restore && work.tasks[0].training.key == find("winning_ticket", 1).key);
    board.fail(&work.tasks[0].training.key, TrainingFailure { cause: "other bytes".into(), by_audit: false });
    assert_eq!(take(&mut board), "random_mask 1", "its mask is in the store all the same");
    assert_eq!(take(&mut board), "Over");
    let by = find("winning_ticket", 2).key;
    assert_eq!(board.outcome(&open[0]), Some(Outcome::Blocked { by }), "not a second failure");
    let summary = board.summary();
    assert_eq!((summary.blocked, summary.failed, summary.lost, summary.open), (1, 0, 2, 0));
}

/// One replicate each of three, in groups of four.
fn replicates() -> Plan {
    let text = include_str!("../../../configs/smoke.toml");
    let sets = ["replicates=3", "rounds=2", "arms={ticket={mask=\"iterative\",weights=\"rewind\"}}"];
    let experiment = read(&ConfigDocument::parse("smoke.toml", text, &sets.map(str::to_owned)).unwrap()).unwrap();
    Plan::build(&experiment, &ResolvedExperiment::new(&experiment).unwrap()).unwrap()
}

#[test]
fn a_group_is_given_out_whole_and_its_children_wait_for_all_of_it() {
    let plan = replicates();
    let mut board = Scheduler::new(&plan, 4, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let NextWork::Train(work) = board.next() else { panic!("the dense networks are ready") };
    assert_eq!(
        work.tasks.iter().map(|task| (task.lane, task.training.replicate)).collect::<Vec<_>>(),
        [(0, 1), (1, 2), (2, 3)]
    );
    board.finish(&work.tasks[0].training.key, done());
    board.finish(&work.tasks[1].training.key, done());
    assert!(matches!(board.next(), NextWork::Wait));
    // Stopped: it is given out again, in its own lane.
    board.requeue(&work.tasks[2].training.key);
    let NextWork::Train(again) = board.next() else { panic!("one of them is to be run") };
    assert_eq!((again.tasks.len(), again.tasks[0].lane, again.lanes.len()), (1, 2, 3));
    board.finish(&again.tasks[0].training.key, done());
    assert_eq!(take(&mut board), "ticket 1, ticket 1, ticket 1");
}

#[test]
fn what_cannot_be_run_holds_up_nobody_else_of_its_group() {
    let plan = replicates();
    let mut board = Scheduler::new(&plan, 4, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let NextWork::Train(work) = board.next() else { panic!("the dense networks are ready") };
    board.fail(&work.tasks[1].training.key, TrainingFailure { cause: "a cause".into(), by_audit: false });
    board.finish(&work.tasks[0].training.key, done());
    board.finish(&work.tasks[2].training.key, done());
    let NextWork::Train(work) = board.next() else { panic!("two of the first rounds are ready") };
    assert_eq!((work.lanes.len(), work.tasks.iter().map(|task| task.lane).collect::<Vec<_>>()), (3, vec![0, 2]));
}

#[test]
fn a_group_that_another_process_has_is_asked_about_as_one() {
    let plan = replicates();
    let mut board = Scheduler::new(&plan, 4, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let NextWork::Train(work) = board.next() else { panic!("the dense networks are ready") };
    work.tasks.iter().for_each(|task| board.mark_elsewhere(&task.training.key));
    let NextWork::Poll(asked) = board.next() else { panic!("nothing else is left") };
    assert_eq!(asked.tasks.len(), 3);
    assert!(matches!(board.next(), NextWork::Wait), "one asks, the others wait");
    asked.tasks.iter().for_each(|task| board.finish(&task.training.key, done()));
    assert_eq!(take(&mut board), "ticket 1, ticket 1, ticket 1");
}

#[test]
fn work_and_the_longest_chain_are_those_of_groups() {
    let plan = replicates();
    let alone = Scheduler::new(&plan, 1, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let pairs = Scheduler::new(&plan, 2, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let takes = |work: &GroupWork<'_>| work.steps as f64 * work.lanes.len() as f64;
    assert_eq!((alone.work(120).count(), alone.longest_chain(120, takes)), (9, 3.0 * 120.0));
    assert_eq!((pairs.work(120).count(), pairs.longest_chain(120, takes)), (6, 3.0 * 2.0 * 120.0));
    // A group takes its time whatever of it is done.
    let stored = |training: &TrainingSpec| Ok((training.replicate == 1).then(done));
    let half = Scheduler::new(&plan, 2, KeepWeights::Needed, |_| 1.0, stored, |_, _| true).unwrap();
    assert_eq!((half.to_run(120).count(), half.work(120).map(|work| takes(&work)).sum::<f64>()), (6, 9.0 * 120.0));
}
