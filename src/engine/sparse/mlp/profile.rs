//! Where the time of a step goes, kernel by kernel: what `benches/roofline.rs` sets beside the limits of the processor.

use std::sync::Arc;

use anyhow::Result;

use super::{Desk, SparseMlp, labels};
use crate::base::clock::Stopwatch;
use crate::base::mask::Mask;
use crate::base::state::Snapshot;
use crate::data::Dataset;
use crate::engine::dropout::Noise;
use crate::engine::sparse::kernels::IMAGES;
use crate::engine::sparse::simd::Path;
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
    let images = &images[..images.len().min(IMAGES)];
    let mut parts = trainer.profile_block(images, times);
    trainer.optimizer_steps += 1;
    // A learning rate of 0: the same work, and nothing moves.
    parts.push(Part::time("optimizer", None, trainer.survivors.len, times, || trainer.update(0.0)));
    Ok(parts)
}

impl SparseMlp {
    /// Times the kernels that a block of images meets.
    fn profile_block(&mut self, images: &[u32], times: u32) -> Vec<Part> {
        let (dataset, survivors) = (Arc::clone(&self.dataset), self.survivors.clone());
        let labels = labels(&dataset, images);
        let Desk { mut pass, block, gradients, .. } = self.desk(Noise(None));
        let mut parts = vec![Part::time("gather", None, survivors.inputs.len(), times, || {
            block.gather(&mut pass, &dataset, images);
        })];
        let layers = survivors.layers.iter().enumerate();
        for (at, layer) in layers.clone() {
            let time = || block.outputs(&mut pass, at);
            parts.push(Part::time("forward", Some(at + 1), layer.forward.len(), times, time));
        }
        let classes = survivors.layers.last().map_or(0, |last| last.units.len());
        let time = || block.logit_gradient(&pass, &labels[..images.len()], images.len());
        parts.push(Part::time("cross-entropy", None, classes, times, time));
        for (at, layer) in layers.rev() {
            if at > 0 {
                let time = || block.input_gradient(&mut pass, at);
                parts.push(Part::time("input gradient", Some(at + 1), layer.forward.len(), times, time));
            }
            let time = || block.weight_gradient(&mut pass, at, gradients);
            parts.push(Part::time("weight gradient", Some(at + 1), layer.forward.len(), times, time));
        }
        parts
    }
}
