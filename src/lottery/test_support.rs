//! The small experiment that unit tests of several layers resolve.

use super::{AllocationBytes, FilesByPath, Study, Surroundings};
use crate::config::{ConfigDocument, Diagnostic, Experiment, read};
use crate::data::inspect;

/// Returns `configs/smoke.toml` with overrides such as `rounds=3`.
pub(crate) fn experiment(sets: &[&str]) -> Experiment {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let text = include_str!("../../configs/smoke.toml");
    read(&ConfigDocument::parse("smoke.toml", text, &sets).unwrap()).unwrap()
}

/// Returns the surroundings of `experiment` on a machine without a GPU.
pub(crate) fn surroundings(experiment: &Experiment) -> Surroundings {
    let dataset = inspect(&experiment.data).map(|(info, _)| info);
    Surroundings {
        dataset,
        cuda_unavailable: Some("no GPU in unit tests".into()),
        files: FilesByPath::new(),
        allocations: AllocationBytes::new(),
    }
}

/// Resolves `configs/smoke.toml` with overrides.
pub(crate) fn resolve(sets: &[&str]) -> Result<Study, Vec<Diagnostic>> {
    let experiment = experiment(sets);
    let surroundings = surroundings(&experiment);
    Study::resolve(experiment, surroundings)
}

/// Like [`resolve`], but panics if the experiment has mistakes.
pub(crate) fn study(sets: &[&str]) -> Study {
    resolve(sets).unwrap()
}
