//! A check of `lth verify` and its result.

use std::path::Path;

use anyhow::Error;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::format::count_of;
use crate::system::retry::io_error;

/// The advice for a damaged entry of the store.
pub(super) const TRAIN_AGAIN: &str = "run the command of the run: it trains this training run again";
/// The advice for an invariant that does not hold in files whose checksums are right.
pub(super) const DEFECT: &str = "the files have their checksums, so this is a defect of the program that wrote them: \
                                 move the entry away and run the command of the run again";
/// The advice for numbers that are others when they are computed again.
pub(super) const OTHER_NUMBERS: &str = "on the kind of processor or GPU and with the versions of the training run, this is \
                                        a defect of the program that wrote the files: move the entry away and run the \
                                        command of the run again. Elsewhere the last digits may differ";
/// The advice for a file that cannot be read.
const MAKE_READABLE: &str = "make the file readable, and verify the run again";
/// The advice for a file of the run.
pub const WRITE_AGAIN: &str = "run the command of the run: it writes the file again";

/// Returns the advice for a file whose reading failed with `error`: to make it readable after an I/O error, else
/// `otherwise`.
pub(super) fn advice_on_error(error: &Error, otherwise: &'static str) -> &'static str {
    if io_error(error).is_some() { MAKE_READABLE } else { otherwise }
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckState {
    /// Everything that was compared is equal.
    Passed,
    /// Something differs.
    Differs,
    /// Nothing was compared; the note has the reason.
    Skipped,
}

impl CheckState {
    /// Returns the state as a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Differs => "differs",
            Self::Skipped => "skipped",
        }
    }
}

/// Something that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The file, or the training run.
    pub subject: String,
    /// What differs.
    pub difference: String,
    /// What to do.
    pub advice: String,
}

/// A check of a run: what was compared, and what differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Check {
    /// Name of the check, such as `masks`.
    pub name: &'static str,
    /// What is compared with what.
    pub about: &'static str,
    /// Number of files, training runs or networks that were compared.
    pub compared: usize,
    /// What the number counts, such as `training run`.
    #[serde(skip)]
    pub unit: &'static str,
    /// Result of the check.
    pub state: CheckState,
    /// Notes on what was left out, as sentences without a period; empty if nothing was.
    pub notes: Vec<String>,
    /// What differs; empty unless `state` is `differs`.
    pub differences: Vec<Difference>,
}

impl Check {
    /// Returns a check that has compared nothing yet. `unit`: what it counts, in the singular.
    pub fn new(name: &'static str, about: &'static str, unit: &'static str) -> Self {
        Self { name, about, compared: 0, unit, state: CheckState::Skipped, notes: Vec::new(), differences: Vec::new() }
    }

    /// Counts something that was compared and is equal.
    pub fn pass(&mut self) {
        self.compared += 1;
        if self.state == CheckState::Skipped {
            self.state = CheckState::Passed;
        }
    }

    /// Counts something that was compared and differs.
    pub fn differ(&mut self, subject: impl Into<String>, difference: impl Into<String>, advice: impl Into<String>) {
        self.compared += 1;
        self.state = CheckState::Differs;
        self.differences.push(Difference {
            subject: subject.into(),
            difference: difference.into(),
            advice: advice.into(),
        });
    }

    /// Compares the bytes of the file at `path`; `None` for a file that is missing.
    pub fn compare(&mut self, path: &Path, stored: Option<&[u8]>, expected: &[u8], advice: &str) {
        let subject = format!("`{}`", path.display());
        match stored {
            Some(stored) if stored == expected => self.pass(),
            Some(stored) => self.differ(subject, first_difference(stored, expected), advice),
            None => self.differ(subject, "it is missing", advice),
        }
    }

    /// Adds a note.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Notes that the run was made on the `other` machine, where the last digits of what was computed again may differ;
    /// what differs here is no defect.
    pub fn note_other_machine(&mut self, other: &str) {
        self.note(format!("the run was made on {other}, where the last digits may be others"));
        for difference in &mut self.differences {
            difference.advice = format!("verify it on {other}: elsewhere the last digits may be others");
        }
    }

    /// Adds a note on `count` of the units that were left out, unless there are none.
    pub fn note_left_out(&mut self, count: usize, reason: &str) {
        if count > 0 {
            self.note(format!("{} left out: {reason}", count_of(count as u64, self.unit)));
        }
    }
}

/// Returns the place of the first difference between two files as text, counted in lines.
fn first_difference(stored: &[u8], expected: &[u8]) -> String {
    let lines = |bytes: &[u8]| bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let (found, wanted) = (lines(stored), lines(expected));
    let same = found.iter().zip(&wanted).take_while(|(a, b)| a == b).count();
    format!("line {} differs: {} lines, {} expected", same + 1, found.len(), wanted.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_counts_what_is_equal_and_names_what_differs() {
        let mut check = Check::new("files", "bytes", "file");
        assert_eq!(check.state, CheckState::Skipped);
        check.compare(Path::new("a"), Some(b"1\n2\n"), b"1\n2\n", "write it again");
        assert_eq!((check.compared, check.state), (1, CheckState::Passed));
        check.compare(Path::new("b"), Some(b"1\n3\n"), b"1\n2\n4\n", "write it again");
        check.compare(Path::new("c"), None, b"", "write it again");
        assert_eq!((check.compared, check.state), (3, CheckState::Differs));
        let texts: Vec<_> = check.differences.iter().map(|found| found.difference.as_str()).collect();
        assert_eq!(texts, ["line 2 differs: 2 lines, 3 expected", "it is missing"]);
        check.note_left_out(0, "never");
        check.note_left_out(2, "their weights were freed");
        assert_eq!(check.notes, ["2 files left out: their weights were freed"]);
    }
}
