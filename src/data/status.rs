//! The files of the built-in data sets on this machine, and whether they are the official ones.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::builtin;
use super::builtin::{BuiltinDataset, python_name};
use super::dataset_dir::{DatasetDir, RecordEncoding};
use super::load::read_file;
use super::partial_test::PartialTest;

/// The state of a built-in data set on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetStatus {
    /// Name of the data set.
    pub name: &'static str,
    /// Folder of its files.
    pub folder: PathBuf,
    /// The state of all files together.
    pub state: Availability,
    /// The state of each file, in the order of the data set.
    pub files: Vec<FileReport>,
    /// A note on the results with it; `None` if there is nothing to note.
    pub note: Option<String>,
}

/// The state of the files of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Every file is verified.
    Complete,
    /// Every file is usable, but the test file has fewer images than the official one.
    ShortTest,
    /// Some files are missing.
    Incomplete,
    /// All files are missing.
    Missing,
    /// A file is damaged, or is not the official one.
    Damaged,
}

/// The state of a file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// The official name; the name in the Python version of CIFAR if this version was found.
    pub name: &'static str,
    /// Path of the file, or of the archive and the file in it; `None` if it is missing.
    pub found: Option<String>,
    /// Bytes on disk; bytes after decompression for a file in an archive.
    pub bytes: Option<u64>,
    /// The result of its verification.
    pub condition: FileStatus,
}

/// The result of the verification of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// The SHA-256 is the pinned one.
    Verified,
    /// It holds this number of images, fewer than the official file.
    Short(u32),
    /// It is missing.
    Missing,
    /// It is not usable, for this reason.
    Damaged(String),
}

/// Returns the names of the data sets that consist of files.
pub fn names() -> [&'static str; 4] {
    builtin::ALL.map(|set| set.name)
}

/// Returns the state of the data set `name` in `folder`; `None` if no data set of this name consists of files.
pub fn status(name: &str, folder: &Path) -> Option<DatasetStatus> {
    builtin::ALL.into_iter().find(|set| set.name == name).map(|set| status_of(set, folder))
}

/// Returns the state of a data set in `folder`, the folder of all data sets.
pub(super) fn status_of(set: &'static BuiltinDataset, folder: &Path) -> DatasetStatus {
    status_at(set, DatasetDir::of(set, folder))
}

/// Returns the state of a data set in the folder `dir`.
pub(super) fn status_at(set: &'static BuiltinDataset, mut dir: DatasetDir) -> DatasetStatus {
    let partial_test = PartialTest::find(set, &mut dir);
    let note = partial_test.as_ref().map(|partial| partial.note(set));
    let test = partial_test.map_or(set.test, |partial| partial.records);
    let indices = 0..set.files.len();
    let mut files: Vec<FileReport> = indices.map(|index| file_report(set, index, &mut dir, test)).collect();
    // If all files that were found are of the Python version, the missing ones are named as in this version too.
    let is_python = |file: &FileReport| file.name == python_name(file.name);
    let found: Vec<bool> = files.iter().filter(|file| file.found.is_some()).map(is_python).collect();
    if set.python.is_some() && !found.is_empty() && found.iter().all(|&is_python| is_python) {
        for file in &mut files {
            file.name = python_name(file.name);
        }
    }
    DatasetStatus { name: set.name, folder: dir.folder().to_owned(), state: availability(&files), files, note }
}

/// Returns the state of file `index` of a data set with `test` test images.
fn file_report(set: &BuiltinDataset, index: usize, dir: &mut DatasetDir, test: u32) -> FileReport {
    let binary = set.files[index].name;
    let Some(location) = dir.find(binary) else {
        return FileReport { name: binary, found: None, bytes: None, condition: FileStatus::Missing };
    };
    let name = if location.encoding == RecordEncoding::Python { python_name(binary) } else { binary };
    let opened = match dir.open(binary) {
        Ok(opened) => opened,
        Err(error) => {
            let condition = FileStatus::Damaged(format!("{error:#}"));
            return FileReport { name, found: Some(location.path.display().to_string()), bytes: None, condition };
        }
    };
    let plain_file = Some(&location).filter(|location| location.is_plain_file());
    let on_disk = plain_file.and_then(|location| location.path.metadata().ok());
    let bytes = on_disk.map_or(opened.bytes.len() as u64, |metadata| metadata.len());
    let condition = match read_file(set, index, &opened, test) {
        Ok(_) if index + 1 == set.files.len() && test < set.test => FileStatus::Short(test),
        Ok(_) => FileStatus::Verified,
        // The outermost sentence only names the file.
        Err(error) => FileStatus::Damaged(error.root_cause().to_string()),
    };
    FileReport { name, found: Some(opened.name), bytes: Some(bytes), condition }
}

fn availability(files: &[FileReport]) -> Availability {
    let missing = files.iter().filter(|file| file.condition == FileStatus::Missing).count();
    if files.iter().any(|file| matches!(file.condition, FileStatus::Damaged(_))) {
        Availability::Damaged
    } else if missing == files.len() {
        Availability::Missing
    } else if missing > 0 {
        Availability::Incomplete
    } else if files.iter().any(|file| matches!(file.condition, FileStatus::Short(_))) {
        Availability::ShortTest
    } else {
        Availability::Complete
    }
}
