//! The table of what `lth landscape` measured: a row for each arm and round.

use super::arm_round::ArmRound;
use super::landscape::Quantity;
use super::table::{Cell, Table};
use crate::artifacts::{LandscapeRow, first_seen};
use crate::base::format::{mean_and_range, percent, three_digits};

/// Returns a table of `quantities`, with a row for each arm and round of the rows of `landscape.csv`, in their order.
pub(crate) fn landscape_table(rows: &[&LandscapeRow], quantities: &[Quantity]) -> Table {
    let titles = ["arm", "round", "weights remaining", "n"].into_iter();
    let mut table = Table::new(titles.chain(quantities.iter().map(|quantity| quantity.title)));
    for arm_round in first_seen(rows.iter().map(|row| ArmRound::new(&row.arm, row.round))) {
        let is_of_group = |row: &&&LandscapeRow| ArmRound::new(&row.arm, row.round) == arm_round;
        let group: Vec<&LandscapeRow> = rows.iter().filter(is_of_group).copied().collect();
        let remaining = group.iter().map(|row| row.weights_remaining).sum::<f64>() / group.len() as f64;
        let mut cells = vec![
            Cell::text(arm_round.arm),
            Cell::number(arm_round.round),
            Cell::number(percent(remaining)),
            Cell::number(group.len()),
        ];
        cells.extend(quantities.iter().map(|quantity| {
            let values: Vec<f64> = group.iter().filter_map(|row| (quantity.value)(row)).collect();
            // With the number of values where some training run has none.
            let n = if values.len() < group.len() { format!(", n = {}", values.len()) } else { String::new() };
            Cell::optional((!values.is_empty()).then(|| mean_and_range(&values, three_digits) + &n))
        }));
        table.rows.push(cells);
    }
    table
}

/// Returns the table of the quantities that fit a terminal.
pub fn short_landscape_table(rows: &[LandscapeRow]) -> Table {
    landscape_table(&rows.iter().collect::<Vec<_>>(), &Quantity::SHORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn landscape_table_has_means_and_ranges_of_an_arm_at_a_round() {
        let row = |replicate: u32, rise: Option<f64>, distance: f64| LandscapeRow {
            arm: "t".into(),
            round: 2,
            replicate,
            weights_remaining: 0.25,
            distance,
            relative_distance: Some(distance / 4.0),
            rise,
            ..LandscapeRow::default()
        };
        let table = short_landscape_table(&[row(1, Some(0.0), 1.0), row(2, None, 3.0)]);
        assert_eq!(
            table.header[4..],
            ["relative distance", "gradient norm", "sharpness (nats)", "rise on the line (nats)"]
        );
        let cells: Vec<&str> = table.rows[0].iter().map(Cell::as_str).collect();
        assert_eq!(cells, ["t", "2", "25.0%", "2", "0.500 (0.250–0.750)", "–", "–", "0, n = 1"]);
    }
}
