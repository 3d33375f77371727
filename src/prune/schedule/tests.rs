//! Rates, counts and ties on small cases computed by hand.

use super::*;
use crate::base::rng::Purpose;
use crate::base::tensors::NamedTensor;
use crate::config::Architecture;
use crate::network::build;

fn fraction(value: f64) -> Fraction {
    Fraction::try_from(value).unwrap()
}

fn layerwise(rates: &[f64]) -> PruningRates {
    PruningRates::Layerwise(rates.iter().map(|&rate| fraction(rate)).collect())
}

fn lenet() -> Network {
    build(&Architecture::Lenet300100.into(), [1, 28, 28], 10).unwrap()
}

fn paper() -> config::PruneConfig {
    let rate = RateConfig { linear: Some(0.2), output: Some(0.1), ..RateConfig::default() };
    config::PruneConfig { rate, ..config::PruneConfig::default() }
}

#[test]
fn layerwise_schedule_of_lenet_is_the_papers() {
    // Percent of all weights remaining after each round, layer-wise, 20 % and 10 %: the labels of Frankle & Carbin 2019,
    // Figures 3 and 4.
    let paper_percent =
        [80.04, 64.06, 51.28, 41.05, 32.87, 26.32, 21.07, 16.88, 13.52, 10.83, 8.68, 6.95, 5.57, 4.47, 3.58, 2.87];
    let pruning = PruningSchedule::new(&paper(), &lenet()).unwrap();
    let all = [235_200, 30_000, 1_000];
    let mut counts = RemainingCounts { kept: 266_200, layers: Some(all.to_vec()) };
    let mut kept = Vec::new();
    for percent in paper_percent {
        counts = pruning.after_round(&counts, &all);
        kept.push(counts.kept);
        assert!((counts.kept as f64 / 2662.0 - percent).abs() < 0.005, "{percent} {}", counts.kept);
    }
    assert_eq!(kept[..2], [213_060, 170_538]);
}

fn tiny() -> (Mask, TensorMap) {
    let layer = |name: &str, n| LayerMask { name: name.into(), shape: vec![n], kept: vec![true; n] };
    let tensor = |name: &str, values: &[f32]| NamedTensor {
        name: name.into(),
        shape: vec![values.len()],
        values: values.to_vec(),
    };
    let state = TensorMap(vec![tensor("a", &[0.1, -0.2, 0.3, -0.4]), tensor("b", &[0.01, 5.0]), tensor("c", &[0.0])]);
    (Mask(vec![layer("a", 4), layer("b", 2), layer("c", 1)]), state)
}

#[test]
fn scope_decides_whether_layers_compete() {
    let (mask, state) = tiny();
    let (all, whole) = ([4, 2, 1], RemainingCounts { kept: 7, layers: Some(vec![4, 2, 1]) });
    let weights = |last| ScoreInputs {
        criterion: Criterion::Magnitude,
        reference: last,
        trained: last,
        stream: Stream::of_replicate(1, 1, Purpose::Criterion),
    };
    let apart = PruningSchedule { rates: layerwise(&[0.5, 0.5, 0.0]) };
    let counts = apart.after_round(&whole, &all);
    assert_eq!(apart.prune_to(&counts, &mask, &weights(&state)).unwrap().kept_counts(), [2, 1, 1]);
    let included = vec![true, true, false];
    let together = PruningSchedule { rates: PruningRates::Global { rate: fraction(0.5), included } };
    let pruned = together.prune_to(&together.after_round(&whole, &all), &mask, &weights(&state)).unwrap();
    assert_eq!(pruned.0[0].kept, [false, false, true, true]);
    assert_eq!((pruned.0[1].kept.clone(), pruned.0[2].kept.clone()), (vec![false, true], vec![true]));
    let planned = together.after_round(&RemainingCounts { kept: 7, layers: None }, &[4, 2, 1]);
    assert_eq!(planned.kept, pruned.kept_total());
    assert!(apart.prune_to(&counts, &mask, &weights(&TensorMap::default())).unwrap_err().contains("`a`"));
}

/// Returns a tensor's mask and its values before and after training: all weights but the last `distinct` have changed sign,
/// so that their scores are 0.
fn changed_signs(name: &str, n: usize, distinct: usize) -> (LayerMask, NamedTensor, NamedTensor) {
    let tensor = |value: f32| NamedTensor {
        name: name.into(),
        shape: vec![n],
        values: (0..n).map(|i| if i < n - distinct { value } else { 1.0 }).collect(),
    };
    (LayerMask { name: name.into(), shape: vec![n], kept: vec![true; n] }, tensor(0.5), tensor(-0.5))
}

/// Prunes layers of `sizes` weights, most of them with equal scores, to `counts`; returns the pruned indices of each layer.
fn pruned_among_equals(sizes: &[usize], rates: PruningRates, counts: &RemainingCounts, round: u32) -> Vec<Vec<usize>> {
    let layers = sizes.iter().enumerate().map(|(i, &n)| changed_signs(&format!("l{i}"), n, n / 10));
    let (masks, (reference, last)): (Vec<_>, (Vec<_>, Vec<_>)) = layers.map(|(m, a, b)| (m, (a, b))).unzip();
    let stream = Stream { round, ..Stream::of_replicate(1, 1, Purpose::Criterion) };
    let (reference, last) = (&TensorMap(reference), &TensorMap(last));
    let weights = ScoreInputs { criterion: Criterion::LargeFinalSameSign, reference, trained: last, stream };
    let pruned = PruningSchedule { rates }.prune_to(counts, &Mask(masks), &weights).unwrap();
    let gone = |layer: &LayerMask| (0..layer.kept.len()).filter(|&i| !layer.kept[i]).collect();
    pruned.0.iter().map(gone).collect()
}

/// Returns the mean of the indices divided by `n`, in 0..1, and the bound on its distance from 0.5: four standard deviations
/// of the mean of as many uniform numbers.
fn mean_place(indices: &[usize], n: usize) -> (f64, f64) {
    let count = indices.len() as f64;
    let mean = indices.iter().map(|&i| (i as f64 + 0.5) / n as f64).sum::<f64>() / count;
    (mean, 4.0 / (12.0 * count).sqrt())
}

#[test]
fn equal_scores_are_pruned_evenly_within_a_layer() {
    let (sizes, left) = ([10_000, 4_000], vec![9_000, 3_800]);
    let counts = RemainingCounts { kept: 12_800, layers: Some(left) };
    let rounds = [1, 2].map(|round| pruned_among_equals(&sizes, layerwise(&[0.1, 0.05]), &counts, round));
    for (layer, n) in [(0, 10_000), (1, 4_000)] {
        let (mean, bound) = mean_place(&rounds[0][layer], n * 9 / 10);
        assert!((mean - 0.5).abs() < bound, "layer {layer}: mean place {mean}, bound {bound}");
    }
    assert_eq!(rounds[0].iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 200], "exact counts");
    assert_ne!(rounds[0], rounds[1], "each round draws its own order");
    assert_eq!(rounds[0], pruned_among_equals(&sizes, layerwise(&[0.1, 0.05]), &counts, 1), "the same draw again");
}

#[test]
fn global_scope_prunes_equal_scores_from_every_layer() {
    let sizes = [10_000, 40_000, 2_000];
    let rates = PruningRates::Global { rate: fraction(0.1), included: vec![true, true, false] };
    let gone = pruned_among_equals(&sizes, rates, &RemainingCounts { kept: 47_000, layers: None }, 1);
    assert_eq!((gone[0].len() + gone[1].len(), gone[2].len()), (5_000, 0));
    // A fifth of the equal scores lies in the first layer: 1,000 of 5,000, give or take four deviations of 28.
    assert!(gone[0].len().abs_diff(1_000) < 112, "{} from the first layer", gone[0].len());
    for (layer, n) in [(0, 9_000), (1, 36_000)] {
        let (mean, bound) = mean_place(&gone[layer], n);
        assert!((mean - 0.5).abs() < bound, "layer {layer}: mean place {mean}, bound {bound}");
    }
}

#[test]
fn equal_scores_are_drawn_per_layer() {
    let counts = RemainingCounts { kept: 1_800, layers: Some(vec![900, 900]) };
    let gone = pruned_among_equals(&[1_000, 1_000], layerwise(&[0.1, 0.1]), &counts, 1);
    assert_ne!(gone[0], gone[1]);
}

#[test]
fn one_shot_prunes_layers_in_proportion_to_their_rates() {
    let pruning = PruningSchedule::new(&paper(), &lenet()).unwrap();
    let all = [235_200, 30_000, 1_000];
    // One-shot pruning on a grid in steps of 2.5 %, the output layer at half the rate.
    let left = |share| pruning.one_shot(fraction(share), &all);
    assert_eq!(left(0.95).layers, Some(vec![11_760, 1_500, 525]));
    let percent = |share| format!("{:.2}", left(share).kept as f64 / 2662.0);
    assert_eq!([percent(0.05), percent(0.325), percent(0.825), percent(0.95)], ["95.01", "67.56", "17.65", "5.18"]);
    let global =
        config::PruneConfig { scope: Scope::Global, exclude: vec!["output".into()], ..config::PruneConfig::default() };
    let global = PruningSchedule::new(&global, &lenet()).unwrap();
    let counts = global.one_shot(fraction(0.9), &all);
    assert_eq!(counts, RemainingCounts { kept: 26_520 + 1_000, layers: None });
    assert_eq!(
        global.expected_per_layer(&counts, &all),
        [23_520, 3_000, 1_000],
        "the same share of every included layer"
    );
    assert_eq!(pruning.expected_per_layer(&left(0.95), &all), [11_760, 1_500, 525]);
}

#[test]
fn rate_of_a_layer_beats_its_kind_and_excluded_layers_stay() {
    let mut prune = paper();
    prune.rate.layers.insert("linear2".into(), 0.5);
    prune.exclude = vec!["output".into()];
    let pruning = PruningSchedule::new(&prune, &lenet()).unwrap();
    assert_eq!(pruning.rates, layerwise(&[0.2, 0.5, 0.0]));
    prune.exclude = vec!["linear9".into(), "shortcut".into(), "conv?".into(), "out*".into()];
    prune.include = vec!["linear*".into(), "block*".into()];
    prune.rate.layers.insert("linear3".into(), 0.5);
    let keys: Vec<String> = PruningSchedule::new(&prune, &lenet()).unwrap_err().into_iter().map(|p| p.key).collect();
    assert_eq!(keys, ["prune.rate.layers.linear3", "prune.include[1]", "prune.exclude[0]", "prune.exclude[2]"]);
}

#[test]
fn exclude_beats_include() {
    let rates = |include: &[&str], exclude: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let prune = config::PruneConfig { include: names(include), exclude: names(exclude), ..paper() };
        PruningSchedule::new(&prune, &lenet()).unwrap().rates
    };
    assert_eq!(rates(&["linear"], &[]), layerwise(&[0.2, 0.2, 0.0]));
    assert_eq!(rates(&["*1", "output"], &[]), layerwise(&[0.2, 0.0, 0.1]));
    assert_eq!(rates(&["linear?"], &["linear2"]), layerwise(&[0.2, 0.0, 0.0]));
}
