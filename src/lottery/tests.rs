//! Checks masks and starting weights of every kind of arm on a small network. Training is replaced by a fixed change of
//! the weights.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::*;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::base::units::Iteration;
use crate::engine::NoProbe;

/// The stored tensors of a training run.
struct StoredTensors {
    mask: Mask,
    start: Snapshot,
    trained: TensorMap,
}

/// A store in memory. Training changes every weight by a known amount: see [`replace_training`].
#[derive(Default)]
pub(super) struct InMemoryStore(BTreeMap<ContentHash, StoredTensors>);

impl ArtifactSource for InMemoryStore {
    fn mask(&self, key: &ContentHash) -> Result<Mask> {
        Ok(self.0.get(key).context("not there")?.mask.clone())
    }
    fn final_weights(&self, key: &ContentHash) -> Result<TensorMap> {
        Ok(self.0.get(key).context("not there")?.trained.clone())
    }
    fn initial_weights(&self, key: &ContentHash) -> Result<TensorMap> {
        Ok(self.0.get(key).context("not there")?.start.weights.clone())
    }
    fn snapshot(&self, key: &ContentHash, Iteration(iteration): Iteration) -> Result<Snapshot> {
        let start = self.initial_weights(key)?;
        let moments = vec![replace_training(&start, 2.0)];
        Ok(Snapshot {
            weights: replace_training(&start, 0.25),
            moments,
            iteration,
            optimizer_steps: iteration,
            ..Snapshot::default()
        })
    }
}

/// Replaces training by a fixed change: the weight `w[i]` becomes `w[i]·(1 + strength·direction(i))`, with
/// `direction(i)` in [−1, 1].
fn replace_training(state: &TensorMap, strength: f32) -> TensorMap {
    let direction = |i: usize| ((i * 7919 % 1000) as f32 / 500.0) - 1.0;
    let tensor = |tensor: &NamedTensor| NamedTensor {
        values: tensor.values.iter().enumerate().map(|(i, w)| w * (1.0 + strength * direction(i))).collect(),
        ..tensor.clone()
    };
    TensorMap(state.0.iter().map(tensor).collect())
}

/// One replicate of the smoke experiment, whose training runs have been prepared and audited one after the other.
pub(super) struct PreparedReplicate {
    pub(super) study: Study,
    pub(super) memory: InMemoryStore,
}

impl PreparedReplicate {
    pub(super) fn new(sets: &[&str]) -> Self {
        let study = test_support::study(&[&["replicates=1"], sets].concat());
        let mut replicate = Self { study, memory: InMemoryStore::default() };
        for training in replicate.study.plan.trainings.clone() {
            let Prepared { mask, start, .. } = prepare(&training, replicate.context()).unwrap();
            audit_start(&training, replicate.context(), &mask, &start).unwrap();
            audit_end(&mask, &start).unwrap();
            let mut trained = replace_training(&start.weights, 1.0 / (1.0 + training.round.0 as f32));
            mask.apply(&mut trained);
            replicate.memory.0.insert(training.key, StoredTensors { mask, start, trained });
        }
        replicate
    }

    pub(super) fn context(&self) -> PrepareContext<'_> {
        PrepareContext { study: &self.study, artifacts: &self.memory, probe: &NoProbe }
    }

    pub(super) fn training(&self, arm: &str, round: u32) -> &TrainingSpec {
        self.repeat(arm, round, 1)
    }

    fn repeat(&self, arm: &str, round: u32, repeat: u32) -> &TrainingSpec {
        let is_requested = |t: &&TrainingSpec| t.arm == arm && t.round.0 == round && t.repeat == repeat;
        self.study.plan.trainings.iter().find(is_requested).unwrap()
    }

    fn stored(&self, arm: &str, round: u32) -> &StoredTensors {
        &self.memory.0[&self.training(arm, round).key]
    }

    /// Returns the initial values of the kept weights of the first layer.
    fn kept(&self, arm: &str, round: u32) -> Vec<f32> {
        self.values(&self.stored(arm, round).start.weights, arm, round)
    }

    /// Returns the values of `state` at the weights of the first layer that the mask of a training run keeps.
    fn values(&self, state: &TensorMap, arm: &str, round: u32) -> Vec<f32> {
        let mask = &self.stored(arm, round).mask.0[0];
        state.0[0].values.iter().zip(&mask.kept).filter(|(_, kept)| **kept).map(|(w, _)| *w).collect()
    }

    fn theta_0(&self) -> &TensorMap {
        &self.stored("dense", 0).start.weights
    }
}

const TICKET: &str = "ticket={mask='iterative',weights='rewind'}";

fn with_arms(arms: &str) -> PreparedReplicate {
    PreparedReplicate::new(&[&format!("arms={{{TICKET},{arms}}}"), "rounds=3"])
}

#[test]
fn one_shot_masks_have_the_tickets_counts_and_come_from_the_dense_network() {
    let replicate =
        with_arms("shot={mask={one_shot={like='ticket'}},weights='rewind'},re={mask={of='shot'},weights='reinit'}");
    for round in 1..=3 {
        assert_eq!(
            replicate.stored("shot", round).mask.kept_counts(),
            replicate.stored("ticket", round).mask.kept_counts()
        );
    }
    assert_eq!(
        replicate.training("shot", 1).key,
        replicate.training("ticket", 1).key,
        "round 1 is the same training run"
    );
    assert!(replicate.stored("shot", 3).mask != replicate.stored("ticket", 3).mask);
    // The largest of the dense network's trained weights, and no smaller one.
    let mask = &replicate.stored("shot", 3).mask.0[0];
    let trained = &replicate.stored("dense", 0).trained.0[0];
    let magnitudes =
        |kept| trained.values.iter().zip(&mask.kept).filter(move |(_, k)| **k == kept).map(|(w, _)| w.abs());
    assert!(magnitudes(true).fold(f32::MAX, f32::min) >= magnitudes(false).fold(0.0, f32::max));
    assert_eq!(replicate.kept("shot", 3), replicate.values(replicate.theta_0(), "shot", 3));
    assert_eq!(replicate.stored("re", 3).mask, replicate.stored("shot", 3).mask);
}

#[test]
fn one_shot_rates_prune_layers_in_proportion_to_the_rates_of_their_kinds() {
    let replicate = with_arms("shot={mask={one_shot={cut=[0.5,0.9]}},weights='rewind'}");
    // 784·32, 32·16 and 16·10 weights; the output layer has half the rate: 25 % and 45 % go.
    assert_eq!(replicate.stored("shot", 1).mask.kept_counts(), [12_544, 256, 120]);
    assert_eq!(replicate.stored("shot", 2).mask.kept_counts(), [25_088 - 22_579, 512 - 461, 160 - 72]);
}

#[test]
fn magnitude_at_init_prunes_the_smallest_initial_weights() {
    let replicate = with_arms("init={mask={at_init={method='magnitude',like='ticket'}},weights='rewind'}");
    let mask = &replicate.stored("init", 2).mask;
    assert_eq!(mask.kept_counts(), replicate.stored("ticket", 2).mask.kept_counts());
    let mask = &mask.0[0];
    let theta_0 = &replicate.theta_0().0[0];
    let magnitudes =
        |kept| theta_0.values.iter().zip(&mask.kept).filter(move |(_, k)| **k == kept).map(|(w, _)| w.abs());
    assert!(magnitudes(true).fold(f32::MAX, f32::min) >= magnitudes(false).fold(0.0, f32::max));
    assert_eq!(replicate.kept("init", 2), replicate.values(replicate.theta_0(), "init", 2));
}

#[test]
fn shuffle_permutes_the_kept_initial_values() {
    let replicate = with_arms("shuffled={mask={of='ticket'},weights='shuffle',repeats=2}");
    let mut expected = replicate.kept("ticket", 2);
    let mut actual = replicate.kept("shuffled", 2);
    assert_ne!(actual, expected);
    expected.sort_by(f32::total_cmp);
    actual.sort_by(f32::total_cmp);
    assert_eq!(actual, expected);
    let second_repeat = &replicate.memory.0[&replicate.repeat("shuffled", 2, 2).key].start;
    assert_ne!(second_repeat, &replicate.stored("shuffled", 2).start, "each repeat draws its own");
}

#[test]
fn constant_sign_keeps_the_signs_and_one_magnitude() {
    let replicate = with_arms("signs={mask={of='ticket'},weights='constant_sign'}");
    let deviation = (2.0_f64 / (784.0 + 32.0)).sqrt() as f32;
    let expected: Vec<f32> = replicate.kept("ticket", 1).iter().map(|w| deviation.copysign(*w)).collect();
    assert_eq!(replicate.kept("signs", 1), expected);
}

#[test]
fn noise_is_added_to_the_initial_values() {
    let replicate = with_arms("noisy={mask={of='ticket'},weights='noise',noise=0.5}");
    let deviation = (2.0_f64 / (784.0 + 32.0)).sqrt();
    let pairs = replicate.kept("noisy", 1).into_iter().zip(replicate.kept("ticket", 1));
    let squares: Vec<f64> = pairs.map(|(noisy, w)| (f64::from(noisy - w) / deviation).powi(2)).collect();
    let strength = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!((strength - 0.5).abs() < 0.02, "{strength}");
}

#[test]
fn final_weights_are_those_that_the_mask_was_pruned_by() {
    let replicate = with_arms(
        "tuned={mask={of='ticket'},weights='final',lr_from='60it'},chain={mask='iterative',weights='final'},\
         of_chain={mask={of='chain'},weights='rewind'},shot={mask={one_shot={like='ticket'}},weights='final'}",
    );
    // Fine-tuning: the mask of round 2 was made from the final weights of round 1 of the ticket.
    assert_eq!(replicate.kept("tuned", 2), replicate.values(&replicate.stored("ticket", 1).trained, "tuned", 2));
    assert_eq!(
        (replicate.stored("tuned", 2).start.iteration, replicate.training("tuned", 2).start.iteration().0),
        (60, 60)
    );
    assert!(replicate.stored("tuned", 2).start.moments.is_empty());
    // Continued training (Frankle & Carbin 2019, Appendix B): one network is trained on, and its masks are trained from
    // θ₀ too.
    assert_eq!(replicate.kept("chain", 3), replicate.values(&replicate.stored("chain", 2).trained, "chain", 3));
    assert_eq!(replicate.kept("chain", 1), replicate.values(&replicate.stored("dense", 0).trained, "chain", 1));
    assert_eq!(replicate.stored("of_chain", 3).mask, replicate.stored("chain", 3).mask);
    assert_eq!(replicate.kept("of_chain", 3), replicate.values(replicate.theta_0(), "of_chain", 3));
    assert_eq!(replicate.kept("shot", 2), replicate.values(&replicate.stored("dense", 0).trained, "shot", 2));
}

#[test]
fn rewind_late_takes_weights_moments_and_iteration_of_the_dense_training_run() {
    let replicate = with_arms(
        "late={mask='iterative',weights='rewind',rewind_to='40it'},\
         reset={mask='iterative',weights='rewind',rewind_to='1ep',rewind_optimizer='reset'},\
         re={mask={of='late'},weights='reinit'},shuffled={mask={of='late'},weights='shuffle'}",
    );
    let dense = replicate.training("dense", 0).key;
    let dense_40 = replicate.memory.snapshot(&dense, Iteration(40)).unwrap();
    let start = &replicate.stored("late", 2).start;
    assert_eq!((start.iteration, start.optimizer_steps), (40, 40));
    assert_eq!(replicate.kept("late", 2), replicate.values(&dense_40.weights, "late", 2));
    assert!(replicate.stored("late", 2).mask.is_respected_by(&start.moments[0]));
    assert_eq!(replicate.values(&start.moments[0], "late", 2), replicate.values(&dense_40.moments[0], "late", 2));
    // 1,200 training images in batches of 30.
    let reset = &replicate.stored("reset", 1).start;
    assert_eq!((reset.iteration, reset.optimizer_steps, reset.moments.len()), (40, 0, 0));
    // Controls of a late ticket start at its iteration, with fresh moments.
    assert_eq!((replicate.stored("re", 1).start.iteration, replicate.stored("re", 1).start.moments.len()), (40, 0));
    let mut expected = replicate.kept("late", 2);
    let mut actual = replicate.kept("shuffled", 2);
    expected.sort_by(f32::total_cmp);
    actual.sort_by(f32::total_cmp);
    assert_eq!(actual, expected, "its values are permuted, not the initial ones");
    assert_eq!(
        replicate.training("late", 1).dependencies().len(),
        2,
        "final weights to prune by, and the state to begin from"
    );
}

#[test]
fn criterion_large_init_prunes_the_smallest_initial_weights() {
    let replicate = PreparedReplicate::new(&[&format!("arms={{{TICKET}}}"), "prune.criterion=large_init"]);
    let mask = &replicate.stored("ticket", 2).mask.0[0];
    let theta_0 = &replicate.theta_0().0[0];
    let magnitudes =
        |kept| theta_0.values.iter().zip(&mask.kept).filter(move |(_, k)| **k == kept).map(|(w, _)| w.abs());
    assert!(magnitudes(true).fold(f32::MAX, f32::min) >= magnitudes(false).fold(0.0, f32::max));
    let random = PreparedReplicate::new(&[&format!("arms={{{TICKET}}}"), "prune.criterion=random"]);
    assert!(random.stored("ticket", 2).mask != replicate.stored("ticket", 2).mask);
}

/// The score of a weight by a criterion with reference weights, computed independently of `prune`. The highest are
/// kept.
fn score(criterion: &str, reference: f32, trained: f32) -> f32 {
    match criterion {
        "large_init" => reference.abs(),
        "movement" => (trained - reference).abs(),
        "magnitude_increase" => trained.abs() - reference.abs(),
        "large_final_same_sign" => {
            if reference.is_sign_negative() == trained.is_sign_negative() {
                trained.abs()
            } else {
                0.0
            }
        }
        other => panic!("{other}"),
    }
}

/// Returns whether round `round` of an arm has pruned the weights of its previous round with the lowest scores, where
/// the reference weights are `reference`.
fn prunes_the_lowest(
    replicate: &PreparedReplicate,
    criterion: &str,
    (arm, round): (&str, u32),
    reference: &TensorMap,
) -> bool {
    let before = replicate.stored(arm, round - 1);
    let after = replicate.stored(arm, round);
    before.mask.0.iter().zip(&after.mask.0).all(|(before_layer, after_layer)| {
        let values = |state: &TensorMap| state.get(&before_layer.name).unwrap().values.clone();
        let reference = values(reference);
        let trained = values(&before.trained);
        let scores = |kept: bool| -> Vec<f32> {
            let ranked = (0..before_layer.kept.len()).filter(|&i| before_layer.kept[i] && after_layer.kept[i] == kept);
            ranked.map(|i| score(criterion, reference[i], trained[i])).collect()
        };
        let lowest_kept = scores(true).into_iter().fold(f32::INFINITY, f32::min);
        let highest_pruned = scores(false).into_iter().fold(f32::NEG_INFINITY, f32::max);
        highest_pruned <= lowest_kept
    })
}

const CRITERIA_WITH_REFERENCE_WEIGHTS: [&str; 4] =
    ["large_init", "movement", "magnitude_increase", "large_final_same_sign"];

#[test]
fn reference_weights_are_the_start_of_the_pruned_training_run_for_every_weight_source() {
    for weights in ["'rewind',rewind_to='40it'", "'rewind'", "'final'", "'reinit'", "'shuffle'", "'noise',noise=0.5"] {
        for criterion in CRITERIA_WITH_REFERENCE_WEIGHTS {
            let arms = format!("arms={{chain={{mask='iterative',weights={weights}}}}}");
            let replicate = PreparedReplicate::new(&[&arms, "rounds=3", &format!("prune.criterion={criterion}")]);
            for round in 2..=3 {
                let start = &replicate.stored("chain", round - 1).start.weights;
                assert!(
                    prunes_the_lowest(&replicate, criterion, ("chain", round), start),
                    "{criterion} {weights} {round}"
                );
            }
        }
    }
}

#[test]
fn reference_weights_initial_are_theta_0_for_late_rewinds_too() {
    let late = "arms={late={mask='iterative',weights='rewind',rewind_to='40it'}}";
    for criterion in CRITERIA_WITH_REFERENCE_WEIGHTS {
        let sets = |more: &str| {
            PreparedReplicate::new(&[late, "rounds=2", &format!("prune={{criterion=\"{criterion}\"{more}}}")])
        };
        let initial = sets(",reference_weights=\"initial\"");
        let start = sets("");
        assert!(prunes_the_lowest(&initial, criterion, ("late", 2), initial.theta_0()), "{criterion}");
        // The smoke network keeps its signs until iteration 40, so that criterion gives the same mask either way.
        let differ = initial.stored("late", 2).mask != start.stored("late", 2).mask;
        assert_eq!(differ, criterion != "large_final_same_sign", "{criterion}");
        assert_eq!(initial.training("late", 1).key, start.training("late", 1).key, "{criterion}: round 1 prunes dense");
        assert_ne!(initial.training("late", 2).key, start.training("late", 2).key, "{criterion}");
    }
}

#[test]
fn reference_weights_are_a_dependency() {
    let arms = "arms={chain={mask='iterative',weights='final'}}";
    let replicate = PreparedReplicate::new(&[arms, "rounds=3", "prune.criterion=movement"]);
    let key = |arm, round| replicate.training(arm, round).key;
    // Round 3 prunes round 2, which started from the final weights of round 1.
    let mut expected = vec![(key("chain", 2), Dependency::FinalWeights), (key("chain", 1), Dependency::FinalWeights)];
    expected.sort();
    let dependencies = replicate.training("chain", 3).dependencies();
    assert_eq!(dependencies.into_iter().map(|(key, output)| (*key, output)).collect::<Vec<_>>(), expected);
    let plain = PreparedReplicate::new(&[arms, "rounds=3"]);
    assert_eq!(plain.training("chain", 3).dependencies().len(), 1, "magnitude has no reference weights");
}

#[test]
fn equal_scores_are_in_the_keys_of_masks_that_have_many() {
    let marked = |sets: &[&str], arm: &str, round: u32| {
        let replicate = PreparedReplicate::new(&[&["rounds=2"], sets].concat());
        !replicate.training(arm, round).content.value()["mask"]["by"]["equal_scores"].is_null()
    };
    let ticket = format!("arms={{{TICKET}}}");
    for (criterion, expected) in [("magnitude", false), ("random", false), ("large_init", false), ("movement", true)] {
        assert_eq!(marked(&[&ticket, &format!("prune.criterion={criterion}")], "ticket", 1), expected, "{criterion}");
    }
    // Weights that start from ± one constant, and that training does not move, have equal magnitudes.
    let constants = "arms={chain={mask='iterative',weights='constant_sign'}}";
    assert_eq!([1, 2].map(|round| marked(&[constants], "chain", round)), [false, true]);
    let at_init = "arms={a={mask={at_init={method='magnitude',cut=[0.5]}},weights='rewind'}}";
    assert!(
        !marked(&[at_init, "prune.criterion=movement"], "a", 1),
        "scored by initial magnitudes whatever the criterion"
    );
}
