//! Masks at initialization by a probe whose gradients are known numbers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::base::rng::mix;
use crate::base::units::Round;
use crate::config::{Normalize, WeightInit};
use crate::data::{Dataset, Normalization};
use crate::engine::{GradientMap, NamedGradient, PixelBatch, PixelOutput, ProbeOptions};
use crate::lottery::rules::MaskRule;
use crate::lottery::test_support;
use crate::network::init_weights;

/// A probe without a network. The gradient of a weight is `gradient(index over all weights, whether it is kept)`.
struct KnownGradients<F> {
    gradient: F,
    dataset: Dataset,
    calls: AtomicUsize,
}

impl<F: Fn(u64, bool) -> f64> KnownGradients<F> {
    fn new(gradient: F) -> Self {
        let dataset = Dataset {
            shape: [1, 1, 1],
            classes: 2,
            images: vec![0; 400],
            labels: (0..400).map(|i| (i % 2) as u8).collect(),
            train: (0..400).collect(),
            validation: Vec::new(),
            test: Vec::new(),
            normalization: Normalization::new(Normalize::None, &[], &[], 1),
        };
        Self { gradient, dataset, calls: AtomicUsize::new(0) }
    }

    fn of(&self, mask: &Mask) -> GradientMap {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut index = 0..;
        let mut gradients = |layer: &crate::base::mask::LayerMask| NamedGradient {
            name: layer.name.clone(),
            shape: layer.shape.clone(),
            values: layer.kept.iter().map(|&kept| (self.gradient)(index.next().unwrap(), kept)).collect(),
        };
        GradientMap(mask.0.iter().map(&mut gradients).collect())
    }
}

impl<F: Fn(u64, bool) -> f64> Probe for KnownGradients<F> {
    fn dataset(&self) -> Option<&Dataset> {
        Some(&self.dataset)
    }

    fn gradients(&self, _: &Snapshot, mask: &Mask, _: &[Vec<u32>], _: &ProbeOptions) -> Result<GradientMap> {
        Ok(self.of(mask))
    }

    fn hessian_gradient_product(
        &self,
        _: &Snapshot,
        mask: &Mask,
        _: &[Vec<u32>],
        _: &ProbeOptions,
    ) -> Result<GradientMap> {
        Ok(self.of(mask))
    }

    fn input_norms(&self, _: &Snapshot, _: &Mask, _: &[Vec<u32>]) -> Result<BTreeMap<String, Vec<f64>>> {
        bail!("no activations")
    }

    fn on_pixels(&self, _: &Snapshot, _: &Mask, _: PixelBatch<'_>, _: bool) -> Result<PixelOutput> {
        bail!("no pixels")
    }
}

/// Makes the masks of rounds 1 and 2 of an arm of the smoke experiment with this table `at_init`, at 40% and 10% of the
/// weights of every layer (or of all layers together, with `scope`).
fn masks(at_init: &str, scope: &str, probe: &dyn Probe) -> Result<[Mask; 2]> {
    let arm = format!("arms={{a={{mask={{at_init={{{at_init},cut=[0.6,0.9]}}}},weights='rewind'}}}}");
    let rates = if scope == "global" { "prune.rate={all=0.2}" } else { "prune.rate={linear=0.2,output=0.2}" };
    let study = test_support::study(&["replicates=1", &arm, rates, &format!("prune.scope='{scope}'")]);
    let initial = Snapshot::initial(initial_weights());
    let made = |round: u32| {
        let training = study.plan.trainings.iter().find(|spec| spec.arm == "a" && spec.round == Round(round)).unwrap();
        let MaskRule::AtInit { scoring, .. } = &training.mask else { panic!("{:?}", training.mask) };
        let untrained = Untrained {
            network: &study.resolved.network,
            initial: &initial,
            pruning: &study.resolved.pruning,
            probe,
            batch_size: 60,
            draws: Stream { round, ..Stream::of_replicate(1, 1, Purpose::Mask) },
        };
        at_init_mask(scoring, &training.counts, untrained)
    };
    Ok([made(1)?, made(2)?])
}

/// A number in [0.5, 1.5) for each weight.
fn scattered(index: u64) -> f64 {
    0.5 + (mix(9, index) >> 11) as f64 * 2.0_f64.powi(-53)
}

fn initial_weights() -> TensorMap {
    let network = test_support::study(&["replicates=1"]).resolved.network;
    let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
    init_weights(&network, WeightInit::GlorotNormal, 0.0, &mut generator)
}

/// Returns the smallest score that is kept and the largest that is pruned, by `score(weight, index over all weights)`.
fn bounds(mask: &Mask, layer: usize, score: impl Fn(f64, u64) -> f64) -> (f64, f64) {
    let before: usize = mask.0[..layer].iter().map(|layer| layer.kept.len()).sum();
    let weights = initial_weights();
    let values = &weights.get(&mask.0[layer].name).unwrap().values;
    let mut bounds = (f64::INFINITY, f64::NEG_INFINITY);
    for (i, (&weight, &kept)) in values.iter().zip(&mask.0[layer].kept).enumerate() {
        let score = score(f64::from(weight), (before + i) as u64);
        if kept { bounds.0 = bounds.0.min(score) } else { bounds.1 = bounds.1.max(score) }
    }
    bounds
}

#[test]
fn masks_keep_the_highest_scores_of_their_method() {
    let probe = KnownGradients::new(|index, _| scattered(index) - 1.0);
    let gradient = |index| scattered(index) - 1.0;
    for (method, score) in [
        ("magnitude", &(|w: f64, _: u64| w.abs()) as &dyn Fn(f64, u64) -> f64),
        ("snip", &|w, i| (w * gradient(i)).abs()),
        ("grasp", &|w, i| w * gradient(i)),
    ] {
        let [large, small] = masks(&format!("method='{method}'"), "layerwise", &probe).unwrap();
        assert!(small.is_subset_of(&large), "{method}: both sizes have the same scores");
        let inverted = masks(&format!("method='{method}',inverted=true"), "layerwise", &probe).unwrap();
        for layer in 0..3 {
            let (kept, pruned) = bounds(&small, layer, score);
            assert!(kept >= pruned, "{method}: {kept} kept, {pruned} pruned");
            let (kept, pruned) = bounds(&inverted[1], layer, |w, i| -score(w, i));
            assert!(kept >= pruned, "inverted {method}: {kept} kept, {pruned} pruned");
        }
    }
}

#[test]
fn global_scope_ranks_all_layers_together() {
    let probe = KnownGradients::new(|_, _| 0.0);
    let [_, small] = masks("method='magnitude'", "global", &probe).unwrap();
    let smallest = (0..3).map(|layer| bounds(&small, layer, |w, _| w.abs()).0).fold(f64::INFINITY, f64::min);
    let largest = (0..3).map(|layer| bounds(&small, layer, |w, _| w.abs()).1).fold(0.0, f64::max);
    assert!(smallest >= largest, "{smallest} {largest}");
    // The initial weights of the first layer, which has the most inputs, are the smallest.
    let density = |layer: usize| small.0[layer].kept_count() as f64 / small.0[layer].kept.len() as f64;
    assert!(density(0) < density(2), "{:?}", small.kept_counts());
}

#[test]
fn iterative_methods_score_before_each_step_and_force_alone_brings_weights_back() {
    // A pruned weight gets a gradient so large that its score is the highest.
    let gradient = |index, kept| if kept { scattered(index) } else { 1e9 };
    for (method, steps) in [("iterative_snip", 60), ("force", 60), ("synflow", 100), ("snip", 1)] {
        let probe = KnownGradients::new(gradient);
        let masks = masks(&format!("method='{method}'"), "layerwise", &probe).unwrap();
        assert_eq!(probe.calls.into_inner(), 2 * steps, "{method}");
        let first = masks[1].0[0].kept.iter().filter(|&&kept| kept).count();
        assert_eq!(first, 2509, "{method}: a tenth of 784 x 32, rounded");
    }
    let two_steps = |method: &str| {
        let probe = KnownGradients::new(gradient);
        masks(&format!("method='{method}',steps=2"), "layerwise", &probe).unwrap()[1].clone()
    };
    // What one step keeps of a tenth in two steps: √0.1 of the weights.
    let score_of_first_step = |w: f64, i| (w * scattered(i)).abs();
    let mut scores = first_layer_scores(score_of_first_step);
    scores.sort_by(f64::total_cmp);
    let threshold = scores[scores.len() - (0.1_f64.sqrt() * scores.len() as f64).round() as usize];
    let within = |mask: &Mask| bounds(mask, 0, score_of_first_step).0 >= threshold;
    assert!(within(&two_steps("iterative_snip")), "step 2 prunes what step 1 has left");
    assert!(!within(&two_steps("force")), "step 2 ranks all weights");
}

fn first_layer_scores(score: impl Fn(f64, u64) -> f64) -> Vec<f64> {
    let weights = initial_weights();
    weights.0[0].values.iter().enumerate().map(|(i, &w)| score(f64::from(w), i as u64)).collect()
}

#[test]
fn random_masks_at_initialization_have_global_counts_and_differ_by_round() {
    let probe = KnownGradients::new(|_, _| 0.0);
    let [large, small] = masks("method='random'", "global", &probe).unwrap();
    let total = large.total() as f64;
    assert_eq!((large.kept_total(), small.kept_total()), ((0.4 * total).round() as u64, (0.1 * total).round() as u64));
    assert!(!small.is_subset_of(&large), "each size has draws of its own");
    // 160 weights of the output layer, of which a tenth is kept, give or take four deviations of 3.8.
    assert!((1..=31).contains(&small.kept_counts()[2]), "{:?}", small.kept_counts());
}

#[test]
fn scores_that_cannot_be_ranked_are_refused() {
    let message = |gradient: &dyn Fn(u64, bool) -> f64, method: &str| {
        let probe = KnownGradients::new(gradient);
        masks(&format!("method='{method}'"), "layerwise", &probe).unwrap_err().to_string()
    };
    let zero = message(&|_, _| -0.0, "grasp").replace("grasp", "snip");
    assert_eq!(zero, "`snip` gives all weights the score 0, so that none can be preferred");
    let nan = message(&|index, _| if index == 784 * 32 { f64::NAN } else { 1.0 }, "grasp");
    assert!(nan.starts_with("`grasp` gives a weight of `linear2.weight` the score NaN"), "{nan}");
    let infinite = message(&|_, _| f64::INFINITY, "synflow");
    assert!(infinite.contains("the score inf"), "{infinite}");
}

#[test]
fn weights_are_pruned_at_random_once_a_layer_is_empty() {
    // The first layer has the lowest scores, so that it is empty after some steps; then all gradients are 0.
    let layer_of = |index: u64| u64::from(index >= 784 * 32);
    let gradient = move |index, kept| if kept { 1e-9 + layer_of(index) as f64 } else { 0.0 };
    let probe = KnownGradients::new(gradient);
    let dead = KnownGradients::new(|_, _| 0.0);
    let arm = "method='synflow',steps=4";
    assert!(masks(arm, "global", &dead).is_err(), "no layer is empty before the first step");
    let arm_to_the_end = "method='synflow',steps=4,inverted=true";
    let mask = &masks(arm_to_the_end, "global", &probe).unwrap()[1];
    assert_eq!(mask.kept_total(), 2576);
    assert_eq!(empty_layers(mask), ["`linear2`", "`output`"]);
}
