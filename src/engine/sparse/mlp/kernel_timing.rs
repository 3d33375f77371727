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
    /// The number of items it processes: the layer's active weights; active inputs for `load`, classes for
    /// `cross-entropy`, stored values for `optimizer`.
    pub items: usize,
    /// The mean time of one call, in nanoseconds.
    pub nanoseconds: f64,
}

impl KernelTiming {
    /// Times `calls` calls of `kernel`, after one call that is not timed.
    fn measure(name: &'static str, layer: Option<usize>, items: usize, calls: u32, mut kernel: impl FnMut()) -> Self {
        kernel();
        let watch = Stopwatch::start();
        (0..calls).for_each(|_| kernel());
        Self { name, layer, items, nanoseconds: 1e9 * watch.seconds() / f64::from(calls) }
    }
}

/// Times each kernel of a step of a network pruned by `mask`, on one block of images and one thread, `calls` calls
/// each. `image_indices` are indices into the data set, of which at most the first 64 are used.
///
/// # Errors
/// Fails if the sparse engine does not support the network, or snapshot and mask do not fit it.
pub fn time_kernels(
    spec: &TrainerSpec,
    dataset: &Arc<Dataset>,
    (from, mask): (&Snapshot, &Mask),
    image_indices: &[u32],
    calls: u32,
) -> Result<Vec<KernelTiming>> {
    let mut trainer = SparseMlpTrainer::new(spec, Arc::clone(dataset), SimdLevel::best())?;
    trainer.load(0, from, mask)?;
    let image_indices = &image_indices[..image_indices.len().min(IMAGES)];
    let mut timings = trainer.time_passes(image_indices, calls);
    trainer.optimizer_steps += 1;
    // A learning rate of 0: the same work, and no weight changes.
    let values = trainer.compact.len();
    timings.push(KernelTiming::measure("optimizer", None, values, calls, || trainer.update(0.0)));
    Ok(timings)
}

impl SparseMlpTrainer {
    /// Times the kernels of the forward and backward pass of a block of images.
    fn time_passes(&mut self, image_indices: &[u32], calls: u32) -> Vec<KernelTiming> {
        let dataset = Arc::clone(&self.dataset);
        let compact = self.compact.clone();
        let labels = labels(&dataset, image_indices);
        let image_count = image_indices.len();
        let StepContext { mut pass, block, gradients, .. } = self.step_context(DropoutContext::Off);
        let mut timings = vec![KernelTiming::measure("load", None, compact.inputs.len(), calls, || {
            block.load(&mut pass, &dataset, image_indices);
        })];
        let layers = compact.layers.iter().enumerate();
        for (index, layer) in layers.clone() {
            let call = || block.forward_layer(&mut pass, index);
            timings.push(KernelTiming::measure("forward", Some(index + 1), layer.forward.len(), calls, call));
        }
        let classes = compact.layers.last().map_or(0, |last| last.units.len());
        let call = || block.logit_gradient(&pass, &labels[..image_count], image_count);
        timings.push(KernelTiming::measure("cross-entropy", None, classes, calls, call));
        for (index, layer) in layers.rev() {
            if index > 0 {
                let call = || block.input_gradient(&mut pass, index);
                timings.push(KernelTiming::measure(
                    "input gradient",
                    Some(index + 1),
                    layer.forward.len(),
                    calls,
                    call,
                ));
            }
            let call = || block.weight_gradient(&mut pass, index, gradients);
            timings.push(KernelTiming::measure("weight gradient", Some(index + 1), layer.forward.len(), calls, call));
        }
        timings
    }
}
