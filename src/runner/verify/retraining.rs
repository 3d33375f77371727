//! Trains randomly chosen training runs again in a temporary store, and compares the bytes of their results.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::super::context::RunContext;
use super::super::events::TrainingId;
use super::super::jobs::Selection;
use super::super::run::Runner;
use super::super::run_files::RunFiles;
use super::super::store::{Store, StoredManifest, read_manifest};
use super::check::{Check, OTHER_NUMBERS};
use super::verifier::Verifier;
use crate::artifacts::EntryManifest;
use crate::base::key::ContentHash;
use crate::base::rng::{Purpose, Stream};
use crate::config::KeepWeights;
use crate::lottery::{Plan, TrainingSpec};
#[cfg(not(unix))]
use crate::system::files;
use crate::system::paths::{RunDir, RunsDir, TrainingDir};

/// The choice of the training runs that are trained again.
#[derive(Clone, Copy, Debug)]
pub struct Retraining {
    /// The number of training runs.
    pub count: usize,
    /// The seed of the choice.
    pub seed: u64,
    /// The number of lockstep groups that train at a time.
    pub workers: usize,
}

/// Trains randomly chosen training runs again in a temporary store, in which links to the files of all other training
/// runs lie, and compares the bytes of curves, masks and weights. `None` if the process is to stop.
///
/// # Errors
/// Fails if the temporary store cannot be written, or the data cannot be loaded.
pub fn retrain(verifier: &Verifier<'_>, context: &RunContext<'_>, options: Retraining) -> Result<Option<Check>> {
    let mut check = Check::new("retraining", "bytes of curve, mask and weights after training again", "training run");
    let chosen = choose(verifier, options);
    let folder =
        tempfile::Builder::new().prefix("lth-verify-").tempdir().context("could not make a temporary store")?;
    let runs = RunsDir(folder.path().to_owned());
    for (spec, manifest) in verifier.trainings().into_iter().filter(|(spec, _)| !chosen.contains(&spec.key)) {
        link_entry(&verifier.store.runs.training_dir(&spec.key), &runs.training_dir(&spec.key), manifest)?;
    }
    let trainings = verifier.study.plan.trainings.iter().filter(|spec| verifier.whole.contains_key(&spec.key));
    let plan = Plan { trainings: trainings.cloned().collect() };
    let store = Store { runs: runs.clone() };
    let dir = RunDir(runs.0.join("run"));
    let files = RunFiles { rows: None, plan: &plan, dir: &dir, cancel: context.cancel };
    let context = RunContext { store: &store, ..*context };
    let runner = Runner {
        context,
        plan: &plan,
        selection: &Selection::Whole,
        keep: KeepWeights::Needed,
        files: &files,
        workers: options.workers,
    };
    let outcome = runner.run()?;
    let temporary = || format!("could not train again in `{}`; TMPDIR names another folder", runs.0.display());
    outcome.stop_error.map_or(Ok(()), Err).with_context(temporary)?;
    if context.cancel.is_cancelled() {
        return Ok(None);
    }
    let failures: Vec<&String> =
        [&outcome.audit_failures, &outcome.failures, &outcome.blocked].into_iter().flatten().collect();
    for (spec, manifest) in verifier.trainings().into_iter().filter(|(spec, _)| chosen.contains(&spec.key)) {
        let id = TrainingId::of(spec).to_string();
        match difference(spec, manifest, &store)? {
            None => check.pass(),
            Some(difference) => {
                let failure = failures.iter().find(|failure| failure.starts_with(&id));
                check.differ(id, failure.map_or(difference, |failure| (*failure).clone()), OTHER_NUMBERS);
            }
        }
    }
    check.note(format!("chosen with seed {}", options.seed));
    Ok(Some(check))
}

/// Returns the keys of randomly chosen training runs among those whose entries are whole.
fn choose(verifier: &Verifier<'_>, options: Retraining) -> BTreeSet<ContentHash> {
    let mut keys: Vec<ContentHash> = verifier.trainings().iter().map(|(spec, _)| spec.key).collect();
    let mut generator = Stream::of_replicate(options.seed, 0, Purpose::Order).generator(0);
    let mut chosen = BTreeSet::new();
    while chosen.len() < options.count && !keys.is_empty() {
        let index = generator.below(keys.len() as u64) as usize;
        chosen.insert(keys.swap_remove(index));
    }
    chosen
}

/// Makes links in a temporary store to the files of an entry that exist. What is written there replaces a link, and
/// leaves its target alone.
fn link_entry(from: &TrainingDir, to: &TrainingDir, manifest: &EntryManifest) -> Result<()> {
    std::fs::create_dir_all(&to.0).with_context(|| format!("could not make `{}`", to.0.display()))?;
    let paths = manifest.files.keys().map(|name| (from.file(name), to.file(name)));
    for (source, target) in paths.chain([(from.manifest_file(), to.manifest_file())]) {
        if source.exists() {
            link(&source, &target)?;
        }
    }
    // The lanes that it was trained with decide whether a repetition must have the same bytes.
    let timing = from.timing_file();
    if timing.exists() { link(&timing, &to.timing_file()) } else { Ok(()) }
}

#[cfg(unix)]
fn link(source: &Path, target: &Path) -> Result<()> {
    let source = source.canonicalize().with_context(|| format!("could not read `{}`", source.display()))?;
    std::os::unix::fs::symlink(&source, target).with_context(|| format!("could not make `{}`", target.display()))
}

#[cfg(not(unix))]
fn link(source: &Path, target: &Path) -> Result<()> {
    Ok(files::write(target, &files::read(source)?)?)
}

/// Returns what differs between a stored training run and its repetition; `None` if nothing does.
fn difference(spec: &TrainingSpec, manifest: &EntryManifest, repeated: &Store) -> Result<Option<String>> {
    let StoredManifest::Whole(again) = read_manifest(&repeated.runs.training_dir(&spec.key))? else {
        return Ok(Some("it could not be trained again".to_owned()));
    };
    if again.outcome != manifest.outcome {
        return Ok(Some(format!("its outcome is `{}` now", again.outcome.as_str())));
    }
    // Another experiment may have asked for more snapshots of it.
    let other = manifest.files.iter().find(|(name, sum)| again.files.get(*name).is_some_and(|again| again != *sum));
    Ok(other.map(|(name, _)| format!("{name} has other bytes now")))
}
