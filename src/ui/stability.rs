//! The text of `lth stability`.

use super::table::render;
use crate::artifacts::StabilityRow;
use crate::report::stability_table;

/// Returns a table of instabilities with a line for each arm and round, and how to read it.
pub fn stability(rows: &[StabilityRow]) -> String {
    render(&stability_table(rows))
        + "mean (minimum–maximum) over n training runs\nstable: below 2 points on test images, on average\n"
}
