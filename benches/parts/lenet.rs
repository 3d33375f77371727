//! The network that is measured: LeNet-300-100, at batch 60 with Adam, pruned to any density.

use std::collections::BTreeMap;

use std::sync::Arc;

use lth::base::mask::Mask;
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::Snapshot;
use lth::config::{self, Architecture, DataConfig, PruneConfig, WeightInit};
use lth::data::{Dataset, load};
use lth::engine::optim::Adam;
use lth::engine::{Optimizer, TrainerSpec};
use lth::lottery::all_ones;
use lth::network::{Network, build, init_weights};
use lth::prune::{PruningRates, RemainingCounts, ScoreInputs};

/// Images of a batch.
pub(crate) const BATCH: usize = 60;

/// Returns MNIST if `LTH_DATA_DIR` is set, else strokes.
#[expect(clippy::disallowed_methods, reason = "the benchmark's own variables")]
pub(crate) fn dataset() -> Arc<Dataset> {
    let name = if std::env::var_os("LTH_DATA_DIR").is_some() { "mnist" } else { "strokes" };
    let data: DataConfig = serde_json::from_value(serde_json::json!({ "dataset": name })).expect("a data set");
    Arc::new(load(&data, None, 1).expect("the data"))
}

/// Returns the network.
pub(crate) fn network() -> Network {
    build(&Architecture::Lenet300100.into(), [1, 28, 28], 10).expect("the paper's network")
}

/// Returns initial weights, and the mask after `rounds` rounds of pruning by magnitude at `rate`, in the output layer
/// at half of `rate`. Initial weights are pruned instead of trained ones: the time of a step depends on the number of
/// kept weights, and hardly on which weights they are.
pub(crate) fn pruned(rounds: u32, rate: f64) -> (Snapshot, Mask) {
    let network = network();
    let mut generator = Stream::of_replicate(1, 1, Purpose::Init).generator(0);
    let start = Snapshot::initial(init_weights(&network, WeightInit::GlorotNormal, 0.0, &mut generator));
    let sizes = network.weight_counts();
    let mut counts = RemainingCounts { kept: sizes.iter().sum(), layers: Some(sizes.to_vec()) };
    let rates = serde_json::from_value(serde_json::json!({ "rate": { "linear": rate, "output": rate / 2.0 } }));
    let rates: PruneConfig = rates.expect("rates");
    let pruning = PruningRates::new(&rates, &network).expect("rates");
    (0..rounds).for_each(|_| counts = pruning.after_round(&counts, sizes));
    let stream = Stream::of_replicate(1, 1, Purpose::Criterion);
    let criterion = config::Criterion::Magnitude;
    let inputs = ScoreInputs {
        criterion,
        reference: &start.weights,
        trained: &start.weights,
        input_norms: &BTreeMap::new(),
        stream,
    };
    let dense = all_ones(&network);
    let mask = pruning.prune_to(&counts, &dense, &inputs.scores(&dense).expect("scores"), stream);
    (start, mask)
}

/// Returns the specification of its trainer.
pub(crate) fn spec() -> TrainerSpec {
    let optimizer = Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, decoupled: false });
    TrainerSpec::plain(network(), optimizer, BATCH)
}
