//! Test files of CIFAR with fewer records than the official file.

use super::builtin::{BuiltinDataset, FileFormat};
use super::cifar;
use super::class_selection::count_classes;
use super::dataset_dir::{DatasetDir, FileLocation};
use crate::base::key::sha256;

/// A test file with fewer records than the official one.
pub(super) struct PartialTest {
    /// Number of records in the file, at least 1.
    pub(super) records: u32,
    /// Number of records of each class, by label.
    pub(super) class_counts: Vec<u32>,
    /// SHA-256 of the decompressed file.
    pub(super) sha256: String,
    /// Name of the file in messages.
    file: String,
}

impl PartialTest {
    /// Reads the test file of `builtin` in `dir` and returns it if it is partial. `None` for a complete, missing or
    /// damaged file: damage is reported when the data set is loaded.
    pub(super) fn find(builtin: &BuiltinDataset, dir: &mut DatasetDir) -> Option<Self> {
        let FileFormat::Cifar { label_bytes, .. } = builtin.format else { return None };
        dir.locate(builtin.last_file().name).filter(FileLocation::is_plain_file)?;
        let file = dir.open(builtin.last_file().name).ok()?;
        let labels = cifar::read(&file.bytes, label_bytes, builtin.classes).ok()?.labels;
        let records = labels.len() as u32;
        let [_, class_counts] = count_classes(&labels, 0, builtin.classes);
        let is_partial = (1..builtin.test_images).contains(&records);
        is_partial.then(|| Self { records, class_counts, sha256: sha256(&file.bytes), file: file.name })
    }

    /// Returns the note that results on this test set must show.
    pub(super) fn note(&self, builtin: &BuiltinDataset) -> String {
        format!(
            "`{}` holds {} of the {} test images of `{}`: results on them are not comparable with those on the whole \
             test set",
            self.file, self.records, builtin.test_images, builtin.name
        )
    }
}
