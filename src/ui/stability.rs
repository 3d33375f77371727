//! `lth stability` as a person reads it.

use super::table::align;
use crate::artifacts::StabilityRow;
use crate::report::stability_table;

/// A line for each arm and round, and how to read it.
pub fn stability(rows: &[StabilityRow]) -> String {
    align(&stability_table(rows))
        + "mean (minimum–maximum) over n trainings; stable: below 2 points on test images, on average\n"
}
