//! `--fresh`: sets a plan's entries and its view aside. Nothing is deleted.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::lottery::Plan;
use crate::system::files;
use crate::system::files::Lock;
use crate::system::paths::{RunDir, RunsDir};

/// Renames the plan's entries to `store/old-<n>/<key>` and its view to `<view>.old-<n>`, with the first free n.
///
/// # Errors
/// Where another process holds one of them; nothing has been renamed then.
pub fn archive_plan(plan: &Plan, runs: &RunsDir, view: &RunDir) -> Result<Option<u32>> {
    let mut keys: Vec<_> = plan.trainings.iter().map(|training| &training.key).collect();
    keys.sort_unstable();
    keys.dedup();
    let entries: Vec<_> = keys.iter().map(|key| (*key, runs.training_dir(key))).filter(|(_, e)| e.0.exists()).collect();
    let Some(_alone) = Lock::try_exclusive(&view.run_lock())? else {
        bail!("--fresh: another process is running this experiment");
    };
    for other in files::registered_runs(runs).iter().filter(|other| other.0 != view.0) {
        let theirs = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<String>>();
        let shares = |theirs: &BTreeSet<String>| keys.iter().any(|key| theirs.contains(&key.to_string()));
        let works_with_ours = fs::read_to_string(other.plan_keys()).is_ok_and(|text| shares(&theirs(&text)));
        if works_with_ours && Lock::try_exclusive(&other.run_lock())?.is_none() {
            bail!("--fresh: `{}` is running and shares trainings with this experiment", other.0.display());
        }
    }
    let mut locks = Vec::new();
    for (key, entry) in &entries {
        match Lock::try_exclusive(&entry.lock_file())? {
            Some(lock) => locks.push(lock),
            None => bail!("--fresh: {} is training `{}` just now", Lock::holder(&entry.lock_file()), key.short()),
        }
    }
    if entries.is_empty() && !view.0.exists() {
        return Ok(None);
    }
    let n = files::next_free_number(|n| runs.archived_store(n).exists() || view.archived(n).exists());
    let old = runs.archived_store(n);
    fs::create_dir_all(&old).with_context(|| format!("could not make `{}`", old.display()))?;
    for (key, entry) in &entries {
        let to = old.join(key.to_string());
        fs::rename(&entry.0, &to).with_context(|| format!("could not rename `{}`", entry.0.display()))?;
    }
    if view.0.exists() {
        fs::rename(&view.0, view.archived(n)).with_context(|| format!("could not rename `{}`", view.0.display()))?;
    }
    Ok(Some(n))
}
