//! What the commands that delete share: their options, the question before something is deleted, and their output.

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::config::UsageError;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct DeletionArgs {
    /// List what would be deleted, and delete nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Delete without asking.
    #[arg(long, short)]
    yes: bool,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

impl DeletionArgs {
    /// Returns whether the command asks before it deletes.
    pub(super) fn asks(&self) -> bool {
        !self.dry_run && !self.yes
    }

    /// Returns whether to delete: true with `--yes`, else the answer to `question`. `subject` is what would be deleted.
    ///
    /// # Errors
    /// Returns a [`UsageError`] if there is no terminal to ask on.
    pub(super) fn confirm(&self, subject: &str, question: &str) -> Result<bool> {
        if self.yes {
            return Ok(true);
        }
        let Some(answer) = ui::confirm(question) else {
            let message = format!("error: {subject} would be deleted, and there is no terminal to ask on");
            return Err(
                UsageError::from_text(&format!("{message}\n\nhint: use `--yes` to delete without a question")).into()
            );
        };
        Ok(answer)
    }

    /// Prints the list of what is or would be deleted; with `--json` nothing, because the result is the only output.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub(super) fn print_list(&self, list: &str) -> Result<()> {
        if self.json { Ok(()) } else { Ok(ui::print_result(list)?) }
    }

    /// Prints the result: `text`, or with `--json` the line of `result`.
    ///
    /// # Errors
    /// Fails if standard output cannot be written.
    pub(super) fn print_result<R: Serialize>(&self, text: &str, result: &R) -> Result<()> {
        let line = if self.json { serde_json::to_string(result)? } else { text.to_owned() };
        Ok(ui::print_result(&(line + "\n"))?)
    }
}
