//! The sparse trainer of fully connected networks: its buffers, and the order of a step.

mod kernel_timing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::super::linear_stack::LinearStack;
use super::batch_block::{BlockState, PassContext};
use super::compact::CompactNetwork;
use super::gather::{TransposedBytes, transpose_all};
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
use crate::engine::optim::{ParameterSlices, update};
use crate::engine::trainer::{Batch, Trainer, TrainerSpec};

pub use kernel_timing::{KernelTiming, time_kernels};

/// Surviving values per thread: with fewer, threads cost more in waiting for each other than they save. Measured on
/// LeNet-300-100: two threads are faster by a third at 21 % of the weights, by nothing at 8 %, and slower below.
const WEIGHTS_PER_THREAD: usize = 12_000;

/// Trainer of a fully connected network that stores the surviving weights only. Weights, gradients and moments are flat
/// buffers of one layout, that of `survivors`.
pub(super) struct SparseMlpTrainer {
    spec: TrainerSpec,
    dataset: Arc<Dataset>,
    linears: LinearStack,
    survivors: CompactNetwork,
    weights: AlignedBuffer,
    gradients: AlignedBuffer,
    /// The first [`crate::engine::Optimizer::moment_count`] are in use.
    moments: [AlignedBuffer; 2],
    iteration: u64,
    optimizer_steps: u64,
    block: BlockState,
    path: SimdLevel,
    /// The largest number of threads that may be used; `team` has those that are worth it.
    threads: usize,
    team: SpinPool,
    weights_per_thread: usize,
    transposed: TransposedSplits,
}

/// For each split that was evaluated its images, block by block, with the bytes of each pixel together.
type TransposedSplits = [Option<Vec<TransposedBytes>>; Split::ALL.len()];

/// Disjoint borrows of the trainer for one step or evaluation.
struct StepContext<'a> {
    pass: PassContext<'a>,
    block: &'a mut BlockState,
    gradients: &'a mut [f32],
    transposed: &'a mut TransposedSplits,
}

/// Returns the classes of `images`, at most a block of them; 0 for the rest of the block.
fn labels(dataset: &Dataset, images: &[u32]) -> [u8; IMAGES] {
    let mut labels = [0; IMAGES];
    labels.iter_mut().zip(images).for_each(|(label, &image)| *label = dataset.labels[image as usize]);
    labels
}

impl SparseMlpTrainer {
    /// Returns a trainer without a network, for the instruction set `path`.
    ///
    /// # Errors
    /// If the images do not fit the network, or the network is not fully connected.
    pub(super) fn new(spec: &TrainerSpec, dataset: Arc<Dataset>, path: SimdLevel) -> Result<Self> {
        ensure!(dataset.image_bytes() == spec.network.input.iter().product::<usize>(), "images of another size");
        let survivors = CompactNetwork::default();
        Ok(Self {
            linears: LinearStack::new(&spec.network)?,
            spec: spec.clone(),
            weights: AlignedBuffer::default(),
            gradients: AlignedBuffer::default(),
            moments: Default::default(),
            iteration: 0,
            optimizer_steps: 0,
            block: BlockState::new(&survivors, &dataset, 1),
            survivors,
            dataset,
            path,
            threads: 1,
            team: SpinPool::new(1),
            weights_per_thread: WEIGHTS_PER_THREAD,
            transposed: Default::default(),
        })
    }

    /// Returns the surviving values of `state` as a flat buffer.
    fn flatten(&self, state: &TensorMap) -> Result<AlignedBuffer> {
        let mut flat = AlignedBuffer::zeros(self.survivors.len());
        self.survivors.layout.write(state, &mut flat)?;
        Ok(flat)
    }

    /// Borrows what a step or an evaluation works on.
    fn step_context(&mut self, noise: DropoutContext) -> StepContext<'_> {
        let pass = PassContext {
            path: self.path,
            team: &mut self.team,
            linears: &self.linears,
            survivors: &self.survivors,
            weights: &self.weights,
            noise,
            targets: Targets::new(self.spec.label_smoothing, self.spec.network.classes),
            before: 0,
        };
        StepContext { pass, block: &mut self.block, gradients: &mut self.gradients, transposed: &mut self.transposed }
    }

    /// Resizes the team to the threads that the network is worth, at most `threads`. Returns whether its size changed.
    fn adjust_team(&mut self) -> bool {
        let worth = self.survivors.len() / self.weights_per_thread;
        let members = self.threads.min(worth).clamp(1, MAX_THREADS);
        let has_changed = members != self.team.members();
        if has_changed {
            self.team = SpinPool::new(members);
        }
        has_changed
    }

    /// Applies the optimizer to all stored values, each member of the team to a part of them.
    fn update(&mut self, lr: f64) {
        let len = self.survivors.len();
        let members = self.team.members();
        let rule = &self.spec.optimizer;
        let mut ranges = [const { 0..0 }; MAX_THREADS];
        for (member, range) in ranges[..members].iter_mut().enumerate() {
            // Whole cache lines.
            let cut = |member: usize| (member * len / members).next_multiple_of(LINE_LEN).min(len);
            *range = cut(member)..cut(member + 1);
        }
        let ranges = &ranges[..members];
        let [first, second] = &mut self.moments;
        let moments = parts(first, ranges).zip(parts(second, ranges));
        let tasks = parts(&mut self.weights, ranges).zip(moments);
        let gradients = &self.gradients;
        let step = self.optimizer_steps;
        self.team.run_each(tasks, |((range, weights), ((_, first), (_, second)))| {
            let parameters =
                ParameterSlices { weights, gradients: &gradients[range], moments: [first, second], kept: None };
            update(rule, lr, step, parameters);
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
        self.survivors = CompactNetwork::new(&self.linears, self.spec.network.parameters(), mask)?;
        self.weights = self.flatten(&from.weights)?;
        self.gradients = AlignedBuffer::zeros(self.survivors.len());
        for number in 0..self.spec.optimizer.moment_count() {
            self.moments[number] = match from.moments.get(number) {
                Some(state) => self.flatten(state)?,
                None => AlignedBuffer::zeros(self.survivors.len()),
            };
        }
        self.adjust_team();
        self.block = BlockState::new(&self.survivors, &self.dataset, self.team.members());
        (self.iteration, self.optimizer_steps) = (from.iteration, from.optimizer_steps);
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let ([batch], [lr]) = (batches, lr) else { bail!("the sparse trainer takes one batch and one learning rate") };
        let images = batch.images.as_slice();
        ensure!(!images.is_empty(), "an empty batch");
        let dataset = Arc::clone(&self.dataset);
        let StepContext { mut pass, block, gradients, .. } =
            self.step_context(DropoutContext(Some((batch.elementwise, batch.iteration))));
        for chunk in images.chunks(IMAGES) {
            block.load(&mut pass, &dataset, chunk);
            block.forward(&mut pass);
            block.backward(&mut pass, &labels(&dataset, chunk)[..chunk.len()], images.len(), gradients);
            pass.before += chunk.len();
        }
        if let Some(max_norm) = self.spec.clip_norm {
            // By one thread, in the order of the buffer: the result does not depend on the number of threads.
            let mut norm = GradNorm::default();
            norm.add(&self.gradients, None);
            scale(norm.clip_factor(max_norm), &mut self.gradients);
        }
        self.optimizer_steps += 1;
        self.update(*lr);
        self.iteration = batch.iteration + 1;
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        let path = self.path;
        let dataset = Arc::clone(&self.dataset);
        let images = dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let StepContext { mut pass, block, transposed, .. } = self.step_context(DropoutContext(None));
        let bytes = transposed[split as usize].get_or_insert_with(|| transpose_all(path, &dataset, images));
        let mut sums = ScoreSums::default();
        for (chunk, bytes) in images.chunks(IMAGES).zip(bytes.chunks_exact(dataset.image_bytes())) {
            block.load_transposed(&mut pass, &dataset, chunk, bytes);
            block.forward(&mut pass);
            block.score(path, &labels(&dataset, chunk)[..chunk.len()], &mut sums);
        }
        let n = images.len() as f64;
        Ok(vec![Score { loss: sums.loss / n, accuracy: sums.correct as f64 / n }])
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane == 0, "the sparse trainer has one lane");
        // Before the first step moments are fresh, which a snapshot says by having none.
        let moments = if self.optimizer_steps == 0 { 0 } else { self.spec.optimizer.moment_count() };
        let layout = &self.survivors.layout;
        Ok(Snapshot {
            weights: layout.read(&self.weights),
            moments: self.moments[..moments].iter().map(|moment| layout.read(moment)).collect(),
            buffers: TensorMap::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }

    /// Does nothing: a fully connected network of linear layers has no batch norm.
    fn recompute_batch_norm(&mut self, _images: &[u32]) -> Result<()> {
        Ok(())
    }

    fn set_threads(&mut self, threads: usize) {
        let has_changed = threads != self.threads;
        self.threads = threads;
        if has_changed && self.adjust_team() {
            self.block.split_work(&self.survivors, self.team.members());
        }
    }
}
