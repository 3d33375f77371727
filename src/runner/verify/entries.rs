//! Compares the files of store entries with their checksums.

use std::collections::BTreeSet;

use anyhow::Result;

use super::super::events::TrainingId;
use super::super::store_check::{EntryState, check_entry};
use super::super::store_listing::name;
use super::check::{Check, TRAIN_AGAIN, advice_on_error};
use super::verifier::Verifier;
use crate::lottery::TrainingSpec;
use crate::system::files;
use crate::system::paths::{RunsDir, TrainingDir};

/// The question of the check.
const ABOUT: &str = "SHA-256 of every file of the training runs in the store";

/// What was found in place of an entry.
enum Found {
    /// The entry, of which this number of files was freed.
    Whole { freed: usize },
    /// No complete entry: its training run is not trained.
    Unfinished,
    /// A difference, which the check has.
    Differs,
}

/// The advice for an entry that a newer version wrote.
const OTHER_VERSION: &str = "verify the run with that version";

impl Verifier<'_> {
    /// Compares every file of the entries of the plan, and of the copies that `lth stability` trained, with its
    /// checksum. Remembers the entries that are whole.
    pub(super) fn check_entries(&mut self) -> Check {
        let mut check = Check::new("entries", ABOUT, "training run");
        let (mut unfinished, mut freed) = (0, 0);
        let study = self.study;
        let mut seen = BTreeSet::new();
        for spec in study.plan.trainings.iter().filter(|spec| seen.insert(spec.key)) {
            match self.check_entry_of(spec, &mut check) {
                Found::Whole { freed: files } => freed += files,
                Found::Unfinished => unfinished += 1,
                Found::Differs => {}
            }
        }
        let mut copies = 0;
        for copy in study.plan.trainings.iter().map(TrainingSpec::with_other_data_order) {
            let entry = self.store.runs.training_dir(&copy.key);
            if entry.manifest_file().symlink_metadata().is_ok() && seen.insert(copy.key) {
                copies += 1;
                if let Found::Whole { freed: files } = self.check_entry_of(&copy, &mut check) {
                    freed += files;
                }
            }
        }
        check.note_left_out(unfinished, "not trained yet, failed or blocked");
        if copies > 0 {
            check.note(format!("{copies} of them are copies of `lth stability`"));
        }
        if freed > 0 {
            check.note(format!("{freed} files with weights were freed, and are no difference"));
        }
        check
    }

    /// Compares the files of the entry of one training run with their checksums.
    fn check_entry_of(&mut self, spec: &TrainingSpec, check: &mut Check) -> Found {
        let entry = self.store.runs.training_dir(&spec.key);
        let id = TrainingId::of(spec).to_string();
        match check_entry(&entry) {
            Ok(EntryState::Unfinished) if self.is_finished => {
                check.differ(id, format!("`{}` is missing", entry.manifest_file().display()), TRAIN_AGAIN);
            }
            Ok(EntryState::Unfinished) => return Found::Unfinished,
            Ok(EntryState::Damaged(damage)) => check.differ(id, damage.join("; "), TRAIN_AGAIN),
            Ok(EntryState::Whole(manifest)) if manifest.content != spec.content.value() => {
                check.differ(id, "its entry is that of another training run", TRAIN_AGAIN);
            }
            Ok(EntryState::Whole(manifest)) => {
                check.pass();
                let freed = manifest.files.keys().filter(|name| !entry.file(name).exists()).count();
                self.whole.insert(spec.key, *manifest);
                return Found::Whole { freed };
            }
            Err(error) => check.differ(id, format!("{error:#}"), advice_on_error(&error, OTHER_VERSION)),
        }
        Found::Differs
    }
}

/// Returns the check of the entries that `--fresh` moved to the archive with number `n`.
///
/// # Errors
/// Fails if the archive cannot be listed.
pub fn archived_entries(runs: &RunsDir, n: u32) -> Result<Check> {
    let mut check = Check::new("entries", ABOUT, "training run");
    let folder = runs.archived_store(n);
    for path in files::list(&folder)? {
        let entry = TrainingDir(path);
        if name(&entry.0).len() != 64 {
            continue;
        }
        let subject = format!("`{}`", entry.0.display());
        match check_entry(&entry) {
            Ok(EntryState::Unfinished) => check.note(format!("{subject} is not complete")),
            Ok(EntryState::Whole(_)) => check.pass(),
            Ok(EntryState::Damaged(damage)) => check.differ(subject, damage.join("; "), "nothing reads this entry"),
            Err(error) => check.differ(subject, format!("{error:#}"), "make the file readable"),
        }
    }
    check.note(format!("`--fresh` has archived the run: its training runs are in `{}`", folder.display()));
    Ok(check)
}
