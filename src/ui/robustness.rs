//! The text of `lth evaluate`.

use super::table::render;
use crate::report::{RobustnessData, robustness_table};

/// Returns a table of robustness and calibration with a line for each arm and round, and how to read it.
pub fn robustness(data: &RobustnessData) -> String {
    render(&robustness_table(data))
        + "mean (minimum–maximum) over n training runs; corrupted: mean over kinds and levels; attacked: mean over ε\n"
}
