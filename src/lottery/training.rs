//! A training run of the plan: one network trained once, with the rules for its mask and its starting weights, and its key.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::base::key::ContentHash;
use crate::base::rng::{Purpose, Stream};
use crate::base::units::{Iteration, Round};
use crate::config::RewindOptimizerState;
use crate::engine::EngineKind;
use crate::prune::RemainingCounts;

/// The earlier weights that a criterion compares trained weights with.
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
        /// The earlier weights that some criteria compare the trained ones with.
        reference: ReferencePoint,
    },
    /// The dense network, pruned in one step to the counts of this training run by its trained weights.
    OneShot {
        /// The dense training run.
        parent: ContentHash,
    },
    /// The dense network, pruned in one step to the counts of this training run by the magnitude of its initial weights.
    MagnitudeAtInit,
    /// The mask of another training run.
    Of {
        /// That training run.
        parent: ContentHash,
    },
    /// A uniformly random mask with as many weights in every layer as another training run keeps there.
    Random {
        /// That training run.
        like: ContentHash,
    },
}

/// The state of a replicate's dense training run after k iterations: θ₀ or θₖ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewindPoint {
    /// The dense training run.
    pub dense: ContentHash,
    /// The iteration k after which the weights are taken.
    pub iteration: Iteration,
}

/// The rule for the weights that a training run starts from. Learning rate and data order continue from the iteration of the rule.
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
        /// The iteration that the training run continues from.
        iteration: Iteration,
    },
}

/// An output of a training run that another one depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// Its entry in the store: that it has trained to the end, its mask and its initial weights.
    Done,
    /// Its snapshot after this iteration.
    Snapshot(Iteration),
    /// Its final weights.
    FinalWeights,
}

/// Everything that determines the numbers of a training run, as JSON: the part that the whole experiment shares, which is stored
/// once, and the part of this training run.
#[derive(Clone, Debug)]
pub struct KeyContent {
    pub(super) shared: Arc<SharedKeyContent>,
    pub(super) own: Value,
}

/// The part of [`KeyContent`] that all training runs of an experiment on one engine share, with its text.
#[derive(Debug)]
pub(super) struct SharedKeyContent {
    value: Value,
    text: String,
}

impl SharedKeyContent {
    pub(super) fn new(value: Value) -> Self {
        Self { text: value.to_string(), value }
    }
}

impl KeyContent {
    /// Returns the shared fields, followed by those of the training run.
    pub fn value(&self) -> Value {
        let mut whole = self.shared.value.clone();
        if let (Some(whole), Some(own)) = (whole.as_object_mut(), self.own.as_object()) {
            whole.extend(own.clone());
        }
        whole
    }

    /// Returns the hash of [`KeyContent::value`]. Its text is put together from those of the parts, because most of it is the same for
    /// every training run.
    pub(super) fn key(&self) -> ContentHash {
        let shared = self.shared.text.strip_suffix('}').unwrap_or_default();
        let own = self.own.to_string();
        ContentHash::of_json_text(&format!("{shared},{}", own.strip_prefix('{').unwrap_or_default()))
    }
}

/// A training run: one network trained once.
#[derive(Clone, Debug)]
pub struct TrainingSpec {
    /// The hash of [`TrainingSpec::content`].
    pub key: ContentHash,
    /// Everything that determines its numbers.
    pub content: KeyContent,
    /// The arm that it belongs to; `dense` for the dense networks.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat within the replicate, from 1.
    pub repeat: u32,
    /// Number of prunings.
    pub round: Round,
    /// The rule for its mask.
    pub mask: MaskRule,
    /// The rule for the weights it starts from.
    pub start: StartRule,
    /// The number of weights that its mask keeps, as far as it is known before training.
    pub counts: RemainingCounts,
    /// The engine that trains it.
    pub engine: EngineKind,
    /// The number of the data order, from 1. A copy for an instability analysis differs in nothing else.
    pub data_order: u32,
}

impl TrainingSpec {
    /// Returns the random stream of a purpose during training: the order of the images, or dropout and augmentation.
    pub fn stream(&self, seed: u64, purpose: Purpose) -> Stream {
        Stream { repeat: self.data_order - 1, ..Stream::of_replicate(seed, self.replicate, purpose) }
    }

    /// Returns a copy: the same network from the same state with the same mask, trained with another order of the data.
    #[must_use]
    pub fn with_other_data_order(&self) -> Self {
        // The copy takes the mask of the training run itself, so that nothing is pruned twice, and its initial weights if it
        // has drawn them. Everything else that is drawn before training depends on the coordinates in the plan, which are equal.
        let mask = if self.mask == MaskRule::Dense { MaskRule::Dense } else { MaskRule::Of { parent: self.key } };
        let initial = RewindPoint { dense: self.key, iteration: Iteration(0) };
        let start = match &self.start {
            StartRule::Initial => StartRule::Rewind { point: initial, moments: RewindOptimizerState::default() },
            other => other.clone(),
        };
        let order = self.data_order + 1;
        let own = json!({
            "replicate": self.replicate,
            "repeat": self.repeat,
            "round": self.round,
            // Of a dense mask nothing else says what it is a copy of.
            "copy_of": self.key,
            "mask": mask.content(&Value::Null, &self.counts),
            "start": start.content(),
            "order": order,
        });
        let content = KeyContent { shared: Arc::clone(&self.content.shared), own };
        Self {
            key: content.key(),
            content,
            arm: format!("{} (order {order})", self.arm),
            mask,
            start,
            data_order: order,
            ..self.clone()
        }
    }

    /// Returns the training run whose final weights the next round of this chain compares those of this one with: the one that
    /// this one continued from, if the criterion looks back to where the pruned training run started.
    pub fn reference_of_next_round(&self) -> Option<&ContentHash> {
        match (&self.mask, &self.start) {
            (
                MaskRule::Prune { reference: ReferencePoint::TrainingStart { .. }, .. },
                StartRule::Final { parent, .. },
            ) => Some(parent),
            _ => None,
        }
    }

    /// Returns the training runs that must have ended before this one begins, each output once, sorted by key.
    pub fn dependencies(&self) -> Vec<(&ContentHash, Dependency)> {
        let mut needs = Vec::new();
        match &self.mask {
            MaskRule::Dense | MaskRule::MagnitudeAtInit => {}
            MaskRule::Prune { parent, reference } => {
                needs.push((parent, Dependency::FinalWeights));
                if let ReferencePoint::TrainingStart { start, .. } = reference {
                    needs.extend(start.dependency());
                }
            }
            MaskRule::OneShot { parent } => needs.push((parent, Dependency::FinalWeights)),
            MaskRule::Of { parent: key } | MaskRule::Random { like: key } => needs.push((key, Dependency::Done)),
        }
        needs.extend(self.start.dependency());
        // The weight statistics of a ticket compare with the trained dense network.
        if let (MaskRule::Prune { .. } | MaskRule::OneShot { .. }, StartRule::Rewind { point, .. }) =
            (&self.mask, &self.start)
        {
            needs.push((&point.dense, Dependency::FinalWeights));
        }
        // A dependency on weights implies one on the entry.
        let more = needs.clone();
        needs.retain(|(key, need)| {
            *need != Dependency::Done || !more.iter().any(|(k, n)| k == key && *n != Dependency::Done)
        });
        needs.sort_by(|a, b| a.0.cmp(b.0).then(a.1.cmp(&b.1)));
        needs.dedup();
        needs
    }
}

impl Dependency {
    /// Returns the iteration of the snapshot that is needed, if one is.
    pub fn snapshot_iteration(self) -> Option<Iteration> {
        match self {
            Self::Snapshot(iteration) => Some(iteration),
            Self::Done | Self::FinalWeights => None,
        }
    }
}

impl StartRule {
    /// Returns the training run that the weights come from, and the output that is needed of it.
    fn dependency(&self) -> Option<(&ContentHash, Dependency)> {
        match self {
            Self::Initial | Self::Reinit { .. } => None,
            Self::Rewind { point, .. }
            | Self::Shuffle { point }
            | Self::ConstantSign { point }
            | Self::Noise { point, .. } => {
                let need = if point.iteration == Iteration(0) {
                    Dependency::Done
                } else {
                    Dependency::Snapshot(point.iteration)
                };
                Some((&point.dense, need))
            }
            Self::Final { parent, .. } => Some((parent, Dependency::FinalWeights)),
        }
    }

    /// Whether the weights are those of iteration 0 of the replicate.
    pub(super) fn is_initial(&self) -> bool {
        matches!(self, Self::Initial) || matches!(self, Self::Rewind { point, .. } if point.iteration == Iteration(0))
    }

    /// Whether the weights have been trained, so that the evaluation at the start may be the early stop. Fresh and permuted
    /// weights are not trained, and neither are weights made from θ₀.
    pub fn is_trained(&self) -> bool {
        match self {
            Self::Initial | Self::Reinit { .. } | Self::Shuffle { .. } => false,
            Self::Rewind { point, .. } | Self::ConstantSign { point } | Self::Noise { point, .. } => {
                point.iteration > Iteration(0)
            }
            Self::Final { .. } => true,
        }
    }

    /// Returns the iteration that learning rate and data order continue from.
    pub fn iteration(&self) -> Iteration {
        match self {
            Self::Initial => Iteration(0),
            Self::Rewind { point, .. }
            | Self::Shuffle { point }
            | Self::ConstantSign { point }
            | Self::Noise { point, .. } => point.iteration,
            Self::Reinit { iteration } | Self::Final { iteration, .. } => *iteration,
        }
    }
}

impl MaskRule {
    /// Whether the mask prunes that of the previous round.
    pub fn is_chain(&self) -> bool {
        matches!(self, Self::Prune { .. })
    }

    /// Returns the part of the key content that determines the mask. `pruning`: the part about criterion, scope and rates;
    /// `counts`: the weights that the mask keeps.
    pub(super) fn content(&self, pruning: &Value, counts: &RemainingCounts) -> Value {
        // In one step to a size, the size determines the mask instead of the rates.
        let to_size = |mut rule: Value| {
            let by: Map<String, Value> =
                pruning.as_object().into_iter().flatten().filter(|(key, _)| *key != "rate").map(owned).collect();
            rule["by"] = Value::Object(by);
            rule["to"] = counts.layers.as_ref().map_or_else(|| json!(counts.kept), |layers| json!(layers));
            rule
        };
        match self {
            Self::Dense => json!("dense"),
            Self::Prune { parent, reference: ReferencePoint::Initial } => json!({ "prune": parent, "by": pruning }),
            // The key of the parent determines where it started.
            Self::Prune { parent, reference: ReferencePoint::TrainingStart { .. } } => {
                json!({ "prune": parent, "by": pruning, "reference_weights": "training_start" })
            }
            Self::OneShot { parent } => to_size(json!({ "prune": parent })),
            Self::MagnitudeAtInit => to_size(json!({ "at_init": "magnitude" })),
            Self::Of { parent } => json!({ "of": parent }),
            Self::Random { like } => json!({ "random": like }),
        }
    }
}

fn owned((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

impl StartRule {
    /// Returns the part of the key content that determines the weights. At iteration 0 it contains no iteration.
    pub(super) fn content(&self) -> Value {
        let at = |point: &RewindPoint| json!({ "dense": point.dense, "iteration": point.iteration });
        match self {
            Self::Initial => json!("initial"),
            Self::Rewind { point, .. } if point.iteration == Iteration(0) => json!({ "rewind": point.dense }),
            Self::Rewind { point, moments } => json!({ "rewind": at(point), "moments": moments }),
            Self::Reinit { iteration: Iteration(0) } => json!("reinit"),
            Self::Reinit { iteration } => json!({ "reinit": iteration }),
            Self::Shuffle { point } => json!({ "shuffle": at(point) }),
            Self::ConstantSign { point } => json!({ "constant_sign": at(point) }),
            Self::Noise { point, factor } => json!({ "noise": at(point), "factor": factor }),
            Self::Final { parent, iteration } => json!({ "final": parent, "iteration": iteration }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_the_hash_of_shared_and_own_content() {
        let shared = Arc::new(SharedKeyContent::new(json!({ "b": 1, "a": [0.1] })));
        let content = KeyContent { shared, own: json!({ "round": 2 }) };
        assert_eq!(content.value().to_string(), r#"{"b":1,"a":[0.1],"round":2}"#);
        assert_eq!(content.key(), ContentHash::of_json(&content.value()));
    }
}
