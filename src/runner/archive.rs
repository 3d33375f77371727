//! `--fresh`: archives the store entries of a plan and the folder of its run, by renaming them. Nothing is deleted.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::lottery::Plan;
use crate::system::files;
use crate::system::files::Lock;
use crate::system::paths::{RunDir, RunsDir};

/// Renames the plan's entries to `store/old-<n>/<key>` and its run folder to `<folder>.old-<n>`, where n is the
/// smallest number that is free for both. Returns n; `None` if there is neither an entry nor a folder.
///
/// # Errors
/// Fails, and renames nothing, if another process runs this experiment, runs one that shares training runs with it, or
/// trains one of its training runs. Fails if a folder cannot be renamed; those that were renamed before it keep their
/// new names.
pub fn archive_plan(plan: &Plan, runs: &RunsDir, run_dir: &RunDir) -> Result<Option<u32>> {
    let mut keys: Vec<_> = plan.trainings.iter().map(|training| &training.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let entries: Vec<_> =
        keys.iter().map(|key| (*key, runs.training_dir(key))).filter(|(_, dir)| dir.0.exists()).collect();
    let Some(_run_lock) = Lock::try_exclusive(&run_dir.run_lock())? else {
        bail!("--fresh: another process is running this experiment");
    };
    for other in files::registered_runs(runs).iter().filter(|other| other.0 != run_dir.0) {
        let shares_keys = |text: &str| {
            let other_keys: BTreeSet<&str> = text.lines().collect();
            keys.iter().any(|key| other_keys.contains(key.to_string().as_str()))
        };
        let shares = fs::read_to_string(other.plan_keys()).is_ok_and(|text| shares_keys(&text));
        if shares && Lock::try_exclusive(&other.run_lock())?.is_none() {
            bail!("--fresh: `{}` is running and shares training runs with this experiment", other.0.display());
        }
    }
    let mut locks = Vec::new();
    for (key, entry) in &entries {
        match Lock::try_exclusive(&entry.lock_file())? {
            Some(lock) => locks.push(lock),
            None => bail!("--fresh: {} is training `{}`", Lock::holder(&entry.lock_file()), key.short()),
        }
    }
    if entries.is_empty() && !run_dir.0.exists() {
        return Ok(None);
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
