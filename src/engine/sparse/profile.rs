//! Where the time of a step goes, kernel by kernel: what `benches/roofline.rs` sets beside the limits of the processor.

use std::sync::Arc;

use anyhow::Result;

use super::mlp::SparseMlp;
use super::simd::Path;
use crate::base::clock::Stopwatch;
use crate::base::mask::Mask;
use crate::base::state::Snapshot;
use crate::data::Dataset;
use crate::engine::trainer::{Recipe, Trainer};

/// One kernel.
#[derive(Clone, Debug)]
pub struct Part {
    /// Such as `forward`.
    pub name: &'static str,
    /// Its layer, from 1; none where it is for the whole network.
    pub layer: Option<usize>,
    /// What it goes over: the layer's surviving weights that a step looks at; for `gather` inputs, for `cross-entropy`
    /// classes, for `optimizer` all that is stored.
    pub items: usize,
    /// Of one call.
    pub nanoseconds: f64,
}

impl Part {
    pub(super) fn time(
        name: &'static str,
        layer: Option<usize>,
        items: usize,
        times: u32,
        mut work: impl FnMut(),
    ) -> Self {
        work();
        let watch = Stopwatch::start();
        (0..times).for_each(|_| work());
        Self { name, layer, items, nanoseconds: 1e9 * watch.seconds() / f64::from(times) }
    }
}

/// Times each kernel of a step of a network that `mask` prunes, on one block of `images` and one thread, `times` calls each.
pub fn profile(
    recipe: &Recipe,
    dataset: &Arc<Dataset>,
    (from, mask): (&Snapshot, &Mask),
    images: &[u32],
    times: u32,
) -> Result<Vec<Part>> {
    let mut trainer = SparseMlp::new(recipe, Arc::clone(dataset), Path::best())?;
    trainer.load(0, from, mask)?;
    Ok(trainer.profile(images, times))
}
