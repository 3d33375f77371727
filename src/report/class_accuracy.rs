//! Accuracy by class: what networks lose, or gain, in each class compared with the dense network of their replicate.

use std::collections::BTreeMap;

use super::arm_round::ArmRound;
use super::roles::{dense_of, is_dense};
use super::table::{Cell, Table};
use crate::artifacts::{ClassAccuracyRow, first_seen};
use crate::base::format::{mean_and_range, percent};
use crate::base::stats::SummaryStats;

/// The largest number of classes in the table.
pub(crate) const MAX_CLASSES: usize = 10;

/// Returns a table of differences to the dense network of the same replicate, in points: a row for each arm and round, a
/// column for each class. With more than [`MAX_CLASSES`] classes, those with the lowest mean over all rows; empty if no
/// dense network, or nothing else, was measured.
pub(crate) fn table(rows: &[ClassAccuracyRow]) -> Table {
    let dense: BTreeMap<(&str, u32, u32), f64> = rows
        .iter()
        .filter(|row| is_dense(&row.arm))
        .filter_map(|row| Some(((row.arm.as_str(), row.replicate, row.class), row.accuracy?)))
        .collect();
    let mut differences: BTreeMap<(ArmRound<'_>, u32), Vec<f64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !is_dense(&row.arm)) {
        let reference = dense_of(&row.arm);
        let pair = row.accuracy.zip(dense.get(&(reference.as_str(), row.replicate, row.class)));
        let place = (ArmRound::new(&row.arm, row.round), row.class);
        differences.entry(place).or_default().extend(pair.map(|(accuracy, dense)| accuracy - dense));
    }
    differences.retain(|_, values| !values.is_empty());
    let classes = shown_classes(&differences);
    let columns = ["arm", "round", "weights remaining"].into_iter().map(str::to_owned);
    let titles = classes.iter().map(|class| format!("class {class}"));
    let mut table = Table::new(columns.chain(titles).chain(["n".to_owned()]));
    let places = first_seen(rows.iter().map(|row| ArmRound::new(&row.arm, row.round)));
    for place in
        places.into_iter().filter(|place| classes.iter().any(|class| differences.contains_key(&(*place, *class))))
    {
        let of_place: Vec<f64> = rows
            .iter()
            .filter(|row| ArmRound::new(&row.arm, row.round) == place)
            .map(|row| row.weights_remaining)
            .collect();
        let share = SummaryStats::of(&of_place).map(|stats| percent(stats.mean));
        let mut cells = vec![Cell::text(place.arm), Cell::number(place.round), Cell::optional(share)];
        let of_class = |class: &u32| differences.get(&(place, *class));
        cells.extend(
            classes.iter().map(|class| {
                of_class(class).map_or(Cell::Missing, |values| Cell::number(mean_and_range(values, points)))
            }),
        );
        cells.push(Cell::optional(classes.iter().filter_map(of_class).map(Vec::len).max()));
        table.rows.push(cells);
    }
    table
}

/// Returns the classes of the table, ascending.
fn shown_classes(differences: &BTreeMap<(ArmRound<'_>, u32), Vec<f64>>) -> Vec<u32> {
    let mut by_class: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for ((_, class), values) in differences {
        by_class.entry(*class).or_default().extend(values);
    }
    let mut means: Vec<(f64, u32)> =
        by_class.iter().filter_map(|(class, values)| Some((SummaryStats::of(values)?.mean, *class))).collect();
    means.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut classes: Vec<u32> = means.into_iter().take(MAX_CLASSES).map(|(_, class)| class).collect();
    classes.sort_unstable();
    classes
}

/// Formats a difference of accuracies in percentage points, with its sign.
fn points(difference: f64) -> String {
    // Added to 0, so that a small loss is not written as −0.0.
    format!("{:+.1}", (1000.0 * difference).round() / 10.0 + 0.0).replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(arm: &str, round: u32, replicate: u32, class: u32, accuracy: f64) -> ClassAccuracyRow {
        let weights_remaining = 0.5_f64.powi(round as i32);
        let accuracy = Some(accuracy);
        ClassAccuracyRow { arm: arm.into(), round, replicate, class, accuracy, weights_remaining, ..Default::default() }
    }

    #[test]
    fn differences_are_to_the_dense_network_of_the_replicate() {
        let rows = [
            row("dense", 0, 1, 0, 0.5),
            row("dense", 0, 2, 0, 0.75),
            row("t", 1, 1, 0, 0.25),
            row("t", 1, 2, 0, 0.875),
            row("t", 1, 3, 0, 0.1),
        ];
        let table = table(&rows);
        let cells: Vec<&str> = table.rows[0].iter().map(Cell::as_str).collect();
        assert_eq!(cells, ["t", "1", "50.0%", "−6.3 (−25.0–+12.5)", "2"], "replicate 3 has no dense network");
        assert_eq!(table.rows.len(), 1);
    }

    #[test]
    fn classes_with_the_largest_losses_are_shown() {
        let of = |arm: &str, round, loss: f64| {
            (0..12).map(move |class| row(arm, round, 1, class, 0.5 - loss * f64::from(class))).collect::<Vec<_>>()
        };
        let rows = [of("dense", 0, 0.0), of("t", 1, 0.01)].concat();
        let table = table(&rows);
        assert_eq!((table.header[3].as_str(), table.header.len()), ("class 2", 14));
        assert!(super::table(&rows[12..]).rows.is_empty(), "without a dense network");
    }
}
