//! The files of the built-in data sets on this machine, and whether they are the official ones.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::builtin;
use super::builtin::{BuiltinDataset, python_name};
use super::dataset_dir::{CifarEncoding, DatasetDir};
use super::dirs;
use super::load::read_file;
use super::partial_test::PartialTest;
use crate::base::format::with_thousands;
use crate::config::DataConfig;

/// A built-in data set on this machine, with its files.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct DatasetReport {
    /// Name of the data set.
    pub name: &'static str,
    /// Folder of its files.
    pub folder: PathBuf,
    /// The state of all files together.
    #[serde(rename = "state")]
    pub status: DatasetStatus,
    /// The files, in the order of the data set.
    pub files: Vec<FileReport>,
    /// A note on the results with it; `None` if there is nothing to note.
    pub note: Option<String>,
}

/// The state of the files of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatasetStatus {
    /// Every file is verified.
    Complete,
    /// Every file is usable, but the test file has fewer images than the official one.
    #[serde(rename = "short_test")]
    PartialTest,
    /// Some files are missing.
    Incomplete,
    /// All files are missing.
    Missing,
    /// A file is damaged, or is not the official one.
    Damaged,
}

/// A file of a built-in data set on this machine.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct FileReport {
    /// The official name; the name in the Python version of CIFAR if this version was found.
    pub name: &'static str,
    /// Path of the file, or of the archive and the file in it; `None` if it is missing.
    pub found: Option<String>,
    /// Bytes on disk; bytes after decompression for a file in an archive.
    pub bytes: Option<u64>,
    /// The state of the file.
    #[serde(rename = "condition")]
    pub status: FileStatus,
}

/// The state of a file after its verification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// The SHA-256 is the pinned one.
    Verified,
    /// A test file with this number of images, fewer than in the official file.
    #[serde(rename = "short")]
    Partial(u32),
    /// The file is missing.
    Missing,
    /// The file is not usable, for this reason.
    Damaged(String),
}

impl DatasetReport {
    /// Returns the state of a data set whose test file has fewer images than the official one, as text: `usable; test set
    /// incomplete (1,000 of 10,000)`.
    pub fn partial_test_text(&self) -> String {
        let records = self.files.iter().find_map(|file| match file.status {
            FileStatus::Partial(records) => Some(records),
            _ => None,
        });
        let whole = builtin::ALL.into_iter().find(|builtin| builtin.name == self.name).map(|found| found.test_images);
        let [records, whole] = [records, whole].map(|n| with_thousands(n.unwrap_or_default().into()));
        format!("usable; test set incomplete ({records} of {whole})")
    }

    /// Returns why the data set cannot be used, with the command that mends it; `None` if it can be used. `folder`: the
    /// folder of all data sets.
    fn problem(&self, folder: &Path) -> Option<String> {
        let (state, command) = match self.status {
            DatasetStatus::Complete | DatasetStatus::PartialTest => return None,
            DatasetStatus::Missing => ("not found", "fetch"),
            DatasetStatus::Incomplete => ("incomplete", "fetch"),
            DatasetStatus::Damaged => ("damaged", "check"),
        };
        let argument = dirs::data_dir_argument(folder);
        let name = self.name;
        Some(format!("{name} {state} in {} (`lth data {command} {name}{argument}`)", self.folder.display()))
    }
}

/// Returns why the data set that `data` names cannot be used, with the command that mends it; `None` if it can be used.
/// Reads and verifies every file of a built-in data set. Custom data are verified when they are
/// [inspected](super::inspect), and `strokes` needs no files.
pub fn problem(data: &DataConfig) -> Option<String> {
    let builtin = builtin::of(&data.dataset)?;
    let folder = dirs::folder(data);
    report_of(builtin, &folder).problem(&folder)
}

/// Returns the names of the data sets that consist of files.
pub fn names() -> [&'static str; 4] {
    builtin::ALL.map(|builtin| builtin.name)
}

/// Returns the report on the data set `name` in `folder`; `None` if no data set of this name consists of files.
pub fn status(name: &str, folder: &Path) -> Option<DatasetReport> {
    builtin::ALL.into_iter().find(|builtin| builtin.name == name).map(|builtin| report_of(builtin, folder))
}

/// Returns the report on a data set in `folder`, the folder of all data sets.
pub(super) fn report_of(builtin: &'static BuiltinDataset, folder: &Path) -> DatasetReport {
    report_at(builtin, DatasetDir::find(builtin, folder))
}

/// Returns the report on a data set in the folder `dir`.
pub(super) fn report_at(builtin: &'static BuiltinDataset, mut dir: DatasetDir) -> DatasetReport {
    let partial_test = PartialTest::find(builtin, &mut dir);
    let note = partial_test.as_ref().map(|partial| partial.note(builtin));
    let test = partial_test.map_or(builtin.test_images, |partial| partial.records);
    let indices = 0..builtin.files.len();
    let mut files: Vec<FileReport> = indices.map(|index| file_report(builtin, index, &mut dir, test)).collect();
    // If all files that were found are of the Python version, the missing ones get their names in this version too.
    let is_python = |file: &FileReport| file.name == python_name(file.name);
    let found: Vec<bool> = files.iter().filter(|file| file.found.is_some()).map(is_python).collect();
    if builtin.python.is_some() && !found.is_empty() && found.iter().all(|&is_python| is_python) {
        for file in &mut files {
            file.name = python_name(file.name);
        }
    }
    DatasetReport { name: builtin.name, folder: dir.folder().to_owned(), status: dataset_status(&files), files, note }
}

/// Returns the report on file `index` of a data set with `test` test images.
fn file_report(builtin: &BuiltinDataset, index: usize, dir: &mut DatasetDir, test: u32) -> FileReport {
    let binary = builtin.files[index].name;
    let Some(location) = dir.locate(binary) else {
        return FileReport { name: binary, found: None, bytes: None, status: FileStatus::Missing };
    };
    let name = if location.encoding == CifarEncoding::Python { python_name(binary) } else { binary };
    let opened = match dir.open(binary) {
        Ok(opened) => opened,
        Err(error) => {
            let status = FileStatus::Damaged(format!("{error:#}"));
            return FileReport { name, found: Some(location.path.display().to_string()), bytes: None, status };
        }
    };
    let plain_file = Some(&location).filter(|location| location.is_plain_file());
    let on_disk = plain_file.and_then(|location| location.path.metadata().ok());
    let bytes = on_disk.map_or(opened.bytes.len() as u64, |metadata| metadata.len());
    let status = match read_file(builtin, index, &opened, test) {
        Ok(_) if index + 1 == builtin.files.len() && test < builtin.test_images => FileStatus::Partial(test),
        Ok(_) => FileStatus::Verified,
        // The outer error only names the file, which the report has anyway: the root cause is enough.
        Err(error) => FileStatus::Damaged(error.root_cause().to_string()),
    };
    FileReport { name, found: Some(opened.name), bytes: Some(bytes), status }
}

/// Returns the state of all files together.
fn dataset_status(files: &[FileReport]) -> DatasetStatus {
    let missing = files.iter().filter(|file| file.status == FileStatus::Missing).count();
    if files.iter().any(|file| matches!(file.status, FileStatus::Damaged(_))) {
        DatasetStatus::Damaged
    } else if missing == files.len() {
        DatasetStatus::Missing
    } else if missing > 0 {
        DatasetStatus::Incomplete
    } else if files.iter().any(|file| matches!(file.status, FileStatus::Partial(_))) {
        DatasetStatus::PartialTest
    } else {
        DatasetStatus::Complete
    }
}
