//! Layer collapse at initialization: the largest compression at which each layer of VGG-16 still has a weight, by method
//! (Tanaka et al. 2020, arXiv 2006.05467, CIFAR-100; no training is needed).
//!
//! ```text
//! cargo bench --bench collapse -- 3            three draws of the initial weights (1 without the number)
//! cargo bench --bench collapse -- synflow      one method
//! ```
//!
//! The weights are those of the paper's setting (Kaiming-normal, batch norm, output layer included, one ranking of all
//! layers, batch norms with running statistics, 100 steps of `SynFlow`), and so is the grid: powers of ten in steps of a quarter. The images are uniform noise with
//! one label of each of 100 classes, where the paper has ten images of each class of CIFAR-100.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::sync::Arc;
use std::time::Instant;

use lth::base::mask::Mask;
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::Snapshot;
use lth::config::{Architecture, AtInitMethod, Normalize, PruneConfig, ScoreBatchNorm, Scoring, WeightInit};
use lth::data::{Dataset, Normalization};
use lth::engine::optim::Sgd;
use lth::engine::torch::TorchProbe;
use lth::engine::{Optimizer, TrainerSpec};
use lth::lottery::{ScoredNetwork, Untrained, all_ones, at_init_mask, at_init_scores, empty_layers};
use lth::network::{Network, build, init_weights};
use lth::prune::{PruningRates, RemainingCounts};

const CLASSES: u32 = 100;
/// Tanaka et al. 2020, from their published results: the mean of three runs.
const PUBLISHED: [(AtInitMethod, f64); 5] = [
    (AtInitMethod::Random, 3.33),
    (AtInitMethod::Magnitude, 2.75),
    (AtInitMethod::Snip, 3.58),
    (AtInitMethod::Grasp, 3.58),
    (AtInitMethod::Synflow, 5.92),
];

/// Noise with one image of each class.
fn noise() -> Dataset {
    let mut generator = Stream::of_replicate(1, 1, Purpose::Score).generator(0);
    Dataset {
        shape: [3, 32, 32],
        classes: CLASSES as usize,
        images: (0..CLASSES * 3 * 32 * 32).map(|_| (generator.unit() * 256.0) as u8).collect(),
        labels: (0..CLASSES).map(|class| class as u8).collect(),
        train: (0..CLASSES).collect(),
        validation: Vec::new(),
        test: Vec::new(),
        normalization: Normalization::new(Normalize::MeanStd, &[(0.5, 0.29); 3], &[], 3 * 32 * 32),
    }
}

/// A network with what its masks are made with.
struct Setting {
    network: Network,
    pruning: PruningRates,
    probe: TorchProbe,
}

impl Setting {
    fn new() -> Self {
        let network = build(&Architecture::Vgg16.into(), [3, 32, 32], CLASSES as usize).expect("a network");
        let prune = serde_json::from_value(serde_json::json!({ "scope": "global", "rate": { "all": 0.2 } }));
        let prune: PruneConfig = prune.expect("rates");
        let pruning = PruningRates::new(&prune, &network).expect("rates");
        let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
        let probe =
            TorchProbe::new(TrainerSpec::plain(network.clone(), optimizer, CLASSES as usize), Arc::new(noise()));
        Self { network, pruning, probe }
    }

    /// Returns the number of weights at a compression of 10^`exponent`.
    fn kept(&self, exponent: f64) -> RemainingCounts {
        let kept = (self.network.weights_total() as f64 / 10_f64.powf(exponent)).round() as u64;
        RemainingCounts { kept, layers: None }
    }

    /// Returns the largest exponent of the grid at which no layer is empty.
    fn collapse(&self, method: AtInitMethod, draw: u32) -> f64 {
        let draws = Stream::of_replicate(1, draw, Purpose::Mask);
        let mut generator = Stream { purpose: Purpose::Init, ..draws }.generator(0);
        let initial = Snapshot::initial(init_weights(&self.network, WeightInit::KaimingNormal, 0.0, &mut generator));
        let dense = all_ones(&self.network);
        let masks: Box<dyn Fn(f64) -> Option<Mask> + '_> = if method == AtInitMethod::Synflow {
            let scoring =
                Scoring { method, steps: 100, images: None, batch_norm: ScoreBatchNorm::Running, is_inverted: false };
            let Self { network, pruning, probe } = self;
            let initial = initial.clone();
            Box::new(move |exponent| {
                let untrained = Untrained { network, initial: &initial, pruning, probe, batch_size: CLASSES, draws };
                // Once a layer is empty, the flow through all others is 0, and nothing can be ranked any more.
                at_init_mask(&scoring, &self.kept(exponent), untrained).ok()
            })
        } else {
            let batches = [(0..CLASSES).collect()];
            let batches = if matches!(method, AtInitMethod::Snip | AtInitMethod::Grasp) { &batches[..] } else { &[] };
            let generator = draws.generator(1);
            let batch_norm = ScoreBatchNorm::Running;
            let scored =
                ScoredNetwork { initial: &initial, mask: &dense, batches, probe: &self.probe, batch_norm, generator };
            let scores = at_init_scores(method, scored).expect("scores");
            Box::new(move |exponent| Some(self.pruning.prune_to(&self.kept(exponent), &dense, &scores, draws)))
        };
        // From the exponent that the paper has, in either direction.
        let published = PUBLISHED.iter().find(|(other, _)| *other == method).map_or(3.0, |(_, exponent)| *exponent);
        let is_alive = |exponent: f64| masks(exponent).is_some_and(|mask| empty_layers(&mask).is_empty());
        let mut exponent = (published * 4.0).round() / 4.0;
        if is_alive(exponent) {
            while is_alive(exponent + 0.25) {
                exponent += 0.25;
            }
        } else {
            exponent -= 0.25;
            while exponent > 0.0 && !is_alive(exponent) {
                exponent -= 0.25;
            }
        }
        exponent
    }
}

fn main() {
    let draws = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1);
    let named = |method: AtInitMethod| std::env::args().any(|argument| argument == method.as_str());
    let is_chosen = |method: AtInitMethod| named(method) || !PUBLISHED.iter().any(|(other, _)| named(*other));
    let setting = Setting::new();
    println!("log10 of the largest compression of VGG-16 without an empty layer, mean (minimum–maximum) of {draws}");
    println!("{:<10} {:>18} {:>10} {:>9}", "method", "here", "published", "seconds");
    for (method, published) in PUBLISHED.into_iter().filter(|(method, _)| is_chosen(*method)) {
        let start = Instant::now();
        let found: Vec<f64> = (1..=draws).map(|draw| setting.collapse(method, draw)).collect();
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        let [low, high] = [f64::min as fn(f64, f64) -> f64, f64::max].map(|end| found.iter().copied().reduce(end));
        let range = format!("{mean:.2} ({:.2}–{:.2})", low.unwrap_or_default(), high.unwrap_or_default());
        let seconds = start.elapsed().as_secs_f64();
        println!("{:<10} {range:>18} {published:>10.2} {seconds:>9.0}", method.as_str());
    }
}
