//! A run whose store is verified, with the entries that are whole.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::super::store::Store;
use super::check::Check;
use crate::artifacts::EntryManifest;
use crate::base::key::ContentHash;
use crate::engine::NoProbe;
use crate::lottery::{PrepareContext, Study, TrainingSpec};
use crate::system::paths::RunDir;

/// A run whose store is verified.
pub struct Verifier<'a> {
    /// The study of the run.
    pub study: &'a Study,
    /// The store of the run.
    pub store: &'a Store,
    /// The folder of the run.
    pub run_dir: &'a RunDir,
    /// Whether the run is finished, so that every training run of its plan must be stored.
    pub is_finished: bool,
    /// Manifests of the entries of the plan that are whole, by key.
    pub(super) whole: BTreeMap<ContentHash, EntryManifest>,
}

impl<'a> Verifier<'a> {
    /// Reads every entry of the run in the store; returns the verifier of the run, and the check of these entries.
    pub fn new(study: &'a Study, store: &'a Store, run_dir: &'a RunDir, is_finished: bool) -> (Self, Check) {
        let mut verifier = Self { study, store, run_dir, is_finished, whole: BTreeMap::new() };
        let check = verifier.check_entries();
        (verifier, check)
    }

    /// Returns the checks of the masks and weights, and of the files of the run.
    ///
    /// # Errors
    /// Fails if rows cannot be written as CSV.
    pub fn checks(&self) -> Result<Vec<Check>> {
        let invariants = self.check_invariants();
        let files =
            [self.check_run_files()?, self.check_stability()?, self.check_landscape()?, self.check_robustness()?];
        Ok(invariants.into_iter().chain(files).collect())
    }

    /// Returns the training runs of the plan whose entries are whole, each key once, in the order of the plan.
    pub(super) fn trainings(&self) -> Vec<(&'a TrainingSpec, &EntryManifest)> {
        let mut seen = BTreeSet::new();
        let specs = self.study.plan.trainings.iter().filter(|spec| seen.insert(spec.key));
        specs.filter_map(|spec| Some((spec, self.whole.get(&spec.key)?))).collect()
    }

    pub(super) fn context(&self) -> PrepareContext<'_> {
        PrepareContext { study: self.study, artifacts: self.store, probe: &NoProbe }
    }
}
