//! A node of the plan: one network trained once.

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
    /// The weights that the pruned training started from, which are not θ₀.
    TrainingStart {
        /// Its round.
        round: Round,
        /// Where its weights came from.
        start: Box<StartRule>,
    },
}

/// Where a training's mask comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum MaskRule {
    /// All ones.
    Dense,
    /// The parent's mask, less the weights a round of pruning cuts by the parent's trained weights.
    Prune {
        /// The previous training of the chain.
        parent: ContentHash,
        /// The earlier weights that the criterion looks at, where it looks at any.
        reference: ReferencePoint,
    },
    /// The dense network, pruned straight to this training's counts by its trained weights.
    OneShot {
        /// The dense training.
        parent: ContentHash,
    },
    /// The dense network, pruned straight to this training's counts by the magnitude of its initial weights.
    MagnitudeAtInit,
    /// The mask of another training.
    Of {
        /// That training.
        parent: ContentHash,
    },
    /// Uniformly random, with another training's count in every layer.
    Random {
        /// That training.
        like: ContentHash,
    },
}

/// Where a replicate's dense training was after so many iterations: θ₀ or θₖ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RewindPoint {
    /// The dense training.
    pub dense: ContentHash,
    /// k.
    pub iteration: Iteration,
}

/// Where a training's weights come from. Learning rate and data go on from the iteration of the rule.
#[derive(Clone, Debug, PartialEq)]
pub enum StartRule {
    /// θ₀, drawn for this replicate.
    Initial,
    /// The weights of the rewind point, and its moments where they are to be restored.
    Rewind {
        /// Where to.
        point: RewindPoint,
        /// What becomes of the moments.
        moments: RewindOptimizerState,
    },
    /// A fresh draw from the distribution of θ₀.
    Reinit {
        /// The iteration it starts at.
        iteration: Iteration,
    },
    /// The rewind point's kept values, permuted within each layer.
    Shuffle {
        /// The rewind point.
        point: RewindPoint,
    },
    /// ± the standard deviation of the layer's initial weights, signs as at the rewind point.
    ConstantSign {
        /// The rewind point.
        point: RewindPoint,
    },
    /// The rewind point's values and normal noise.
    Noise {
        /// The rewind point.
        point: RewindPoint,
        /// In standard deviations of the layer's initial weights.
        factor: f64,
    },
    /// Trained weights: those the mask was cut from.
    Final {
        /// The training they are of.
        parent: ContentHash,
        /// The iteration it goes on from.
        iteration: Iteration,
    },
}

/// What a training must find of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// Its entry: that it is done, its mask, its initial weights.
    Done,
    /// Its state after so many iterations.
    Snapshot(Iteration),
    /// Its final weights.
    FinalWeights,
}

/// All that determines a training's numbers, as JSON: what it has in common with the whole experiment, which is kept
/// once, and what is its own.
#[derive(Clone, Debug)]
pub struct KeyContent {
    pub(super) shared: Arc<SharedKeyContent>,
    pub(super) own: Value,
}

/// What all trainings of an experiment have in common, and its text.
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
    /// The whole: the fields in common, then its own.
    pub fn value(&self) -> Value {
        let mut whole = self.shared.value.clone();
        if let (Some(whole), Some(own)) = (whole.as_object_mut(), self.own.as_object()) {
            whole.extend(own.clone());
        }
        whole
    }

    /// Its key: the hash of the whole's text, put together from the parts' texts, since most of it never changes.
    pub(super) fn key(&self) -> ContentHash {
        let shared = self.shared.text.strip_suffix('}').unwrap_or_default();
        let own = self.own.to_string();
        ContentHash::of_json_text(&format!("{shared},{}", own.strip_prefix('{').unwrap_or_default()))
    }
}

/// One network trained once.
#[derive(Clone, Debug)]
pub struct TrainingSpec {
    /// The hash of [`Training::content`].
    pub key: ContentHash,
    /// All that determines the numbers.
    pub content: KeyContent,
    /// The arm it is for; `dense` for round 0.
    pub arm: String,
    /// From 1.
    pub replicate: u32,
    /// From 1.
    pub repeat: u32,
    /// Number of prunings.
    pub round: Round,
    /// Where its mask comes from.
    pub mask: MaskRule,
    /// Where its weights come from.
    pub start: StartRule,
    /// How many weights its mask keeps.
    pub counts: RemainingCounts,
    /// What trains it.
    pub engine: EngineKind,
    /// Which order of the data it sees, from 1; a copy that differs in nothing else has another.
    pub data_order: u32,
}

impl TrainingSpec {
    /// The stream of what a training draws while it goes on: the order of its images, and what is drawn for single values.
    pub fn stream(&self, seed: u64, purpose: Purpose) -> Stream {
        Stream { repeat: self.data_order - 1, ..Stream::of_replicate(seed, self.replicate, purpose) }
    }

    /// The same network from the same state with the same mask, trained with another order of the data.
    #[must_use]
    pub fn with_other_data_order(&self) -> Self {
        // The mask of the training itself, so that no pruning is done twice, and its initial weights where it has drawn
        // them; all else that is drawn before a training begins depends on its place in the plan, which is the same.
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
            // Of a dense mask nothing else would tell what it is a copy of.
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

    /// The training whose final weights the next round of this chain compares with, beside pruning this one's: where this
    /// one went on from trained weights and the criterion looks back to its start.
    pub fn reference_of_next_round(&self) -> Option<&ContentHash> {
        match (&self.mask, &self.start) {
            (
                MaskRule::Prune { reference: ReferencePoint::TrainingStart { .. }, .. },
                StartRule::Final { parent, .. },
            ) => Some(parent),
            _ => None,
        }
    }

    /// The trainings that must be done before this one, each once, and what it needs of them.
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
        // What a ticket has left of the dense network is told against what training made of that.
        if let (MaskRule::Prune { .. } | MaskRule::OneShot { .. }, StartRule::Rewind { point, .. }) =
            (&self.mask, &self.start)
        {
            needs.push((&point.dense, Dependency::FinalWeights));
        }
        // Who needs weights needs the entry: that is said once.
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
    /// The training that the weights come from, and what is needed of it.
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

    /// Whether the weights have been trained, so that the evaluation at the start may be the early stop. Fresh and
    /// permuted weights have not, and what is made of θ₀ has not either.
    pub fn is_trained(&self) -> bool {
        match self {
            Self::Initial | Self::Reinit { .. } | Self::Shuffle { .. } => false,
            Self::Rewind { point, .. } | Self::ConstantSign { point } | Self::Noise { point, .. } => {
                point.iteration > Iteration(0)
            }
            Self::Final { .. } => true,
        }
    }

    /// The iteration that learning rate and data go on from.
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
    /// Whether the mask goes on from a previous round's.
    pub fn is_chain(&self) -> bool {
        matches!(self, Self::Prune { .. })
    }

    /// What of the rule determines the mask; `counts` are what it keeps.
    pub(super) fn content(&self, pruning: &Value, counts: &RemainingCounts) -> Value {
        // Straight to a size: the rates do not matter then, and the size does.
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
            // The parent's key says where it started.
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
    /// What of the rule determines the weights. At iteration 0 it says nothing of iterations.
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
    fn a_key_is_the_hash_of_the_whole() {
        let shared = Arc::new(SharedKeyContent::new(json!({ "b": 1, "a": [0.1] })));
        let content = KeyContent { shared, own: json!({ "round": 2 }) };
        assert_eq!(content.value().to_string(), r#"{"b":1,"a":[0.1],"round":2}"#);
        assert_eq!(content.key(), ContentHash::of_json(&content.value()));
    }
}
