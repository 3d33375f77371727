//! The text of `lth landscape`.

use super::table::render;
use crate::artifacts::LandscapeRow;
use crate::report::short_landscape_table;

/// Returns a table of the main quantities with a line for each arm and round, and how to read it.
pub fn landscape(rows: &[LandscapeRow]) -> String {
    render(&short_landscape_table(rows))
        + "mean (minimum–maximum) over n training runs; the report defines each quantity and compares it with training \
           accuracy\n"
}
