//! Experiments for tests, made from `configs/smoke.toml`.

use super::document::ConfigDocument;
use super::experiment::Experiment;
use super::mistakes::render::UsageError;
use super::read::read;

/// Returns `configs/smoke.toml` with overrides (`key.path=value`).
///
/// # Panics
/// Panics if an override is not `key.path=value`.
pub fn document(sets: &[&str]) -> ConfigDocument {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    ConfigDocument::parse("smoke.toml", include_str!("../../configs/smoke.toml"), &sets).expect("valid syntax")
}

/// Returns the experiment of `configs/smoke.toml` with overrides (`key.path=value`).
///
/// # Panics
/// Panics if the overrides make the experiment invalid.
pub fn experiment(sets: &[&str]) -> Experiment {
    try_experiment(sets).expect("a valid experiment")
}

/// Like [`experiment`], but returns the mistakes of an invalid experiment.
///
/// # Errors
/// Fails if the overrides make the experiment invalid.
pub fn try_experiment(sets: &[&str]) -> Result<Experiment, UsageError> {
    read(&document(sets))
}

/// Returns the text of the mistakes of an invalid experiment.
///
/// # Panics
/// Panics if the experiment is valid.
pub fn usage_error(sets: &[&str]) -> String {
    try_experiment(sets).expect_err("an invalid experiment").to_string()
}
