//! `allocation` of an arm: how the number of kept weights is divided among the layers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the number of weights that a mask keeps is divided among the prunable layers. Numbers are exact, and a layer whose
/// share would exceed its size is kept whole, whereupon the other layers share the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// By one ranking of the scores of all layers, whose numbers are known after scoring only.
    Global,
    /// By the rates of `[prune]`: the densities after a whole or fractional number of rounds.
    Layerwise,
    /// The same density in every layer.
    Uniform,
    /// The first layer whole, the output layer at a density of at least 0.2, and the same density in the others (Gale et
    /// al. 2019, arXiv 1902.09574).
    UniformPlus,
    /// Erdős–Rényi: densities in proportion to (inputs + outputs) / (inputs · outputs) of the layer, without regard to
    /// the size of kernels (Mocanu et al. 2018, arXiv 1707.04780).
    Er,
    /// Erdős–Rényi-Kernel: densities in proportion to the sum of the sizes of the weight tensor divided by their product
    /// (Evci et al. 2020, arXiv 1911.11134).
    Erk,
    /// The same number of weights in every layer (Gadhikar et al. 2023, arXiv 2210.02412).
    Balanced,
    /// Densities in proportion to those of the named arm's mask, same replicate and round. Not for `iterative`.
    Like(String),
    /// Densities in proportion to those in a CSV file with the columns `layer` and `density` (or `weights_kept`), and
    /// `round` if the rounds differ. A relative path is looked for beside the configuration file, or else in the working
    /// directory.
    File(PathBuf),
}

impl Allocation {
    /// Returns the arm whose masks have the densities.
    pub fn like(&self) -> Option<&str> {
        match self {
            Self::Like(arm) => Some(arm),
            _ => None,
        }
    }

    /// Returns the name in configurations.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Layerwise => "layerwise",
            Self::Uniform => "uniform",
            Self::UniformPlus => "uniform_plus",
            Self::Er => "er",
            Self::Erk => "erk",
            Self::Balanced => "balanced",
            Self::Like(_) => "like",
            Self::File(_) => "file",
        }
    }
}
