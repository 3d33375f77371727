//! Rates, counts and ties on small cases computed by hand.

use super::*;
use crate::base::rng::Purpose;
use crate::base::tensors::NamedTensor;
use crate::config::Architecture;
use crate::network::build;

fn fraction(value: f64) -> Fraction {
    Fraction::try_from(value).unwrap()
}

fn layerwise(rates: &[f64]) -> RateRule {
    RateRule::Layerwise(rates.iter().map(|&rate| fraction(rate)).collect())
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
    // Percent of all weights remaining after each round, layer-wise, 20 % and 10 %: the labels of Frankle & Carbin
    // 2019, Figures 3 and 4.
    let paper_percent =
        [80.04, 64.06, 51.28, 41.05, 32.87, 26.32, 21.07, 16.88, 13.52, 10.83, 8.68, 6.95, 5.57, 4.47, 3.58, 2.87];
    let pruning = PruningRates::new(&paper(), &lenet()).unwrap();
    let sizes = [235_200, 30_000, 1_000];
    let mut counts = RemainingCounts { kept: 266_200, layers: Some(sizes.to_vec()) };
    let mut kept = Vec::new();
    for percent in paper_percent {
        counts = pruning.after_round(&counts, &sizes);
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
fn scope_decides_whether_layers_share_a_ranking() {
    let (mask, state) = tiny();
    let sizes = [4, 2, 1];
    let dense_counts = RemainingCounts { kept: 7, layers: Some(sizes.to_vec()) };
    let stream = Stream::of_replicate(1, 1, Purpose::Criterion);
    let input_norms = &BTreeMap::new();
    let criterion = Criterion::Magnitude;
    let inputs = |weights| ScoreInputs { criterion, reference: weights, trained: weights, input_norms, stream };
    let scores = inputs(&state).scores(&mask).unwrap();
    let layerwise = PruningRates { rule: layerwise(&[0.5, 0.5, 0.0]) };
    let counts = layerwise.after_round(&dense_counts, &sizes);
    assert_eq!(layerwise.prune_to(&counts, &mask, &scores, stream).kept_counts(), [2, 1, 1]);
    let included = vec![true, true, false];
    let global = PruningRates { rule: RateRule::Global { rate: fraction(0.5), included } };
    let pruned = global.prune_to(&global.after_round(&dense_counts, &sizes), &mask, &scores, stream);
    assert_eq!(pruned.0[0].kept, [false, false, true, true]);
    assert_eq!((pruned.0[1].kept.clone(), pruned.0[2].kept.clone()), (vec![false, true], vec![true]));
    let planned = global.after_round(&RemainingCounts { kept: 7, layers: None }, &sizes);
    assert_eq!(planned.kept, pruned.kept_total());
    assert!(inputs(&TensorMap::default()).scores(&mask).unwrap_err().contains("`a`"));
}

/// Returns a tensor's mask and its values before and after training: all weights but the last `distinct` have changed
/// sign, so that their scores are 0.
fn changed_signs(name: &str, n: usize, distinct: usize) -> (LayerMask, NamedTensor, NamedTensor) {
    let tensor = |value: f32| NamedTensor {
        name: name.into(),
        shape: vec![n],
        values: (0..n).map(|i| if i < n - distinct { value } else { 1.0 }).collect(),
    };
    (LayerMask { name: name.into(), shape: vec![n], kept: vec![true; n] }, tensor(0.5), tensor(-0.5))
}

/// Prunes layers of `sizes` weights, most of them with equal scores, to `counts`; returns the pruned indices of each
/// layer.
fn pruned_among_equals(sizes: &[usize], rule: RateRule, counts: &RemainingCounts, round: u32) -> Vec<Vec<usize>> {
    let layers = sizes.iter().enumerate().map(|(i, &n)| changed_signs(&format!("l{i}"), n, n / 10));
    let mut mask = Mask(Vec::new());
    let mut reference = TensorMap::default();
    let mut trained = TensorMap::default();
    for (layer_mask, layer_reference, layer_trained) in layers {
        mask.0.push(layer_mask);
        reference.0.push(layer_reference);
        trained.0.push(layer_trained);
    }
    let stream = Stream { round, ..Stream::of_replicate(1, 1, Purpose::Criterion) };
    let criterion = Criterion::LargeFinalSameSign;
    let inputs =
        ScoreInputs { criterion, reference: &reference, trained: &trained, input_norms: &BTreeMap::new(), stream };
    let pruned = PruningRates { rule }.prune_to(counts, &mask, &inputs.scores(&mask).unwrap(), stream);
    let pruned_indices = |layer: &LayerMask| (0..layer.kept.len()).filter(|&i| !layer.kept[i]).collect();
    pruned.0.iter().map(pruned_indices).collect()
}

/// Returns the mean of the indices divided by `n`, in 0..1, and the bound on its distance from 0.5: four standard
/// deviations of the mean of as many uniform numbers.
fn mean_position(indices: &[usize], n: usize) -> (f64, f64) {
    let count = indices.len() as f64;
    let mean = indices.iter().map(|&i| (i as f64 + 0.5) / n as f64).sum::<f64>() / count;
    (mean, 4.0 / (12.0 * count).sqrt())
}

#[test]
fn equal_scores_are_pruned_evenly_within_a_layer() {
    let sizes = [10_000, 4_000];
    let counts = RemainingCounts { kept: 12_800, layers: Some(vec![9_000, 3_800]) };
    let rounds = [1, 2].map(|round| pruned_among_equals(&sizes, layerwise(&[0.1, 0.05]), &counts, round));
    for (layer, n) in [(0, 10_000), (1, 4_000)] {
        let (mean, bound) = mean_position(&rounds[0][layer], n * 9 / 10);
        assert!((mean - 0.5).abs() < bound, "layer {layer}: mean position {mean}, bound {bound}");
    }
    assert_eq!(rounds[0].iter().map(Vec::len).collect::<Vec<_>>(), [1_000, 200], "exact counts");
    assert_ne!(rounds[0], rounds[1], "each round draws its own order");
    assert_eq!(rounds[0], pruned_among_equals(&sizes, layerwise(&[0.1, 0.05]), &counts, 1), "the same draw again");
}

#[test]
fn global_scope_prunes_equal_scores_from_every_layer() {
    let sizes = [10_000, 40_000, 2_000];
    let rule = RateRule::Global { rate: fraction(0.1), included: vec![true, true, false] };
    let pruned = pruned_among_equals(&sizes, rule, &RemainingCounts { kept: 47_000, layers: None }, 1);
    assert_eq!((pruned[0].len() + pruned[1].len(), pruned[2].len()), (5_000, 0));
    // A fifth of the equal scores lies in the first layer: 1,000 of 5,000, give or take four deviations of 28.
    assert!(pruned[0].len().abs_diff(1_000) < 112, "{} from the first layer", pruned[0].len());
    for (layer, n) in [(0, 9_000), (1, 36_000)] {
        let (mean, bound) = mean_position(&pruned[layer], n);
        assert!((mean - 0.5).abs() < bound, "layer {layer}: mean position {mean}, bound {bound}");
    }
}

#[test]
fn equal_scores_are_drawn_per_layer() {
    let counts = RemainingCounts { kept: 1_800, layers: Some(vec![900, 900]) };
    let pruned = pruned_among_equals(&[1_000, 1_000], layerwise(&[0.1, 0.1]), &counts, 1);
    assert_ne!(pruned[0], pruned[1]);
}

#[test]
fn one_shot_prunes_layers_in_proportion_to_their_rates() {
    let pruning = PruningRates::new(&paper(), &lenet()).unwrap();
    let sizes = [235_200, 30_000, 1_000];
    // One-shot pruning on a grid in steps of 2.5 %, the output layer at half the rate.
    let remaining = |share| pruning.one_shot(fraction(share), &sizes);
    assert_eq!(remaining(0.95).layers, Some(vec![11_760, 1_500, 525]));
    let percent = |share| format!("{:.2}", remaining(share).kept as f64 / 2662.0);
    assert_eq!([percent(0.05), percent(0.325), percent(0.825), percent(0.95)], ["95.01", "67.56", "17.65", "5.18"]);
    let global_config =
        config::PruneConfig { scope: Scope::Global, exclude: vec!["output".into()], ..config::PruneConfig::default() };
    let global = PruningRates::new(&global_config, &lenet()).unwrap();
    let counts = global.one_shot(fraction(0.9), &sizes);
    assert_eq!(counts, RemainingCounts { kept: 26_520 + 1_000, layers: None });
    assert_eq!(
        global.expected_per_layer(&counts, &sizes),
        [23_520, 3_000, 1_000],
        "the same share of every included layer"
    );
    assert_eq!(pruning.expected_per_layer(&remaining(0.95), &sizes), [11_760, 1_500, 525]);
}

#[test]
fn rate_of_a_layer_beats_that_of_its_kind() {
    let mut prune = paper();
    prune.rate.layers.insert("linear2".into(), 0.5);
    let pruning = PruningRates::new(&prune, &lenet()).unwrap();
    assert_eq!(pruning.rule, layerwise(&[0.2, 0.5, 0.1]));
}

#[test]
fn excluded_layers_have_rate_0() {
    let prune = config::PruneConfig { exclude: vec!["output".into()], ..paper() };
    let pruning = PruningRates::new(&prune, &lenet()).unwrap();
    assert_eq!(pruning.rule, layerwise(&[0.2, 0.2, 0.0]));
}

#[test]
fn names_that_match_no_layer_are_refused() {
    let mut prune = paper();
    prune.exclude = vec!["linear9".into(), "shortcut".into(), "conv?".into(), "out*".into()];
    prune.include = vec!["linear*".into(), "block*".into()];
    prune.rate.layers.insert("linear3".into(), 0.5);
    let keys: Vec<String> = PruningRates::new(&prune, &lenet()).unwrap_err().into_iter().map(|p| p.key).collect();
    assert_eq!(keys, ["prune.rate.layers.linear3", "prune.include[1]", "prune.exclude[0]", "prune.exclude[2]"]);
}

#[test]
fn exclude_beats_include() {
    let rates = |include: &[&str], exclude: &[&str]| {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let prune = config::PruneConfig { include: names(include), exclude: names(exclude), ..paper() };
        PruningRates::new(&prune, &lenet()).unwrap().rule
    };
    assert_eq!(rates(&["linear"], &[]), layerwise(&[0.2, 0.2, 0.0]));
    assert_eq!(rates(&["*1", "output"], &[]), layerwise(&[0.2, 0.0, 0.1]));
    assert_eq!(rates(&["linear?"], &["linear2"]), layerwise(&[0.2, 0.0, 0.0]));
}
