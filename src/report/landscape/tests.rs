//! Correlations of made-up quantities with made-up accuracies.

use super::super::accuracy_rise::accuracy_rises;
use super::super::claims::ClaimStatus;
use super::super::test_fixtures::{experiment, row};
use super::*;

const ROUNDS: u32 = 4;
const ARMS: [&str; 2] = ["winning_ticket", "random_reinit"];

/// Returns the rows of a dense network and of both arms, with keys, for `replicates` replicates.
fn run_rows(replicates: u32) -> Vec<RoundRow> {
    let places =
        std::iter::once((DENSE, 0)).chain(ARMS.into_iter().flat_map(|arm| (1..=ROUNDS).map(move |r| (arm, r))));
    let keyed = |(arm, round): (&str, u32), replicate: u32| RoundRow {
        key: format!("{arm} {round} {replicate}"),
        ..row(arm, round, replicate, (40, 0.5))
    };
    places.flat_map(|place| (1..=replicates).map(move |replicate| keyed(place, replicate))).collect()
}

/// Returns the accuracy of a training run: the ticket's rises by round, the control's falls, each with some noise.
fn accuracy(row: &RoundRow) -> f64 {
    let sign = if row.arm == ARMS[0] { 1.0 } else { -1.0 };
    0.9 + sign * 0.01 * f64::from(row.round) + 0.001 * f64::from(row.replicate)
}

/// Returns the comparison of all quantities; `distance` returns the distance moved of a training run.
fn compare(replicates: u32, distance: fn(&RoundRow) -> f64) -> Vec<ComparedQuantity> {
    let rows = run_rows(replicates);
    let accuracies: Vec<_> = rows.iter().map(|row| (row.key.clone(), row.replicate, accuracy(row))).collect();
    let equal = EqualIterations::at_dense_stop(&accuracies);
    let measured: Vec<LandscapeRow> = rows
        .iter()
        .map(|row| LandscapeRow { key: row.key.clone(), distance: distance(row), ..LandscapeRow::default() })
        .collect();
    let results = PairedResults::new(&rows, &experiment(&[]));
    let comparison = LandscapeComparison {
        results: &results,
        equal: &equal,
        measured: &LandscapeByKey::new(&measured),
        ticket: ARMS[0],
        reinit: Some(ARMS[1]),
    };
    comparison.quantities()
}

#[test]
fn correlations_have_the_signs_of_the_arms() {
    let compared = compare(3, |row| f64::from(row.round) + 0.1 * f64::from(row.replicate));
    let tendencies = |quantity: &ComparedQuantity| [quantity.ticket.tendency(), quantity.reinit.tendency()];
    assert_eq!(compared[0].title, WEIGHTS_REMAINING);
    assert_eq!(tendencies(&compared[0]), [Tendency::Falls, Tendency::Rises], "fewer weights, higher accuracy");
    let distance = &compared[1];
    assert_eq!((distance.title, tendencies(distance)), ("distance moved", [Tendency::Rises, Tendency::Falls]));
    assert_eq!((distance.ticket.values.clone(), distance.ticket.agreeing()), (vec![1.0; 3], 3));
    assert!(distance.ticket.is_corrected, "two rows vary: 3 replicates are enough");
    assert_eq!(distance.difference.values, [0.0; 0], "equal distances in both arms have no order");
    assert_eq!(distance.mean_difference, None, "nor any variation");
    assert!(compared[2].ticket.values.is_empty(), "relative distances were not measured");
}

#[test]
fn correlations_of_one_replicate_or_of_unequal_signs_are_undecided() {
    let one = compare(1, |row| f64::from(row.round));
    assert_eq!(
        (one[1].ticket.values.len(), one[1].ticket.bounds, one[1].ticket.tendency()),
        (1, None, Tendency::Undecided)
    );
    // It rises with the round in replicate 1 and falls in replicate 2.
    let mixed = compare(2, |row| f64::from(row.round) * (1.5 - f64::from(row.replicate)));
    assert_eq!((mixed[1].ticket.tendency(), mixed[1].ticket.is_corrected), (Tendency::Undecided, false));
}

#[test]
fn differences_between_arms_compare_equal_masks() {
    // The ticket moves less than its control, and the lead grows with the round, as its lead in accuracy does.
    let compared = compare(3, |row| match row.arm.as_str() {
        "random_reinit" => 10.0 + f64::from(row.round) + 0.1 * f64::from(row.replicate),
        _ => 10.0,
    });
    let distance = &compared[1];
    assert_eq!((distance.difference.tendency(), distance.difference.values.len()), (Tendency::Falls, 3));
    let bounds = distance.mean_difference.unwrap();
    assert!((bounds.mean + 2.7).abs() < 1e-9 && bounds.high < 0.0, "−(1 + 2 + 3 + 4) / 4 − 0.2: {bounds:?}");
}

#[test]
fn accuracy_rises_for_the_ticket_and_not_for_its_control() {
    let rows = run_rows(3);
    let accuracies: Vec<_> = rows.iter().map(|row| (row.key.clone(), row.replicate, accuracy(row))).collect();
    let equal = EqualIterations::at_dense_stop(&accuracies);
    let results = PairedResults::new(&rows, &experiment(&[]));
    let statuses = ARMS.map(|arm| accuracy_rises(&results, &equal, &rows, arm)[0].status);
    assert_eq!(statuses, [ClaimStatus::Held, ClaimStatus::NotHeld]);
    let rise = &accuracy_rises(&results, &equal, &rows, ARMS[0])[0];
    let largest = rise.largest().unwrap();
    assert_eq!((largest.weights_remaining, largest.n), (0.0625, 3));
    assert!((largest.plain.unwrap().mean - 0.04).abs() < 1e-9);
    let one_replicate = run_rows(1);
    let results = PairedResults::new(&one_replicate, &experiment(&[]));
    let status = accuracy_rises(&results, &equal, &one_replicate, ARMS[0])[0].status;
    assert_eq!(status, ClaimStatus::Inconclusive, "one replicate has no bounds");
}
