//! Scores of methods at initialization against `PyTorch`'s numbers (`tests/oracle/at_init.py` makes them).

use std::path::Path;

use lth::base::mask::LayerMask;
use lth::base::rng::{Purpose, Stream};
use lth::config::{AtInitMethod, Criterion, PruneConfig, ScoreBatchNorm, Scoring};
use lth::engine::{GradientMap, NamedGradient, Probe as _};
use lth::lottery::{ScoredNetwork, Untrained, at_init_mask, at_init_scores};
use lth::prune::{PruningRates, RemainingCounts, ScoreInputs};
use serde_json::{Value, json};

use super::probe::{batches, compare, network, probe, start};

fn oracle() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/at_init.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn scores_at_initialization_equal_pytorch() {
    let oracle = oracle();
    for (name, density) in ["lenet", "conv", "resnet20"].into_iter().flat_map(|name| [(name, "dense"), (name, "third")])
    {
        let network = network(name);
        let (mut snapshot, mask) = start(&network, density);
        // The scores of pruned weights are 0 in the oracle, whose weights are pruned already.
        mask.apply(&mut snapshot.weights);
        let probe = probe(network, None);
        let [batch, running] = [ScoreBatchNorm::Batch, ScoreBatchNorm::Running];
        let methods = [
            (AtInitMethod::Snip, batch, "snip_batch", 1e-10),
            (AtInitMethod::Snip, running, "snip_running", 1e-10),
            (AtInitMethod::Synflow, running, "synflow_running", 1e-10),
            (AtInitMethod::Grasp, batch, "grasp_batch", 1e-9),
            (AtInitMethod::Grasp, running, "grasp_running", 1e-9),
        ];
        // GraSP is defined for a dense network.
        let count = if density == "dense" { methods.len() } else { 3 };
        for (method, batch_norm, key, tolerance) in methods.into_iter().take(count) {
            let generator = Stream::of_replicate(1, 1, Purpose::Mask).generator(0);
            let batches = batches();
            let scored = ScoredNetwork {
                initial: &snapshot,
                mask: &mask,
                batches: &batches,
                probe: &probe,
                batch_norm,
                generator,
            };
            let scores = at_init_scores(method, scored).unwrap();
            let case = format!("{name} {density} {key}");
            compare(&case, &named(mask.0.iter().zip(scores)), &oracle[name][density][key], tolerance);
        }
    }
}

/// Returns scores in the form of gradients, which the oracle's numbers are compared with.
fn named<'a>(scores: impl Iterator<Item = (&'a LayerMask, Vec<f64>)>) -> GradientMap {
    let named = |(layer, values): (&LayerMask, Vec<f64>)| NamedGradient {
        name: layer.name.clone(),
        shape: layer.shape.clone(),
        values,
    };
    GradientMap(scores.map(named).collect())
}

#[test]
fn scores_of_lamp_and_wanda_equal_pytorch() {
    let oracle = oracle();
    for (name, density) in ["lenet", "conv", "resnet20"].into_iter().flat_map(|name| [(name, "dense"), (name, "third")])
    {
        let network = network(name);
        let (mut snapshot, mask) = start(&network, density);
        mask.apply(&mut snapshot.weights);
        let norms = probe(network, None).input_norms(&snapshot, &mask, &batches()).unwrap();
        for (criterion, key) in [(Criterion::Lamp, "lamp"), (Criterion::Wanda, "wanda")] {
            let inputs = ScoreInputs {
                criterion,
                reference: &snapshot.weights,
                trained: &snapshot.weights,
                input_norms: &norms,
                stream: Stream::of_replicate(1, 1, Purpose::Criterion),
            };
            let scores = inputs.scores(&mask).unwrap();
            let is_scored = |(layer, _): &(&LayerMask, Vec<f64>)| key == "lamp" || norms.contains_key(&layer.name);
            let scores = named(mask.0.iter().zip(scores).filter(is_scored));
            compare(&format!("{name} {density} {key}"), &scores, &oracle[name][density][key], 1e-10);
        }
    }
}

#[test]
fn layers_after_100_rounds_of_synflow_equal_pytorch() {
    let oracle = oracle();
    for (name, shares) in [("conv", &["0.2", "0.05"][..]), ("resnet20", &["0.5"])] {
        let network = network(name);
        let (snapshot, _) = start(&network, "dense");
        let prune: PruneConfig = serde_json::from_value(json!({ "scope": "global", "rate": { "all": 0.2 } })).unwrap();
        let pruning = PruningRates::new(&prune, &network).unwrap();
        let scoring = Scoring {
            method: AtInitMethod::Synflow,
            steps: 100,
            images: None,
            batch_norm: ScoreBatchNorm::Running,
            is_inverted: false,
        };
        let probe = probe(network.clone(), None);
        for share in shares.iter().copied() {
            let kept = (share.parse::<f64>().unwrap() * network.weights_total() as f64).round() as u64;
            let untrained = Untrained {
                network: &network,
                initial: &snapshot,
                pruning: &pruning,
                probe: &probe,
                batch_size: 16,
                draws: Stream::of_replicate(1, 1, Purpose::Mask),
            };
            let mask = at_init_mask(&scoring, &RemainingCounts { kept, layers: None }, untrained).unwrap();
            let expected: Vec<u64> = serde_json::from_value(oracle["synflow_counts"][name][share].clone()).unwrap();
            assert_eq!(mask.kept_counts(), expected, "{name} at {share}");
        }
    }
}
