//! Which files of the built-in data sets are there, and whether they are what they should be.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::builtin;
use super::builtin::{BuiltinDataset, python_name};
use super::dataset_dir::{DatasetDir, RecordEncoding};
use super::info::PartialTest;
use super::load::read_file;

/// What is there of a data set.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetStatus {
    /// The data set.
    pub name: &'static str,
    /// Where its files are looked for.
    pub folder: PathBuf,
    /// What that comes to.
    pub state: Availability,
    /// File by file.
    pub files: Vec<FileReport>,
    /// What whoever uses it must know.
    pub note: Option<String>,
}

/// What the files of a data set come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// Every file is verified.
    Complete,
    /// Every file is usable, but the test set is not the whole official one.
    ShortTest,
    /// Some files are not there.
    Incomplete,
    /// No file is there.
    Missing,
    /// Some file is not what it should be.
    Damaged,
}

/// What is there of a file.
#[derive(Clone, Debug, Serialize)]
pub struct FileReport {
    /// The official name, that of CIFAR's form for Python where this one is there.
    pub name: &'static str,
    /// Where it was found, perhaps inside an archive.
    pub found: Option<String>,
    /// Bytes on disk; decompressed where it is inside an archive.
    pub bytes: Option<u64>,
    /// Whether it is what it should be.
    pub condition: FileStatus,
}

/// Whether a file is what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// Its SHA-256 is the pinned one.
    Verified,
    /// It holds so many images, fewer than the official file.
    Short(u32),
    /// It is not there.
    Missing,
    /// It is not usable; why.
    Damaged(String),
}

/// The names of the data sets that come in files.
pub fn names() -> [&'static str; 4] {
    builtin::ALL.map(|set| set.name)
}

/// Looks for the data set `name` in `folder`; `None` where there is no set of this name that comes in files.
pub fn status(name: &str, folder: &Path) -> Option<DatasetStatus> {
    builtin::ALL.into_iter().find(|set| set.name == name).map(|set| status_of(set, folder))
}

pub(super) fn status_of(set: &'static BuiltinDataset, folder: &Path) -> DatasetStatus {
    status_at(set, DatasetDir::of(set, folder))
}

/// Surveys the files of a data set in one folder.
pub(super) fn status_at(set: &'static BuiltinDataset, mut shelf: DatasetDir) -> DatasetStatus {
    let part = PartialTest::find(set, &mut shelf);
    let note = part.as_ref().map(|part| part.note(set));
    let test = part.map_or(set.test, |part| part.records);
    let mut files: Vec<FileReport> = (0..set.files.len()).map(|at| file_report(set, at, &mut shelf, test)).collect();
    // Where only Python's form is there, a file of it is what is missing.
    let is_python = |file: &FileReport| file.name == python_name(file.name);
    let found: Vec<bool> = files.iter().filter(|file| file.found.is_some()).map(is_python).collect();
    if set.python.is_some() && !found.is_empty() && found.iter().all(|&is_python| is_python) {
        for file in &mut files {
            file.name = python_name(file.name);
        }
    }
    DatasetStatus { name: set.name, folder: shelf.folder().to_owned(), state: state(&files), files, note }
}

fn file_report(set: &BuiltinDataset, at: usize, shelf: &mut DatasetDir, test: u32) -> FileReport {
    let binary = set.files[at].name;
    let Some(place) = shelf.find(binary) else {
        return FileReport { name: binary, found: None, bytes: None, condition: FileStatus::Missing };
    };
    let name = if place.coding == RecordEncoding::Python { python_name(binary) } else { binary };
    let opened = match shelf.open(binary) {
        Ok(opened) => opened,
        Err(error) => {
            let condition = FileStatus::Damaged(format!("{error:#}"));
            return FileReport { name, found: Some(place.path.display().to_string()), bytes: None, condition };
        }
    };
    let on_disk = Some(&place).filter(|place| place.is_plain_file()).and_then(|place| place.path.metadata().ok());
    let bytes = on_disk.map_or(opened.bytes.len() as u64, |metadata| metadata.len());
    let condition = match read_file(set, at, &opened, test) {
        Ok(_) if at + 1 == set.files.len() && test < set.test => FileStatus::Short(test),
        Ok(_) => FileStatus::Verified,
        // Without the outermost sentence, which names the file.
        Err(error) => FileStatus::Damaged(error.root_cause().to_string()),
    };
    FileReport { name, found: Some(opened.name), bytes: Some(bytes), condition }
}

fn state(files: &[FileReport]) -> Availability {
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
