//! A training run of the plan: one network trained once, with its rules, its key, and its dependencies.

use std::sync::Arc;

use serde_json::{Value, json};

use super::rules::{Dependency, MaskRule, ReferencePoint, RewindPoint, StartRule};
use super::update_rule::{MaskUpdateRule, UpdateKind};
use crate::base::key::ContentHash;
use crate::base::rng::{Purpose, Stream};
use crate::base::units::{Iteration, Round};
use crate::config::{RewindOptimizerState, Supermask};
use crate::engine::EngineKind;
use crate::prune::RemainingCounts;

/// Everything that determines the numbers of a training run, as JSON: the part that the whole experiment shares, which
/// is stored once, and the part of this training run.
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
        let mut value = self.shared.value.clone();
        if let (Some(fields), Some(own)) = (value.as_object_mut(), self.own.as_object()) {
            fields.extend(own.clone());
        }
        value
    }

    /// Returns the hash of [`KeyContent::value`]. The hashed text is joined from the texts of both parts; the shared
    /// one, which is most of it, is written once for all training runs.
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
    /// Everything that determines the numbers of the training run.
    pub content: KeyContent,
    /// The arm that it belongs to; `dense` for the dense networks.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat within the replicate, from 1.
    pub repeat: u32,
    /// Index of a mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: Round,
    /// The rule for its mask.
    pub mask: MaskRule,
    /// The rule for the weights it starts from.
    pub start: StartRule,
    /// The rule by which its mask changes during training; `None` if it does not.
    pub updates: Option<MaskUpdateRule>,
    /// Its length, as a multiple of `train.iterations`.
    pub length: u32,
    /// The iteration at which it ends.
    pub last_iteration: Iteration,
    /// The number of weights that its mask keeps at the end, as far as it is known before training.
    pub counts: RemainingCounts,
    /// The engine that trains it.
    pub engine: EngineKind,
    /// The data order, from 1. A copy for an instability analysis has another one, and differs in nothing else.
    pub data_order: u32,
}

impl TrainingSpec {
    /// Returns the random stream of a purpose during training: the order of the images, or dropout and augmentation.
    pub fn stream(&self, seed: u64, purpose: Purpose) -> Stream {
        Stream { repeat: self.data_order - 1, ..Stream::of_replicate(seed, self.replicate, purpose) }
    }

    /// Returns whether its mask is dense, and stays so.
    pub fn is_dense(&self) -> bool {
        self.mask == MaskRule::Dense && self.updates.is_none()
    }

    /// Returns the numbers of weights of its mask at the start of training.
    pub fn start_counts(&self) -> &RemainingCounts {
        match &self.updates {
            Some(MaskUpdateRule { kind: UpdateKind::Prune { start, .. }, .. }) => start,
            _ => &self.counts,
        }
    }

    /// Returns how scores determine its mask, if scores are trained instead of weights.
    pub fn supermask(&self) -> Option<Supermask> {
        self.updates.as_ref().and_then(MaskUpdateRule::supermask)
    }

    /// Returns the training run whose mask has the densities of the layers of its mask at the end, if they are not known
    /// before it is trained.
    pub(super) fn layers_like(&self) -> Option<&ContentHash> {
        self.mask.layers_like().or(self.updates.as_ref().and_then(MaskUpdateRule::layers_like))
    }

    /// Returns a copy of the training run that trains the same network from the same state with the same mask, but with
    /// another order of the data.
    #[must_use]
    pub fn with_other_data_order(&self) -> Self {
        // The copy takes the mask of the original, so that nothing is pruned twice. If the original draws θ₀, the copy
        // takes it from the original's entry. Everything else that is drawn before training depends on replicate,
        // repeat and round, which are equal. Where updates change the mask, the original's entry has the last one, so that
        // the copy makes the first one again.
        let makes_mask_again = self.mask == MaskRule::Dense || self.updates.is_some();
        let mask = if makes_mask_again { self.mask.clone() } else { MaskRule::Of { parent: self.key } };
        let mask_content =
            if makes_mask_again { self.content.own["mask"].clone() } else { mask.content(&Value::Null, &self.counts) };
        let theta_0 = RewindPoint { dense: self.key, iteration: Iteration(0) };
        let start = match &self.start {
            StartRule::Initial => StartRule::Rewind { point: theta_0, moments: RewindOptimizerState::default() },
            other => other.clone(),
        };
        let order = self.data_order + 1;
        let mut own = json!({
            "replicate": self.replicate,
            "repeat": self.repeat,
            "round": self.round,
            // Needed for dense masks: `mask` and `start` do not identify the original.
            "copy_of": self.key,
            "mask": mask_content,
            "start": start.content(),
            "order": order,
        });
        for name in ["updates", "length"] {
            if let Some(content) = self.content.own.get(name) {
                own[name] = content.clone();
            }
        }
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

    /// Returns the training run whose final weights this one started from, if pruning this one needs them as reference
    /// weights (see [Reference weights](super#reference-weights)). Independent of whether the plan has a next round
    /// that prunes this one.
    ///
    /// `None` for round 1 of a chain with weights `final`, which started from the final weights of the dense training
    /// run: these are kept in any case.
    pub fn reference_of_next_round(&self) -> Option<&ContentHash> {
        match (&self.mask, &self.start) {
            (
                MaskRule::Prune { reference: ReferencePoint::TrainingStart { .. }, .. },
                StartRule::Final { parent, .. },
            ) => Some(parent),
            _ => None,
        }
    }

    /// Returns the outputs of other training runs that this one needs, sorted by key, without duplicates.
    pub fn dependencies(&self) -> Vec<(&ContentHash, Dependency)> {
        let mut outputs = Vec::new();
        match &self.mask {
            MaskRule::Dense | MaskRule::AtInit { .. } | MaskRule::File(_) => {}
            MaskRule::Prune { parent, reference, .. } => {
                outputs.push((parent, Dependency::FinalWeights));
                if let ReferencePoint::TrainingStart { start, .. } = reference {
                    outputs.extend(start.dependency());
                }
            }
            MaskRule::OneShot { parent, .. } => outputs.push((parent, Dependency::FinalWeights)),
            MaskRule::EarlyBird { rule, .. } => {
                let output = |iteration: &Iteration| match iteration {
                    Iteration(0) => Dependency::Entry,
                    iteration => Dependency::Snapshot(*iteration),
                };
                outputs.extend(rule.iterations.iter().map(|iteration| (&rule.dense, output(iteration))));
            }
            MaskRule::Of { parent: key } | MaskRule::Random { like: key } => outputs.push((key, Dependency::Entry)),
        }
        outputs.extend(self.layers_like().map(|key| (key, Dependency::Entry)));
        outputs.extend(self.start.dependency());
        // The weight statistics of a ticket compare its initial weights with the final weights of the dense network.
        if let (MaskRule::Prune { .. } | MaskRule::OneShot { .. }, StartRule::Rewind { point, .. }) =
            (&self.mask, &self.start)
        {
            outputs.push((&point.dense, Dependency::FinalWeights));
        }
        // A dependency on weights implies one on the entry.
        let all_outputs = outputs.clone();
        let implies_entry =
            |key: &ContentHash| all_outputs.iter().any(|(other, output)| *other == key && *output != Dependency::Entry);
        outputs.retain(|(key, output)| *output != Dependency::Entry || !implies_entry(key));
        outputs.sort_by(|a, b| a.0.cmp(b.0).then(a.1.cmp(&b.1)));
        outputs.dedup();
        outputs
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
