//! The trainer of fully connected networks: what it stores, and the order of a step.

mod kernel_timing;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail, ensure};

use super::super::linear_stack::LinearStack;
use super::batch_block::{BlockState, PassContext};
use super::compact::CompactNetwork;
use super::gather::{TransposedBytes, transpose_all};
use super::kernels::IMAGES;
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::compute::aligned::{AlignedBuffer, LINE_LEN};
use crate::compute::simd::SimdLevel;
use crate::compute::spin_pool::{SpinPool, parts};
use crate::data::{Dataset, Split};
use crate::engine::clip::{GradNorm, scale};
use crate::engine::dropout::DropoutContext;
use crate::engine::loss::{ScoreSums, Targets};
use crate::engine::optim::{ParameterSlices, update};
use crate::engine::trainer::{Batch, Trainer, TrainerSpec};
use crate::network::TensorSpec;

pub use kernel_timing::{KernelTiming, time_kernels};

/// Surviving weights that a thread must have to do: with fewer, waiting for each other costs more than it saves. Measured on
/// LeNet-300-100: two threads are faster by a third at 21 % of the weights, by nothing at 8 %, and slower below.
const WEIGHTS_PER_THREAD: usize = 12_000;

/// A fully connected network of which only the surviving weights are stored, with their gradients and moments beside them.
pub(super) struct SparseMlpTrainer {
    recipe: TrainerSpec,
    dataset: Arc<Dataset>,
    linears: LinearStack,
    /// Weight and bias of each layer in turn.
    parameters: Vec<TensorSpec>,
    survivors: CompactNetwork,
    weights: AlignedBuffer,
    gradients: AlignedBuffer,
    /// The first so many as the optimizer has.
    moments: [AlignedBuffer; 2],
    iteration: u64,
    optimizer_steps: u64,
    block: BlockState,
    path: SimdLevel,
    /// Threads that may be used, and those that are.
    threads: usize,
    team: SpinPool,
    weights_per_thread: usize,
    transposed: Evaluated,
}

/// The images of the parts that were evaluated on, block by block, their bytes pixel by pixel.
type Evaluated = [Option<Vec<TransposedBytes>>; Split::ALL.len()];

/// What [`SparseMlp::desk`] lays out.
struct StepContext<'a> {
    pass: PassContext<'a>,
    block: &'a mut BlockState,
    gradients: &'a mut [f32],
    transposed: &'a mut Evaluated,
}

/// The classes of at most a block of images.
fn labels(dataset: &Dataset, images: &[u32]) -> [u8; IMAGES] {
    let mut labels = [0; IMAGES];
    labels.iter_mut().zip(images).for_each(|(label, &image)| *label = dataset.labels[image as usize]);
    labels
}

impl SparseMlpTrainer {
    /// A trainer without a network yet, for this kind of processor.
    pub(super) fn new(recipe: &TrainerSpec, dataset: Arc<Dataset>, path: SimdLevel) -> Result<Self> {
        ensure!(dataset.pixels() == recipe.network.input.iter().product::<usize>(), "images of another size");
        let survivors = CompactNetwork::default();
        Ok(Self {
            linears: LinearStack::new(&recipe.network)?,
            parameters: recipe.network.parameters(),
            recipe: recipe.clone(),
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

    /// Of each parameter, where its values are in the flat buffers and in its tensor.
    fn places(&self) -> impl Iterator<Item = (Range<usize>, &[u32])> {
        self.survivors.layers.iter().flat_map(|layer| {
            [(layer.weights.clone(), &layer.weight_places[..]), (layer.biases.clone(), &layer.bias_places[..])]
        })
    }

    /// What of `state` survives, in flat order.
    fn flatten(&self, state: &TensorMap) -> Result<AlignedBuffer> {
        let mut flat = AlignedBuffer::zeros(self.survivors.len);
        for (parameter, (range, places)) in self.parameters.iter().zip(self.places()) {
            let tensor = state.get(&parameter.name).ok_or_else(|| anyhow!("a state without `{}`", parameter.name))?;
            ensure!(tensor.shape == parameter.shape, "`{}` has shape {:?}", parameter.name, tensor.shape);
            for (value, &place) in flat[range].iter_mut().zip(places) {
                *value = tensor.values[place as usize];
            }
        }
        Ok(flat)
    }

    /// The flat values as named tensors, 0 where nothing survives.
    fn unflatten(&self, flat: &[f32]) -> TensorMap {
        let tensor = |(parameter, (range, places)): (&TensorSpec, (Range<usize>, &[u32]))| {
            let mut values = vec![0.0; parameter.len()];
            for (&value, &place) in flat[range].iter().zip(places) {
                values[place as usize] = value;
            }
            NamedTensor { name: parameter.name.clone(), shape: parameter.shape.clone(), values }
        };
        TensorMap(self.parameters.iter().zip(self.places()).map(tensor).collect())
    }

    /// All that a block of images meets on its way.
    fn step_context(&mut self, noise: DropoutContext) -> StepContext<'_> {
        let pass = PassContext {
            path: self.path,
            team: &mut self.team,
            linears: &self.linears,
            survivors: &self.survivors,
            weights: &self.weights,
            noise,
            targets: Targets::new(self.recipe.label_smoothing, self.recipe.network.classes),
            before: 0,
        };
        let (block, gradients, transposed) = (&mut self.block, &mut self.gradients, &mut self.transposed);
        StepContext { pass, block, gradients, transposed }
    }

    /// Sees that the team has as many members as the work is worth, of the threads that may be used; tells whether it is
    /// another team now.
    fn adjust_team(&mut self) -> bool {
        let members = self
            .threads
            .min(self.survivors.len / self.weights_per_thread)
            .clamp(1, crate::compute::spin_pool::MAX_THREADS);
        let is_other = members != self.team.members();
        if is_other {
            self.team = SpinPool::new(members);
        }
        is_other
    }

    /// One pass of the optimizer, cut among the team.
    fn update(&mut self, lr: f64) {
        let (len, members) = (self.survivors.len, self.team.members());
        let rule = &self.recipe.optimizer;
        let mut ranges = [const { 0..0 }; crate::compute::spin_pool::MAX_THREADS];
        for (member, range) in ranges[..members].iter_mut().enumerate() {
            // Whole lines.
            let cut = |member: usize| (member * len / members).next_multiple_of(LINE_LEN).min(len);
            *range = cut(member)..cut(member + 1);
        }
        let ranges = &ranges[..members];
        let [first, second] = &mut self.moments;
        let moments = parts(first, ranges).zip(parts(second, ranges));
        let works = parts(&mut self.weights, ranges).zip(moments);
        let (gradients, step) = (&self.gradients, self.optimizer_steps);
        self.team.run_each(works, |((range, weights), ((_, first), (_, second)))| {
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
        self.recipe.check_moments(from)?;
        self.survivors = CompactNetwork::new(&self.linears, &self.parameters, mask)?;
        self.weights = self.flatten(&from.weights)?;
        self.gradients = AlignedBuffer::zeros(self.survivors.len);
        for at in 0..self.recipe.optimizer.moment_count() {
            self.moments[at] = match from.moments.get(at) {
                Some(state) => self.flatten(state)?,
                None => AlignedBuffer::zeros(self.survivors.len),
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
        for some in images.chunks(IMAGES) {
            block.load(&mut pass, &dataset, some);
            block.forward(&mut pass);
            block.backward(&mut pass, &labels(&dataset, some)[..some.len()], images.len(), gradients);
            pass.before += some.len();
        }
        if let Some(most) = self.recipe.clip_norm {
            // By one thread, in the order of the survivors: no number of threads changes a bit.
            let mut norm = GradNorm::default();
            norm.add(&self.gradients, None);
            scale(norm.clip_factor(most), &mut self.gradients);
        }
        self.optimizer_steps += 1;
        self.update(*lr);
        self.iteration = batch.iteration + 1;
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        let (path, dataset) = (self.path, Arc::clone(&self.dataset));
        let images = dataset.indices(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let StepContext { mut pass, block, transposed, .. } = self.step_context(DropoutContext(None));
        let bytes = transposed[split as usize].get_or_insert_with(|| transpose_all(path, &dataset, images));
        let mut sums = ScoreSums::default();
        for (some, bytes) in images.chunks(IMAGES).zip(bytes.chunks_exact(dataset.pixels())) {
            block.load_transposed(&mut pass, &dataset, some, bytes);
            block.forward(&mut pass);
            block.score(path, &labels(&dataset, some)[..some.len()], &mut sums);
        }
        let n = images.len() as f64;
        Ok(vec![Score { loss: sums.loss / n, accuracy: sums.correct as f64 / n }])
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane == 0, "the sparse trainer has one lane");
        // Before the first step moments are fresh: the same as none.
        let moments = if self.optimizer_steps == 0 { 0 } else { self.recipe.optimizer.moment_count() };
        Ok(Snapshot {
            weights: self.unflatten(&self.weights),
            moments: self.moments[..moments].iter().map(|moment| self.unflatten(moment)).collect(),
            buffers: TensorMap::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }

    fn set_threads(&mut self, threads: usize) {
        let is_news = threads != self.threads;
        self.threads = threads;
        if is_news && self.adjust_team() {
            self.block.split_work(&self.survivors, self.team.members());
        }
    }
}
