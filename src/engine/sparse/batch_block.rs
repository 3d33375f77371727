//! A block of 64 images on its way through the network and back.

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

/// Activations of one block and their gradients, and who in a team does what of it.
pub(super) struct BlockState {
    /// The inputs that are looked at, then of each layer the outputs that are.
    values: Vec<Vec<Feature>>,
    /// Gradients by the outputs of each layer.
    deltas: Vec<Vec<Feature>>,
    /// The inputs that are looked at.
    inputs: Vec<InputColumn>,
    lines: Vec<bool>,
    scales: NormalizeTable,
    /// The images of a batch, one after the other, and transposed.
    rows: Vec<u8>,
    bytes: Vec<TransposedBytes>,
    shares: WorkSplit,
}

/// What each member of a team does: ranges, one per member.
struct WorkSplit {
    /// Of the inputs that are looked at.
    inputs: Vec<Range<usize>>,
    layers: Vec<LayerSplit>,
}

struct LayerSplit {
    /// Of its units.
    rows: Vec<Range<usize>>,
    /// Of the units of the layer before.
    columns: Vec<Range<usize>>,
    /// Of the segments of its pattern, and of the weights in them.
    segments: Vec<Range<usize>>,
    weights: Vec<Range<usize>>,
}

/// What a pass needs to know of the network, and what does it.
pub(super) struct PassContext<'a> {
    pub(super) path: SimdLevel,
    pub(super) team: &'a mut SpinPool,
    pub(super) linears: &'a LinearStack,
    pub(super) survivors: &'a CompactNetwork,
    pub(super) weights: &'a [f32],
    pub(super) noise: DropoutContext,
    pub(super) targets: Targets,
    /// Images of the batch before this block.
    pub(super) before: usize,
}

impl BlockState {
    /// Takes the memory that blocks need.
    pub(super) fn new(survivors: &CompactNetwork, dataset: &Dataset, members: usize) -> Self {
        let widths = std::iter::once(survivors.inputs.len()).chain(survivors.layers.iter().map(|l| l.units.len()));
        let values: Vec<_> = widths.map(|width| vec![Feature::ZERO; width]).collect();
        let inputs = InputColumn::of(&survivors.inputs, dataset);
        Self {
            deltas: values[1..].to_vec(),
            values,
            lines: lines(&inputs, dataset.pixels()),
            inputs,
            scales: NormalizeTable::new(dataset),
            rows: vec![0; IMAGES * dataset.pixels()],
            bytes: vec![TransposedBytes::default(); dataset.pixels()],
            shares: WorkSplit::new(survivors, members),
        }
    }

    /// Shares the work among so many members from now on.
    pub(super) fn split_work(&mut self, survivors: &CompactNetwork, members: usize) {
        self.shares = WorkSplit::new(survivors, members);
    }

    /// Takes up the images of a block.
    pub(super) fn load(&mut self, pass: &mut PassContext<'_>, dataset: &Dataset, images: &[u32]) {
        let rows = &mut self.rows[..images.len() * dataset.pixels()];
        copy_pixels(dataset, images, rows);
        pass.path.run(Transpose { rows, lines: &self.lines, bytes: &mut self.bytes });
        let bytes = std::mem::take(&mut self.bytes);
        self.load_transposed(pass, dataset, images, &bytes);
        self.bytes = bytes;
    }

    /// Takes up a block of images whose bytes are transposed.
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

    /// From the inputs to the logits.
    pub(super) fn forward(&mut self, pass: &mut PassContext<'_>) {
        self.drop_inputs(pass);
        (0..pass.survivors.layers.len()).for_each(|at| self.forward_layer(pass, at));
    }

    /// Dropout of the inputs, where there is one.
    fn drop_inputs(&mut self, pass: &PassContext<'_>) {
        let (inputs, values) = (&pass.survivors.inputs, &mut self.values[0]);
        drop_out(pass, pass.linears.dropout, pass.linears.layers[0].inputs, inputs, values);
    }

    /// From the outputs of the layer before to those of layer `at`.
    pub(super) fn forward_layer(&mut self, pass: &mut PassContext<'_>, at: usize) {
        let (path, layer) = (pass.path, &pass.survivors.layers[at]);
        let (x, y) = self.values.split_at_mut(at + 1);
        let (x, y) = (x[at].as_slice(), &mut y[0]);
        let (weights, biases) = (&pass.weights[layer.trainable()], &pass.weights[layer.trainable_biases()]);
        let after = if layer.shape.relu { Epilogue::Relu } else { Epilogue::Nothing };
        pass.team.run_each(parts(y, &self.shares.layers[at].rows), |(rows, y)| {
            let (pattern, start) = (&layer.forward, &biases[rows.clone()]);
            path.run(Spmm { pattern, rows, weights, start, x, y, after });
        });
        drop_out(pass, layer.shape.dropout, layer.shape.outputs, &layer.units, y);
    }

    /// Adds cross-entropy and hits of the images with these labels.
    pub(super) fn score(&self, path: SimdLevel, labels: &[u8], sums: &mut ScoreSums) {
        let logits = self.logits();
        path.run(BlockScore { logits, labels, sums });
    }

    /// From the logits of images with these labels back to the gradient of the mean cross-entropy over `batch` images,
    /// which is written to `gradients`, or added for a block that is not the first.
    pub(super) fn backward(&mut self, pass: &mut PassContext<'_>, labels: &[u8], batch: usize, gradients: &mut [f32]) {
        self.logit_gradient(pass, labels, batch);
        for at in (0..self.deltas.len()).rev() {
            if at > 0 {
                self.input_gradient(pass, at);
            }
            self.weight_gradient(pass, at, gradients);
        }
    }

    /// The gradient by the logits.
    pub(super) fn logit_gradient(&mut self, pass: &PassContext<'_>, labels: &[u8], batch: usize) {
        if let (Some(logits), Some(delta)) = (self.values.last(), self.deltas.last_mut()) {
            pass.path.run(LogitGradient { logits, labels, batch, targets: pass.targets, delta });
        }
    }

    /// The gradient by the surviving weights and the biases of layer `at`, from that by its outputs.
    pub(super) fn weight_gradient(&mut self, pass: &mut PassContext<'_>, at: usize, gradients: &mut [f32]) {
        let (path, layer, shares) = (pass.path, &pass.survivors.layers[at], &self.shares.layers[at]);
        let (delta, x, add) = (&self.deltas[at], &self.values[at], pass.before > 0);
        let of_layer = parts(&mut gradients[layer.trainable()], &shares.weights).zip(&shares.segments);
        pass.team.run_each(of_layer, |((_, gradient), segments)| {
            let (pattern, segments) = (&layer.forward, segments.clone());
            path.run(WeightGradient { pattern, segments, delta, x, gradient, add });
        });
        path.run(BiasGradient { delta, gradient: &mut gradients[layer.trainable_biases()], add });
    }

    /// From the gradient by the outputs of layer `at` to that by the outputs of the one before.
    pub(super) fn input_gradient(&mut self, pass: &mut PassContext<'_>, at: usize) {
        let (path, layer) = (pass.path, &pass.survivors.layers[at]);
        let (before, delta) = self.deltas.split_at_mut(at);
        let (before, delta) = (&mut before[at - 1], delta[0].as_slice());
        let weights = IndirectWeights(&pass.weights[layer.trainable()], &layer.positions);
        let previous = &pass.survivors.layers[at - 1];
        let outputs = self.values[at].as_slice();
        pass.team.run_each(parts(before, &self.shares.layers[at].columns), |(rows, y)| {
            let gate = if previous.shape.relu { Epilogue::Gate(&outputs[rows.clone()]) } else { Epilogue::Nothing };
            path.run(Spmm { pattern: &layer.backward, rows, weights, start: &[], x: delta, y, after: gate });
        });
        drop_out(pass, previous.shape.dropout, previous.shape.outputs, &previous.units, before);
    }

    fn logits(&self) -> &[Feature] {
        self.values.last().map_or(&[], Vec::as_slice)
    }
}

impl WorkSplit {
    fn new(survivors: &CompactNetwork, members: usize) -> Self {
        let cut = |len: usize| (0..members).map(|m| m * len / members..(m + 1) * len / members).collect::<Vec<_>>();
        let inputs = cut(survivors.inputs.len());
        let layers = survivors.layers.iter().map(|layer| {
            let segments = layer.forward.split_segments(members);
            let weights = segments.iter().map(|s| layer.forward.start(s.start)..layer.forward.start(s.end)).collect();
            let (rows, columns) = (layer.forward.split_rows(members), layer.backward.split_rows(members));
            LayerSplit { rows, columns, segments, weights }
        });
        Self { inputs, layers: layers.collect() }
    }
}

/// Applies a dropout layer to the outputs that are looked at (`units` among `width`), or to their gradients.
fn drop_out(pass: &PassContext<'_>, dropout: Option<Dropout>, width: usize, units: &[u32], values: &mut [Feature]) {
    if let Some((dropout, key)) = pass.noise.key(dropout) {
        pass.path.run(DropOut { dropout, key, width, units, before: pass.before, values });
    }
}

struct DropOut<'a> {
    dropout: Dropout,
    key: u64,
    width: usize,
    units: &'a [u32],
    before: usize,
    values: &'a mut [Feature],
}

impl Kernel for DropOut<'_> {
    #[inline(always)]
    fn run<S: SimdExt>(self, _: S) {
        let scale = self.dropout.scale as f32;
        for (&unit, values) in self.units.iter().zip(self.values) {
            for (j, value) in values.images_mut().iter_mut().enumerate() {
                // Values are counted image after image.
                let element = (self.before + j) * self.width + unit as usize;
                *value = if self.dropout.keeps(self.key, element as u64) { *value * scale } else { 0.0 };
            }
        }
    }
}
