//! The rules of a training run: how its mask and its starting weights are made from the outputs of other training runs.

use serde_json::{Map, Value, json};

use super::early_bird::EarlyBirdRule;
use super::source_files::FileUse;
use crate::base::key::ContentHash;
use crate::base::units::{Iteration, Round};
use crate::config::{FileTensors, RewindOptimizerState, Scoring};
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
        /// Whether the counts of this training run are those of an allocation, and not those of one round by the rates.
        is_allocated: bool,
    },
    /// The dense network, pruned in one step to the size of this training run by its trained weights.
    OneShot {
        /// The dense training run.
        parent: ContentHash,
        /// The training run whose mask has the densities of the layers, if they are not known before it is trained.
        layers_like: Option<ContentHash>,
    },
    /// The dense network, pruned to the size of this training run by scores of the untrained network.
    AtInit {
        /// What determines the scores.
        scoring: Scoring,
        /// As for [`OneShot`](Self::OneShot).
        layers_like: Option<ContentHash>,
    },
    /// The dense network, pruned to the size of this training run by its weights at an early time of its training.
    EarlyBird {
        /// When the mask is drawn.
        rule: EarlyBirdRule,
        /// As for [`OneShot`](Self::OneShot).
        layers_like: Option<ContentHash>,
    },
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
    /// The mask in a file.
    File(FileUse),
}

impl MaskRule {
    /// Returns whether the mask prunes the parent's mask by one round. This holds for every round of a chain, and also
    /// for round 1 of `one_shot = { like = … }` of a chain, which is the same training run as round 1 of that chain.
    pub fn is_chain(&self) -> bool {
        matches!(self, Self::Prune { .. })
    }

    /// Returns in words what has pruned the mask; `None` for masks that are not pruned by scores of this training run.
    pub fn pruning_method(&self) -> Option<String> {
        match self {
            Self::Prune { .. } | Self::OneShot { .. } => Some("pruning by trained weights".to_owned()),
            Self::AtInit { scoring, .. } => Some(format!("`{}` at initialization", scoring.method.as_str())),
            Self::EarlyBird { .. } => Some("pruning by weights of early training".to_owned()),
            Self::Dense | Self::Of { .. } | Self::Random { .. } | Self::File(_) => None,
        }
    }

    /// Returns the training run whose mask has the densities of the layers, if they are not known before it is trained.
    pub(super) fn layers_like(&self) -> Option<&ContentHash> {
        match self {
            Self::OneShot { layers_like, .. }
            | Self::AtInit { layers_like, .. }
            | Self::EarlyBird { layers_like, .. } => layers_like.as_ref(),
            Self::Dense | Self::Prune { .. } | Self::Of { .. } | Self::Random { .. } | Self::File(_) => None,
        }
    }

    /// Returns the part of the key content that determines the mask. `prune_content`: the criterion, the scope and the
    /// rates; `counts`: the number of weights that the mask keeps.
    pub(super) fn content(&self, prune_content: &Value, counts: &RemainingCounts) -> Value {
        match self {
            Self::Dense => json!("dense"),
            Self::Prune { parent, reference, is_allocated } => {
                let mut rule = json!({ "prune": parent, "by": prune_content });
                if let ReferencePoint::TrainingStart { .. } = reference {
                    // The key of the parent determines the weights that it started from.
                    rule["reference_weights"] = json!("training_start");
                }
                if *is_allocated {
                    rule["layers"] = counts.layers.as_ref().map_or_else(|| json!("global"), |layers| json!(layers));
                }
                rule
            }
            Self::OneShot { parent, layers_like } => {
                let rule = json!({ "prune": parent, "by": without(prune_content, &["rate"]) });
                one_step_content(rule, *layers_like, counts)
            }
            Self::AtInit { scoring, layers_like } => {
                let mut rule = json!({
                    "at_init": scoring.method,
                    "by": without(prune_content, &["rate", "criterion", "equal_scores"]),
                });
                let options = [
                    ("steps", (scoring.steps > 1).then(|| json!(scoring.steps))),
                    ("images", scoring.images.map(|images| json!(images))),
                    (
                        "batch_norm",
                        (scoring.batch_norm != scoring.method.default_batch_norm()).then(|| json!(scoring.batch_norm)),
                    ),
                    ("inverted", scoring.is_inverted.then(|| json!(true))),
                ];
                for (name, value) in options {
                    if let Some(value) = value {
                        rule[name] = value;
                    }
                }
                one_step_content(rule, *layers_like, counts)
            }
            Self::EarlyBird { rule, layers_like } => {
                let EarlyBirdRule { dense, iterations, window, threshold, distance } = rule;
                let content = json!({
                    "early_bird": dense,
                    "by": without(prune_content, &["rate", "criterion", "equal_scores"]),
                    "at": iterations, "window": window, "threshold": threshold, "distance": distance,
                });
                one_step_content(content, *layers_like, counts)
            }
            Self::Of { parent } => json!({ "of": parent }),
            Self::Random { like } => json!({ "random": like }),
            Self::File(file) => json!({ "from": file.content }),
        }
    }
}

/// Returns the part of `[prune]` in a key without some of its fields: those that do not determine the mask. A mask that is
/// pruned to a size is not determined by rates, and one at initialization not by the criterion.
fn without(prune_content: &Value, fields: &[&str]) -> Value {
    let kept = prune_content.as_object().into_iter().flatten().filter(|(name, _)| !fields.contains(&name.as_str()));
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

/// Returns the key content of a mask that is pruned to a size.
fn one_step_content(mut rule: Value, layers_like: Option<ContentHash>, counts: &RemainingCounts) -> Value {
    rule["to"] = counts.layers.as_ref().map_or_else(|| json!(counts.kept), |layers| json!(layers));
    if let Some(other) = layers_like {
        rule["layers_like"] = json!(other);
    }
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
    /// The weights of another rule, which are not trained: the training run starts at the last iteration.
    Untrained {
        /// The rule of the weights.
        weights: Box<StartRule>,
        /// The last iteration.
        iteration: Iteration,
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
            Self::Untrained { weights, .. } => weights.dependency(),
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
            Self::Untrained { weights, .. } => weights.is_trained(),
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
            Self::Reinit { iteration } | Self::Final { iteration, .. } | Self::Untrained { iteration, .. } => {
                *iteration
            }
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
            Self::Untrained { weights, .. } => json!({ "untrained": weights.content() }),
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
