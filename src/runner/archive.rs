//! `--fresh`: archives the store entries of a plan and the folder of its run, by renaming them. Nothing is deleted.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::artifacts::plan_keys;
use crate::lottery::Plan;
use crate::system::files::{self, Lock, WaitOptions};
use crate::system::paths::{RunDir, RunsDir};

/// Renames the plan's entries to `store/old-<n>/<key>` and its run folder to `<folder>.old-<n>`, where n is the
/// smallest number that is free for both. Returns n; `None` if there is neither an entry nor a folder. Holds the lock
/// that keeps runs from starting meanwhile, so that no lock of an entry need be held: their number has no limit, but
/// that of open files has.
///
/// # Errors
/// Fails, and renames nothing, if another process runs this experiment, runs one that shares training runs with it, or
/// trains one of its training runs. Fails if a folder cannot be renamed; those that were renamed before it keep their
/// new names.
pub fn archive_plan(
    plan: &Plan,
    runs: &RunsDir,
    run_dir: &RunDir,
    wait_options: &WaitOptions<'_>,
) -> Result<Option<u32>> {
    let keys: BTreeSet<_> = plan.trainings.iter().map(|training| training.key).collect();
    let entries: Vec<_> =
        keys.iter().map(|key| (key, runs.training_dir(key))).filter(|(_, dir)| dir.0.exists()).collect();
    if entries.is_empty() && !run_dir.0.exists() {
        return Ok(None);
    }
    let _admission = Lock::wait_exclusive(&runs.admission_lock(), wait_options)?;
    let Some(_run_lock) = Lock::try_exclusive(&run_dir.run_lock())? else {
        bail!("--fresh: another process is running this experiment");
    };
    for other in files::registered_runs(runs).iter().filter(|other| other.0 != run_dir.0) {
        // A run whose keys are not known may share training runs.
        let shares = plan_keys(other).map_or(true, |others| keys.iter().any(|key| others.contains(&key.to_string())));
        if shares && Lock::is_held(&other.run_lock()) {
            bail!("--fresh: `{}` is running and shares training runs with this experiment", other.0.display());
        }
    }
    for (key, entry) in &entries {
        if Lock::is_held(&entry.lock_file()) {
            bail!("--fresh: {} is training `{}`", Lock::holder(&entry.lock_file()), key.short());
        }
    }
    let n = files::next_free_number(|n| runs.archived_store(n).exists() || run_dir.archived(n).exists());
    let archive = runs.archived_store(n);
    fs::create_dir_all(&archive).with_context(|| format!("could not make `{}`", archive.display()))?;
    for (key, entry) in &entries {
        let to = archive.join(key.to_string());
        fs::rename(&entry.0, &to).with_context(|| format!("could not rename `{}`", entry.0.display()))?;
    }
    if run_dir.0.exists() {
        fs::rename(&run_dir.0, run_dir.archived(n))
            .with_context(|| format!("could not rename `{}`", run_dir.0.display()))?;
    }
    Ok(Some(n))
}
