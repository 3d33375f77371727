//! The rules of a training run: how its mask and its starting weights are made from the outputs of other training runs.

use serde_json::{Map, Value, json};

use super::source_files::FileUse;
use crate::base::key::ContentHash;
use crate::base::units::{Iteration, Round};
use crate::config::{FileTensors, RewindOptimizerState};
use crate::prune::RemainingCounts;

/// The reference weights of a mask: the earlier weights that some criteria compare trained weights with. The section
/// [Reference weights](super#reference-weights) has an example.
#[derive(Clone, Debug, PartialEq)]
pub enum ReferencePoint {
    /// θ₀ of the replicate.
    Initial,
    /// The weights that the pruned training run started from, where these are not θ₀.
    TrainingStart {
        /// The round of the pruned training run.
        round: Round,
        /// The rule of the weights it started from.
        start: Box<StartRule>,
    },
}

/// The rule for the mask of a training run.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskRule {
    /// All ones.
    Dense,
    /// The mask of `parent`, pruned by one round according to the trained weights of `parent`.
    Prune {
        /// The previous training run of the chain.
        parent: ContentHash,
        /// The reference weights, for criteria that compare the trained ones with earlier ones; else `Initial`.
        reference: ReferencePoint,
    },
    /// The dense network, pruned in one step to the counts of this training run by its trained weights.
    OneShot {
        /// The dense training run.
        parent: ContentHash,
    },
    /// The dense network, pruned in one step to the counts of this training run by the magnitude of its initial
    /// weights.
    MagnitudeAtInit,
    /// The mask of another training run.
    Of {
        /// The other training run.
        parent: ContentHash,
    },
    /// A uniformly random mask that keeps as many weights in every layer as another training run does.
    Random {
        /// The other training run.
        like: ContentHash,
    },
    /// A uniformly random mask with the counts of this training run in every layer.
    RandomAllocated,
    /// The mask in a file.
    File(FileUse),
}

impl MaskRule {
    /// Returns whether the mask prunes the parent's mask by one round. This holds for every round of a chain, and also
    /// for round 1 of `one_shot = { like = … }` of a chain, which is the same training run as round 1 of that chain.
    pub fn is_chain(&self) -> bool {
        matches!(self, Self::Prune { .. })
    }

    /// Returns the part of the key content that determines the mask. `prune_content`: the criterion, the scope and the
    /// rates; `counts`: the number of weights that the mask keeps.
    pub(super) fn content(&self, prune_content: &Value, counts: &RemainingCounts) -> Value {
        match self {
            Self::Dense => json!("dense"),
            Self::Prune { parent, reference: ReferencePoint::Initial } => {
                json!({ "prune": parent, "by": prune_content })
            }
            // The key of the parent determines the weights that it started from.
            Self::Prune { parent, reference: ReferencePoint::TrainingStart { .. } } => {
                json!({ "prune": parent, "by": prune_content, "reference_weights": "training_start" })
            }
            Self::OneShot { parent } => one_step_content(json!({ "prune": parent }), prune_content, counts),
            Self::MagnitudeAtInit => one_step_content(json!({ "at_init": "magnitude" }), prune_content, counts),
            Self::Of { parent } => json!({ "of": parent }),
            Self::Random { like } => json!({ "random": like }),
            Self::RandomAllocated => json!({ "random_to": counts.layers }),
            Self::File(file) => json!({ "from": file.content }),
        }
    }
}

/// Returns the key content of a mask that is pruned in one step. One-step masks are determined by their size, so rates
/// are left out.
fn one_step_content(mut rule: Value, prune_content: &Value, counts: &RemainingCounts) -> Value {
    let fields = prune_content.as_object().into_iter().flatten().filter(|(name, _)| *name != "rate");
    let without_rate: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    rule["by"] = Value::Object(without_rate);
    rule["to"] = counts.layers.as_ref().map_or_else(|| json!(counts.kept), |layers| json!(layers));
    rule
}

/// The state of a replicate's dense training run after k iterations: θ₀ or θₖ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewindPoint {
    /// The dense training run. For a copy with another data order it is that of the original (see
    /// [`TrainingSpec::with_other_data_order`](super::TrainingSpec::with_other_data_order)).
    pub dense: ContentHash,
    /// The iteration k after which the weights are taken.
    pub iteration: Iteration,
}

/// The rule for the weights that a training run starts from. Learning rate and data order continue from the iteration
/// of the rule.
#[derive(Clone, Debug, PartialEq)]
pub enum StartRule {
    /// θ₀, drawn for this replicate.
    Initial,
    /// The weights of the rewind point, and its optimizer state if that is restored.
    Rewind {
        /// The rewind point.
        point: RewindPoint,
        /// Whether the optimizer state of the rewind point is restored.
        moments: RewindOptimizerState,
    },
    /// A fresh draw from the distribution of θ₀.
    Reinit {
        /// The iteration that the training run starts at.
        iteration: Iteration,
    },
    /// The values of the rewind point that the mask keeps, permuted within each layer.
    Shuffle {
        /// The rewind point.
        point: RewindPoint,
    },
    /// ± the standard deviation of the layer's initial weights, with the signs of the rewind point.
    ConstantSign {
        /// The rewind point.
        point: RewindPoint,
    },
    /// The values of the rewind point with normal noise added.
    Noise {
        /// The rewind point.
        point: RewindPoint,
        /// Standard deviation of the noise, in standard deviations of the layer's initial weights.
        factor: f64,
    },
    /// The trained weights that the mask was pruned by.
    Final {
        /// The training run that trained them.
        parent: ContentHash,
        /// The iteration that learning rate and data order continue from.
        iteration: Iteration,
    },
    /// Weights in a file.
    File {
        /// The file.
        file: FileUse,
        /// Which of its weights.
        which: FileTensors,
    },
}

impl StartRule {
    /// Returns the training run that the weights come from, and its output that they are made from; `None` for weights
    /// that are drawn.
    pub fn dependency(&self) -> Option<(&ContentHash, Dependency)> {
        match self {
            Self::Initial | Self::Reinit { .. } | Self::File { .. } => None,
            Self::Rewind { point, .. }
            | Self::Shuffle { point }
            | Self::ConstantSign { point }
            | Self::Noise { point, .. } => {
                let output = if point.iteration == Iteration(0) {
                    Dependency::Entry
                } else {
                    Dependency::Snapshot(point.iteration)
                };
                Some((&point.dense, output))
            }
            Self::Final { parent, .. } => Some((parent, Dependency::FinalWeights)),
        }
    }

    /// Returns whether the weights are θ₀ of the replicate.
    pub(super) fn is_initial(&self) -> bool {
        matches!(self, Self::Initial) || matches!(self, Self::Rewind { point, .. } if point.iteration == Iteration(0))
    }

    /// Returns whether the weights have been trained, so that the evaluation at the start may be the early stop. Fresh
    /// and permuted weights are not trained, and neither are weights made from θ₀.
    pub fn is_trained(&self) -> bool {
        match self {
            Self::Initial | Self::Reinit { .. } | Self::Shuffle { .. } => false,
            Self::Rewind { point, .. } | Self::ConstantSign { point } | Self::Noise { point, .. } => {
                point.iteration > Iteration(0)
            }
            Self::Final { .. } => true,
            Self::File { which, .. } => *which == FileTensors::Trained,
        }
    }

    /// Returns the iteration that learning rate and data order continue from.
    pub fn iteration(&self) -> Iteration {
        match self {
            Self::Initial | Self::File { .. } => Iteration(0),
            Self::Rewind { point, .. }
            | Self::Shuffle { point }
            | Self::ConstantSign { point }
            | Self::Noise { point, .. } => point.iteration,
            Self::Reinit { iteration } | Self::Final { iteration, .. } => *iteration,
        }
    }

    /// Returns the part of the key content that determines the weights. A rewind to iteration 0 and a draw that starts
    /// at iteration 0 are written without the iteration.
    pub(super) fn content(&self) -> Value {
        let point_content = |point: &RewindPoint| json!({ "dense": point.dense, "iteration": point.iteration });
        match self {
            Self::Initial => json!("initial"),
            Self::Rewind { point, .. } if point.iteration == Iteration(0) => json!({ "rewind": point.dense }),
            Self::Rewind { point, moments } => json!({ "rewind": point_content(point), "moments": moments }),
            Self::Reinit { iteration: Iteration(0) } => json!("reinit"),
            Self::Reinit { iteration } => json!({ "reinit": iteration }),
            Self::Shuffle { point } => json!({ "shuffle": point_content(point) }),
            Self::ConstantSign { point } => json!({ "constant_sign": point_content(point) }),
            Self::Noise { point, factor } => json!({ "noise": point_content(point), "factor": factor }),
            Self::Final { parent, iteration } => json!({ "final": parent, "iteration": iteration }),
            Self::File { file, .. } => json!({ "from": file.content }),
        }
    }
}

/// An output of a training run that another one depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// Its entry in the store (mask and initial weights), complete.
    Entry,
    /// Its snapshot after this iteration.
    Snapshot(Iteration),
    /// Its final weights.
    FinalWeights,
}

impl Dependency {
    /// Returns the iteration of the snapshot, if the output is one.
    pub fn snapshot_iteration(self) -> Option<Iteration> {
        match self {
            Self::Snapshot(iteration) => Some(iteration),
            Self::Entry | Self::FinalWeights => None,
        }
    }
}
