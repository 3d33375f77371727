//! The text of `lth evaluate`.

use super::table::render;
use crate::artifacts::RobustnessData;
use crate::report::{measures_note, robustness_table};

/// Returns a table of robustness and calibration with a line for each arm and round, and how to read it.
pub fn robustness(data: &RobustnessData) -> String {
    let note = measures_note(data);
    let note = if note.is_empty() { note } else { note + "\n" };
    render(&robustness_table(data)) + "mean (minimum–maximum) over n training runs\n" + &note
}
