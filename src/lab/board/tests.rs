//! The board, checked by hand on the smoke experiment.

use super::*;
use crate::base::curve::Curve;
use crate::config::{Document, read};
use crate::lottery::Setting;

fn plan() -> Plan {
    let text = include_str!("../../../configs/smoke.toml");
    let document = Document::parse("smoke.toml", text, &["rounds=3".to_owned(), "replicates=1".to_owned()]).unwrap();
    let experiment = read(&document).unwrap();
    Plan::draw(&experiment, &Setting::new(&experiment).unwrap()).unwrap()
}

fn done() -> Finished {
    Finished { outcome: Outcome::Done, curve: Curve::default(), weights_kept: vec![], profile: None, timing: None }
}

/// The next training by arm and round; it ends at once.
fn take(board: &mut Board<'_>) -> String {
    match board.next() {
        Next::Train { training, restore } => {
            board.end(&training.key, done());
            format!("{} {}{}", training.arm, training.round, if restore { " again" } else { "" })
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn the_longest_chain_goes_first() {
    let plan = plan();
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let order: Vec<String> = (0..4).map(|_| take(&mut board)).collect();
    assert_eq!(order, ["dense 0", "winning_ticket 1", "winning_ticket 2", "winning_ticket 3"]);
    (0..9).for_each(|_| assert!(take(&mut board).starts_with("random_")));
    assert_eq!(take(&mut board), "Over");
    assert_eq!(board.summary().done, plan.trainings.len());
}

#[test]
fn a_training_is_given_out_once_and_waits_for_its_parents() {
    let plan = plan();
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    assert!(matches!(board.next(), Next::Train { training, .. } if training.arm == "dense"));
    assert!(matches!(board.next(), Next::Wait));
}

#[test]
fn a_chain_is_run_again_only_as_far_back_as_weights_are_missing() {
    let plan = plan();
    let ticket = |round| plan.trainings.iter().find(|t| t.arm == "winning_ticket" && t.round == round).unwrap();
    let stored = |training: &Training| Ok((training.key != ticket(3).key).then(done));
    // The final weights of round 1 are there, those of round 2 are not.
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, stored, |key, _| *key != ticket(2).key).unwrap();
    let order: Vec<String> = (0..2).map(|_| take(&mut board)).collect();
    assert_eq!(order, ["winning_ticket 2 again", "winning_ticket 3"]);
}

#[test]
fn weights_in_between_are_freed_when_their_child_is_done() {
    let plan = plan();
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    let freed = |board: &mut Board<'_>| -> Vec<u32> {
        board.take_needless().iter().map(|key| plan.get(key).unwrap().round).collect()
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
    let rerun = |keep: Keep| {
        let mut board =
            Board::new(&plan, keep, |_| 1.0, |_| Ok(Some(done())), |key, _| plan.get(key).unwrap().round == 3).unwrap();
        let mut again: Vec<String> = (0..plan.trainings.len()).map(|_| take(&mut board)).collect();
        again.retain(|what| what != "Over");
        assert!(keep == Keep::Needed || board.take_needless().is_empty());
        again
    };
    assert!(rerun(Keep::Needed).is_empty());
    assert_eq!(rerun(Keep::Tickets), ["dense 0 again", "winning_ticket 1 again", "winning_ticket 2 again"]);
    let all = rerun(Keep::All);
    assert_eq!(all.len(), 1 + 2 * 4, "every round but the last, whose weights are there: {all:?}");
}

#[test]
fn what_needs_a_failure_is_blocked_and_the_rest_is_not() {
    let plan = plan();
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    take(&mut board);
    let Next::Train { training, .. } = board.next() else { panic!("round 1 is ready") };
    board.fail(&training.key, Failure { cause: "a cause".into(), by_audit: false });
    assert!(matches!(board.next(), Next::Over));
    let summary = board.summary();
    assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (1, 1, 11, 0));
}

#[test]
fn every_training_that_others_have_is_asked_about_in_turn() {
    let plan = plan();
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    take(&mut board);
    (0..3).for_each(|_| drop(take(&mut board)));
    let (mut left, mut asked) = (Vec::new(), Vec::new());
    while asked.is_empty() || asked.len() < left.len() {
        match board.next() {
            Next::Train { training, .. } => {
                board.leave(&training.key);
                left.push(training.key);
            }
            Next::Ask { training, .. } => {
                assert!(matches!(board.next(), Next::Wait), "one asks, the others wait");
                board.leave(&training.key);
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
    let mut board = Board::new(&plan, Keep::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
    (0..4).for_each(|_| drop(take(&mut board)));
    while let Next::Train { training, .. } = board.next() {
        board.leave(&training.key);
    }
    // The loop ended with an `Ask` that is still open: nobody else may ask until it is answered.
    assert!(matches!(board.next(), Next::Wait));
    let asked = board.nodes[board.asking.unwrap()].training.key;
    board.began(&asked);
    assert!(matches!(board.next(), Next::Ask { training, .. } if training.key != asked));
}

#[test]
fn a_restore_that_fails_costs_the_weights_and_nothing_else() {
    let plan = plan();
    let find = |arm: &str, round| plan.trainings.iter().find(|t| t.arm == arm && t.round == round).unwrap();
    let open = [find("winning_ticket", 3).key, find("random_mask", 1).key];
    let stored = |training: &Training| Ok((!open.contains(&training.key)).then(done));
    let mut board =
        Board::new(&plan, Keep::Needed, |_| 1.0, stored, |key, _| plan.get(key).unwrap().round == 0).unwrap();
    let Next::Train { training, restore: true } = board.next() else { panic!("round 1 is run again") };
    assert_eq!(training.key, find("winning_ticket", 1).key);
    board.fail(&training.key, Failure { cause: "other bytes".into(), by_audit: false });
    assert_eq!(take(&mut board), "random_mask 1", "its mask is in the store all the same");
    assert_eq!(take(&mut board), "Over");
    let by = find("winning_ticket", 2).key;
    assert_eq!(board.outcome(&open[0]), Some(Outcome::Blocked { by }), "not a second failure");
    let summary = board.summary();
    assert_eq!((summary.blocked, summary.failed, summary.lost, summary.open), (1, 0, 2, 0));
}
