//! The list of mistakes that the checks of the sections add to. Independent of the names of the keys.

use super::mistakes::diagnostic::Diagnostic;

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

    /// Adds a mistake.
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Adds the mistake of a conversion if it failed.
    pub(super) fn push_error<T>(&mut self, result: Result<T, Diagnostic>) {
        self.diagnostics.extend(result.err());
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

/// Returns whether `number` is finite and above 0.
pub(super) fn is_positive(number: f64) -> bool {
    number.is_finite() && number > 0.0
}

/// Returns whether `number` is at least 0 and below 1.
pub(super) fn is_below_one(number: f64) -> bool {
    (0.0..1.0).contains(&number)
}
