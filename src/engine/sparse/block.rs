//! A block of 64 images on its way through the network and back.

use std::ops::Range;

use super::gather::{Bytes, Input, Scales, Spread, Transpose, lines};
use super::kernels::{After, BiasGradient, Elsewhere, Feature, IMAGES, Product, WeightGradient};
use super::layer::Survivors;
use super::logits::{BlockScore, LogitGradient};
use super::simd::{Kernel, Path, Wide};
use super::team::{Team, parts};
use crate::data::Dataset;
use crate::engine::dropout::{Dropout, Noise};
use crate::engine::input::collect;
use crate::engine::linears::Linears;
use crate::engine::loss::{Sums, Targets};

/// Activations of one block and their gradients, and who in a team does what of it.
pub(super) struct Block {
    /// The inputs that are looked at, then of each layer the outputs that are.
    values: Vec<Vec<Feature>>,
    /// Gradients by the outputs of each layer.
    deltas: Vec<Vec<Feature>>,
    /// The inputs that are looked at.
    inputs: Vec<Input>,
    lines: Vec<bool>,
    scales: Scales,
    /// The images of a batch, one after the other, and transposed.
    rows: Vec<u8>,
    bytes: Vec<Bytes>,
    shares: Shares,
}

/// What each member of a team does: ranges, one per member.
struct Shares {
    /// Of the inputs that are looked at.
    inputs: Vec<Range<usize>>,
    layers: Vec<LayerShares>,
}

struct LayerShares {
    /// Of its units.
    rows: Vec<Range<usize>>,
    /// Of the units of the layer before.
    columns: Vec<Range<usize>>,
    /// Of the segments of its pattern, and of the weights in them.
    segments: Vec<Range<usize>>,
    weights: Vec<Range<usize>>,
}

/// What a pass needs to know of the network, and what does it.
pub(super) struct Pass<'a> {
    pub(super) path: Path,
    pub(super) team: &'a mut Team,
    pub(super) linears: &'a Linears,
    pub(super) survivors: &'a Survivors,
    pub(super) weights: &'a [f32],
    pub(super) noise: Noise,
    pub(super) targets: Targets,
    /// Images of the batch before this block.
    pub(super) before: usize,
}

impl Block {
    /// Takes the memory that blocks need.
    pub(super) fn new(survivors: &Survivors, dataset: &Dataset, members: usize) -> Self {
        let widths = std::iter::once(survivors.inputs.len()).chain(survivors.layers.iter().map(|l| l.units.len()));
        let values: Vec<_> = widths.map(|width| vec![Feature::ZERO; width]).collect();
        let inputs = Input::of(&survivors.inputs, dataset);
        Self {
            deltas: values[1..].to_vec(),
            values,
            lines: lines(&inputs, dataset.pixels()),
            inputs,
            scales: Scales::new(dataset),
            rows: vec![0; IMAGES * dataset.pixels()],
            bytes: vec![Bytes::default(); dataset.pixels()],
            shares: Shares::new(survivors, members),
        }
    }

    /// Shares the work among so many members from now on.
    pub(super) fn share(&mut self, survivors: &Survivors, members: usize) {
        self.shares = Shares::new(survivors, members);
    }

    /// Takes up the images of a block.
    pub(super) fn gather(&mut self, pass: &mut Pass<'_>, dataset: &Dataset, images: &[u32]) {
        let rows = &mut self.rows[..images.len() * dataset.pixels()];
        collect(dataset, images, rows);
        pass.path.run(Transpose { rows, lines: &self.lines, bytes: &mut self.bytes });
        let bytes = std::mem::take(&mut self.bytes);
        self.spread(pass, dataset, images, &bytes);
        self.bytes = bytes;
    }

    /// Takes up a block of images whose bytes are transposed.
    pub(super) fn spread(&mut self, pass: &mut Pass<'_>, dataset: &Dataset, images: &[u32], bytes: &[Bytes]) {
        self.scales.fill(dataset, images);
        let (scales, inputs, path) = (&self.scales, &self.inputs, pass.path);
        pass.team.each(parts(&mut self.values[0], &self.shares.inputs), |(range, out)| {
            path.run(Spread { scales, inputs: &inputs[range], bytes, out });
        });
    }

    /// From the inputs to the logits.
    pub(super) fn forward(&mut self, pass: &mut Pass<'_>) {
        self.drop_inputs(pass);
        (0..pass.survivors.layers.len()).for_each(|at| self.outputs(pass, at));
    }

    /// Dropout of the inputs, where there is one.
    fn drop_inputs(&mut self, pass: &Pass<'_>) {
        let (inputs, values) = (&pass.survivors.inputs, &mut self.values[0]);
        drop_out(pass, pass.linears.dropout, pass.linears.layers[0].inputs, inputs, values);
    }

    /// From the outputs of the layer before to those of layer `at`.
    pub(super) fn outputs(&mut self, pass: &mut Pass<'_>, at: usize) {
        let (path, layer) = (pass.path, &pass.survivors.layers[at]);
        let (x, y) = self.values.split_at_mut(at + 1);
        let (x, y) = (x[at].as_slice(), &mut y[0]);
        let (weights, biases) = (&pass.weights[layer.active()], &pass.weights[layer.active_biases()]);
        let after = if layer.shape.relu { After::Relu } else { After::Nothing };
        pass.team.each(parts(y, &self.shares.layers[at].rows), |(rows, y)| {
            let (pattern, start) = (&layer.forward, &biases[rows.clone()]);
            path.run(Product { pattern, rows, weights, start, x, y, after });
        });
        drop_out(pass, layer.shape.dropout, layer.shape.outputs, &layer.units, y);
    }

    /// Adds cross-entropy and hits of the images with these labels.
    pub(super) fn score(&self, path: Path, labels: &[u8], sums: &mut Sums) {
        let logits = self.logits();
        path.run(BlockScore { logits, labels, sums });
    }

    /// From the logits of images with these labels back to the gradient of the mean cross-entropy over `batch` images,
    /// which is written to `gradients`, or added for a block that is not the first.
    pub(super) fn backward(&mut self, pass: &mut Pass<'_>, labels: &[u8], batch: usize, gradients: &mut [f32]) {
        self.logit_gradient(pass, labels, batch);
        for at in (0..self.deltas.len()).rev() {
            if at > 0 {
                self.input_gradient(pass, at);
            }
            self.weight_gradient(pass, at, gradients);
        }
    }

    /// The gradient by the logits.
    pub(super) fn logit_gradient(&mut self, pass: &Pass<'_>, labels: &[u8], batch: usize) {
        if let (Some(logits), Some(delta)) = (self.values.last(), self.deltas.last_mut()) {
            pass.path.run(LogitGradient { logits, labels, batch, targets: pass.targets, delta });
        }
    }

    /// The gradient by the surviving weights and the biases of layer `at`, from that by its outputs.
    pub(super) fn weight_gradient(&mut self, pass: &mut Pass<'_>, at: usize, gradients: &mut [f32]) {
        let (path, layer, shares) = (pass.path, &pass.survivors.layers[at], &self.shares.layers[at]);
        let (delta, x, add) = (&self.deltas[at], &self.values[at], pass.before > 0);
        let of_layer = parts(&mut gradients[layer.active()], &shares.weights).zip(&shares.segments);
        pass.team.each(of_layer, |((_, gradient), segments)| {
            let (pattern, segments) = (&layer.forward, segments.clone());
            path.run(WeightGradient { pattern, segments, delta, x, gradient, add });
        });
        path.run(BiasGradient { delta, gradient: &mut gradients[layer.active_biases()], add });
    }

    /// From the gradient by the outputs of layer `at` to that by the outputs of the one before.
    pub(super) fn input_gradient(&mut self, pass: &mut Pass<'_>, at: usize) {
        let (path, layer) = (pass.path, &pass.survivors.layers[at]);
        let (before, delta) = self.deltas.split_at_mut(at);
        let (before, delta) = (&mut before[at - 1], delta[0].as_slice());
        let weights = Elsewhere(&pass.weights[layer.active()], &layer.positions);
        let previous = &pass.survivors.layers[at - 1];
        let outputs = self.values[at].as_slice();
        pass.team.each(parts(before, &self.shares.layers[at].columns), |(rows, y)| {
            let gate = if previous.shape.relu { After::Gate(&outputs[rows.clone()]) } else { After::Nothing };
            path.run(Product { pattern: &layer.backward, rows, weights, start: &[], x: delta, y, after: gate });
        });
        drop_out(pass, previous.shape.dropout, previous.shape.outputs, &previous.units, before);
    }

    fn logits(&self) -> &[Feature] {
        self.values.last().map_or(&[], Vec::as_slice)
    }
}

impl Shares {
    fn new(survivors: &Survivors, members: usize) -> Self {
        let cut = |len: usize| (0..members).map(|m| m * len / members..(m + 1) * len / members).collect::<Vec<_>>();
        let inputs = cut(survivors.inputs.len());
        let layers = survivors.layers.iter().map(|layer| {
            let segments = layer.forward.cut_segments(members);
            let weights = segments.iter().map(|s| layer.forward.start(s.start)..layer.forward.start(s.end)).collect();
            let (rows, columns) = (layer.forward.cut_rows(members), layer.backward.cut_rows(members));
            LayerShares { rows, columns, segments, weights }
        });
        Self { inputs, layers: layers.collect() }
    }
}

/// Applies a dropout layer to the outputs that are looked at (`units` among `width`), or to their gradients.
fn drop_out(pass: &Pass<'_>, dropout: Option<Dropout>, width: usize, units: &[u32], values: &mut [Feature]) {
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
    fn run<S: Wide>(self, _: S) {
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
