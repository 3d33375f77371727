//! The dense trainer of fully connected networks on the CPU: libtorch computes matrix products, plain loops the rest.
//!
//! The backward pass is written out, so there is no autograd graph; all memory is allocated once. A step is eight
//! products for LeNet-300-100, and one pass each over the batch, the activations and the parameters.
//!
//! The gradient of a weight is computed in pieces of whole rows, and the optimizer updates each piece as soon as its
//! gradient is computed. The pass of the optimizer waits for memory, not for arithmetic, because weights and moments do
//! not fit into the second-level cache. A piece of the gradient does fit, so the pass does not have to read the
//! gradient from memory. With gradient clipping no piece can be updated before the norm of all is known, so the
//! complete gradient is stored.

mod state;

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use tch::Tensor;

use super::host_buffer::{ALIGN, HostBuffer, TorchElement};
use super::mlp_kernels::{add_bias, apply_dropout, relu_backward, sum_rows};
use super::typed_state::TypedState;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{LaneState, Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::clip::{GradNorm, scale};
use crate::engine::dropout::{Dropout, DropoutContext};
use crate::engine::input::normalized_batch;
use crate::engine::linear_stack::{LinearShape, LinearStack};
use crate::engine::loss::{ScoreSums, Targets, replace_by_gradient, scores};
use crate::engine::optim::{ParameterSlices, moment_slots, update};
use crate::engine::param_layout::ParamLayout;
use crate::engine::trainer::{Batch, RunningStatistics, Trainer, TrainerSpec};

/// Images that an evaluation processes at a time: enough for full speed of the products, few enough that their
/// activations stay in the cache.
const EVALUATION_IMAGES: usize = 250;

/// The largest number of values of a piece of the gradient (256 KiB in float32), unless a single row has more.
const PIECE_VALUES: usize = 1 << 16;

/// A linear layer, and views of its parameters in the flat buffers.
struct MlpLayer {
    shape: LinearShape,
    /// Positions of the biases in the flat buffers.
    biases: Range<usize>,
    /// View of the transposed weight [inputs, outputs].
    weight_t: Tensor,
    /// View of the weight [outputs, inputs].
    weight: Tensor,
    /// The weight in pieces of whole rows, in the order of rows.
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
    /// View of the gradient with respect to these rows [rows, inputs]: in memory that all pieces share, or in the
    /// complete gradient.
    gradient: Tensor,
}

/// Activations of `rows` images and, for a backward pass, the gradients with respect to them. A buffer is written and
/// read by loops as a slice, and by libtorch through views: tensors in the same memory.
struct Activations<T> {
    /// The number of images.
    rows: usize,
    /// The pixels of the batch as bytes [rows, pixels].
    bytes: Vec<u8>,
    /// The inputs [rows, pixels], then each layer's output [rows, outputs].
    values: Vec<HostBuffer<T>>,
    /// A view of each of `values`, in its shape.
    value_views: Vec<Tensor>,
    /// The gradient with respect to each layer's output [rows, outputs].
    deltas: Vec<HostBuffer<T>>,
    /// Views of each of `deltas`.
    delta_views: Vec<DeltaViews>,
}

/// Views of the gradient with respect to a layer's output.
struct DeltaViews {
    /// The gradient [rows, outputs].
    delta: Tensor,
    /// For each piece of the layer's weight the gradient of the piece's outputs, transposed [piece rows, rows].
    pieces_t: Vec<Tensor>,
}

/// What a backward pass does with the gradient.
enum GradientUse<'a, T> {
    /// It applies the optimizer.
    Step {
        /// The learning rate.
        lr: f64,
    },
    /// It copies the gradient to this buffer, in the layout of the weights.
    Copy(&'a mut [T]),
}

/// Trainer of a fully connected network: one lane. Weights, moments and the complete gradient are flat buffers of one
/// layout.
pub(super) struct MlpTrainer<T> {
    spec: TrainerSpec,
    dataset: Arc<Dataset>,
    layout: ParamLayout,
    layers: Vec<MlpLayer>,
    /// The dropout of the inputs; `None` without a dropout layer.
    input_dropout: Option<Dropout>,
    weights: HostBuffer<T>,
    /// The gradient of one piece, or of the biases of one layer; with gradient clipping the complete gradient.
    gradients: HostBuffer<T>,
    moments: Vec<HostBuffer<T>>,
    /// For each value of `weights` whether the mask keeps it; `None` for a dense network, so that masks cost it
    /// nothing.
    kept: Option<Vec<bool>>,
    iteration: u64,
    /// Optimizer steps since the moments were reset.
    optimizer_steps: u64,
    /// Activations of a step.
    batch: Activations<T>,
    /// Activations of an evaluation, allocated at the first one.
    evaluation: Option<Activations<T>>,
}

impl<T: TorchElement> MlpTrainer<T> {
    /// Allocates all memory that steps need.
    ///
    /// # Errors
    /// Fails if the images do not fit the network, the network is not fully connected, or there is too little memory.
    pub(super) fn new(spec: &TrainerSpec, dataset: Arc<Dataset>) -> Result<Self> {
        ensure!(dataset.image_bytes() == spec.network.input.iter().product::<usize>(), "images of another size");
        // Products are faster if every tensor starts at a cache line.
        let layout = ParamLayout::new(spec.network.parameters(), 1, ALIGN);
        let stack = LinearStack::new(&spec.network)?;
        let largest_piece = stack.layers.iter().map(|layer| PIECE_VALUES.max(layer.inputs).max(layer.outputs)).max();
        let keeps_gradient = spec.clip_norm.is_some();
        let gradients = HostBuffer::zeros(if keeps_gradient { layout.len() } else { largest_piece.unwrap_or(0) })?;
        let weights = HostBuffer::zeros(layout.len())?;
        let layers = with_views(&stack, &layout, &weights, &gradients, keeps_gradient)?;
        let batch = Activations::new(spec.batch_size, &layers, true)?;
        let moment = |_| HostBuffer::zeros(layout.len());
        let moments = (0..spec.optimizer.moment_count()).map(moment).collect::<Result<_>>()?;
        Ok(Self {
            spec: spec.clone(),
            dataset,
            layout,
            layers,
            input_dropout: stack.dropout,
            weights,
            gradients,
            moments,
            kept: None,
            iteration: 0,
            optimizer_steps: 0,
            batch,
            evaluation: None,
        })
    }

    /// Computes the output of every layer for a batch, and keeps the activations; returns the dropout.
    fn forward(&mut self, batch: &Batch) -> Result<DropoutContext> {
        let images = batch.images.as_slice();
        ensure!(!images.is_empty(), "an empty batch");
        if images.len() != self.batch.rows {
            // The last batch of an epoch may be smaller; the next one is full again.
            self.batch = Activations::new(images.len(), &self.layers, true)?;
        }
        normalized_batch(&self.dataset, images, &mut self.batch.bytes, self.batch.values[0].slice_mut());
        let dropout = DropoutContext::Step { generator: batch.elementwise, iteration: batch.iteration };
        apply_dropout(dropout, self.input_dropout, self.batch.values[0].slice_mut());
        self.batch.forward(&self.layers, self.weights.slice(), dropout)?;
        Ok(dropout)
    }

    /// Computes the gradient of the mean cross-entropy over a batch, and uses each piece of it, or with gradient clipping
    /// the complete gradient at the end. `image_indices` and `dropout` are those of the forward pass, whose activations
    /// `self.batch` must hold.
    fn backward(
        &mut self,
        image_indices: &[u32],
        dropout: DropoutContext,
        gradient_use: &mut GradientUse<'_, T>,
    ) -> Result<()> {
        let last = self.layers.len() - 1;
        let classes = self.layers[last].shape.outputs;
        let logits = self.batch.values[last + 1].slice();
        let delta = self.batch.deltas[last].slice_mut();
        delta.copy_from_slice(logits);
        let targets = Targets::new(self.spec.label_smoothing, classes);
        let labels = image_indices.iter().map(|&image| self.dataset.labels[image as usize]);
        replace_by_gradient(delta, labels, classes, targets);
        for index in (0..=last).rev() {
            if index > 0 {
                // This product must come before the update of the weight below.
                let views = &self.batch.delta_views;
                multiply(&views[index].delta, &self.layers[index].weight, &views[index - 1].delta)?;
                let previous = self.layers[index - 1].shape;
                let previous_delta = self.batch.deltas[index - 1].slice_mut();
                apply_dropout(dropout, previous.dropout, previous_delta);
                if previous.relu {
                    relu_backward(self.batch.values[index].slice(), previous_delta);
                }
            }
            for piece in 0..self.layers[index].pieces.len() {
                let delta_t = &self.batch.delta_views[index].pieces_t[piece];
                let piece = &self.layers[index].pieces[piece];
                multiply(delta_t, &self.batch.value_views[index], &piece.gradient)?;
                self.use_piece(piece.range.clone(), gradient_use);
            }
            let biases = self.layers[index].biases.clone();
            let gradient_range = self.gradient_range(biases.clone());
            sum_rows(self.batch.deltas[index].slice(), &mut self.gradients.slice_mut()[gradient_range]);
            self.use_piece(biases, gradient_use);
        }
        if let (Some(max_norm), GradientUse::Step { lr }) = (self.spec.clip_norm, gradient_use) {
            self.clip_and_update(max_norm, *lr);
        }
        Ok(())
    }

    /// Uses the gradient of the values at `range`, which has been computed. A gradient that is to be clipped is used at
    /// the end.
    fn use_piece(&mut self, range: Range<usize>, gradient_use: &mut GradientUse<'_, T>) {
        match gradient_use {
            GradientUse::Step { lr } if self.spec.clip_norm.is_none() => self.update(range, *lr),
            GradientUse::Step { .. } => {}
            GradientUse::Copy(complete) => {
                let gradient = &self.gradients.slice()[self.gradient_range(range.clone())];
                complete[range].copy_from_slice(gradient);
            }
        }
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
        let gradient_range = self.gradient_range(range.clone());
        let parameters = ParameterSlices {
            weights: &mut self.weights.slice_mut()[range.clone()],
            gradients: &self.gradients.slice()[gradient_range],
            moments: moment_slots(self.moments.iter_mut().map(|moment| &mut moment.slice_mut()[range.clone()])),
            kept: self.kept.as_ref().map(|kept| &kept[range.clone()]),
        };
        update(&self.spec.optimizer, lr, self.optimizer_steps, parameters);
    }
}

/// Returns the linear layers with views of their parameters. `gradients` holds one piece, or with `keeps_gradient` the
/// complete gradient.
fn with_views<T: TorchElement>(
    stack: &LinearStack,
    layout: &ParamLayout,
    weights: &HostBuffer<T>,
    gradients: &HostBuffer<T>,
    keeps_gradient: bool,
) -> Result<Vec<MlpLayer>> {
    let mut layers = Vec::new();
    for (shape, slots) in stack.layers.iter().zip(layout.slots().chunks_exact(2)) {
        let first_weight = slots[0].start;
        let weight = weights.matrix(first_weight, shape.outputs, shape.inputs)?;
        let max_rows = (PIECE_VALUES / shape.inputs).max(1);
        let mut pieces = Vec::new();
        for row in (0..shape.outputs).step_by(max_rows) {
            let rows = max_rows.min(shape.outputs - row);
            let start = first_weight + row * shape.inputs;
            let gradient = gradients.matrix(if keeps_gradient { start } else { 0 }, rows, shape.inputs)?;
            pieces.push(WeightRows { row, rows, range: start..start + rows * shape.inputs, gradient });
        }
        let weight_t = weight.f_tr()?;
        layers.push(MlpLayer { shape: *shape, biases: slots[1].range(0), weight_t, weight, pieces });
    }
    Ok(layers)
}

impl<T: TorchElement> Activations<T> {
    /// Allocates the activations of `rows` images, with memory for their gradients if `with_gradients`.
    fn new(rows: usize, layers: &[MlpLayer], with_gradients: bool) -> Result<Self> {
        let inputs = layers[0].shape.inputs;
        let bytes = vec![0; rows * inputs];
        let mut activations =
            Self { rows, bytes, values: vec![], value_views: vec![], deltas: vec![], delta_views: vec![] };
        activations.push_values(inputs)?;
        for layer in layers {
            activations.push_values(layer.shape.outputs)?;
            if with_gradients {
                activations.push_deltas(layer)?;
            }
        }
        Ok(activations)
    }

    /// Appends memory for values [rows, features].
    fn push_values(&mut self, features: usize) -> Result<()> {
        let values = HostBuffer::zeros(self.rows * features)?;
        self.value_views.push(values.matrix(0, self.rows, features)?);
        self.values.push(values);
        Ok(())
    }

    /// Appends memory for the gradient with respect to the output of `layer`.
    fn push_deltas(&mut self, layer: &MlpLayer) -> Result<()> {
        let outputs = layer.shape.outputs;
        let buffer = HostBuffer::zeros(self.rows * outputs)?;
        let delta = buffer.matrix(0, self.rows, outputs)?;
        let columns_t = |piece: &WeightRows| Ok(delta.f_narrow(1, piece.row as i64, piece.rows as i64)?.f_tr()?);
        let pieces_t = layer.pieces.iter().map(columns_t).collect::<Result<_>>()?;
        self.delta_views.push(DeltaViews { delta, pieces_t });
        self.deltas.push(buffer);
        Ok(())
    }

    /// Computes the output of every layer from the inputs in `values[0]`; the last is the logits [rows, classes].
    fn forward(&mut self, layers: &[MlpLayer], weights: &[T], dropout: DropoutContext) -> Result<()> {
        for (index, layer) in layers.iter().enumerate() {
            multiply(&self.value_views[index], &layer.weight_t, &self.value_views[index + 1])?;
            let output = self.values[index + 1].slice_mut();
            add_bias(&weights[layer.biases.clone()], layer.shape.relu, output);
            apply_dropout(dropout, layer.shape.dropout, output);
        }
        Ok(())
    }
}

impl<T: TorchElement> Trainer for MlpTrainer<T> {
    fn lanes(&self) -> usize {
        1
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        self.load_state(lane, from.clone(), mask)
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let ([batch], [lr]) = (batches, lr) else { bail!("the dense trainer takes one batch and one learning rate") };
        let _guard = tch::no_grad_guard();
        let dropout = self.forward(batch)?;
        self.optimizer_steps += 1;
        self.backward(&batch.images, dropout, &mut GradientUse::Step { lr: *lr })?;
        self.iteration = batch.iteration + 1;
        Ok(())
    }

    fn gradients(&mut self, batches: &[Batch], _: RunningStatistics) -> Result<Vec<TensorMap>> {
        let [batch] = batches else { bail!("the dense trainer takes one batch") };
        let _guard = tch::no_grad_guard();
        let dropout = self.forward(batch)?;
        let mut complete = vec![T::default(); self.layout.len()];
        self.backward(&batch.images, dropout, &mut GradientUse::Copy(&mut complete))?;
        Ok(vec![self.layout.read(&complete)])
    }

    fn replace_weights(&mut self, lane: usize, weights: &TensorMap) -> Result<()> {
        ensure!(lane == 0, "the dense trainer has one lane");
        self.layout.write(weights, self.weights.slice_mut())
    }

    fn evaluate_unless(&mut self, split: Split, should_stop: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>> {
        let _guard = tch::no_grad_guard();
        let activations = match &mut self.evaluation {
            Some(activations) => activations,
            None => self.evaluation.insert(Activations::new(EVALUATION_IMAGES, &self.layers, false)?),
        };
        let images = self.dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let classes = self.spec.network.classes;
        let mut sums = ScoreSums::default();
        for images in images.chunks(EVALUATION_IMAGES) {
            if should_stop() {
                return Ok(None);
            }
            // If the last chunk is smaller, inputs of the previous chunk follow its own; their logits are ignored.
            normalized_batch(&self.dataset, images, &mut activations.bytes, activations.values[0].slice_mut());
            activations.forward(&self.layers, self.weights.slice(), DropoutContext::Off)?;
            let labels = images.iter().map(|&image| self.dataset.labels[image as usize]);
            scores(activations.values[self.layers.len()].slice(), labels, classes, &mut sums);
        }
        let n = images.len() as f64;
        Ok(Some(vec![Score { loss: sums.loss / n, accuracy: sums.correct as f64 / n }]))
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        self.read_state(lane)
    }

    fn state(&self, lane: usize) -> Result<LaneState> {
        self.lane_state(lane, self.spec.dtype)
    }

    fn resume(&mut self, lane: usize, from: &LaneState, mask: &Mask) -> Result<()> {
        self.load_lane_state(lane, from, mask)
    }

    /// Does nothing: a fully connected network of linear layers has no batch norm.
    fn recompute_batch_norm(&mut self, _image_indices: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Does nothing: libtorch computes in the calling thread only.
    fn set_threads(&mut self, _threads: usize) {}
}

/// Writes the matrix product a·b to `out`.
fn multiply(a: &Tensor, b: &Tensor, out: &Tensor) -> Result<()> {
    // The return value is another handle of `out`.
    let _ = a.f_mm_out(out, b)?;
    Ok(())
}
