//! Output of `lth stability`.

use super::table::align;
use crate::artifacts::StabilityRow;
use crate::report::stability_table;

/// Returns a table with a line per arm and round, and a legend.
pub fn stability(rows: &[StabilityRow]) -> String {
    align(&stability_table(rows))
        + "mean (minimum–maximum) over n trainings; stable: below 2 points on test images, on average\n"
}
