//! Verdicts on a few rows of training runs of 400 iterations. The experiment is evaluated every 20 iterations; its
//! margin is 0.1 points, and its stop margin 10% of the dense network's iterations to early stop.

use proptest::prelude::*;

use super::super::statistics::Interval;
use super::super::test_fixtures::{experiment, of_length, row, rows};
use super::*;
use crate::base::outcome::OutcomeKind;
use crate::report::Answer::{Inconclusive, No, NotTested, Yes};

const DENSE_VALUES: [(u64, f64); 3] = [(100, 0.970), (120, 0.972), (100, 0.971)];
const BETTER: [(u64, f64); 3] = [(60, 0.973), (80, 0.975), (60, 0.975)];
const WORSE: [(u64, f64); 3] = [(100, 0.950), (120, 0.951), (120, 0.949)];

/// Returns the verdict on round 1 of `winning_ticket`, given its early stops and accuracies and those of its
/// reinitialization.
fn verdict_of(ticket: &[(u64, f64)], reinit: &[(u64, f64)]) -> Verdict {
    let rounds = [rows("dense", 0, &DENSE_VALUES), rows("winning_ticket", 1, ticket), rows("random_reinit", 1, reinit)];
    verdicts_of_rows(&of_length(400, rounds.concat()), &experiment(&[])).remove(0)
}

/// Returns the answers to the three conditions.
fn answers(verdict: &Verdict) -> [Answer; 3] {
    verdict.conditions.map(|test| test.answer)
}

#[test]
fn ticket_is_as_accurate_no_later_and_better_than_its_reinitialization() {
    let verdict = verdict_of(&BETTER, &WORSE);
    assert_eq!((verdict.decision, verdict.corrected), (Decision::Ticket, Decision::Ticket));
    assert_eq!((verdict.n, verdict.rounds, verdict.weights_remaining), (3, 1, 0.5));
    let [accuracy, speed, over_reinit] = verdict.conditions.map(|test| test.difference.unwrap());
    // Differences 0.3, 0.3, 0.4 points: mean 0.333, deviation 0.0577, so 2.92 · 0.0577 / √3 = 0.097 to each side.
    assert!((accuracy.mean - 0.003_333).abs() < 1e-6 && (accuracy.low - 0.002_360).abs() < 1e-6, "{accuracy:?}");
    // −40 in each replicate, known to a step of 20: 2.92 · (20 / √6) / √3 = 13.8 to each side.
    assert!((speed.mean + 40.0).abs() < 1e-9 && (speed.high + 26.2).abs() < 0.1, "{speed:?}");
    // Differences 2.3, 2.4, 2.6 points.
    assert!((over_reinit.mean - 0.024_333).abs() < 1e-6, "{over_reinit:?}");
    let limits = verdict.conditions.map(|test| test.limit);
    assert_eq!((limits[0], limits[2]), (-0.001, 0.0));
    assert!((limits[1] - 32.0 / 3.0).abs() < 1e-9, "10 % of the mean of 100, 120 and 100");
    let reason = "test accuracy vs. dense: yes; iterations to early stop vs. dense: yes; test accuracy vs. reinit: yes";
    assert_eq!(verdict.reason, reason);
}

#[test]
fn no_ticket_where_a_bound_excludes_a_condition() {
    let worse = verdict_of(&WORSE, &WORSE);
    assert_eq!((worse.decision, answers(&worse)[0]), (Decision::NoTicket, No));
    let later = verdict_of(&[(180, 0.973), (200, 0.975), (180, 0.975)], &WORSE);
    assert_eq!((later.decision, answers(&later)), (Decision::NoTicket, [Yes, No, Yes]));
    let beaten = verdict_of(&BETTER, &[(60, 0.980), (80, 0.981), (60, 0.981)]);
    assert_eq!((beaten.decision, answers(&beaten)), (Decision::NoTicket, [Yes, Yes, No]));
}

#[test]
fn equal_early_stops_are_no_later() {
    // regression: a ticket as fast as the dense network was undecided, whatever the number of replicates.
    let tenfold = |values: &[(u64, f64)]| values.iter().map(|&(stop, a)| (10 * stop, a)).collect::<Vec<_>>();
    let rounds = [rows("dense", 0, &tenfold(&DENSE_VALUES)), rows("winning_ticket", 1, &tenfold(&DENSE_VALUES))];
    let speed = |sets: &[&str]| {
        let verdict = verdicts_of_rows(&of_length(4000, rounds.concat()), &experiment(sets)).remove(0);
        *verdict.test(Condition::Speed)
    };
    // 0 ± 13.8 iterations: below a limit of 106.7, but not below one of 10.7 or 0.
    assert_eq!((speed(&[]).answer, speed(&[]).is_better()), (Yes, false));
    assert_eq!(speed(&["report.stop_margin=0.01"]).answer, Inconclusive);
    assert_eq!(speed(&["report.stop_margin=0"]).answer, Inconclusive);
}

#[test]
fn equal_accuracies_are_not_better_than_the_reinitialization() {
    let equal = verdict_of(&BETTER, &BETTER);
    assert_eq!((equal.decision, answers(&equal)), (Decision::Inconclusive, [Yes, Yes, Inconclusive]));
}

#[test]
fn censored_early_stops_leave_the_speed_untested() {
    let at = |stop: u64, values: &[(u64, f64)]| values.iter().map(|&(_, a)| (stop, a)).collect::<Vec<_>>();
    let speed = |dense: u64, ticket: u64| {
        let rounds = [
            rows("dense", 0, &at(dense, &DENSE_VALUES)),
            rows("winning_ticket", 1, &at(ticket, &BETTER)),
            rows("random_reinit", 1, &WORSE),
        ];
        let verdict = verdicts_of_rows(&of_length(400, rounds.concat()), &experiment(&[])).remove(0);
        (answers(&verdict)[1], verdict.test(Condition::Speed).censoring, verdict.decision)
    };
    let censoring = |ticket, reference| Censoring { ticket, reference };
    // The last two evaluations are at 380 and 400.
    assert_eq!(speed(400, 380), (NotTested, censoring(true, true), Decision::Inconclusive));
    assert_eq!(speed(400, 360), (Yes, censoring(false, true), Decision::Ticket), "it can only be earlier still");
    assert_eq!(speed(300, 400), (No, censoring(true, false), Decision::NoTicket), "it can only be later still");
    assert_eq!(speed(360, 380), (NotTested, censoring(true, false), Decision::Inconclusive));
    assert_eq!(speed(360, 360).0, Yes, "equal, within 10 %");
}

#[test]
fn early_stops_of_a_late_start_are_compared_by_iterations_trained() {
    // Training runs of 400 iterations; the ticket is rewound to iteration 60, so that it stops after 30 of its own.
    let ticket = of_length(340, rows("winning_ticket", 1, &[(90, 0.973), (90, 0.975), (90, 0.975)]));
    let rounds = [of_length(400, rows("dense", 0, &DENSE_VALUES)), ticket].concat();
    let verdict = verdicts_of_rows(&rounds, &experiment(&[])).remove(0);
    let difference = verdict.test(Condition::Speed).difference.unwrap();
    // 30 against 100, 120 and 100.
    assert!((difference.mean - (30.0 - 320.0 / 3.0)).abs() < 1e-9, "{difference:?}");
}

#[test]
fn correction_counts_the_rounds_of_the_arm() {
    // 1, 2 and 3 points better than the reinitialization: t = 2 / (1 / √3) = 3.46, p = 0.0371.
    let reinit = [(100, 0.963), (120, 0.955), (100, 0.945)];
    let round = |round| [rows("winning_ticket", round, &BETTER), rows("random_reinit", round, &reinit)].concat();
    let corrected = |rounds: Vec<RoundRow>| {
        let rounds = of_length(400, [rows("dense", 0, &DENSE_VALUES), rounds].concat());
        let verdict = verdicts_of_rows(&rounds, &experiment(&[])).remove(0);
        let test = *verdict.test(Condition::OverReinit);
        (verdict.decision, verdict.corrected, test.answer, test.corrected, test.holm_p_yes.unwrap())
    };
    let (decision, corrected_decision, answer, corrected_answer, p) = corrected(round(1));
    assert_eq!(
        (decision, corrected_decision, answer, corrected_answer),
        (Decision::Ticket, Decision::Ticket, Yes, Yes)
    );
    assert!((p - 0.0371).abs() < 1e-4, "{p}");
    let (decision, corrected_decision, answer, corrected_answer, p) = corrected([round(1), round(2)].concat());
    assert_eq!((decision, answer), (Decision::Ticket, Yes), "the plain bounds stay");
    assert_eq!((corrected_decision, corrected_answer), (Decision::Inconclusive, Inconclusive));
    assert!((p - 0.0742).abs() < 2e-4, "{p}");
}

#[test]
fn ticket_needs_a_reinitialization() {
    let rounds = [rows("dense", 0, &DENSE_VALUES), rows("t", 1, &BETTER), rows("t", 2, &WORSE)].concat();
    let arms = "arms={t={mask=\"iterative\",weights=\"rewind\"}}";
    let verdicts = verdicts_of_rows(&of_length(400, rounds), &experiment(&[arms]));
    assert_eq!((verdicts[0].decision, answers(&verdicts[0])), (Decision::Inconclusive, [Yes, Yes, NotTested]));
    assert!(verdicts[0].reason.ends_with("not tested (no arm reinitializes this mask)"), "{}", verdicts[0].reason);
    assert_eq!(verdicts[0].holm_p, None);
    assert_eq!(verdicts[1].decision, Decision::NoTicket, "which needs no reinitialization");
}

#[test]
fn replicates_missing_an_arm_are_left_out_of_its_comparison() {
    let n = |verdict: &Verdict| verdict.conditions.map(|test| test.difference.map(|difference| difference.n));
    let verdict = verdict_of(&BETTER, &WORSE[..2]);
    assert_eq!((verdict.n, n(&verdict)), (3, [Some(3), Some(3), Some(2)]));
    let verdict = verdict_of(&BETTER, &[]);
    assert_eq!((verdict.decision, n(&verdict)), (Decision::Inconclusive, [Some(3), Some(3), None]));
}

#[test]
fn not_tested_where_all_training_runs_diverged() {
    let mut rounds = rows("dense", 0, &DENSE_VALUES);
    let diverged = |row: RoundRow| RoundRow { outcome: OutcomeKind::Diverged.into(), ..row };
    rounds.extend(rows("winning_ticket", 1, &BETTER).into_iter().map(diverged));
    let verdict = verdicts_of_rows(&rounds, &experiment(&[])).remove(0);
    assert_eq!((verdict.decision, verdict.n, answers(&verdict)), (Decision::Inconclusive, 0, [NotTested; 3]));
    assert_eq!(verdicts_of_rows(&[], &experiment(&[])), [], "no rows, no verdicts");
}

#[test]
fn margin_decides_which_loss_matters() {
    let rounds = [rows("dense", 0, &DENSE_VALUES), rows("winning_ticket", 1, &WORSE)].concat();
    let answer = |margin: &str| {
        let verdicts = verdicts_of_rows(&rounds, &experiment(&[&format!("report.margin={margin}")]));
        answers(&verdicts[0])[0]
    };
    assert_eq!((answer("0.1"), answer("5")), (No, Yes));
}

#[test]
fn json_of_a_verdict_has_the_answers_and_their_numbers() {
    let json = serde_json::to_value(verdict_of(&BETTER, &WORSE)).unwrap();
    assert_eq!((&json["decision"], &json["corrected"]), (&"ticket".into(), &"ticket".into()));
    let accuracy = &json["conditions"][0];
    assert_eq!((&accuracy["condition"], &accuracy["answer"]), (&"accuracy".into(), &"yes".into()));
    for key in ["difference", "limit", "p_yes", "p_no", "holm_p_yes", "holm_p_no", "replicates_needed"] {
        assert!(accuracy.get(key).is_some(), "{key} in {accuracy}");
    }
}

proptest! {
    #[test]
    fn inconclusive_with_one_replicate(early in 1u64..1000, accuracy in 0.0f64..1.0, repeats in 1u32..4, dense in 0.0f64..1.0) {
        let mut rounds = vec![row("dense", 0, 1, (100, dense))];
        for repeat in 1..=repeats {
            rounds.push(row("winning_ticket", 1, 1, (early, accuracy)));
            rounds.push(RoundRow { repeat, ..row("random_reinit", 1, 1, (early, accuracy / 2.0)) });
        }
        let verdict = verdicts_of_rows(&rounds, &experiment(&[])).remove(0);
        prop_assert_eq!((verdict.decision, verdict.n), (Decision::Inconclusive, 1));
    }

    #[test]
    fn ticket_exactly_where_all_three_bounds_hold(values in prop::collection::vec((1u64..9, 900u32..1000), 9)) {
        let values: Vec<(u64, f64)> = values.iter().map(|&(i, k)| (20 * i, f64::from(k) / 1000.0)).collect();
        let arms = [("dense", 0), ("winning_ticket", 1), ("random_reinit", 1)];
        let rounds = arms.iter().zip(values.chunks(3)).flat_map(|(&(arm, round), values)| rows(arm, round, values));
        let verdict = verdicts_of_rows(&of_length(400, rounds.collect()), &experiment(&[])).remove(0);
        let [accuracy, speed, over_reinit] = verdict.conditions.map(|test| (test.difference.unwrap(), test.limit));
        let is_ordered = |interval: Interval| interval.low < interval.mean && interval.mean < interval.high;
        prop_assert!(is_ordered(accuracy.0) && is_ordered(speed.0) && is_ordered(over_reinit.0));
        let all_hold = accuracy.0.low > accuracy.1 && speed.0.high < speed.1 && over_reinit.0.low > 0.0;
        prop_assert_eq!(verdict.decision == Decision::Ticket, all_hold);
    }
}
