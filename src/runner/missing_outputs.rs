//! What must be trained, for the first time or again, so that the store has certain outputs of training runs.

use std::collections::BTreeMap;

use super::jobs::StoreIndex as _;
use super::store::Store;
use crate::base::key::ContentHash;
use crate::lottery::{Dependency, Plan, Study, TrainingSpec};

/// The outputs of training runs that are needed, by key.
#[derive(Default)]
pub(super) struct NeededOutputs(BTreeMap<ContentHash, Vec<Dependency>>);

impl NeededOutputs {
    pub(super) fn add(&mut self, key: ContentHash, dependency: Dependency) {
        self.0.entry(key).or_default().push(dependency);
    }

    pub(super) fn add_dependencies_of(&mut self, spec: &TrainingSpec) {
        for (key, dependency) in spec.dependencies() {
            self.add(*key, dependency);
        }
    }
}

/// The outputs that the store lacks.
#[derive(Clone, Copy)]
pub(super) struct MissingOutputs<'a> {
    study: &'a Study,
    store: &'a Store,
}

impl<'a> MissingOutputs<'a> {
    /// Returns the outputs of the training runs of `study` that `store` lacks.
    pub(super) fn new(study: &'a Study, store: &'a Store) -> Self {
        Self { study, store }
    }

    /// Returns whether a training run is stored, did not diverge, and has the outputs that `dependency` names.
    pub(super) fn has(&self, spec: &TrainingSpec, dependency: Dependency) -> bool {
        self.store.is_done(spec) && self.store.has(&spec.key, dependency)
    }

    /// Returns the plan of the training runs that must be trained so that the store has the outputs that are `needed`,
    /// and of those that they depend on.
    pub(super) fn plan(&self, mut needed: NeededOutputs) -> Plan {
        let mut trainings = Vec::new();
        // In reverse order: when a training run is reached, all that depend on it have added what they need of it.
        for spec in self.study.plan.trainings.iter().rev() {
            let dependencies = needed.0.remove(&spec.key).unwrap_or_default();
            if dependencies.into_iter().any(|dependency| !self.has(spec, dependency)) {
                needed.add_dependencies_of(spec);
                trainings.push(spec.clone());
            }
        }
        trainings.reverse();
        Plan { trainings }
    }
}

/// Returns the plan of the training runs that must be trained so that the store has the final weights of each of `specs`,
/// and of those that they depend on. Empty if the store has them.
pub fn plan_for_final_weights(study: &Study, store: &Store, specs: &[&TrainingSpec]) -> Plan {
    let mut needed = NeededOutputs::default();
    specs.iter().for_each(|spec| needed.add(spec.key, Dependency::FinalWeights));
    MissingOutputs::new(study, store).plan(needed)
}
