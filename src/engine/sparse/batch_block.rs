//! The forward and backward pass of a block of 64 images.

use std::ops::Range;

use super::super::linear_stack::LinearStack;
use super::compact::CompactNetwork;
use super::gather::{InputColumn, NormalizeTable, Transpose, TransposedBytes, UnpackKernel, lines};
use super::kernels::{BiasGradient, Epilogue, Feature, IMAGES, IndirectWeights, Spmm, WeightGradient};
use super::logits::{BlockScore, LogitGradient};
use crate::compute::simd::{Kernel, SimdExt, SimdLevel};
use crate::compute::spin_pool::{SpinPool, parts};
use crate::data::Dataset;
use crate::engine::dropout::{Dropout, DropoutContext};
use crate::engine::input::copy_pixels;
use crate::engine::loss::{ScoreSums, Targets};

/// Activations and gradients of one block, and the split of the work among threads.
pub(super) struct BlockState {
    /// Activations: the used inputs, then the used outputs of each layer. See [`CompactLayer`](super::compact::CompactLayer).
    values: Vec<Vec<Feature>>,
    /// Gradients of the loss with respect to the used outputs of each layer, before `ReLU` and dropout.
    deltas: Vec<Vec<Feature>>,
    /// The used inputs.
    inputs: Vec<InputColumn>,
    /// For each cache line of an image's pixels whether it contains a used input.
    lines: Vec<bool>,
    /// Scale and offset of each image of the block.
    scales: NormalizeTable,
    /// Pixels of the block: [images, pixels].
    rows: Vec<u8>,
    /// Pixels of the block, transposed: [pixels, images].
    bytes: Vec<TransposedBytes>,
    /// The parts of the work, by thread.
    shares: WorkSplit,
}

/// The parts of the work: one range per thread each, in the order of threads.
struct WorkSplit {
    /// Ranges of the used inputs.
    inputs: Vec<Range<usize>>,
    /// The parts of each layer.
    layers: Vec<LayerSplit>,
}

/// The parts of one layer: one range per thread each, in the order of threads.
struct LayerSplit {
    /// Ranges of the layer's used units.
    rows: Vec<Range<usize>>,
    /// Ranges of the used units of the layer before.
    columns: Vec<Range<usize>>,
    /// Ranges of the segments of the layer's pattern.
    segments: Vec<Range<usize>>,
    /// The weights in these segments.
    weights: Vec<Range<usize>>,
}

/// The network of a pass, and the means to compute it.
pub(super) struct PassContext<'a> {
    /// The instruction set.
    pub(super) path: SimdLevel,
    /// The threads.
    pub(super) team: &'a mut SpinPool,
    /// The whole network.
    pub(super) linears: &'a LinearStack,
    /// The remaining network.
    pub(super) survivors: &'a CompactNetwork,
    /// Weights and biases, in the order of [`CompactNetwork`].
    pub(super) weights: &'a [f32],
    /// The generator of dropout; none in evaluation.
    pub(super) noise: DropoutContext,
    /// The targets of the loss.
    pub(super) targets: Targets,
    /// Images of the batch before this block.
    pub(super) before: usize,
}

impl BlockState {
    /// Allocates the memory of a block, with the work split among `members` threads.
    pub(super) fn new(survivors: &CompactNetwork, dataset: &Dataset, members: usize) -> Self {
        let widths = std::iter::once(survivors.inputs.len()).chain(survivors.layers.iter().map(|l| l.units.len()));
        let values: Vec<_> = widths.map(|width| vec![Feature::ZERO; width]).collect();
        let inputs = InputColumn::of(&survivors.inputs, dataset);
        Self {
            deltas: values[1..].to_vec(),
            values,
            lines: lines(&inputs, dataset.image_bytes()),
            inputs,
            scales: NormalizeTable::new(dataset),
            rows: vec![0; IMAGES * dataset.image_bytes()],
            bytes: vec![TransposedBytes::default(); dataset.image_bytes()],
            shares: WorkSplit::new(survivors, members),
        }
    }

    /// Splits the work among `members` threads from now on.
    pub(super) fn split_work(&mut self, survivors: &CompactNetwork, members: usize) {
        self.shares = WorkSplit::new(survivors, members);
    }

    /// Loads the inputs of a block: `images` are at most 64 indices into the data set.
    pub(super) fn load(&mut self, pass: &mut PassContext<'_>, dataset: &Dataset, images: &[u32]) {
        let rows = &mut self.rows[..images.len() * dataset.image_bytes()];
        copy_pixels(dataset, images, rows);
        pass.path.run(Transpose { rows, lines: &self.lines, bytes: &mut self.bytes });
        let bytes = std::mem::take(&mut self.bytes);
        self.load_transposed(pass, dataset, images, &bytes);
        self.bytes = bytes;
    }

    /// Like [`BlockState::load`], but from pixels that have been transposed before.
    pub(super) fn load_transposed(
        &mut self,
        pass: &mut PassContext<'_>,
        dataset: &Dataset,
        images: &[u32],
        bytes: &[TransposedBytes],
    ) {
        self.scales.fill(dataset, images);
        let (scales, inputs, path) = (&self.scales, &self.inputs, pass.path);
        pass.team.run_each(parts(&mut self.values[0], &self.shares.inputs), |(range, out)| {
            path.run(UnpackKernel { scales, inputs: &inputs[range], bytes, out });
        });
    }

    /// Computes the activations of all layers from the inputs.
    pub(super) fn forward(&mut self, pass: &mut PassContext<'_>) {
        self.drop_inputs(pass);
        (0..pass.survivors.layers.len()).for_each(|number| self.forward_layer(pass, number));
    }

    /// Applies the dropout of the inputs, if there is one.
    fn drop_inputs(&mut self, pass: &PassContext<'_>) {
        let (inputs, values) = (&pass.survivors.inputs, &mut self.values[0]);
        drop_out(pass, pass.linears.dropout, pass.linears.layers[0].inputs, inputs, values);
    }

    /// Computes the outputs of layer `number` (from 0) from those of the layer before.
    pub(super) fn forward_layer(&mut self, pass: &mut PassContext<'_>, number: usize) {
        let path = pass.path;
        let layer = &pass.survivors.layers[number];
        let (inputs, outputs) = self.values.split_at_mut(number + 1);
        let x = inputs[number].as_slice();
        let y = &mut outputs[0];
        let weights = &pass.weights[layer.trainable()];
        let biases = &pass.weights[layer.trainable_biases()];
        let after = if layer.shape.relu { Epilogue::Relu } else { Epilogue::Nothing };
        pass.team.run_each(parts(y, &self.shares.layers[number].rows), |(rows, y)| {
            let (pattern, start) = (&layer.forward, &biases[rows.clone()]);
            path.run(Spmm { pattern, rows, weights, start, x, y, after });
        });
        drop_out(pass, layer.shape.dropout, layer.shape.outputs, &layer.units, y);
    }

    /// Adds the cross-entropy and the number of correct predictions of the block's images, which have these labels.
    pub(super) fn score(&self, path: SimdLevel, labels: &[u8], sums: &mut ScoreSums) {
        let logits = self.logits();
        path.run(BlockScore { logits, labels, sums });
    }

    /// Computes the gradient of the mean cross-entropy over the `batch` images of a batch, of which this block has these
    /// labels. The first block of a batch overwrites `gradients`, which are in the order of [`CompactNetwork`]; others add.
    pub(super) fn backward(&mut self, pass: &mut PassContext<'_>, labels: &[u8], batch: usize, gradients: &mut [f32]) {
        self.logit_gradient(pass, labels, batch);
        for number in (0..self.deltas.len()).rev() {
            if number > 0 {
                self.input_gradient(pass, number);
            }
            self.weight_gradient(pass, number, gradients);
        }
    }

    /// Computes the gradient with respect to the logits.
    pub(super) fn logit_gradient(&mut self, pass: &PassContext<'_>, labels: &[u8], batch: usize) {
        if let (Some(logits), Some(delta)) = (self.values.last(), self.deltas.last_mut()) {
            pass.path.run(LogitGradient { logits, labels, batch, targets: pass.targets, delta });
        }
    }

    /// Computes the gradient with respect to the remaining weights and the biases of layer `number` from that with respect to
    /// its outputs.
    pub(super) fn weight_gradient(&mut self, pass: &mut PassContext<'_>, number: usize, gradients: &mut [f32]) {
        let path = pass.path;
        let layer = &pass.survivors.layers[number];
        let shares = &self.shares.layers[number];
        let delta = &self.deltas[number];
        let x = &self.values[number];
        let add = pass.before > 0;
        let layer_gradients = parts(&mut gradients[layer.trainable()], &shares.weights).zip(&shares.segments);
        pass.team.run_each(layer_gradients, |((_, gradient), segments)| {
            let (pattern, segments) = (&layer.forward, segments.clone());
            path.run(WeightGradient { pattern, segments, delta, x, gradient, add });
        });
        path.run(BiasGradient { delta, gradient: &mut gradients[layer.trainable_biases()], add });
    }

    /// Computes the gradient with respect to the outputs of the layer before layer `number` from that with respect to its own.
    pub(super) fn input_gradient(&mut self, pass: &mut PassContext<'_>, number: usize) {
        let path = pass.path;
        let layer = &pass.survivors.layers[number];
        let previous = &pass.survivors.layers[number - 1];
        let (earlier, later) = self.deltas.split_at_mut(number);
        let before = &mut earlier[number - 1];
        let delta = later[0].as_slice();
        let weights = IndirectWeights(&pass.weights[layer.trainable()], &layer.positions);
        let outputs = self.values[number].as_slice();
        pass.team.run_each(parts(before, &self.shares.layers[number].columns), |(rows, y)| {
            let gate = if previous.shape.relu { Epilogue::Gate(&outputs[rows.clone()]) } else { Epilogue::Nothing };
            path.run(Spmm { pattern: &layer.backward, rows, weights, start: &[], x: delta, y, after: gate });
        });
        drop_out(pass, previous.shape.dropout, previous.shape.outputs, &previous.units, before);
    }

    /// Returns the logits: the outputs of the last layer.
    fn logits(&self) -> &[Feature] {
        self.values.last().map_or(&[], Vec::as_slice)
    }
}

impl WorkSplit {
    /// Splits the work of a network among `members` threads.
    fn new(survivors: &CompactNetwork, members: usize) -> Self {
        let split = |len: usize| (0..members).map(|m| m * len / members..(m + 1) * len / members).collect::<Vec<_>>();
        let inputs = split(survivors.inputs.len());
        let layers = survivors.layers.iter().map(|layer| {
            let segments = layer.forward.split_segments(members);
            let weights = segments.iter().map(|s| layer.forward.start(s.start)..layer.forward.start(s.end)).collect();
            let (rows, columns) = (layer.forward.split_rows(members), layer.backward.split_rows(members));
            LayerSplit { rows, columns, segments, weights }
        });
        Self { inputs, layers: layers.collect() }
    }
}

/// Applies a dropout layer to the used outputs of a layer (the `units` among `width`), or to their gradients.
fn drop_out(pass: &PassContext<'_>, dropout: Option<Dropout>, width: usize, units: &[u32], values: &mut [Feature]) {
    if let Some((dropout, key)) = pass.noise.key(dropout) {
        pass.path.run(DropOut { dropout, key, width, units, before: pass.before, values });
    }
}

/// Multiplies the values of a block by a dropout mask.
struct DropOut<'a> {
    dropout: Dropout,
    /// The key of the mask's random numbers.
    key: u64,
    /// Units of the whole layer.
    width: usize,
    /// The used units, as indices among all.
    units: &'a [u32],
    /// Images of the batch before this block.
    before: usize,
    /// Per used unit.
    values: &'a mut [Feature],
}

impl Kernel for DropOut<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, _: S) {
        let scale = self.dropout.scale as f32;
        for (&unit, values) in self.units.iter().zip(self.values) {
            for (j, value) in values.images_mut().iter_mut().enumerate() {
                // Elements are numbered as in a tensor [images, width].
                let element = (self.before + j) * self.width + unit as usize;
                *value = if self.dropout.keeps(self.key, element as u64) { *value * scale } else { 0.0 };
            }
        }
    }
}
