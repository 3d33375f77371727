//! The list of mistakes that the checks of the sections add to. Independent of the names of the keys.

use super::mistakes::diagnostic::Diagnostic;

/// Largest number of mistakes that are kept. Far fewer are shown.
const MAX_KEPT: usize = 1000;

/// The mistakes found so far, in the order of the checks.
#[derive(Default)]
pub(super) struct Checker {
    diagnostics: Vec<Diagnostic>,
}

impl Checker {
    /// Adds the mistake "`key` `message`" if `is_valid` is false.
    pub(super) fn require(&mut self, key: &str, is_valid: bool, message: &str) {
        if !is_valid {
            self.push(Diagnostic::new(key, format!("`{key}` {message}")));
        }
    }

    /// Adds a mistake if `key` is given, but `is_chosen` is false. `choice` is the value of another key that `key`
    /// belongs to, as it is written in a file. The hint is to leave `key` out or to choose `choice`.
    pub(super) fn only_with_choice(&mut self, key: &str, is_given: bool, is_chosen: bool, choice: &str) {
        if is_given && !is_chosen {
            self.push(misplaced_key(key, choice).hint(format!("leave it out (`--unset {key}`), or choose {choice}")));
        }
    }

    /// Like [`Checker::only_with_choice`], but `owner` describes several choices, and the hint is only to leave `key`
    /// out.
    pub(super) fn only_with_owner(&mut self, key: &str, is_given: bool, is_chosen: bool, owner: &str) {
        if is_given && !is_chosen {
            self.push(misplaced_key(key, owner).hint(format!("leave it out (`--unset {key}`)")));
        }
    }

    /// Like [`Checker::only_with_owner`], but without a hint.
    pub(super) fn only_with_owner_unhinted(&mut self, key: &str, is_given: bool, is_chosen: bool, owner: &str) {
        if is_given && !is_chosen {
            self.push(misplaced_key(key, owner));
        }
    }

    /// Adds a mistake, unless there are [`MAX_KEPT`] already.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.len() < MAX_KEPT {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Adds the mistake that the list `key` has more than [`MAX_ITEMS`] items if it does, and returns whether it has at
    /// most so many.
    pub(super) fn require_length(&mut self, key: &str, length: usize) -> bool {
        let is_short = length <= MAX_ITEMS;
        self.require(key, is_short, "must not have more than 1000 entries");
        is_short
    }

    /// Adds the mistake that `key` is 0 or infinite in float32 if it is. `None` and numbers that are not above 0 are no
    /// mistake here.
    pub(super) fn require_float32(&mut self, key: &str, number: Option<f64>) {
        let Some(number) = number.filter(|&number| is_positive(number)) else { return };
        if !(number as f32).is_normal() {
            let message = format!("`{key}` is {} in float32, the type of weights", number as f32);
            self.push(Diagnostic::new(key, message).hint("from 1.2e-38 to 3.4e38"));
        }
    }

    /// Adds the mistake of a conversion if it failed.
    pub(super) fn push_error<T>(&mut self, result: Result<T, Diagnostic>) {
        if let Err(diagnostic) = result {
            self.push(diagnostic);
        }
    }

    /// Returns all mistakes in the order in which they were added.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        self.diagnostics
    }
}

/// Returns the mistake that `key` is given although it belongs to `owner`, which is not chosen. Such a key is not
/// ignored, because it would have no effect.
fn misplaced_key(key: &str, owner: &str) -> Diagnostic {
    Diagnostic::new(key, format!("`{key}` belongs to {owner}")).on_key()
}

/// Largest number of items of a list, and of arms.
pub(super) const MAX_ITEMS: usize = 1000;

/// Returns whether `number` is finite and above 0.
pub(super) fn is_positive(number: f64) -> bool {
    number.is_finite() && number > 0.0
}

/// Returns whether `number` is at least 0 and below 1.
pub(super) fn is_below_one(number: f64) -> bool {
    (0.0..1.0).contains(&number)
}
