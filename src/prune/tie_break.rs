//! The random order of weights with equal scores.

use crate::base::rng::{CounterRng, Stream, mix};

/// The order in which weights with equal scores are pruned: by a random rank of each weight, keyed by a stream (seed,
/// replicate, repeat, round), the number of the draw, the layer's index and the weight's index in the layer. Zhou et al.
/// 2019 choose among equal scores at random too; an order by index would prune the first units of a layer, and with scope
/// `global` the first layer.
pub(super) struct TieBreak {
    rng: CounterRng,
    draw: u64,
}

impl TieBreak {
    /// Returns the ranks of a stream; `draw` distinguishes several orders of one stream.
    pub(super) fn new(stream: Stream, draw: u64) -> Self {
        Self { rng: stream.counter_rng(), draw }
    }

    /// Returns the rank of the weight `index` of the layer `layer`; of weights with equal scores, that of the lowest
    /// rank is pruned first.
    pub(super) fn rank(&self, layer: usize, index: usize) -> u64 {
        mix(self.rng.key(self.draw, layer as u64), index as u64)
    }
}
