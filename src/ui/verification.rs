//! The text of `lth verify`.

use super::table::{printable, render};
use crate::base::format::count_of;
use crate::report::{Cell, Table};
use crate::runner::Check;

/// Returns a table of checks with a line for each, and the notes of each below it.
pub fn verification(checks: &[Check]) -> String {
    let mut table = Table::new(["check", "compared", "result", "what is compared"]);
    let row = |check: &Check| {
        vec![
            Cell::text(check.name),
            Cell::text(count_of(check.compared as u64, check.unit)),
            Cell::text(check.state.as_str()),
            Cell::text(check.about),
        ]
    };
    table.rows = checks.iter().map(row).collect();
    let notes = checks.iter().flat_map(|check| check.notes.iter().map(move |note| (check.name, note)));
    let notes: Vec<String> = notes.map(|(name, note)| format!("{name}: {}\n", printable(note))).collect();
    render(&table) + &notes.concat()
}
