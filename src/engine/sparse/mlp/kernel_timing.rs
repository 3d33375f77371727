//! Where the time of a step goes, kernel by kernel: what `benches/roofline.rs` sets beside the limits of the processor.

use std::sync::Arc;

use anyhow::Result;

use super::{SparseMlpTrainer, StepContext, labels};
use crate::base::mask::Mask;
use crate::base::tensors::Snapshot;
use crate::compute::simd::SimdLevel;
use crate::data::Dataset;
use crate::engine::dropout::DropoutContext;
use crate::engine::sparse::kernels::IMAGES;
use crate::engine::trainer::{Trainer, TrainerSpec};
use crate::system::clock::Stopwatch;

/// One kernel.
#[derive(Clone, Debug)]
pub struct KernelTiming {
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

impl KernelTiming {
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
pub fn time_kernels(
    recipe: &TrainerSpec,
    dataset: &Arc<Dataset>,
    (from, mask): (&Snapshot, &Mask),
    images: &[u32],
    times: u32,
) -> Result<Vec<KernelTiming>> {
    let mut trainer = SparseMlpTrainer::new(recipe, Arc::clone(dataset), SimdLevel::best())?;
    trainer.load(0, from, mask)?;
    let images = &images[..images.len().min(IMAGES)];
    let mut parts = trainer.profile_block(images, times);
    trainer.optimizer_steps += 1;
    // A learning rate of 0: the same work, and nothing moves.
    parts.push(KernelTiming::time("optimizer", None, trainer.survivors.len, times, || trainer.update(0.0)));
    Ok(parts)
}

impl SparseMlpTrainer {
    /// Times the kernels that a block of images meets.
    fn profile_block(&mut self, images: &[u32], times: u32) -> Vec<KernelTiming> {
        let (dataset, survivors) = (Arc::clone(&self.dataset), self.survivors.clone());
        let labels = labels(&dataset, images);
        let StepContext { mut pass, block, gradients, .. } = self.step_context(DropoutContext(None));
        let mut parts = vec![KernelTiming::time("gather", None, survivors.inputs.len(), times, || {
            block.load(&mut pass, &dataset, images);
        })];
        let layers = survivors.layers.iter().enumerate();
        for (at, layer) in layers.clone() {
            let time = || block.forward_layer(&mut pass, at);
            parts.push(KernelTiming::time("forward", Some(at + 1), layer.forward.len(), times, time));
        }
        let classes = survivors.layers.last().map_or(0, |last| last.units.len());
        let time = || block.logit_gradient(&pass, &labels[..images.len()], images.len());
        parts.push(KernelTiming::time("cross-entropy", None, classes, times, time));
        for (at, layer) in layers.rev() {
            if at > 0 {
                let time = || block.input_gradient(&mut pass, at);
                parts.push(KernelTiming::time("input gradient", Some(at + 1), layer.forward.len(), times, time));
            }
            let time = || block.weight_gradient(&mut pass, at, gradients);
            parts.push(KernelTiming::time("weight gradient", Some(at + 1), layer.forward.len(), times, time));
        }
        parts
    }
}
