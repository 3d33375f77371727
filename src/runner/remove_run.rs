//! Removal of a run: of the files that this program wrote into its folder. Its training runs stay in the store.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::orphans::remove_if_empty;
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::{ReportDir, RunDir, RunsDir, is_temporary};
use crate::system::written_files::WrittenFiles;

/// The files of a run that this program writes, those of its report and its event files excepted.
const FILES: [&str; 17] = [
    RunDir::CONFIG[0],
    RunDir::CONFIG[1],
    RunDir::RESOLVED_CONFIG,
    RunDir::MANIFEST,
    RunDir::ROUNDS,
    RunDir::CURVES,
    RunDir::LAYERS,
    RunDir::SUMMARY,
    RunDir::WEIGHTS,
    RunDir::STABILITY,
    RunDir::LANDSCAPE,
    RunDir::LANDSCAPE_CURVES,
    RunDir::ROBUSTNESS,
    RunDir::CALIBRATION,
    RunDir::CLASS_ACCURACY,
    RunDir::TIMINGS,
    RunDir::CHECKSUMS,
];

/// The result of removing a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemovedRun {
    /// The total size of the removed files in bytes.
    pub bytes: u64,
    /// Files and folders that this program did not write, which stay.
    pub foreign: Vec<PathBuf>,
}

/// Removes the files of a run, and its folder if nothing else is in it. Holds the lock that keeps runs from
/// starting meanwhile.
///
/// # Errors
/// Fails, and removes nothing, if the run is running. Fails if a file cannot be removed.
pub fn remove_run(run: &RunDir, wait_options: &WaitOptions<'_>) -> Result<RemovedRun> {
    let runs = RunsDir(run.0.parent().unwrap_or(Path::new("")).to_owned());
    let _admission = Lock::wait_exclusive(&runs.admission_lock(), wait_options)?;
    if Lock::is_held(&run.run_lock()) {
        bail!("`{}` is running", run.0.display());
    }
    let before = files::size(&run.0);
    let report = run.report_dir().0;
    for folder in [&report, &report.join(ReportDir::FIGURES)] {
        files::remove_stale_temporaries(folder)?;
    }
    WrittenFiles::read(&report)?.remove()?;
    remove_event_files(&run.file(RunDir::TENSORBOARD))?;
    for path in files::list(&run.0)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if (FILES.contains(&&*name) || is_temporary(&name)) && path.symlink_metadata().is_ok_and(|file| file.is_file())
        {
            files::remove(&path)?;
        }
    }
    remove_if_empty(&run.0)?;
    for lock in [run.plan_keys(), run.write_lock(), run.run_lock()] {
        files::remove(&lock)?;
    }
    let foreign = files::list(&run.0)?;
    Ok(RemovedRun { bytes: before - files::size(&run.0).min(before), foreign })
}

/// Removes the event files in a folder and its subfolders, and the folders that are empty then. Links are not followed.
fn remove_event_files(folder: &Path) -> Result<()> {
    if !folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(());
    }
    files::remove_stale_temporaries(folder)?;
    for path in files::list(folder)? {
        let is_event_file = path.file_name().is_some_and(|name| name == RunDir::EVENTS);
        if is_event_file && path.symlink_metadata().is_ok_and(|file| file.is_file()) {
            files::remove(&path)?;
        } else {
            remove_event_files(&path)?;
        }
    }
    remove_if_empty(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removal_leaves_files_of_users() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir(folder.path().join("a-12345678"));
        let write = |run: &RunDir, name: &str| files::write(&run.file(name), b"text").unwrap();
        write(&run, RunDir::ROUNDS);
        write(&run, RunDir::MANIFEST);
        let report = |name: &str| (name.to_owned(), b"text".to_vec());
        WrittenFiles::read(&run.report_dir().0)
            .unwrap()
            .replace(&[report("index.html"), report("figures/a.svg")])
            .unwrap();
        let clean = RunDir(folder.path().join("b-12345678"));
        write(&clean, RunDir::ROUNDS);
        write(&run, "report/figures/mine.svg");
        write(&run, "notes.txt");
        write(&run, &RunDir::event_file("a", 1, None, Some(2)));
        write(&run, &RunDir::event_file("b", 1, None, None));
        write(&run, "tensorboard/b/mine.txt");

        let wait_options = WaitOptions { gives_up: &|| false, announce: &|_| {} };
        let removed = remove_run(&run, &wait_options).unwrap();
        assert_eq!(removed.foreign, [run.file("notes.txt"), run.file("report"), run.file("tensorboard")]);
        assert_eq!(files::list(&run.file("tensorboard")).unwrap(), [run.file("tensorboard/b")]);
        assert_eq!(files::list(&run.file("tensorboard/b")).unwrap(), [run.file("tensorboard/b/mine.txt")]);
        assert_eq!(files::list(&run.report_dir().0).unwrap(), [run.file("report/figures")]);
        assert!(run.file("report/figures/mine.svg").exists());
        let removed = remove_run(&clean, &wait_options).unwrap();
        assert_eq!(removed, RemovedRun { bytes: 4, foreign: Vec::new() });
        assert!(!clean.0.exists());

        write(&clean, RunDir::ROUNDS);
        let _running = Lock::try_shared(&clean.run_lock()).unwrap();
        assert!(remove_run(&clean, &wait_options).unwrap_err().to_string().contains("is running"));
        assert!(clean.0.exists());
    }
}
