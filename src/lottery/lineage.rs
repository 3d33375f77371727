//! Lineage: the relations of a stored training run to others, by which garbage collection decides which weights are
//! kept.

use std::str::FromStr as _;

use serde_json::Value;

use super::rules::MaskRule;
use super::training::TrainingSpec;
use crate::base::key::ContentHash;

/// The relations of a training run that decide when its final weights, and those of others, may be freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lineage {
    /// Whether its mask is dense, and stays so.
    pub is_dense: bool,
    /// The previous training run of its chain: the one whose mask it prunes further, round by round.
    pub pruned_from: Option<ContentHash>,
    /// The training run from whose final weights this one started, if the next round's criterion needs them as
    /// reference weights (see [Reference weights](super#reference-weights)).
    pub compares_with: Option<ContentHash>,
}

impl TrainingSpec {
    /// Returns the lineage of the training run.
    pub fn lineage(&self) -> Lineage {
        let pruned_from = match &self.mask {
            MaskRule::Prune { parent, .. } => Some(*parent),
            // Pruned in one step, or copied: not part of a chain.
            MaskRule::Dense
            | MaskRule::OneShot { .. }
            | MaskRule::AtInit { .. }
            | MaskRule::EarlyBird { .. }
            | MaskRule::Of { .. }
            | MaskRule::File(_)
            | MaskRule::Random { .. } => None,
        };
        Lineage { is_dense: self.is_dense(), pruned_from, compares_with: self.reference_of_next_round().copied() }
    }
}

impl Lineage {
    /// Returns the lineage of the training run whose key is the hash of `content` (see [`TrainingSpec::content`]).
    ///
    /// Reads the JSON of a stored key, because the experiment is not known there. Must match `MaskRule::content` and
    /// `StartRule::content`.
    pub fn of_key_content(content: &Value) -> Self {
        let key = |value: &Value| value.as_str().and_then(|text| ContentHash::from_str(text).ok());
        let mask = &content["mask"];
        Self {
            is_dense: *mask == "dense" && content["updates"].is_null(),
            // A mask that was pruned in one step has its size under `to`.
            pruned_from: key(&mask["prune"]).filter(|_| mask["to"].is_null()),
            compares_with: key(&content["start"]["final"]).filter(|_| !mask["reference_weights"].is_null()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::study;
    use super::*;

    /// An arm of each mask rule, and chains with and without reference weights.
    const ARMS: &str = "arms={ticket={mask='iterative',weights='rewind'},tuned={mask='iterative',weights='final'},\
                        of={mask={of='ticket'},weights='reinit'},random={mask={random='ticket'},weights='reinit'},\
                        shot={mask={one_shot={cut=[0.3,0.6]}},weights='rewind'},\
                        init={mask={at_init={method='magnitude',like='ticket'}},weights='rewind'},\
                        gmp={mask='dense',mask_updates={method='gmp',like='ticket'},weights='rewind'},\
                        early={mask={early_bird={like='ticket',every='10it'}},weights='rewind'},\
                        erk={mask='iterative',allocation='erk',weights='rewind'},\
                        fresh={mask='dense',weights='reinit'}}";

    #[test]
    fn lineage_read_from_key_content_is_that_of_every_mask_rule() {
        for criterion in ["magnitude", "movement"] {
            let plan = study(&["rounds=3", &format!("prune.criterion={criterion}"), ARMS]).plan;
            for spec in &plan.trainings {
                assert_eq!(Lineage::of_key_content(&spec.content.value()), spec.lineage(), "{spec:?}");
            }
            let lineage = |arm: &str, round: u32| {
                plan.trainings.iter().find(|spec| spec.arm == arm && spec.round.0 == round).unwrap().lineage()
            };
            let key = |arm: &str, round: u32| {
                plan.trainings.iter().find(|spec| spec.arm == arm && spec.round.0 == round).unwrap().key
            };
            let none = Lineage::default();
            assert_eq!(lineage("dense", 0), Lineage { is_dense: true, ..none });
            assert_eq!(lineage("fresh", 0), Lineage { is_dense: true, ..none });
            assert_eq!(lineage("ticket", 1).pruned_from, Some(key("dense", 0)));
            assert_eq!(lineage("ticket", 3).pruned_from, Some(key("ticket", 2)));
            assert_eq!(lineage("erk", 3).pruned_from, Some(key("erk", 2)));
            for (arm, round) in [("of", 2), ("random", 2), ("shot", 2), ("init", 2), ("gmp", 2), ("early", 2)] {
                assert_eq!(lineage(arm, round), none, "{arm}");
            }
            let compares = (criterion == "movement").then(|| key("tuned", 1));
            assert_eq!(lineage("tuned", 2).compares_with, compares, "{criterion}");
        }
    }

    #[test]
    fn lineage_of_damaged_content_is_none() {
        assert_eq!(Lineage::of_key_content(&Value::Null), Lineage::default());
    }
}
