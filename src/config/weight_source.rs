//! The sources of initial weights: `weights` of an arm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::source_file::FileWeights;
use super::training_time::TrainingTime;

/// The source of an arm's initial weights.
#[derive(Clone, Debug, PartialEq)]
pub enum WeightSource {
    /// The weights of the dense training run of the replicate at an earlier time.
    Rewind {
        /// The time; `None` for the initial values θ₀.
        to: Option<RewindTarget>,
    },
    /// A new draw from the distribution of θ₀.
    Reinit,
    /// The kept initial values, permuted within each layer.
    Shuffle,
    /// The standard deviation of the layer's initial weights, with the sign of each initial value.
    ConstantSign,
    /// The trained weights that the mask was pruned from: training continues (fine-tuning).
    Final {
        /// The time from which learning rate and data continue; `None` for iteration 0.
        lr_from: Option<TrainingTime>,
    },
    /// The initial values plus normal noise.
    Noise {
        /// Standard deviation of the noise, in standard deviations of the layer's initial weights; above 0.
        factor: f64,
    },
    /// Weights in a file, with fresh optimizer moments.
    File(FileWeights),
}

/// The time to which an arm is rewound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewindTarget {
    /// Time since the start of the dense training run.
    pub time: TrainingTime,
    /// State of the optimizer's moments after the rewind; `None` for the default.
    pub optimizer_state: Option<RewindOptimizerState>,
}

/// A source of initial weights by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WeightsFrom")]
pub(super) enum WeightSourceKind {
    /// The replicate's initial values θ₀, or the weights of the dense network at `rewind_to`.
    Rewind,
    /// A new draw from the distribution of θ₀.
    Reinit,
    /// The kept initial values, permuted within each layer.
    Shuffle,
    /// The standard deviation of the layer's initial weights, with the sign of each initial value.
    ConstantSign,
    /// The trained weights that the mask was pruned from: training continues (fine-tuning).
    Final,
    /// The initial values plus normal noise.
    Noise,
}

/// State of the optimizer's moments after a rewind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Moments")]
pub enum RewindOptimizerState {
    /// The moments of the dense training run at that time.
    #[default]
    Restore,
    /// Zero, as at the start of a training run.
    Reset,
}
