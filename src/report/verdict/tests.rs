//! Verdicts on a few rows. The experiment is evaluated every 20 iterations, and its margin is 0.1 points.

use proptest::prelude::*;

use super::super::test_fixtures::{experiment, row, rows};
use super::*;
use crate::base::outcome::OutcomeKind;

const DENSE_VALUES: [(u64, f64); 3] = [(100, 0.970), (120, 0.972), (100, 0.971)];

/// Returns the verdict on round 1 of `winning_ticket`, given its early stops and accuracies and those of its
/// reinitialisation.
fn verdict_of(ticket: &[(u64, f64)], reinit: &[(u64, f64)]) -> Verdict {
    let rounds = [rows("dense", 0, &DENSE_VALUES), rows("winning_ticket", 1, ticket), rows("random_reinit", 1, reinit)];
    verdicts_of_rows(&rounds.concat(), &experiment(&[])).remove(0)
}

const BETTER: [(u64, f64); 3] = [(60, 0.973), (80, 0.975), (60, 0.975)];
const WORSE: [(u64, f64); 3] = [(100, 0.950), (120, 0.951), (120, 0.949)];

#[test]
fn ticket_is_as_accurate_no_later_and_better_than_its_reinitialisation() {
    let verdict = verdict_of(&BETTER, &WORSE);
    assert_eq!((verdict.decision, verdict.n, verdict.weights_remaining), (Decision::Ticket, 3, 0.5));
    let accuracy = verdict.accuracy.unwrap();
    // Differences 0.3, 0.3, 0.4 points: mean 0.333, deviation 0.0577, so 2.92 · 0.0577 / √3 = 0.097 to each side.
    assert!((accuracy.mean - 0.003_333).abs() < 1e-6 && (accuracy.low - 0.002_360).abs() < 1e-6, "{accuracy:?}");
    // −40 in each replicate, known to a step of 20: 2.92 · (20 / √6) / √3 = 13.8 to each side.
    let early_stop = verdict.early_stop.unwrap();
    assert!((early_stop.mean + 40.0).abs() < 1e-9 && (early_stop.high + 26.2).abs() < 0.1, "{early_stop:?}");
    let reason = "loses less than 0.1 points of accuracy against dense; early stop no later than dense; \
                  more accurate than `random_reinit`";
    assert_eq!(verdict.reason, reason);
}

#[test]
fn early_stops_of_a_late_start_are_compared_by_iterations_trained() {
    // Training runs of 120 iterations; the ticket is rewound to iteration 60, so that it stops after 30 of its own.
    let late_ticket: Vec<RoundRow> = rows("winning_ticket", 1, &[(90, 0.973), (90, 0.975), (90, 0.975)])
        .into_iter()
        .map(|row| RoundRow { iterations: 60, ..row })
        .collect();
    let rounds = [rows("dense", 0, &DENSE_VALUES), late_ticket, rows("random_reinit", 1, &WORSE)].concat();
    let early_stop = verdicts_of_rows(&rounds, &experiment(&[])).remove(0).early_stop.unwrap();
    // 30 against 100, 120 and 100.
    assert!((early_stop.mean - (30.0 - 320.0 / 3.0)).abs() < 1e-9, "{early_stop:?}");
}

#[test]
fn no_ticket_where_a_bound_excludes_a_condition() {
    let worse = verdict_of(&WORSE, &WORSE);
    assert_eq!(worse.decision, Decision::NoTicket);
    assert!(worse.reason.starts_with("loses more than 0.1 points of accuracy against dense"), "{}", worse.reason);
    let later = verdict_of(&[(180, 0.973), (200, 0.975), (180, 0.975)], &WORSE);
    assert_eq!((later.decision, later.reason.as_str()), (Decision::NoTicket, "early stop later than dense"));
    let beaten = verdict_of(&BETTER, &[(60, 0.980), (80, 0.981), (60, 0.981)]);
    assert_eq!(
        (beaten.decision, beaten.reason.as_str()),
        (Decision::NoTicket, "not more accurate than `random_reinit`")
    );
}

#[test]
fn undecided_where_values_are_equal() {
    // The same early stops as dense in every replicate: the true difference may be up to a step.
    let same = verdict_of(&[(100, 0.973), (120, 0.975), (100, 0.975)], &WORSE);
    assert_eq!(same.decision, Decision::Undecided);
    assert_eq!(same.reason, "early stop against dense is open");
    // The same accuracies as the reinitialisation: neither better nor worse.
    let equal = verdict_of(&BETTER, &BETTER);
    assert_eq!(
        (equal.decision, equal.reason.as_str()),
        (Decision::Undecided, "accuracy against `random_reinit` is open")
    );
}

#[test]
fn early_stop_at_the_end_of_training_counts_as_none() {
    let at_end = |values: &[(u64, f64)]| values.iter().map(|&(_, accuracy)| (120, accuracy)).collect::<Vec<_>>();
    let rounds = [
        rows("dense", 0, &at_end(&DENSE_VALUES)),
        rows("winning_ticket", 1, &at_end(&BETTER)),
        rows("random_reinit", 1, &WORSE),
    ];
    let verdict = verdicts_of_rows(&rounds.concat(), &experiment(&[])).remove(0);
    assert_eq!(verdict.decision, Decision::Undecided);
    assert!(verdict.reason.starts_with("no early stop before the end of training"), "{}", verdict.reason);
}

#[test]
fn ticket_needs_a_reinitialisation() {
    let rounds = [rows("dense", 0, &DENSE_VALUES), rows("t", 1, &BETTER), rows("t", 2, &WORSE)].concat();
    let verdicts = verdicts_of_rows(&rounds, &experiment(&["arms={t={mask=\"iterative\",weights=\"rewind\"}}"]));
    assert_eq!(verdicts[0].decision, Decision::Undecided);
    assert_eq!(verdicts[0].reason, "no arm gives fresh weights to the mask of `t`");
    assert_eq!(verdicts[1].decision, Decision::NoTicket, "which needs no reinitialisation");
}

#[test]
fn replicates_missing_an_arm_are_left_out_of_its_comparison() {
    let verdict = verdict_of(&BETTER, &WORSE[..2]);
    assert_eq!((verdict.n, verdict.accuracy.unwrap().n, verdict.over_reinit.unwrap().n), (3, 3, 2));
    let verdict = verdict_of(&BETTER, &[]);
    assert_eq!((verdict.decision, verdict.over_reinit), (Decision::Undecided, None));
}

#[test]
fn undecided_where_all_trainings_diverged() {
    let mut rounds = rows("dense", 0, &DENSE_VALUES);
    let diverged = |row: RoundRow| RoundRow { outcome: OutcomeKind::Diverged.into(), ..row };
    rounds.extend(rows("winning_ticket", 1, &BETTER).into_iter().map(diverged));
    let verdict = verdicts_of_rows(&rounds, &experiment(&[])).remove(0);
    assert_eq!((verdict.decision, verdict.n, verdict.accuracy), (Decision::Undecided, 0, None));
    assert_eq!(verdict.reason, "in no replicate did both this network and the dense one come to their end");
    assert_eq!(verdicts_of_rows(&[], &experiment(&[])), [], "no rows, no verdicts");
}

#[test]
fn margin_decides_which_loss_matters() {
    let rounds = [rows("dense", 0, &DENSE_VALUES), rows("winning_ticket", 1, &WORSE)].concat();
    let loss =
        |margin: &str| verdicts_of_rows(&rounds, &experiment(&[&format!("report.margin={margin}")])).remove(0).decision;
    assert_eq!((loss("0.1"), loss("5")), (Decision::NoTicket, Decision::Undecided));
}

#[test]
fn method_counts_the_verdicts() {
    let verdict = verdict_of(&BETTER, &WORSE);
    let text = method(&[verdict.clone(), verdict], &experiment(&[]));
    assert!(text.contains("every 20 iterations") && text.contains("2 verdicts are 2 looks"), "{text}");
}

proptest! {
    #[test]
    fn undecided_with_one_replicate(early in 1u64..1000, accuracy in 0.0f64..1.0, repeats in 1u32..4, dense in 0.0f64..1.0) {
        let mut rounds = vec![row("dense", 0, 1, (100, dense))];
        for repeat in 1..=repeats {
            rounds.push(row("winning_ticket", 1, 1, (early, accuracy)));
            rounds.push(RoundRow { repeat, ..row("random_reinit", 1, 1, (early, accuracy / 2.0)) });
        }
        let verdict = verdicts_of_rows(&rounds, &experiment(&[])).remove(0);
        prop_assert_eq!((verdict.decision, verdict.n), (Decision::Undecided, 1));
    }

    #[test]
    fn ticket_exactly_where_all_three_bounds_hold(values in prop::collection::vec((1u64..9, 900u32..1000), 9)) {
        let values: Vec<(u64, f64)> = values.iter().map(|&(i, k)| (20 * i, f64::from(k) / 1000.0)).collect();
        let arms = [("dense", 0), ("winning_ticket", 1), ("random_reinit", 1)];
        let rounds = arms.iter().zip(values.chunks(3)).flat_map(|(&(arm, round), values)| rows(arm, round, values));
        let verdict = verdicts_of_rows(&rounds.collect::<Vec<_>>(), &experiment(&[])).remove(0);
        let is_ordered = |interval: Option<Interval>| interval.is_some_and(|i| i.low < i.mean && i.mean < i.high);
        prop_assert!(is_ordered(verdict.accuracy) && is_ordered(verdict.early_stop) && is_ordered(verdict.over_reinit));
        let all_hold = verdict.accuracy.unwrap().low > -0.001
            && verdict.early_stop.unwrap().high <= 0.0
            && verdict.over_reinit.unwrap().low > 0.0;
        prop_assert_eq!(verdict.decision == Decision::Ticket, all_hold);
    }
}
