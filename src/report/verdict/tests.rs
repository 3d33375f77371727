//! Verdicts one can check in the head. The experiment is evaluated every 20 iterations, and its margin is 0.1 points.

use proptest::prelude::*;

use super::super::test_fixtures::{experiment, row, rows};
use super::*;

const DENSE_VALUES: [(u64, f64); 3] = [(100, 0.970), (120, 0.972), (100, 0.971)];

/// The verdict on round 1 of `winning_ticket`, given its values and its reinitialisation's.
fn verdict_of(ticket: &[(u64, f64)], reinit: &[(u64, f64)]) -> Verdict {
    let all = [rows("dense", 0, &DENSE_VALUES), rows("winning_ticket", 1, ticket), rows("random_reinit", 1, reinit)];
    of_rows(&all.concat(), &experiment(&[])).remove(0)
}

const BETTER: [(u64, f64); 3] = [(60, 0.973), (80, 0.975), (60, 0.975)];
const WORSE: [(u64, f64); 3] = [(100, 0.950), (120, 0.951), (120, 0.949)];

#[test]
fn a_ticket_is_as_accurate_no_later_and_better_than_its_reinitialisation() {
    let verdict = verdict_of(&BETTER, &WORSE);
    assert_eq!((verdict.decision, verdict.n, verdict.weights_remaining), (Decision::Ticket, 3, 0.5));
    let accuracy = verdict.accuracy.unwrap();
    // Differences 0.3, 0.3, 0.4 points: mean 0.333, deviation 0.0577, so 2.92 · 0.0577 / √3 = 0.097 to each side.
    assert!((accuracy.mean - 0.003_333).abs() < 1e-6 && (accuracy.low - 0.002_360).abs() < 1e-6, "{accuracy:?}");
    // −40 in each replicate, known to a step of 20: 2.92 · (20 / √6) / √3 = 13.8 to each side.
    let early = verdict.early_stop.unwrap();
    assert!((early.mean + 40.0).abs() < 1e-9 && (early.high + 26.2).abs() < 0.1, "{early:?}");
    let reason = "loses less than 0.1 points of accuracy against dense; early stop no later than dense; \
                  more accurate than `random_reinit`";
    assert_eq!(verdict.reason, reason);
}

#[test]
fn early_stops_of_a_late_start_are_compared_by_iterations_trained() {
    // Training runs of 120 iterations; the ticket is rewound to iteration 60, so that it stops after 30 of its own.
    let late: Vec<RoundRow> = rows("winning_ticket", 1, &[(90, 0.973), (90, 0.975), (90, 0.975)])
        .into_iter()
        .map(|row| RoundRow { iterations: 60, ..row })
        .collect();
    let all = [rows("dense", 0, &DENSE_VALUES), late, rows("random_reinit", 1, &WORSE)].concat();
    let early = of_rows(&all, &experiment(&[])).remove(0).early_stop.unwrap();
    // 30 against 100, 120 and 100.
    assert!((early.mean - (30.0 - 320.0 / 3.0)).abs() < 1e-9, "{early:?}");
}

#[test]
fn a_bound_that_excludes_a_condition_ends_it() {
    let worse = verdict_of(&WORSE, &WORSE);
    assert_eq!(worse.decision, Decision::NoTicket);
    assert!(worse.reason.starts_with("loses more than 0.1 points of accuracy against dense"), "{}", worse.reason);
    let late = verdict_of(&[(180, 0.973), (200, 0.975), (180, 0.975)], &WORSE);
    assert_eq!((late.decision, late.reason.as_str()), (Decision::NoTicket, "early stop later than dense"));
    let beaten = verdict_of(&BETTER, &[(60, 0.980), (80, 0.981), (60, 0.981)]);
    assert_eq!(
        (beaten.decision, beaten.reason.as_str()),
        (Decision::NoTicket, "not more accurate than `random_reinit`")
    );
}

#[test]
fn equal_values_are_no_certainty() {
    // The same early stops as dense in every replicate: the truth may lie a step apart.
    let same = verdict_of(&[(100, 0.973), (120, 0.975), (100, 0.975)], &WORSE);
    assert_eq!(same.decision, Decision::Undecided);
    assert_eq!(same.reason, "early stop against dense is open");
    // The reinitialisation's very accuracies: neither better nor worse.
    let equal = verdict_of(&BETTER, &BETTER);
    assert_eq!(
        (equal.decision, equal.reason.as_str()),
        (Decision::Undecided, "accuracy against `random_reinit` is open")
    );
}

#[test]
fn an_early_stop_at_the_end_of_training_is_said_to_be_none() {
    let at_end = |values: &[(u64, f64)]| values.iter().map(|&(_, accuracy)| (120, accuracy)).collect::<Vec<_>>();
    let all = [
        rows("dense", 0, &at_end(&DENSE_VALUES)),
        rows("winning_ticket", 1, &at_end(&BETTER)),
        rows("random_reinit", 1, &WORSE),
    ];
    let verdict = of_rows(&all.concat(), &experiment(&[])).remove(0);
    assert_eq!(verdict.decision, Decision::Undecided);
    assert!(verdict.reason.starts_with("no early stop before the end of training"), "{}", verdict.reason);
}

#[test]
fn without_a_reinitialisation_nothing_is_a_ticket() {
    let all = [rows("dense", 0, &DENSE_VALUES), rows("t", 1, &BETTER), rows("t", 2, &WORSE)].concat();
    let verdicts = of_rows(&all, &experiment(&["arms={t={mask=\"iterative\",weights=\"rewind\"}}"]));
    assert_eq!(verdicts[0].decision, Decision::Undecided);
    assert_eq!(verdicts[0].reason, "no arm gives fresh weights to the mask of `t`");
    assert_eq!(verdicts[1].decision, Decision::NoTicket, "which needs no reinitialisation");
}

#[test]
fn who_lacks_one_side_is_left_out_of_that_pair() {
    let verdict = verdict_of(&BETTER, &WORSE[..2]);
    assert_eq!((verdict.n, verdict.accuracy.unwrap().n, verdict.over_reinit.unwrap().n), (3, 3, 2));
    let verdict = verdict_of(&BETTER, &[]);
    assert_eq!((verdict.decision, verdict.over_reinit), (Decision::Undecided, None));
}

#[test]
fn where_all_diverged_nothing_is_decided() {
    let mut all = rows("dense", 0, &DENSE_VALUES);
    let diverged = |row: RoundRow| RoundRow { outcome: "diverged".into(), ..row };
    all.extend(rows("winning_ticket", 1, &BETTER).into_iter().map(diverged));
    let verdict = of_rows(&all, &experiment(&[])).remove(0);
    assert_eq!((verdict.decision, verdict.n, verdict.accuracy), (Decision::Undecided, 0, None));
    assert_eq!(verdict.reason, "in no replicate did both this network and the dense one come to their end");
    assert_eq!(of_rows(&[], &experiment(&[])), [], "no rows, no verdicts");
}

#[test]
fn the_margin_decides_what_loss_matters() {
    let all = [rows("dense", 0, &DENSE_VALUES), rows("winning_ticket", 1, &WORSE)].concat();
    let loss = |margin: &str| of_rows(&all, &experiment(&[&format!("report.margin={margin}")])).remove(0).decision;
    assert_eq!((loss("0.1"), loss("5")), (Decision::NoTicket, Decision::Undecided));
}

#[test]
fn the_method_says_how_many_looks_there_were() {
    let verdict = verdict_of(&BETTER, &WORSE);
    let said = method(&[verdict.clone(), verdict], &experiment(&[]));
    assert!(said.contains("every 20 iterations") && said.contains("2 verdicts are 2 looks"), "{said}");
}

proptest! {
    #[test]
    fn one_replicate_never_decides(early in 1u64..1000, accuracy in 0.0f64..1.0, repeats in 1u32..4, dense in 0.0f64..1.0) {
        let mut all = vec![row("dense", 0, 1, (100, dense))];
        for repeat in 1..=repeats {
            all.push(row("winning_ticket", 1, 1, (early, accuracy)));
            all.push(RoundRow { repeat, ..row("random_reinit", 1, 1, (early, accuracy / 2.0)) });
        }
        let verdict = of_rows(&all, &experiment(&[])).remove(0);
        prop_assert_eq!((verdict.decision, verdict.n), (Decision::Undecided, 1));
    }

    #[test]
    fn a_ticket_keeps_all_three_bounds(values in prop::collection::vec((1u64..9, 900u32..1000), 9)) {
        let values: Vec<(u64, f64)> = values.iter().map(|&(i, k)| (20 * i, f64::from(k) / 1000.0)).collect();
        let all = [("dense", 0), ("winning_ticket", 1), ("random_reinit", 1)];
        let all = all.iter().zip(values.chunks(3)).flat_map(|(&(arm, round), values)| rows(arm, round, values));
        let verdict = of_rows(&all.collect::<Vec<_>>(), &experiment(&[])).remove(0);
        let bounds = |it: Option<Interval>| it.is_some_and(|it| it.low < it.mean && it.mean < it.high);
        prop_assert!(bounds(verdict.accuracy) && bounds(verdict.early_stop) && bounds(verdict.over_reinit));
        let all_hold = verdict.accuracy.unwrap().low > -0.001
            && verdict.early_stop.unwrap().high <= 0.0
            && verdict.over_reinit.unwrap().low > 0.0;
        prop_assert_eq!(verdict.decision == Decision::Ticket, all_hold);
    }
}
