//! The training runs that must be trained so that certain outputs are in the store.

use std::collections::BTreeMap;

use super::store::Store;
use crate::base::key::ContentHash;
use crate::lottery::{Dependency, Plan, TrainingSpec};

/// The outputs of training runs that a measurement or other training runs need, by key.
#[derive(Default)]
pub(super) struct NeededOutputs(BTreeMap<ContentHash, Vec<Dependency>>);

impl NeededOutputs {
    /// Adds an output of a training run.
    pub(super) fn add(&mut self, key: ContentHash, dependency: Dependency) {
        self.0.entry(key).or_default().push(dependency);
    }

    /// Adds every output that a training run starts from.
    pub(super) fn add_dependencies_of(&mut self, spec: &TrainingSpec) {
        for (key, dependency) in spec.dependencies() {
            self.add(*key, dependency);
        }
    }

    /// Returns the training runs of `plan` that must be trained, in its order: those with an output that is needed and
    /// not in the store, such as final weights that were freed, and the training runs that these depend on.
    pub(super) fn missing_trainings(mut self, plan: &Plan, store: &Store) -> Vec<TrainingSpec> {
        let mut trainings = Vec::new();
        // In reverse order: when a training run is reached, all that depend on it have added what they need of it.
        for spec in plan.trainings.iter().rev() {
            let dependencies = self.0.remove(&spec.key).unwrap_or_default();
            if dependencies.into_iter().any(|dependency| !store.has_output(spec, dependency)) {
                self.add_dependencies_of(spec);
                trainings.push(spec.clone());
            }
        }
        trainings.reverse();
        trainings
    }
}

/// Returns the plan of the training runs that must be trained so that the store has the final weights of each of `specs`,
/// training runs of `plan`, and of those that they depend on. Empty if the store has them.
pub fn plan_for_final_weights<'a>(
    plan: &Plan,
    store: &Store,
    specs: impl IntoIterator<Item = &'a TrainingSpec>,
) -> Plan {
    let mut needed = NeededOutputs::default();
    for spec in specs {
        needed.add(spec.key, Dependency::FinalWeights);
    }
    Plan { trainings: needed.missing_trainings(plan, store) }
}
