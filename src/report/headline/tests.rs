//! Sentences on verdicts of training runs of 400 iterations, which are evaluated every 20 iterations.

use super::super::test_fixtures::{experiment, of_length, rows};
use super::super::verdict::verdicts_of_rows;
use super::*;
use crate::artifacts::RoundRow;

/// The early stop and the test accuracy of each replicate.
type Values<'a> = &'a [(u64, f64)];

const DENSE_VALUES: [(u64, f64); 3] = [(100, 0.970), (120, 0.972), (100, 0.971)];
const BETTER: [(u64, f64); 3] = [(60, 0.973), (80, 0.975), (60, 0.975)];
const WORSE: [(u64, f64); 3] = [(100, 0.950), (120, 0.951), (120, 0.949)];
/// Accuracies that are inconclusive compared with the dense network.
const SPREAD: [(u64, f64); 3] = [(60, 0.960), (80, 0.980), (60, 0.975)];

/// Returns the rows of the dense network, and of the ticket and its reinitialization at rounds 1, 2, …
fn run(rounds: &[(Values<'_>, Values<'_>)]) -> Vec<RoundRow> {
    let pruned = (1..).zip(rounds).map(|(round, (ticket, reinit))| {
        [rows("winning_ticket", round, ticket), rows("random_reinit", round, reinit)].concat()
    });
    let dense = rows("dense", 0, &DENSE_VALUES);
    of_length(400, dense.into_iter().chain(pruned.flatten()).collect())
}

/// Returns the paragraph on `winning_ticket`.
fn paragraph_of(rounds: &[(Values<'_>, Values<'_>)]) -> String {
    let experiment = experiment(&[]);
    sentences(&verdicts_of_rows(&run(rounds), &experiment), &experiment.report).remove(0)
}

#[test]
fn headline_of_a_winning_ticket_has_the_numbers_of_all_three_conditions() {
    let expected = "At 50.0% of the weights, winning_ticket is a winning ticket: 0.33 points more accurate than the dense \
                    network (95% lower bound 0.24), faster (40 fewer iterations to early stop, 95% lower bound 26) and \
                    2.43 points more accurate than the same mask reinitialized (95% lower bound 2.18), with n = 3 \
                    replicates. Compared with the dense network at 1 round (50.0% of the weights), test accuracy is no \
                    lower; the number of iterations to early stop is no higher.";
    assert_eq!(paragraph_of(&[(&BETTER, &WORSE)]), expected);
}

#[test]
fn headline_states_what_is_shown_where_the_comparison_with_dense_is_inconclusive() {
    // regression: "undecided at each of 6 rounds" hid that the ticket beats its reinitialization by 6 points.
    let reinit = SPREAD.map(|(stop, accuracy)| (stop, accuracy - 0.06));
    let paragraph = paragraph_of(&[(&SPREAD, &reinit)]);
    let headline = "At 50.0% of the weights, winning_ticket is 6.00 points more accurate than the same mask reinitialized \
                    (95% lower bound ";
    assert!(paragraph.starts_with(headline), "{paragraph}");
    assert!(paragraph.contains("test accuracy is inconclusive; "), "{paragraph}");
}

#[test]
fn headline_prefers_strong_findings_then_small_shares() {
    // Round 1 is a winning ticket; round 2 only beats its reinitialization.
    let reinit = SPREAD.map(|(stop, accuracy)| (stop, accuracy - 0.06));
    let ticket_first = paragraph_of(&[(&BETTER, &WORSE), (&SPREAD, &reinit)]);
    assert!(
        ticket_first.starts_with("At 50.0% of the weights, winning_ticket is a winning ticket: "),
        "{ticket_first}"
    );
    assert!(ticket_first.contains("with n = 3 replicates and Holm's correction for 2 rounds"), "{ticket_first}");
    assert!(ticket_first.contains("test accuracy is no lower at 1 and inconclusive at 1;"), "{ticket_first}");
    // Both rounds are winning tickets.
    let smallest = paragraph_of(&[(&BETTER, &WORSE), (&BETTER, &WORSE)]);
    assert!(smallest.starts_with("At 25.0% of the weights, winning_ticket is a winning ticket: "), "{smallest}");
    let order = [Finding::WinningTicket, Finding::AccurateAndOverReinit, Finding::Accurate, Finding::OverReinit];
    assert!(order.is_sorted() && order == Finding::ALL);
}

#[test]
fn headline_says_that_a_finding_is_not_corrected() {
    // 1, 2 and 3 points better than the reinitialization: p = 0.0371, and 0.0742 for two rounds.
    let reinit = [(100, 0.963), (120, 0.955), (100, 0.945)];
    let paragraph = paragraph_of(&[(&BETTER, &reinit), (&BETTER, &reinit)]);
    let corrected = "At 25.0% of the weights, winning_ticket is 0.33 points more accurate than the dense network (95% lower \
                     bound 0.24), with n = 3 replicates and Holm's correction for 2 rounds. ";
    assert!(paragraph.starts_with(corrected), "{paragraph}");
    let plain = &paragraph[corrected.len()..];
    assert!(plain.starts_with("At 25.0% of the weights, winning_ticket is a winning ticket: "), "{paragraph}");
    assert!(plain.contains("with n = 3 replicates and without correction for 2 rounds. "), "{paragraph}");
}

#[test]
fn headline_without_findings_says_so() {
    let none = paragraph_of(&[(&SPREAD, &SPREAD)]);
    assert!(none.starts_with("winning_ticket: inconclusive at 1 round (50.0% of the weights). Compared"), "{none}");
    let worse = paragraph_of(&[(&WORSE, &WORSE), (&WORSE, &WORSE)]);
    assert!(worse.starts_with("winning_ticket is no winning ticket at 2 of 2 rounds (50.0% to 25.0% of"), "{worse}");
    let single = paragraph_of(&[(&BETTER[..1], &WORSE[..1])]);
    assert!(single.contains("need at least two replicates") && single.contains("(n = 1)"), "{single}");
}

#[test]
fn replicates_needed_are_listed_by_condition_and_round() {
    let experiment = experiment(&[]);
    let line = |rounds| replicates_needed(&verdicts_of_rows(&run(rounds), &experiment));
    assert_eq!(line(&[(&BETTER, &WORSE)]), None, "everything is settled");
    let text = line(&[(&SPREAD, &WORSE), (&BETTER, &BETTER)]).unwrap();
    // Accuracies −1.0, 0.8 and 0.4 points from dense: mean 0.067, deviation 0.945, 0.167 above the limit:
    // (1.663 · 0.945 / 0.167)² = 89.
    assert!(text.contains("test accuracy vs. dense: about 89 at 50.0% (yes); "), "{text}");
    assert!(text.contains("test accuracy vs. reinit: more than 1,000 at 25.0%."), "{text}");
}

#[test]
fn censoring_advice_counts_training_runs() {
    let experiment = experiment(&[]);
    assert_eq!(censoring_advice(&run(&[(&BETTER, &WORSE)]), &experiment), None);
    let late = BETTER.map(|(_, accuracy)| (380, accuracy));
    let advice = censoring_advice(&run(&[(&late, &WORSE)]), &experiment).unwrap();
    assert!(advice.starts_with("Early stops lie on the last two evaluations in 3 of 9 training runs"), "{advice}");
}
