//! Fully connected networks on the CPU: libtorch does the matrix products, plain loops do all between them.
//!
//! The backward pass is written out, so there is no autograd graph; all memory is taken once. A step is eight products
//! for LeNet-300-100, and one pass each over the batch, the activations and the parameters. The optimizer follows the
//! gradient piece by piece: weights and moments do not fit into the second-level cache, a piece of the gradient does, and
//! the pass over all of them waits for memory, not for arithmetic. Where gradients are clipped, nothing can be updated before
//! the last piece is known: then the whole gradient is kept.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail, ensure};
use tch::Tensor;

use super::super::linear_stack;
use super::super::linear_stack::LinearStack;
use super::elementwise::{add_bias, drop_out, relu_backward, sum_rows};
use super::host_buffer::{ALIGN, HostBuffer, TorchElement};
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::data::{Dataset, Split};
use crate::engine::clip::{GradNorm, scale};
use crate::engine::dropout::{Dropout, DropoutContext};
use crate::engine::input::normalized_batch;
use crate::engine::loss::{ScoreSums, Targets, gradient, scores};
use crate::engine::optim::{ParameterSlices, moment_slots, update};
use crate::engine::trainer::{Batch, Trainer, TrainerSpec};
use crate::network::TensorSpec;

/// Images per block of an evaluation: enough for full speed of the products, few enough to stay in the cache.
const BLOCK: usize = 250;

/// Values of a piece of the gradient, about: 256 KiB in float32.
const PIECE: usize = 1 << 16;

/// A linear layer and where its parameters lie in the flat buffers.
struct MlpLayer {
    shape: linear_stack::LinearLayout,
    bias: usize,
    /// Wᵀ [in, out] and W [out, in].
    w_t: Tensor,
    w: Tensor,
    pieces: Vec<WeightRows>,
}

impl MlpLayer {
    /// Where its weights are in the flat buffers.
    fn weights(&self) -> Range<usize> {
        let first = self.pieces.first().map_or(0, |piece| piece.values.start);
        first..first + self.shape.inputs * self.shape.outputs
    }

    /// Where its biases are.
    fn biases(&self) -> Range<usize> {
        self.bias..self.bias + self.shape.outputs
    }
}

/// Some rows of a weight.
struct WeightRows {
    /// The first, and their number.
    row: usize,
    rows: usize,
    /// Where they are in the flat buffers.
    values: Range<usize>,
    /// ∂L/∂W [rows, in], in memory that all pieces share, or in its place in the whole.
    g: Tensor,
}

/// Activations for up to `rows` images, and their gradients where a backward pass is wanted.
struct Activations<T> {
    rows: usize,
    /// The bytes of the batch.
    bytes: Vec<u8>,
    /// The batch [rows, pixels], then each layer's output.
    values: Vec<HostBuffer<T>>,
    values_m: Vec<Tensor>,
    /// Gradients by each layer's output, with the transposes [outputs, rows] of its pieces.
    deltas: Vec<HostBuffer<T>>,
    deltas_m: Vec<(Tensor, Vec<Tensor>)>,
}

/// A fully connected network, its gradient and moments, and the data it learns from.
pub(super) struct MlpTrainer<T> {
    recipe: TrainerSpec,
    dataset: Arc<Dataset>,
    parameters: Vec<(TensorSpec, usize)>,
    layers: Vec<MlpLayer>,
    /// Of the inputs.
    dropout: Option<Dropout>,
    weights: HostBuffer<T>,
    /// Of one piece, or of the biases of one layer; where they are clipped, of all values in their places.
    gradients: HostBuffer<T>,
    moments: Vec<HostBuffer<T>>,
    /// Per value of `weights` whether it is kept; `None` for a dense network, which then pays nothing for masks.
    kept: Option<Vec<bool>>,
    iteration: u64,
    optimizer_steps: u64,
    batch: Activations<T>,
    block: Option<Activations<T>>,
}

impl<T: TorchElement> MlpTrainer<T> {
    /// Takes all memory that steps need.
    pub(super) fn new(recipe: &TrainerSpec, dataset: Arc<Dataset>) -> Result<Self> {
        ensure!(dataset.pixels() == recipe.network.input.iter().product::<usize>(), "images of another size");
        // Every tensor starts at a cache line, which the products are faster with.
        let mut length = 0;
        let mut parameters = Vec::new();
        for parameter in recipe.network.parameters() {
            let start = length;
            length += parameter.len().next_multiple_of(ALIGN);
            parameters.push((parameter, start));
        }
        let linears = LinearStack::new(&recipe.network)?;
        let most = linears.layers.iter().map(|layer| PIECE.max(layer.inputs).max(layer.outputs)).max();
        let is_whole = recipe.clip_norm.is_some();
        let gradients = HostBuffer::zeros(if is_whole { length } else { most.unwrap_or(0) })?;
        let weights = HostBuffer::zeros(length)?;
        let layers = with_views(&linears, &parameters, &weights, &gradients, is_whole)?;
        let batch = Activations::new(recipe.batch_size, &layers, true)?;
        let moments = (0..recipe.optimizer.moment_count()).map(|_| HostBuffer::zeros(length)).collect::<Result<_>>()?;
        Ok(Self {
            recipe: recipe.clone(),
            dataset,
            parameters,
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

    /// Goes back through the batch that `forward` was run on, with the same `noise`: makes the gradient of the mean
    /// cross-entropy, and takes the optimizer's step with each piece of it, or at the end where gradients are clipped.
    fn backward(&mut self, images: &[u32], noise: DropoutContext, lr: f64) -> Result<()> {
        let (last, is_clipped) = (self.layers.len() - 1, self.recipe.clip_norm.is_some());
        let classes = self.layers[last].shape.outputs;
        let logits = self.batch.values[last + 1].slice();
        let delta = self.batch.deltas[last].slice_mut();
        delta.copy_from_slice(logits);
        let targets = Targets::new(self.recipe.label_smoothing, classes);
        gradient(delta, images.iter().map(|&image| self.dataset.labels[image as usize]), classes, targets);
        for at in (0..=last).rev() {
            if at > 0 {
                // Before the weights move.
                multiply(&self.batch.deltas_m[at].0, &self.layers[at].w, &self.batch.deltas_m[at - 1].0)?;
                apply(noise, self.layers[at - 1].shape.dropout, self.batch.deltas[at - 1].slice_mut());
                if self.layers[at - 1].shape.relu {
                    relu_backward(self.batch.values[at].slice(), self.batch.deltas[at - 1].slice_mut());
                }
            }
            for piece in 0..self.layers[at].pieces.len() {
                let delta_t = &self.batch.deltas_m[at].1[piece];
                let piece = &self.layers[at].pieces[piece];
                multiply(delta_t, &self.batch.values_m[at], &piece.g)?;
                if !is_clipped {
                    self.update(piece.values.clone(), lr);
                }
            }
            let biases = self.layers[at].biases();
            let place = self.gradient_place(biases.clone());
            sum_rows(self.batch.deltas[at].slice(), &mut self.gradients.slice_mut()[place]);
            if !is_clipped {
                self.update(biases, lr);
            }
        }
        if let Some(most) = self.recipe.clip_norm {
            self.clip_and_update(most, lr);
        }
        Ok(())
    }

    /// The optimizer's step of all values, with their gradients scaled down to a norm of at most `most`.
    fn clip_and_update(&mut self, most: f64, lr: f64) {
        let layers = self.layers.iter();
        let parts: Vec<Range<usize>> = layers.flat_map(|layer| [layer.weights(), layer.biases()]).collect();
        let mut norm = GradNorm::default();
        for part in &parts {
            norm.add(&self.gradients.slice()[part.clone()], self.kept.as_ref().map(|kept| &kept[part.clone()]));
        }
        let factor = norm.clip_factor(most);
        for part in parts {
            scale(factor, &mut self.gradients.slice_mut()[part.clone()]);
            self.update(part, lr);
        }
    }

    /// Where in `gradients` that of some values is.
    fn gradient_place(&self, values: Range<usize>) -> Range<usize> {
        if self.recipe.clip_norm.is_some() { values } else { 0..values.len() }
    }

    /// The optimizer's step of some values, whose gradient is known.
    fn update(&mut self, values: Range<usize>, lr: f64) {
        let place = self.gradient_place(values.clone());
        let parameters = ParameterSlices {
            weights: &mut self.weights.slice_mut()[values.clone()],
            gradients: &self.gradients.slice()[place],
            moments: moment_slots(self.moments.iter_mut().map(|moment| &mut moment.slice_mut()[values.clone()])),
            kept: self.kept.as_ref().map(|kept| &kept[values.clone()]),
        };
        update(&self.recipe.optimizer, lr, self.optimizer_steps, parameters);
    }

    /// The flat values as named tensors.
    fn state(&self, values: &[T]) -> TensorMap {
        let tensor = |(parameter, start): &(TensorSpec, usize)| NamedTensor {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            values: values[*start..][..parameter.len()].iter().map(|v| v.to_f32()).collect(),
        };
        TensorMap(self.parameters.iter().map(tensor).collect())
    }
}

/// Named tensors into flat values.
fn fill<T: TorchElement>(parameters: &[(TensorSpec, usize)], state: &TensorMap, values: &mut [T]) -> Result<()> {
    for (parameter, start) in parameters {
        let tensor = state.get(&parameter.name).ok_or_else(|| anyhow!("a state without `{}`", parameter.name))?;
        ensure!(tensor.shape == parameter.shape, "`{}` has shape {:?}", parameter.name, tensor.shape);
        for (to, &from) in values[*start..].iter_mut().zip(&tensor.values) {
            *to = T::from_f32(from);
        }
    }
    Ok(())
}

/// The linear layers, with views on their parameters. `gradients` are those of one piece, or the whole.
fn with_views<T: TorchElement>(
    linears: &LinearStack,
    parameters: &[(TensorSpec, usize)],
    weights: &HostBuffer<T>,
    gradients: &HostBuffer<T>,
    is_whole: bool,
) -> Result<Vec<MlpLayer>> {
    let views = |(shape, places): (&linear_stack::LinearLayout, &[(TensorSpec, usize)])| {
        let [weight, bias] = [places[0].1, places[1].1];
        let w = weights.matrix(weight, shape.outputs, shape.inputs)?;
        let most = (PIECE / shape.inputs).max(1);
        let piece = |row: usize| {
            let rows = most.min(shape.outputs - row);
            let start = weight + row * shape.inputs;
            let g = gradients.matrix(if is_whole { start } else { 0 }, rows, shape.inputs)?;
            Ok(WeightRows { row, rows, values: start..start + rows * shape.inputs, g })
        };
        let pieces = (0..shape.outputs).step_by(most).map(piece).collect::<Result<_>>()?;
        Ok(MlpLayer { shape: *shape, bias, w_t: w.f_tr()?, w, pieces })
    };
    linears.layers.iter().zip(parameters.chunks_exact(2)).map(views).collect()
}

/// Applies a dropout layer to outputs, or to their gradients.
fn apply<T: TorchElement>(noise: DropoutContext, dropout: Option<Dropout>, values: &mut [T]) {
    if let Some((dropout, key)) = noise.key(dropout) {
        drop_out(dropout, key, values);
    }
}

impl<T: TorchElement> Activations<T> {
    fn new(rows: usize, layers: &[MlpLayer], backward: bool) -> Result<Self> {
        let bytes = vec![0; rows * layers[0].shape.inputs];
        let mut all = Self { rows, bytes, values: vec![], values_m: vec![], deltas: vec![], deltas_m: vec![] };
        let widths = std::iter::once(layers[0].shape.inputs).chain(layers.iter().map(|layer| layer.shape.outputs));
        for (at, width) in widths.enumerate() {
            let values = HostBuffer::zeros(rows * width)?;
            all.values_m.push(values.matrix(0, rows, width)?);
            all.values.push(values);
            if at > 0 && backward {
                let delta = HostBuffer::zeros(rows * width)?;
                let matrix = delta.matrix(0, rows, width)?;
                let piece = |piece: &WeightRows| Ok(matrix.f_narrow(1, piece.row as i64, piece.rows as i64)?.f_tr()?);
                let pieces = layers[at - 1].pieces.iter().map(piece).collect::<Result<_>>()?;
                all.deltas_m.push((matrix, pieces));
                all.deltas.push(delta);
            }
        }
        Ok(all)
    }

    /// The logits of the images gathered in `values[0]`.
    fn forward(&mut self, layers: &[MlpLayer], weights: &[T], noise: DropoutContext) -> Result<()> {
        for (at, layer) in layers.iter().enumerate() {
            multiply(&self.values_m[at], &layer.w_t, &self.values_m[at + 1])?;
            let bias = &weights[layer.bias..][..layer.shape.outputs];
            add_bias(bias, layer.shape.relu, self.values[at + 1].slice_mut());
            apply(noise, layer.shape.dropout, self.values[at + 1].slice_mut());
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
        self.recipe.check_moments(from)?;
        let mut from = from.clone();
        mask.apply(&mut from.weights);
        from.moments.iter_mut().for_each(|moment| mask.apply(moment));
        fill(&self.parameters, &from.weights, self.weights.slice_mut())?;
        for (at, moment) in self.moments.iter_mut().enumerate() {
            moment.slice_mut().fill(T::default());
            if let Some(state) = from.moments.get(at) {
                fill(&self.parameters, state, moment.slice_mut())?;
            }
        }
        self.kept = None;
        if mask.kept() < mask.total() {
            let mut kept = vec![true; self.weights.slice().len()];
            for layer in &mask.0 {
                let place = self.parameters.iter().find(|(parameter, _)| parameter.name == layer.name);
                let (parameter, start) =
                    place.ok_or_else(|| anyhow!("a mask for `{}`, which there is not", layer.name))?;
                ensure!(layer.kept.len() == parameter.len(), "a mask of another size for `{}`", layer.name);
                kept[*start..][..layer.kept.len()].copy_from_slice(&layer.kept);
            }
            self.kept = Some(kept);
        }
        (self.iteration, self.optimizer_steps) = (from.iteration, from.optimizer_steps);
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let ([batch], [lr]) = (batches, lr) else { bail!("the dense trainer takes one batch and one learning rate") };
        let images = batch.images.as_slice();
        ensure!(!images.is_empty(), "an empty batch");
        if images.len() != self.batch.rows {
            // A last, smaller batch: the views are cut to it, and back again at the next full one.
            self.batch = Activations::new(images.len(), &self.layers, true)?;
        }
        let _guard = tch::no_grad_guard();
        normalized_batch(&self.dataset, images, &mut self.batch.bytes, self.batch.values[0].slice_mut());
        let noise = DropoutContext(Some((batch.elementwise, batch.iteration)));
        apply(noise, self.dropout, self.batch.values[0].slice_mut());
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
            None => self.block.insert(Activations::new(BLOCK, &self.layers, false)?),
        };
        let images = self.dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let classes = self.recipe.network.classes;
        let mut sums = ScoreSums::default();
        for images in images.chunks(BLOCK) {
            // A smaller last block leaves old images behind it, whose logits are not looked at.
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
        // Before the first step moments are fresh: the same as none.
        let moments = if self.optimizer_steps == 0 { &[] } else { self.moments.as_slice() };
        Ok(Snapshot {
            weights: self.state(self.weights.slice()),
            moments: moments.iter().map(|moment| self.state(moment.slice())).collect(),
            buffers: TensorMap::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }
}

/// out ← a·b.
fn multiply(a: &Tensor, b: &Tensor, out: &Tensor) -> Result<()> {
    // What comes back is another name of `out`.
    let _ = a.f_mm_out(out, b)?;
    Ok(())
}
