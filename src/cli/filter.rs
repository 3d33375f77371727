//! Selection of training runs of a run by arm and round.

use anyhow::Result;
use clap::Args;

use crate::artifacts::{RoundRow, arms};
use crate::config::UsageError;

#[derive(Debug, Args)]
pub(super) struct RowFilter {
    /// Select this arm only (repeatable).
    #[arg(long, value_name = "NAME")]
    arm: Vec<String>,
    /// Select this round only (repeatable).
    #[arg(long, value_name = "N")]
    round: Vec<u32>,
}

impl RowFilter {
    /// Returns whether the filter names arms.
    pub(super) fn names_arms(&self) -> bool {
        !self.arm.is_empty()
    }

    /// Returns whether the filter names neither arms nor rounds.
    pub(super) fn is_empty(&self) -> bool {
        self.arm.is_empty() && self.round.is_empty()
    }

    /// Returns whether the training run of a row is selected.
    pub(super) fn matches(&self, row: &RoundRow) -> bool {
        (self.arm.is_empty() || self.arm.contains(&row.arm))
            && (self.round.is_empty() || self.round.contains(&row.round))
    }

    /// Checks that each named arm and round occurs in `rows`: an unknown name is a mistake, not an empty table.
    ///
    /// # Errors
    /// Returns a [`UsageError`] with the unknown arm or round and the known ones; `run` names the run, or runs, in the
    /// message.
    pub(super) fn check<'a>(&self, rows: impl Iterator<Item = &'a RoundRow> + Clone, run: &str) -> Result<()> {
        let arms = arms(rows.clone());
        let mistake = |message: String, known: String| {
            UsageError::from_text(&format!("error: {message} in {run}\n\nhint: one of: {known}"))
        };
        if let Some(arm) = self.arm.iter().find(|arm| !arms.contains(&arm.as_str())) {
            return Err(mistake(format!("there is no arm `{arm}`"), arms.join(", ")).into());
        }
        let mut rounds: Vec<u32> = rows.map(|row| row.round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        if let Some(round) = self.round.iter().find(|round| !rounds.contains(round)) {
            let known: Vec<String> = rounds.iter().map(ToString::to_string).collect();
            return Err(mistake(format!("there is no round {round}"), known.join(", ")).into());
        }
        Ok(())
    }
}
