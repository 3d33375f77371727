//! `run.json`: where a run's numbers come from. May differ between two runs of the same experiment.

use serde::Serialize;

use crate::config::Run;

/// `run.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Manifest {
    /// The experiment's name.
    pub experiment: String,
    /// Hash of the plan.
    pub id: String,
    /// What computed.
    pub versions: Versions,
    /// `cpu`.
    pub device: String,
    /// `dense`.
    pub engine: String,
    /// The processor's name.
    pub processor: String,
    /// The machine's name.
    pub host: String,
    /// Trainings at a time.
    pub workers: usize,
    /// `[run]` as given.
    pub run: Run,
    /// The folder of all runs.
    pub runs: String,
    /// The data set's folder as given, if it was.
    pub data_dir: Option<String>,
    /// Seconds since 1970.
    pub written: u64,
    /// What the audit found.
    pub audit: Audit,
    /// Trainings that could not begin, with the one that each needs.
    pub blocked: Vec<String>,
}

/// Versions.
#[derive(Clone, Debug, Serialize)]
pub struct Versions {
    /// This program.
    pub lth: String,
    /// The bindings.
    pub tch: String,
    /// libtorch.
    pub libtorch: String,
}

/// What the audit found.
#[derive(Clone, Debug, Serialize)]
pub struct Audit {
    /// Trainings that kept every promise.
    pub passed: usize,
    /// What went wrong with the others, promises broken included.
    pub failed: Vec<String>,
}
