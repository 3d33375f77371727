//! The time of a step, kernel by kernel, which `benches/roofline.rs` compares with the limits of the processor.

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

/// The time of one kernel.
#[derive(Clone, Debug)]
pub struct KernelTiming {
    /// The name of the kernel, such as `forward`.
    pub name: &'static str,
    /// The number of its layer, from 1; `None` for kernels of the whole network.
    pub layer: Option<usize>,
    /// The number of items it processes: the layer's used weights; inputs for `gather`, classes for `cross-entropy`, stored
    /// values for `optimizer`.
    pub items: usize,
    /// The mean time of one call, in nanoseconds.
    pub nanoseconds: f64,
}

impl KernelTiming {
    /// Times `times` calls of `work`, after one call that is not timed.
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

/// Times each kernel of a step of a network pruned by `mask`, on one block of `images` and one thread, `times` calls each.
///
/// # Errors
/// If the sparse engine does not support the network, or state and mask do not fit it.
pub fn time_kernels(
    spec: &TrainerSpec,
    dataset: &Arc<Dataset>,
    (from, mask): (&Snapshot, &Mask),
    images: &[u32],
    times: u32,
) -> Result<Vec<KernelTiming>> {
    let mut trainer = SparseMlpTrainer::new(spec, Arc::clone(dataset), SimdLevel::best())?;
    trainer.load(0, from, mask)?;
    let images = &images[..images.len().min(IMAGES)];
    let mut parts = trainer.profile_block(images, times);
    trainer.optimizer_steps += 1;
    // A learning rate of 0: the same work, and no weight changes.
    parts.push(KernelTiming::time("optimizer", None, trainer.survivors.len(), times, || trainer.update(0.0)));
    Ok(parts)
}

impl SparseMlpTrainer {
    /// Times the kernels of the forward and backward pass of a block of images.
    fn profile_block(&mut self, images: &[u32], times: u32) -> Vec<KernelTiming> {
        let (dataset, survivors) = (Arc::clone(&self.dataset), self.survivors.clone());
        let labels = labels(&dataset, images);
        let StepContext { mut pass, block, gradients, .. } = self.step_context(DropoutContext(None));
        let mut parts = vec![KernelTiming::time("gather", None, survivors.inputs.len(), times, || {
            block.load(&mut pass, &dataset, images);
        })];
        let layers = survivors.layers.iter().enumerate();
        for (number, layer) in layers.clone() {
            let time = || block.forward_layer(&mut pass, number);
            parts.push(KernelTiming::time("forward", Some(number + 1), layer.forward.len(), times, time));
        }
        let classes = survivors.layers.last().map_or(0, |last| last.units.len());
        let time = || block.logit_gradient(&pass, &labels[..images.len()], images.len());
        parts.push(KernelTiming::time("cross-entropy", None, classes, times, time));
        for (number, layer) in layers.rev() {
            if number > 0 {
                let time = || block.input_gradient(&mut pass, number);
                parts.push(KernelTiming::time("input gradient", Some(number + 1), layer.forward.len(), times, time));
            }
            let time = || block.weight_gradient(&mut pass, number, gradients);
            parts.push(KernelTiming::time("weight gradient", Some(number + 1), layer.forward.len(), times, time));
        }
        parts
    }
}
