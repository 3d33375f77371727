//! The dense trainer of fully connected networks on the CPU: libtorch computes matrix products, plain loops the rest.
//!
//! The backward pass is written out, so there is no autograd graph; all memory is allocated once. A step is eight
//! products for LeNet-300-100, and one pass each over the batch, the activations and the parameters. The optimizer
//! follows the gradient piece by piece: weights and moments do not fit into the second-level cache, a piece of the
//! gradient does, and the pass over all of them waits for memory, not for arithmetic. With gradient clipping nothing
//! can be updated before the last piece is computed, so then the complete gradient is kept.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use tch::Tensor;

use super::elementwise::{add_bias, drop_out, relu_backward, sum_rows};
use super::host_buffer::{ALIGN, HostBuffer, TorchElement};
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::clip::{GradNorm, scale};
use crate::engine::dropout::{Dropout, DropoutContext};
use crate::engine::input::normalized_batch;
use crate::engine::linear_stack::{LinearLayout, LinearStack};
use crate::engine::loss::{ScoreSums, Targets, gradient, scores};
use crate::engine::optim::{ParameterSlices, moment_slots, update};
use crate::engine::param_layout::ParamLayout;
use crate::engine::trainer::{Batch, Trainer, TrainerSpec};

/// Images per block of an evaluation: enough for full speed of the products, few enough to stay in the cache.
const EVALUATION_BLOCK: usize = 250;

/// Largest number of values of a piece of the gradient, unless a single row has more: 256 KiB in float32.
const PIECE_VALUES: usize = 1 << 16;

/// A linear layer, and views of its parameters in the flat buffers.
struct MlpLayer {
    shape: LinearLayout,
    biases: Range<usize>,
    /// View of the weight, transposed: Wᵀ [inputs, outputs].
    w_t: Tensor,
    /// View of the weight: W [outputs, inputs].
    w: Tensor,
    /// The weight in pieces of whole rows, in order.
    pieces: Vec<WeightRows>,
}

/// A piece of the weight of a layer: consecutive rows.
struct WeightRows {
    /// The first row.
    row: usize,
    /// The number of rows.
    rows: usize,
    /// Positions of the rows in the flat buffers.
    range: Range<usize>,
    /// View of ∂L/∂W [rows, inputs]: in memory that all pieces share, or in the complete gradient.
    g: Tensor,
}

/// Activations of up to `rows` images and, for a backward pass, their gradients. Each buffer stands beside its views
/// for libtorch.
struct Activations<T> {
    rows: usize,
    /// The pixels of the batch as bytes [rows, pixels].
    bytes: Vec<u8>,
    /// The inputs [rows, pixels], then each layer's output [rows, outputs].
    values: Vec<HostBuffer<T>>,
    values_m: Vec<Tensor>,
    /// The gradient with respect to each layer's output [rows, outputs].
    deltas: Vec<HostBuffer<T>>,
    /// View of each of `deltas`, and of the columns of each piece of the layer, transposed [piece rows, rows].
    deltas_m: Vec<(Tensor, Vec<Tensor>)>,
}

/// Trainer of a fully connected network: one lane. Weights, moments and the complete gradient are flat buffers of one
/// layout.
pub(super) struct MlpTrainer<T> {
    spec: TrainerSpec,
    dataset: Arc<Dataset>,
    layout: ParamLayout,
    layers: Vec<MlpLayer>,
    /// Dropout of the inputs.
    dropout: Option<Dropout>,
    weights: HostBuffer<T>,
    /// The gradient of one piece, or of the biases of one layer; with gradient clipping the complete gradient.
    gradients: HostBuffer<T>,
    moments: Vec<HostBuffer<T>>,
    /// For each value of `weights` whether it is kept; `None` for a dense network, so that masks cost it nothing.
    kept: Option<Vec<bool>>,
    iteration: u64,
    optimizer_steps: u64,
    batch: Activations<T>,
    /// Activations of an evaluation; allocated at the first one.
    block: Option<Activations<T>>,
}

impl<T: TorchElement> MlpTrainer<T> {
    /// Allocates all memory that steps need.
    ///
    /// # Errors
    /// If the images do not fit the network, the network is not fully connected, or there is too little memory.
    pub(super) fn new(spec: &TrainerSpec, dataset: Arc<Dataset>) -> Result<Self> {
        ensure!(dataset.image_bytes() == spec.network.input.iter().product::<usize>(), "images of another size");
        // Products are faster if every tensor starts at a cache line.
        let layout = ParamLayout::new(spec.network.parameters(), 1, ALIGN);
        let linears = LinearStack::new(&spec.network)?;
        let largest_piece = linears.layers.iter().map(|layer| PIECE_VALUES.max(layer.inputs).max(layer.outputs)).max();
        let keeps_gradient = spec.clip_norm.is_some();
        let gradients = HostBuffer::zeros(if keeps_gradient { layout.len() } else { largest_piece.unwrap_or(0) })?;
        let weights = HostBuffer::zeros(layout.len())?;
        let layers = with_views(&linears, &layout, &weights, &gradients, keeps_gradient)?;
        let batch = Activations::new(spec.batch_size, &layers, true)?;
        let moment = |_| HostBuffer::zeros(layout.len());
        let moments = (0..spec.optimizer.moment_count()).map(moment).collect::<Result<_>>()?;
        Ok(Self {
            spec: spec.clone(),
            dataset,
            layout,
            layers,
            dropout: linears.dropout,
            weights,
            gradients,
            moments,
            kept: None,
            iteration: 0,
            optimizer_steps: 0,
            batch,
            block: None,
        })
    }

    /// Computes the gradient of the mean cross-entropy over the batch that `forward` was run on, with the same `noise`,
    /// and applies the optimizer to each piece of it, or to all of it at the end with gradient clipping.
    fn backward(&mut self, images: &[u32], noise: DropoutContext, lr: f64) -> Result<()> {
        let last = self.layers.len() - 1;
        let is_clipped = self.spec.clip_norm.is_some();
        let classes = self.layers[last].shape.outputs;
        let logits = self.batch.values[last + 1].slice();
        let delta = self.batch.deltas[last].slice_mut();
        delta.copy_from_slice(logits);
        let targets = Targets::new(self.spec.label_smoothing, classes);
        gradient(delta, images.iter().map(|&image| self.dataset.labels[image as usize]), classes, targets);
        for index in (0..=last).rev() {
            if index > 0 {
                // Before the weights move.
                multiply(&self.batch.deltas_m[index].0, &self.layers[index].w, &self.batch.deltas_m[index - 1].0)?;
                apply_dropout(noise, self.layers[index - 1].shape.dropout, self.batch.deltas[index - 1].slice_mut());
                if self.layers[index - 1].shape.relu {
                    relu_backward(self.batch.values[index].slice(), self.batch.deltas[index - 1].slice_mut());
                }
            }
            for piece in 0..self.layers[index].pieces.len() {
                let delta_t = &self.batch.deltas_m[index].1[piece];
                let piece = &self.layers[index].pieces[piece];
                multiply(delta_t, &self.batch.values_m[index], &piece.g)?;
                if !is_clipped {
                    self.update(piece.range.clone(), lr);
                }
            }
            let biases = self.layers[index].biases.clone();
            let gradient = self.gradient_range(biases.clone());
            sum_rows(self.batch.deltas[index].slice(), &mut self.gradients.slice_mut()[gradient]);
            if !is_clipped {
                self.update(biases, lr);
            }
        }
        if let Some(max_norm) = self.spec.clip_norm {
            self.clip_and_update(max_norm, lr);
        }
        Ok(())
    }

    /// Scales the complete gradient down to a norm of at most `max_norm` and applies the optimizer to all values.
    fn clip_and_update(&mut self, max_norm: f64, lr: f64) {
        let ranges: Vec<Range<usize>> = self.layout.slots().iter().map(|slot| slot.range(0)).collect();
        let mut norm = GradNorm::default();
        for range in &ranges {
            norm.add(&self.gradients.slice()[range.clone()], self.kept.as_ref().map(|kept| &kept[range.clone()]));
        }
        let factor = norm.clip_factor(max_norm);
        for range in ranges {
            scale(factor, &mut self.gradients.slice_mut()[range.clone()]);
            self.update(range, lr);
        }
    }

    /// Returns the positions in `gradients` of the gradient of the values at `range`.
    fn gradient_range(&self, range: Range<usize>) -> Range<usize> {
        if self.spec.clip_norm.is_some() { range } else { 0..range.len() }
    }

    /// Applies the optimizer to the values at `range`, whose gradient has been computed.
    fn update(&mut self, range: Range<usize>, lr: f64) {
        let gradient = self.gradient_range(range.clone());
        let parameters = ParameterSlices {
            weights: &mut self.weights.slice_mut()[range.clone()],
            gradients: &self.gradients.slice()[gradient],
            moments: moment_slots(self.moments.iter_mut().map(|moment| &mut moment.slice_mut()[range.clone()])),
            kept: self.kept.as_ref().map(|kept| &kept[range.clone()]),
        };
        update(&self.spec.optimizer, lr, self.optimizer_steps, parameters);
    }
}

/// Returns the linear layers with views of their parameters. `gradients` holds one piece, or with `keeps_gradient` the
/// complete gradient.
fn with_views<T: TorchElement>(
    linears: &LinearStack,
    layout: &ParamLayout,
    weights: &HostBuffer<T>,
    gradients: &HostBuffer<T>,
    keeps_gradient: bool,
) -> Result<Vec<MlpLayer>> {
    let mut layers = Vec::new();
    for (shape, slots) in linears.layers.iter().zip(layout.slots().chunks_exact(2)) {
        let first_weight = slots[0].start;
        let w = weights.matrix(first_weight, shape.outputs, shape.inputs)?;
        let max_rows = (PIECE_VALUES / shape.inputs).max(1);
        let mut pieces = Vec::new();
        for row in (0..shape.outputs).step_by(max_rows) {
            let rows = max_rows.min(shape.outputs - row);
            let start = first_weight + row * shape.inputs;
            let g = gradients.matrix(if keeps_gradient { start } else { 0 }, rows, shape.inputs)?;
            pieces.push(WeightRows { row, rows, range: start..start + rows * shape.inputs, g });
        }
        let w_t = w.f_tr()?;
        layers.push(MlpLayer { shape: *shape, biases: slots[1].range(0), w_t, w, pieces });
    }
    Ok(layers)
}

/// Applies a dropout layer, if there is one, to outputs or to their gradients.
fn apply_dropout<T: TorchElement>(noise: DropoutContext, dropout: Option<Dropout>, values: &mut [T]) {
    if let Some((dropout, key)) = noise.key(dropout) {
        drop_out(dropout, key, values);
    }
}

impl<T: TorchElement> Activations<T> {
    /// Allocates the activations of `rows` images, with their gradients if `backward`.
    fn new(rows: usize, layers: &[MlpLayer], backward: bool) -> Result<Self> {
        let inputs = layers[0].shape.inputs;
        let bytes = vec![0; rows * inputs];
        let mut activations = Self { rows, bytes, values: vec![], values_m: vec![], deltas: vec![], deltas_m: vec![] };
        activations.push_values(inputs)?;
        for layer in layers {
            activations.push_values(layer.shape.outputs)?;
            if backward {
                activations.push_deltas(layer)?;
            }
        }
        Ok(activations)
    }

    fn push_values(&mut self, width: usize) -> Result<()> {
        let values = HostBuffer::zeros(self.rows * width)?;
        self.values_m.push(values.matrix(0, self.rows, width)?);
        self.values.push(values);
        Ok(())
    }

    fn push_deltas(&mut self, layer: &MlpLayer) -> Result<()> {
        let width = layer.shape.outputs;
        let deltas = HostBuffer::zeros(self.rows * width)?;
        let matrix = deltas.matrix(0, self.rows, width)?;
        let columns = |piece: &WeightRows| Ok(matrix.f_narrow(1, piece.row as i64, piece.rows as i64)?.f_tr()?);
        let pieces = layer.pieces.iter().map(columns).collect::<Result<_>>()?;
        self.deltas_m.push((matrix, pieces));
        self.deltas.push(deltas);
        Ok(())
    }

    /// Computes the output of every layer from the inputs in `values[0]`; the last is the logits [rows, classes].
    fn forward(&mut self, layers: &[MlpLayer], weights: &[T], noise: DropoutContext) -> Result<()> {
        for (index, layer) in layers.iter().enumerate() {
            multiply(&self.values_m[index], &layer.w_t, &self.values_m[index + 1])?;
            let output = self.values[index + 1].slice_mut();
            add_bias(&weights[layer.biases.clone()], layer.shape.relu, output);
            apply_dropout(noise, layer.shape.dropout, output);
        }
        Ok(())
    }
}

impl<T: TorchElement> Trainer for MlpTrainer<T> {
    fn lanes(&self) -> usize {
        1
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        ensure!(lane == 0, "the dense trainer has one lane");
        self.spec.check_moments(from)?;
        let mut from = from.clone();
        mask.apply(&mut from.weights);
        from.moments.iter_mut().for_each(|moment| mask.apply(moment));
        self.layout.write(&from.weights, self.weights.slice_mut())?;
        for (number, moment) in self.moments.iter_mut().enumerate() {
            match from.moments.get(number) {
                Some(state) => self.layout.write(state, moment.slice_mut())?,
                None => moment.slice_mut().fill(T::default()),
            }
        }
        self.kept = None;
        if mask.kept_total() < mask.total() {
            let mut kept = vec![true; self.layout.len()];
            self.layout.expand_mask(mask, 0, &mut kept)?;
            self.kept = Some(kept);
        }
        self.iteration = from.iteration;
        self.optimizer_steps = from.optimizer_steps;
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let ([batch], [lr]) = (batches, lr) else { bail!("the dense trainer takes one batch and one learning rate") };
        let images = batch.images.as_slice();
        ensure!(!images.is_empty(), "an empty batch");
        if images.len() != self.batch.rows {
            // The last batch of an epoch may be smaller; the next one is full again.
            self.batch = Activations::new(images.len(), &self.layers, true)?;
        }
        let _guard = tch::no_grad_guard();
        normalized_batch(&self.dataset, images, &mut self.batch.bytes, self.batch.values[0].slice_mut());
        let noise = DropoutContext(Some((batch.elementwise, batch.iteration)));
        apply_dropout(noise, self.dropout, self.batch.values[0].slice_mut());
        self.batch.forward(&self.layers, self.weights.slice(), noise)?;
        self.optimizer_steps += 1;
        self.backward(images, noise, *lr)?;
        self.iteration = batch.iteration + 1;
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        let _guard = tch::no_grad_guard();
        let block = match &mut self.block {
            Some(block) => block,
            None => self.block.insert(Activations::new(EVALUATION_BLOCK, &self.layers, false)?),
        };
        let images = self.dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let classes = self.spec.network.classes;
        let mut sums = ScoreSums::default();
        for images in images.chunks(EVALUATION_BLOCK) {
            // Behind a smaller last block lie inputs of the block before, whose logits are ignored.
            normalized_batch(&self.dataset, images, &mut block.bytes, block.values[0].slice_mut());
            block.forward(&self.layers, self.weights.slice(), DropoutContext(None))?;
            let labels = images.iter().map(|&image| self.dataset.labels[image as usize]);
            scores(block.values[self.layers.len()].slice(), labels, classes, &mut sums);
        }
        let n = images.len() as f64;
        Ok(vec![Score { loss: sums.loss / n, accuracy: sums.correct as f64 / n }])
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane == 0, "the dense trainer has one lane");
        // Before the first step moments are fresh, which a snapshot says by having none.
        let moments = if self.optimizer_steps == 0 { &[] } else { self.moments.as_slice() };
        Ok(Snapshot {
            weights: self.layout.read(self.weights.slice()),
            moments: moments.iter().map(|moment| self.layout.read(moment.slice())).collect(),
            buffers: TensorMap::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }

    /// Does nothing: a fully connected network of linear layers has no batch norm.
    fn recompute_batch_norm(&mut self, _images: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Does nothing: libtorch computes with the one thread of the worker.
    fn set_threads(&mut self, _threads: usize) {}
}

/// Writes the matrix product a·b to `out`.
fn multiply(a: &Tensor, b: &Tensor, out: &Tensor) -> Result<()> {
    // The return value is another handle of `out`.
    let _ = a.f_mm_out(out, b)?;
    Ok(())
}
