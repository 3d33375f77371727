//! The forward and backward pass of a block of 64 images.

use std::ops::Range;

use super::super::linear_stack::LinearStack;
use super::compact::CompactNetwork;
use super::inputs::{InputColumn, NormalizeKernel, NormalizeTable, TransposeKernel, TransposedBytes, active_lines};
use super::kernels::{
    BiasGradientKernel, Epilogue, Feature, IMAGES, IndirectWeights, SpmmKernel, WeightGradientKernel,
};
use super::logits::{BlockScoreKernel, LogitGradientKernel};
use crate::compute::simd::{Kernel, SimdLevel, Vector16};
use crate::compute::spin_pool::{SpinPool, parts};
use crate::data::Dataset;
use crate::engine::dropout::{Dropout, DropoutContext};
use crate::engine::input::copy_pixels;
use crate::engine::loss::{ScoreSums, Targets};

/// Activations and gradients of one block, and the split of the work among threads.
pub(super) struct BlockState {
    /// Activations: the active inputs [active inputs, images], then for each layer its outputs [active units, images].
    /// See [`CompactLayer`](super::compact::CompactLayer).
    activations: Vec<Vec<Feature>>,
    /// For each layer the gradient of the loss with respect to its outputs [active units, images], before `ReLU` and
    /// dropout.
    deltas: Vec<Vec<Feature>>,
    /// The active inputs, ascending.
    inputs: Vec<InputColumn>,
    /// For each cache line of an image's pixels whether it contains an active input; only these lines are transposed.
    active_lines: Vec<bool>,
    /// Scale and offset of the normalization of each image of the block.
    normalization: NormalizeTable,
    /// Pixels of the block: [images, pixels].
    pixels: Vec<u8>,
    /// Pixels of the block, transposed: [pixels, images].
    transposed: Vec<TransposedBytes>,
    /// The parts of the work of each thread.
    split: WorkSplit,
}

/// The parts of the work of a pass: one range per thread each, in the order of threads.
struct WorkSplit {
    /// Ranges of the active inputs.
    inputs: Vec<Range<usize>>,
    /// The parts of each layer.
    layers: Vec<LayerSplit>,
}

/// The parts of the work on one layer: one range per thread each, in the order of threads.
struct LayerSplit {
    /// Ranges of the layer's active units.
    rows: Vec<Range<usize>>,
    /// Ranges of the active units of the previous layer.
    columns: Vec<Range<usize>>,
    /// Ranges of the segments of the layer's pattern.
    segments: Vec<Range<usize>>,
    /// Ranges of the active weights: those of `segments`.
    weights: Vec<Range<usize>>,
}

/// The network that a pass computes with, its place in the batch, and the instruction set and the threads that compute.
pub(super) struct PassContext<'a> {
    /// The instruction set.
    pub(super) simd: SimdLevel,
    /// The threads.
    pub(super) pool: &'a mut SpinPool,
    /// The layers of the dense network, which have the dropout of the inputs and the number of all units.
    pub(super) stack: &'a LinearStack,
    /// The active part of the network.
    pub(super) compact: &'a CompactNetwork,
    /// Kept weights and all biases, in the order of [`CompactNetwork`].
    pub(super) weights: &'a [f32],
    /// The random numbers of dropout.
    pub(super) dropout: DropoutContext,
    /// The targets of the loss.
    pub(super) targets: Targets,
    /// The index in the batch of the block's first image.
    pub(super) first_image: usize,
}

impl BlockState {
    /// Allocates the memory of a block, with the work split among `thread_count` threads.
    pub(super) fn new(compact: &CompactNetwork, dataset: &Dataset, thread_count: usize) -> Self {
        let lengths = std::iter::once(compact.inputs.len()).chain(compact.layers.iter().map(|layer| layer.units.len()));
        let activations: Vec<_> = lengths.map(|length| vec![Feature::ZERO; length]).collect();
        let inputs = InputColumn::from_pixels(&compact.inputs, dataset);
        Self {
            deltas: activations[1..].to_vec(),
            activations,
            active_lines: active_lines(&inputs, dataset.image_bytes()),
            inputs,
            normalization: NormalizeTable::new(dataset),
            pixels: vec![0; IMAGES * dataset.image_bytes()],
            transposed: vec![TransposedBytes::default(); dataset.image_bytes()],
            split: WorkSplit::new(compact, thread_count),
        }
    }

    /// Splits the work among `thread_count` threads from now on.
    pub(super) fn split_work(&mut self, compact: &CompactNetwork, thread_count: usize) {
        self.split = WorkSplit::new(compact, thread_count);
    }

    /// Loads the inputs of a block; `image_indices` are at most 64 indices into the data set.
    pub(super) fn load(&mut self, pass: &mut PassContext<'_>, dataset: &Dataset, image_indices: &[u32]) {
        let pixels = &mut self.pixels[..image_indices.len() * dataset.image_bytes()];
        copy_pixels(dataset, image_indices, pixels);
        let active_lines = &self.active_lines;
        pass.simd.run(TransposeKernel { pixels, active_lines, transposed: &mut self.transposed });
        let transposed = std::mem::take(&mut self.transposed);
        self.load_transposed(pass, dataset, image_indices, &transposed);
        self.transposed = transposed;
    }

    /// Like [`BlockState::load`], but from pixels [pixels, images] that have been transposed before.
    pub(super) fn load_transposed(
        &mut self,
        pass: &mut PassContext<'_>,
        dataset: &Dataset,
        image_indices: &[u32],
        transposed: &[TransposedBytes],
    ) {
        self.normalization.fill(dataset, image_indices);
        let simd = pass.simd;
        let normalization = &self.normalization;
        let inputs = &self.inputs;
        pass.pool.run_each(parts(&mut self.activations[0], &self.split.inputs), |(range, out)| {
            simd.run(NormalizeKernel { normalization, inputs: &inputs[range], transposed, out });
        });
    }

    /// Computes the activations of all layers from the inputs.
    pub(super) fn forward(&mut self, pass: &mut PassContext<'_>) {
        let input_count = pass.stack.layers[0].inputs;
        let inputs = &pass.compact.inputs;
        apply_dropout(pass, pass.stack.dropout, input_count, inputs, &mut self.activations[0]);
        (0..pass.compact.layers.len()).for_each(|index| self.forward_layer(pass, index));
    }

    /// Computes the outputs of the layer with this index (from 0) from those of the previous layer.
    pub(super) fn forward_layer(&mut self, pass: &mut PassContext<'_>, index: usize) {
        let simd = pass.simd;
        let layer = &pass.compact.layers[index];
        let (earlier, later) = self.activations.split_at_mut(index + 1);
        let x = earlier[index].as_slice();
        let y = &mut later[0];
        let pattern = &layer.forward;
        let weights = &pass.weights[layer.active_weights()];
        let biases = &pass.weights[layer.active_biases()];
        let epilogue = if layer.shape.relu { Epilogue::Relu } else { Epilogue::Nothing };
        pass.pool.run_each(parts(y, &self.split.layers[index].rows), |(rows, y)| {
            let initial = &biases[rows.clone()];
            simd.run(SpmmKernel { pattern, rows, weights, initial, x, y, epilogue });
        });
        apply_dropout(pass, layer.shape.dropout, layer.shape.outputs, &layer.units, y);
    }

    /// Adds the cross-entropy and the number of correct predictions of the block's images to `sums`; `labels` has one
    /// entry per image.
    pub(super) fn score(&self, simd: SimdLevel, labels: &[u8], sums: &mut ScoreSums) {
        let logits = self.logits();
        simd.run(BlockScoreKernel { logits, labels, sums });
    }

    /// Computes the block's part of the gradient of the mean cross-entropy over a batch of `batch_size` images;
    /// `labels` has one entry per image of the block. The first block of a batch overwrites `gradients`, which are in
    /// the order of [`CompactNetwork`]; later blocks add to them.
    pub(super) fn backward(
        &mut self,
        pass: &mut PassContext<'_>,
        labels: &[u8],
        batch_size: usize,
        gradients: &mut [f32],
    ) {
        self.logit_gradient(pass, labels, batch_size);
        for index in (0..self.deltas.len()).rev() {
            if index > 0 {
                self.input_gradient(pass, index);
            }
            self.weight_gradient(pass, index, gradients);
        }
    }

    /// Computes the gradient with respect to the logits; arguments are those of [`BlockState::backward`].
    pub(super) fn logit_gradient(&mut self, pass: &PassContext<'_>, labels: &[u8], batch_size: usize) {
        if let (Some(logits), Some(delta)) = (self.activations.last(), self.deltas.last_mut()) {
            pass.simd.run(LogitGradientKernel { logits, labels, batch_size, targets: pass.targets, delta });
        }
    }

    /// Computes the gradient with respect to the active weights and biases of the layer with this index from the
    /// gradient with respect to its outputs.
    pub(super) fn weight_gradient(&mut self, pass: &mut PassContext<'_>, index: usize, gradients: &mut [f32]) {
        let simd = pass.simd;
        let layer = &pass.compact.layers[index];
        let split = &self.split.layers[index];
        let delta = &self.deltas[index];
        let x = &self.activations[index];
        let pattern = &layer.forward;
        let add = pass.first_image > 0;
        let thread_gradients = parts(&mut gradients[layer.active_weights()], &split.weights).zip(&split.segments);
        pass.pool.run_each(thread_gradients, |((_, gradient), segments)| {
            let segments = segments.clone();
            simd.run(WeightGradientKernel { pattern, segments, delta, x, gradient, add });
        });
        simd.run(BiasGradientKernel { delta, gradient: &mut gradients[layer.active_biases()], add });
    }

    /// Computes the gradient with respect to the outputs of the previous layer from the gradient with respect to the
    /// outputs of the layer with this index, from 1.
    pub(super) fn input_gradient(&mut self, pass: &mut PassContext<'_>, index: usize) {
        let simd = pass.simd;
        let layer = &pass.compact.layers[index];
        let previous = &pass.compact.layers[index - 1];
        let (earlier, later) = self.deltas.split_at_mut(index);
        let previous_delta = &mut earlier[index - 1];
        let delta = later[0].as_slice();
        let pattern = &layer.backward;
        let weights = IndirectWeights { weights: &pass.weights[layer.active_weights()], positions: &layer.positions };
        let outputs = self.activations[index].as_slice();
        pass.pool.run_each(parts(previous_delta, &self.split.layers[index].columns), |(rows, y)| {
            let epilogue =
                if previous.shape.relu { Epilogue::ReluBackward(&outputs[rows.clone()]) } else { Epilogue::Nothing };
            simd.run(SpmmKernel { pattern, rows, weights, initial: &[], x: delta, y, epilogue });
        });
        apply_dropout(pass, previous.shape.dropout, previous.shape.outputs, &previous.units, previous_delta);
    }

    /// Returns the logits [classes, images]: the outputs of the last layer.
    fn logits(&self) -> &[Feature] {
        self.activations.last().map_or(&[], Vec::as_slice)
    }
}

impl WorkSplit {
    /// Splits the work of a network among `thread_count` threads.
    fn new(compact: &CompactNetwork, thread_count: usize) -> Self {
        let input_count = compact.inputs.len();
        let cut = |thread_index: usize| thread_index * input_count / thread_count;
        let inputs = (0..thread_count).map(|thread_index| cut(thread_index)..cut(thread_index + 1)).collect();
        let layers = compact.layers.iter().map(|layer| {
            let pattern = &layer.forward;
            let segments = pattern.split_segments(thread_count);
            let weights = segments.iter().map(|range| pattern.start(range.start)..pattern.start(range.end)).collect();
            LayerSplit {
                rows: pattern.split_rows(thread_count),
                columns: layer.backward.split_rows(thread_count),
                segments,
                weights,
            }
        });
        Self { inputs, layers: layers.collect() }
    }
}

/// Applies a dropout layer to the outputs of a layer or to their gradients; `None` changes nothing.
///
/// `values` are [active units, images], `active_units` the indices of these units among all `unit_count` units of the
/// layer.
fn apply_dropout(
    pass: &PassContext<'_>,
    dropout: Option<Dropout>,
    unit_count: usize,
    active_units: &[u32],
    values: &mut [Feature],
) {
    if let Some((dropout, draw_key)) = pass.dropout.draw_key(dropout) {
        let first_image = pass.first_image;
        pass.simd.run(DropoutKernel { dropout, draw_key, unit_count, active_units, first_image, values });
    }
}

/// Multiplies the values of a block by a dropout mask.
struct DropoutKernel<'a> {
    dropout: Dropout,
    /// The key of the mask's random numbers: [`DropoutContext::draw_key`].
    draw_key: u64,
    /// The number of units of the dense layer.
    unit_count: usize,
    /// The active units, as indices among all units.
    active_units: &'a [u32],
    /// The index in the batch of the block's first image.
    first_image: usize,
    /// The values: [active units, images].
    values: &'a mut [Feature],
}

impl Kernel for DropoutKernel<'_> {
    #[inline(always)]
    fn run<S: Vector16>(self, _: S) {
        let scale = self.dropout.scale as f32;
        for (&unit, values) in self.active_units.iter().zip(self.values) {
            for (j, value) in values.images_mut().iter_mut().enumerate() {
                // The row-major position in a tensor [images, units] of the dense layer, as in every engine.
                let element = (self.first_image + j) * self.unit_count + unit as usize;
                *value = if self.dropout.keeps(self.draw_key, element as u64) { *value * scale } else { 0.0 };
            }
        }
    }
}
