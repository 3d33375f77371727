//! `[run]`: how the training runs are executed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::count_or_auto::CountOrAuto;
use super::device::DeviceChoice;
use super::snapshot_interval::SnapshotInterval;

/// The largest `run.lanes`. Arbitrary, far above practical values.
pub const MAX_LANES: u32 = 1024;

/// Upper bound of `workers`. Arbitrary, far above the cores of a machine.
const MAX_WORKERS: u32 = 4096;

/// Device, parallelism, engine and stored weights.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Run")]
pub struct RunConfig {
    /// The device: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where it is available. There is no silent fallback from CUDA
    /// to the CPU.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Training runs, or lockstep groups of them, at a time: a number, or `auto` for one per core that the process may
    /// use (by its CPU affinity, the CPU limit of its cgroup, and `SLURM_CPUS_PER_TASK`), and on a GPU one. While fewer
    /// can run, those of the sparse trainer use the free cores.
    #[serde(default)]
    pub workers: CountOrAuto,
    /// Networks that are trained in lockstep in one batched pass: a number up to 1024, or `auto` for 1 on the CPU and
    /// 16 on a GPU. With more than 1, the dense engine trains every network.
    #[serde(default)]
    pub lanes: CountOrAuto,
    /// The engine that trains the networks. The engine of each training run is part of the plan, of its key and of its
    /// rows.
    #[serde(default)]
    pub engine: EngineChoice,
    /// The final weights that are stored.
    #[serde(default)]
    pub keep: KeepWeights,
    /// The time between two progress snapshots of a training run in progress, such as `5min`, `30s` or `2h`. A run that
    /// was killed resumes from the last one; a run that was stopped by a signal resumes where it stopped. `never` writes
    /// them at signals only.
    #[serde(default)]
    pub snapshot_every: SnapshotInterval,
    /// Whether event files for TensorBoard are written beside the CSV files, in the folder `tensorboard` of the run: the
    /// curves of each training run, and the results of each arm and replicate by round.
    #[serde(default)]
    pub tensorboard: bool,
}

/// The final weights that are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Keep")]
pub enum KeepWeights {
    /// Those of the dense networks and of the last round of every chain of rounds. Those of other rounds are deleted
    /// when no training run needs them any more.
    #[default]
    Needed,
    /// Those of the dense networks and of every round of every chain of rounds.
    Tickets,
    /// Those of every training run.
    All,
}

/// The engine that trains the networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Engine")]
pub enum EngineChoice {
    /// For each training run, the engine with the lower estimated cost per step. The estimate follows from the
    /// network's shapes, the weights remaining and the batch size, so it is the same on every machine.
    #[default]
    Auto,
    /// `LibTorch`: stores and multiplies all weights, and applies the mask.
    Dense,
    /// Stores, multiplies and updates only the remaining weights. For fully connected networks on the CPU with `dtype =
    /// "float32"`.
    Sparse,
}

impl RunConfig {
    /// Checks the range of every number.
    pub(super) fn check_values(&self, checker: &mut Checker) {
        let is_at_most = |count, max| !matches!(count, CountOrAuto::Number(n) if n > max);
        checker.require("run.lanes", is_at_most(self.lanes, MAX_LANES), "must be at most 1024");
        checker.require("run.workers", is_at_most(self.workers, MAX_WORKERS), "must be at most 4096");
    }
}
