//! The sparse trainer of fully connected networks: its buffers, and the parts of a step in their order.

mod kernel_timing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::super::linear_stack::LinearStack;
use super::batch_block::{BlockState, PassContext};
use super::compact::CompactNetwork;
use super::inputs::{TransposedBytes, transpose_all};
use super::kernels::IMAGES;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{Snapshot, TensorMap};
use crate::compute::aligned::{AlignedBuffer, LINE_LEN};
use crate::compute::simd::SimdLevel;
use crate::compute::spin_pool::{MAX_THREADS, SpinPool, parts};
use crate::data::{Dataset, Split};
use crate::engine::clip::{GradNorm, scale};
use crate::engine::dropout::DropoutContext;
use crate::engine::loss::{ScoreSums, Targets};
use crate::engine::optim::{MAX_MOMENTS, ParameterSlices, update};
use crate::engine::torch;
use crate::engine::trainer::{Batch, RunningStatistics, Trainer, TrainerSpec};

pub use kernel_timing::{KernelTiming, time_kernels};

/// The smallest number of stored values per thread: with fewer, threads cost more in waiting for each other than they
/// save. Measured on LeNet-300-100: two threads are faster than one by a third at 21 % of the weights, by nothing at 8
/// %, and slower below.
const VALUES_PER_THREAD: usize = 12_000;

/// Trainer of a fully connected network that stores the kept weights and all biases only. Weights, gradients and
/// moments are flat buffers of one layout, that of `compact`.
pub(super) struct SparseMlpTrainer {
    spec: TrainerSpec,
    dataset: Arc<Dataset>,
    /// The layers of the dense network.
    stack: LinearStack,
    /// The kept part of the loaded network.
    compact: CompactNetwork,
    weights: AlignedBuffer,
    gradients: AlignedBuffer,
    /// The optimizer's moments; those after the first [`crate::engine::Optimizer::moment_count`] are empty.
    moments: [AlignedBuffer; MAX_MOMENTS],
    iteration: u64,
    /// Optimizer steps since the moments were reset.
    optimizer_steps: u64,
    block: BlockState,
    /// The instruction set.
    simd: SimdLevel,
    /// The largest number of threads that may be used; `pool` has as many of them as shorten a step.
    max_threads: usize,
    pool: SpinPool,
    /// [`VALUES_PER_THREAD`], but for tests.
    values_per_thread: usize,
    transposed: TransposedSplits,
    /// Computes gradients of pruned weights, which are not stored here; built when they are first asked for.
    dense: Option<Box<dyn Trainer>>,
}

/// For each split, once it has been evaluated, the pixels of its images: [blocks, pixels, images]. Indexed by
/// [`Split`].
type TransposedSplits = [Option<Vec<TransposedBytes>>; Split::ALL.len()];

/// Disjoint borrows of the trainer's fields for one step or evaluation.
struct StepContext<'a> {
    pass: PassContext<'a>,
    block: &'a mut BlockState,
    gradients: &'a mut [f32],
    transposed: &'a mut TransposedSplits,
}

/// Returns the labels of a block's images, 0 after the last one; `image_indices` are at most 64 indices into the data
/// set.
fn labels(dataset: &Dataset, image_indices: &[u32]) -> [u8; IMAGES] {
    let mut labels = [0; IMAGES];
    labels.iter_mut().zip(image_indices).for_each(|(label, &image)| *label = dataset.labels[image as usize]);
    labels
}

impl SparseMlpTrainer {
    /// Returns a trainer for the instruction set `simd`, into which no network is loaded yet.
    ///
    /// # Errors
    /// Fails if the images do not fit the network, or the network is not fully connected.
    pub(super) fn new(spec: &TrainerSpec, dataset: Arc<Dataset>, simd: SimdLevel) -> Result<Self> {
        ensure!(dataset.image_bytes() == spec.network.input.iter().product::<usize>(), "images of another size");
        let compact = CompactNetwork::default();
        Ok(Self {
            stack: LinearStack::new(&spec.network)?,
            spec: spec.clone(),
            weights: AlignedBuffer::default(),
            gradients: AlignedBuffer::default(),
            moments: Default::default(),
            iteration: 0,
            optimizer_steps: 0,
            block: BlockState::new(&compact, &dataset, 1),
            compact,
            dataset,
            simd,
            max_threads: 1,
            pool: SpinPool::new(1),
            values_per_thread: VALUES_PER_THREAD,
            transposed: Default::default(),
            dense: None,
        })
    }

    /// Returns the stored values of `state` as a flat buffer.
    fn flatten(&self, state: &TensorMap) -> Result<AlignedBuffer> {
        let mut flat = AlignedBuffer::zeros(self.compact.len());
        self.compact.layout.write(state, &mut flat)?;
        Ok(flat)
    }

    /// Borrows the fields that a step or an evaluation works on.
    fn step_context(&mut self, dropout: DropoutContext) -> StepContext<'_> {
        let pass = PassContext {
            simd: self.simd,
            pool: &mut self.pool,
            stack: &self.stack,
            compact: &self.compact,
            weights: &self.weights,
            dropout,
            targets: Targets::new(self.spec.label_smoothing, self.spec.network.classes),
            first_image: 0,
        };
        StepContext { pass, block: &mut self.block, gradients: &mut self.gradients, transposed: &mut self.transposed }
    }

    /// Resizes the pool to one thread for each [`VALUES_PER_THREAD`] stored values, at least 1 and at most
    /// `max_threads`. Returns whether the size has changed.
    fn resize_pool(&mut self) -> bool {
        let useful_threads = self.compact.len() / self.values_per_thread;
        let thread_count = self.max_threads.min(useful_threads).clamp(1, MAX_THREADS);
        let has_changed = thread_count != self.pool.thread_count();
        if has_changed {
            self.pool = SpinPool::new(thread_count);
        }
        has_changed
    }

    /// Applies the optimizer to all stored values; each thread of the pool updates a part of them.
    fn update(&mut self, lr: f64) {
        let len = self.compact.len();
        let thread_count = self.pool.thread_count();
        let optimizer = &self.spec.optimizer;
        let mut ranges = [const { 0..0 }; MAX_THREADS];
        for (thread_index, range) in ranges[..thread_count].iter_mut().enumerate() {
            // Parts begin at cache lines, so that no two threads write to one line.
            let cut = |thread_index: usize| (thread_index * len / thread_count).next_multiple_of(LINE_LEN).min(len);
            *range = cut(thread_index)..cut(thread_index + 1);
        }
        let ranges = &ranges[..thread_count];
        let [first, second] = &mut self.moments;
        let moments = parts(first, ranges).zip(parts(second, ranges));
        let tasks = parts(&mut self.weights, ranges).zip(moments);
        let gradients = &self.gradients;
        let step = self.optimizer_steps;
        self.pool.run_each(tasks, |((range, weights), ((_, first), (_, second)))| {
            let parameters =
                ParameterSlices { weights, gradients: &gradients[range], moments: [first, second], kept: None };
            update(optimizer, lr, step, parameters);
        });
    }
}

impl Trainer for SparseMlpTrainer {
    fn lanes(&self) -> usize {
        1
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        ensure!(lane == 0, "the sparse trainer has one lane");
        self.spec.check_moments(from)?;
        self.compact = CompactNetwork::new(&self.stack, self.spec.network.parameters(), mask)?;
        self.weights = self.flatten(&from.weights)?;
        self.gradients = AlignedBuffer::zeros(self.compact.len());
        for index in 0..self.spec.optimizer.moment_count() {
            self.moments[index] = match from.moments.get(index) {
                Some(state) => self.flatten(state)?,
                // A snapshot without moments means zero moments.
                None => AlignedBuffer::zeros(self.compact.len()),
            };
        }
        self.resize_pool();
        self.block = BlockState::new(&self.compact, &self.dataset, self.pool.thread_count());
        self.iteration = from.iteration;
        self.optimizer_steps = from.optimizer_steps;
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let ([batch], [lr]) = (batches, lr) else { bail!("the sparse trainer takes one batch and one learning rate") };
        let images = batch.images.as_slice();
        ensure!(!images.is_empty(), "an empty batch");
        let dataset = Arc::clone(&self.dataset);
        let dropout = DropoutContext::Step { generator: batch.elementwise, iteration: batch.iteration };
        let StepContext { mut pass, block, gradients, .. } = self.step_context(dropout);
        for chunk in images.chunks(IMAGES) {
            block.load(&mut pass, &dataset, chunk);
            block.forward(&mut pass);
            block.backward(&mut pass, &labels(&dataset, chunk)[..chunk.len()], images.len(), gradients);
            pass.first_image += chunk.len();
        }
        if let Some(max_norm) = self.spec.clip_norm {
            // One thread adds in the order of the buffer, so the result does not depend on the number of threads.
            let mut norm = GradNorm::default();
            norm.add(&self.gradients, None);
            scale(norm.clip_factor(max_norm), &mut self.gradients);
        }
        self.optimizer_steps += 1;
        self.update(*lr);
        self.iteration = batch.iteration + 1;
        Ok(())
    }

    /// Lets a dense trainer compute them.
    fn gradients(&mut self, batches: &[Batch], statistics: RunningStatistics) -> Result<Vec<TensorMap>> {
        let state = Snapshot { moments: Vec::new(), optimizer_steps: 0, ..self.snapshot(0)? };
        let dense = match &mut self.dense {
            Some(dense) => dense,
            None => self.dense.insert(torch::build(&self.spec, &self.dataset, 1)?),
        };
        // Pruned weights are 0 in the state, so that no mask is needed.
        dense.load(0, &state, &Mask(Vec::new()))?;
        dense.gradients(batches, statistics)
    }

    fn evaluate_unless(&mut self, split: Split, should_stop: &dyn Fn() -> bool) -> Result<Option<Vec<Score>>> {
        let simd = self.simd;
        let dataset = Arc::clone(&self.dataset);
        let images = dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let StepContext { mut pass, block, transposed, .. } = self.step_context(DropoutContext::Off);
        let bytes = transposed[split as usize].get_or_insert_with(|| transpose_all(simd, &dataset, images));
        let mut sums = ScoreSums::default();
        for (chunk, bytes) in images.chunks(IMAGES).zip(bytes.chunks_exact(dataset.image_bytes())) {
            if should_stop() {
                return Ok(None);
            }
            block.load_transposed(&mut pass, &dataset, chunk, bytes);
            block.forward(&mut pass);
            block.score(simd, &labels(&dataset, chunk)[..chunk.len()], &mut sums);
        }
        let n = images.len() as f64;
        Ok(Some(vec![Score { loss: sums.loss / n, accuracy: sums.correct as f64 / n }]))
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane == 0, "the sparse trainer has one lane");
        // A snapshot without moments means zero moments, as they are before the first step.
        let moment_count = if self.optimizer_steps == 0 { 0 } else { self.spec.optimizer.moment_count() };
        let layout = &self.compact.layout;
        Ok(Snapshot {
            weights: layout.read(&self.weights),
            moments: self.moments[..moment_count].iter().map(|moment| layout.read(moment)).collect(),
            buffers: TensorMap::default(),
            scores: TensorMap::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }

    /// Does nothing: a fully connected network of linear layers has no batch norm.
    fn recompute_batch_norm(&mut self, _image_indices: &[u32]) -> Result<()> {
        Ok(())
    }

    fn set_threads(&mut self, threads: usize) {
        let has_changed = threads != self.max_threads;
        self.max_threads = threads;
        if has_changed && self.resize_pool() {
            self.block.split_work(&self.compact, self.pool.thread_count());
        }
    }
}
