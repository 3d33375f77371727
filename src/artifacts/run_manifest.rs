//! `run.json`, the manifest of a run: versions, machine, command and audit. It may differ between two runs of the same
//! experiment. It is written when a run begins, and again, with the result of the audit, when the run ends.

use serde::{Deserialize, Serialize};

use crate::base::format::with_thousands;
use crate::config::{MatmulPrecision, RunConfig};
use crate::data::ImageCounts;

/// The contents of `run.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunManifest {
    /// The experiment's name.
    pub experiment: String,
    /// Hash of the plan, 64 hexadecimal digits; the name of the run's folder has the first 8.
    pub id: String,
    /// The command line, quoted for a shell.
    pub command: String,
    /// Number of training runs in the plan.
    pub trainings: usize,
    /// Versions of the software that computed the numbers.
    pub versions: Versions,
    /// The kind of device: `cpu` or `cuda`.
    pub device: String,
    /// Provenance of numbers that a GPU computed; `None` on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<CudaProvenance>,
    /// The engines of the plan: `dense`, `sparse`, or `dense and sparse`. Each row of `rounds.csv` has that of its
    /// training run.
    pub engine: String,
    /// Name of the processor.
    pub processor: String,
    /// Host name of the machine.
    pub host: String,
    /// Number of lockstep groups that are trained at a time.
    pub workers: usize,
    /// The section `[run]` of the configuration.
    pub run: RunConfig,
    /// The folder of all runs.
    pub runs: String,
    /// The folder of the built-in data sets.
    pub data_dir: String,
    /// The time at which this file was written, in seconds since 1970 (UTC).
    pub written: u64,
    /// Notes on the data that belong to the results, as sentences.
    pub notes: Vec<String>,
    /// The test images of the run; `None` where an older version wrote the file.
    #[serde(default)]
    pub test: Option<TestImages>,
    /// Numbers of images of the splits; `None` where an older version wrote the file.
    #[serde(default)]
    pub images: Option<ImageCounts>,
    /// Result of the audit.
    pub audit: AuditSummary,
    /// Training runs that failed, each with its cause.
    pub failures: Vec<String>,
    /// Training runs that could not begin, each with the training run that it depends on.
    pub blocked: Vec<String>,
}

/// Counts of the test images that accuracies are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestImages {
    /// Images used: fewer than `whole` where the test file holds fewer than the official records, or `data.test_limit`
    /// is set.
    pub used: u32,
    /// Test images of the whole data set.
    pub whole: u32,
}

impl TestImages {
    /// Returns the note that belongs to every test accuracy shown; `None` where all images are used.
    pub fn note(&self) -> Option<String> {
        let Self { used, whole } = *self;
        (used < whole).then(|| {
            format!("test accuracy on {} of {} test images", with_thousands(used.into()), with_thousands(whole.into()))
        })
    }
}

/// Versions of the program and its libraries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Versions {
    /// Version of this program.
    pub lth: String,
    /// Version of the Rust bindings of libtorch.
    pub tch: String,
    /// Version of libtorch.
    pub libtorch: String,
}

/// Provenance of numbers that a GPU computed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CudaProvenance {
    /// Names of the GPUs that the driver lists.
    pub gpus: Vec<String>,
    /// Index of the GPU that was used, in `gpus`, from 0.
    pub gpu: usize,
    /// Precision of the products of convolutions and linear layers.
    #[serde(alias = "products")]
    pub matmul_precision: MatmulPrecision,
    /// Description of the numbers that are the same in every run.
    pub deterministic: String,
    /// Description of the numbers that may differ between runs.
    pub not_deterministic: String,
}

/// Result of the audit of every training run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditSummary {
    /// Number of training runs for which every invariant holds.
    pub passed: usize,
    /// Training runs for which an invariant does not hold, each with that invariant.
    pub broken: Vec<String>,
}
