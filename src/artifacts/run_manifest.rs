//! `run.json`: where a run's numbers come from. May differ between two runs of the same experiment. Written when work
//! begins, and again, with what the audit found, when it ends.

use serde::{Deserialize, Serialize};

use crate::base::format::with_thousands;
use crate::config::{MatmulPrecision, RunConfig};

/// `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunManifest {
    /// The experiment's name.
    pub experiment: String,
    /// Hash of the plan.
    pub id: String,
    /// The command, as a shell understands it.
    pub command: String,
    /// Trainings of the plan.
    pub trainings: usize,
    /// What computed.
    pub versions: Versions,
    /// `cpu` or `cuda`.
    pub device: String,
    /// What is to be known of numbers that a GPU computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<CudaProvenance>,
    /// `dense`, `sparse`, or `dense and sparse`; each row has its own.
    pub engine: String,
    /// The processor's name.
    pub processor: String,
    /// The machine's name.
    pub host: String,
    /// Trainings at a time.
    pub workers: usize,
    /// `[run]` as given.
    pub run: RunConfig,
    /// The folder of all runs.
    pub runs: String,
    /// The folder that the files of a built-in data set are looked for in.
    pub data_dir: String,
    /// Seconds since 1970.
    pub written: u64,
    /// What whoever reads the results must know of the data.
    pub notes: Vec<String>,
    /// What test accuracies are measured on; `None` where an older version wrote the run.
    #[serde(default)]
    pub test: Option<TestImages>,
    /// What the audit found.
    pub audit: AuditSummary,
    /// Trainings that failed, with the cause.
    pub failures: Vec<String>,
    /// Trainings that could not begin, with the one that each needs.
    pub blocked: Vec<String>,
}

/// The test images that accuracies are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestImages {
    /// Those that are used: fewer where the test file holds fewer than the official records, or `data.test_limit` is set.
    pub used: u32,
    /// Those of the whole data set.
    pub whole: u32,
}

impl TestImages {
    /// What must be said wherever a test accuracy is shown; `None` where all images are used.
    pub fn note(&self) -> Option<String> {
        let Self { used, whole } = *self;
        let is_part = used < whole;
        is_part.then(|| {
            format!("test accuracy on {} of {} test images", with_thousands(used.into()), with_thousands(whole.into()))
        })
    }
}

/// Versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Versions {
    /// This program.
    pub lth: String,
    /// The bindings.
    pub tch: String,
    /// libtorch.
    pub libtorch: String,
}

/// What is to be known of numbers that a GPU computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CudaProvenance {
    /// The GPUs that the driver tells of, by name, and the number of the one that was used.
    pub gpus: Vec<String>,
    /// Counted from 0.
    pub gpu: usize,
    /// The type that conv and linear products were made in.
    pub products: MatmulPrecision,
    /// What comes out the same again.
    pub deterministic: String,
    /// What need not.
    pub not_deterministic: String,
}

/// What the audit found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditSummary {
    /// Trainings that kept every promise.
    pub passed: usize,
    /// Trainings that broke one, and which.
    pub broken: Vec<String>,
}
