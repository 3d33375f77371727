//! The question before something is deleted.

use anyhow::Result;

use crate::config::UsageError;
use crate::ui;

/// Returns whether to delete: true with `--yes` (`is_given`), else the answer to `question`. `subject` is what would be
/// deleted.
///
/// # Errors
/// Returns a [`UsageError`] if there is no terminal to ask on.
pub(super) fn confirm_deletion(is_given: bool, subject: &str, question: &str) -> Result<bool> {
    if is_given {
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
