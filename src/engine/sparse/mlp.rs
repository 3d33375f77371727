//! The trainer of fully connected networks: what it stores, and the order of a step.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail, ensure};

use super::block::{Block, Pass};
use super::gather::{Bytes, transpose_all};
use super::kernels::IMAGES;
use super::layer::Survivors;
use super::profile::Part;
use super::simd::Path;
use super::team::{Team, parts};
use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::state::{NamedTensor, Snapshot, State};
use crate::data::{Dataset, Split};
use crate::engine::aligned::{Aligned, NUMBERS};
use crate::engine::dropout::Noise;
use crate::engine::linears::Linears;
use crate::engine::loss::Sums;
use crate::engine::optimizer::{Parameters, update};
use crate::engine::trainer::{Batch, Recipe, Trainer};
use crate::network::Parameter;

/// Surviving weights that a thread must have to do: with fewer, waiting for each other costs more than it saves. Measured on
/// LeNet-300-100: two threads are faster by a third at 21 % of the weights, by nothing at 8 %, and slower below.
const WEIGHTS_PER_THREAD: usize = 12_000;

/// A fully connected network of which only the surviving weights are stored, with their gradients and moments beside them.
pub(super) struct SparseMlp {
    recipe: Recipe,
    dataset: Arc<Dataset>,
    linears: Linears,
    /// Weight and bias of each layer in turn.
    parameters: Vec<Parameter>,
    survivors: Survivors,
    weights: Aligned,
    gradients: Aligned,
    /// The first so many as the optimizer has.
    moments: [Aligned; 2],
    iteration: u64,
    optimizer_steps: u64,
    block: Block,
    path: Path,
    /// Threads that may be used, and those that are.
    threads: usize,
    team: Team,
    weights_per_thread: usize,
    /// The images of the parts that were evaluated on, block by block, their bytes pixel by pixel.
    transposed: [Option<Vec<Bytes>>; Split::ALL.len()],
}

impl SparseMlp {
    /// A trainer without a network yet, for this kind of processor.
    pub(super) fn new(recipe: &Recipe, dataset: Arc<Dataset>, path: Path) -> Result<Self> {
        ensure!(dataset.pixels() == recipe.network.input.iter().product::<usize>(), "images of another size");
        let survivors = Survivors::default();
        Ok(Self {
            linears: Linears::new(&recipe.network)?,
            parameters: recipe.network.parameters(),
            recipe: recipe.clone(),
            weights: Aligned::default(),
            gradients: Aligned::default(),
            moments: Default::default(),
            iteration: 0,
            optimizer_steps: 0,
            block: Block::new(&survivors, &dataset, 1),
            survivors,
            dataset,
            path,
            threads: 1,
            team: Team::new(1),
            weights_per_thread: WEIGHTS_PER_THREAD,
            transposed: Default::default(),
        })
    }

    /// Of each parameter, where its values are in the flat buffers and in its tensor.
    fn places(&self) -> impl Iterator<Item = (std::ops::Range<usize>, &[u32])> {
        self.survivors.layers.iter().flat_map(|layer| {
            [(layer.weights.clone(), &layer.weight_places[..]), (layer.biases.clone(), &layer.bias_places[..])]
        })
    }

    /// What of `state` survives, in flat order.
    fn flatten(&self, state: &State) -> Result<Aligned> {
        let mut flat = Aligned::zeros(self.survivors.len);
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
    fn unflatten(&self, flat: &[f32]) -> State {
        let tensor = |(parameter, (range, places)): (&Parameter, (std::ops::Range<usize>, &[u32]))| {
            let mut values = vec![0.0; parameter.len()];
            for (&value, &place) in flat[range].iter().zip(places) {
                values[place as usize] = value;
            }
            NamedTensor { name: parameter.name.clone(), shape: parameter.shape.clone(), values }
        };
        State(self.parameters.iter().zip(self.places()).map(tensor).collect())
    }

    /// Times each kernel of a step on these images, `times` times.
    pub(super) fn profile(&mut self, images: &[u32], times: u32) -> Vec<Part> {
        let images = &images[..images.len().min(IMAGES)];
        let labels: Vec<u8> = images.iter().map(|&image| self.dataset.labels[image as usize]).collect();
        let mut gradients = std::mem::take(&mut self.gradients);
        let (path, dataset, survivors) = (self.path, &self.dataset, &self.survivors);
        let mut pass = Pass {
            path,
            team: &mut self.team,
            linears: &self.linears,
            survivors,
            weights: &self.weights,
            noise: Noise(None),
            before: 0,
        };
        let block = &mut self.block;
        let mut parts = vec![Part::time("gather", None, survivors.inputs.len(), times, || {
            block.gather(&mut pass, dataset, images);
        })];
        let layers = survivors.layers.iter().enumerate();
        for (at, layer) in layers.clone() {
            let time = || block.outputs(&mut pass, at);
            parts.push(Part::time("forward", Some(at + 1), layer.forward.len(), times, time));
        }
        let classes = survivors.layers.last().map_or(0, |last| last.units.len());
        let time = || block.logit_gradient(path, &labels, images.len());
        parts.push(Part::time("cross-entropy", None, classes, times, time));
        for (at, layer) in layers.rev() {
            if at > 0 {
                let time = || block.input_gradient(&mut pass, at);
                parts.push(Part::time("input gradient", Some(at + 1), layer.forward.len(), times, time));
            }
            let time = || block.weight_gradient(&mut pass, at, &mut gradients);
            parts.push(Part::time("weight gradient", Some(at + 1), layer.forward.len(), times, time));
        }
        self.gradients = gradients;
        self.optimizer_steps += 1;
        // A learning rate of 0: the same work, and nothing moves.
        parts.push(Part::time("optimizer", None, self.survivors.len, times, || self.update(0.0)));
        parts
    }

    /// As many members as the work is worth, of the threads that may be used.
    fn gather_team(&mut self) {
        let members = self.threads.min(self.survivors.len / self.weights_per_thread).clamp(1, super::team::MOST);
        if members != self.team.members() {
            self.team = Team::new(members);
            self.block.share(&self.survivors, self.team.members());
        }
    }

    /// One pass of the optimizer, cut among the team.
    fn update(&mut self, lr: f64) {
        let (len, members) = (self.survivors.len, self.team.members());
        let rule = &self.recipe.update;
        let mut ranges = [const { 0..0 }; super::team::MOST];
        for (member, range) in ranges[..members].iter_mut().enumerate() {
            // Whole lines.
            let cut = |member: usize| (member * len / members).next_multiple_of(NUMBERS).min(len);
            *range = cut(member)..cut(member + 1);
        }
        let ranges = &ranges[..members];
        let [first, second] = &mut self.moments;
        let moments = parts(first, ranges).zip(parts(second, ranges));
        let works = parts(&mut self.weights, ranges).zip(moments);
        let (gradients, step) = (&self.gradients, self.optimizer_steps);
        self.team.each(works, |((range, weights), ((_, first), (_, second)))| {
            let parameters = Parameters { weights, gradients: &gradients[range], moments: [first, second], kept: None };
            update(rule, lr, step, parameters);
        });
    }
}

impl Trainer for SparseMlp {
    fn lanes(&self) -> usize {
        1
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        ensure!(lane == 0, "the sparse trainer has one lane");
        let moments = self.recipe.update.moments();
        ensure!(from.moments.is_empty() || from.moments.len() == moments, "moments of another optimizer");
        ensure!(!from.moments.is_empty() || from.optimizer_steps == 0, "fresh moments that count steps");
        self.survivors = Survivors::new(&self.linears, &self.parameters, mask)?;
        self.weights = self.flatten(&from.weights)?;
        self.gradients = Aligned::zeros(self.survivors.len);
        for at in 0..moments {
            self.moments[at] = match from.moments.get(at) {
                Some(state) => self.flatten(state)?,
                None => Aligned::zeros(self.survivors.len),
            };
        }
        self.block = Block::new(&self.survivors, &self.dataset, self.team.members());
        self.gather_team();
        (self.iteration, self.optimizer_steps) = (from.iteration, from.optimizer_steps);
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        let ([batch], [lr]) = (batches, lr) else { bail!("the sparse trainer takes one batch and one learning rate") };
        let images = batch.images.as_slice();
        ensure!(!images.is_empty(), "an empty batch");
        let mut pass = Pass {
            path: self.path,
            team: &mut self.team,
            linears: &self.linears,
            survivors: &self.survivors,
            weights: &self.weights,
            noise: Noise(Some((batch.elementwise, batch.iteration))),
            before: 0,
        };
        for block in images.chunks(IMAGES) {
            let mut labels = [0; IMAGES];
            labels.iter_mut().zip(block).for_each(|(label, &image)| *label = self.dataset.labels[image as usize]);
            self.block.gather(&mut pass, &self.dataset, block);
            self.block.forward(&mut pass);
            self.block.backward(&mut pass, &labels[..block.len()], images.len(), &mut self.gradients);
            pass.before += block.len();
        }
        self.optimizer_steps += 1;
        self.update(*lr);
        self.iteration = batch.iteration + 1;
        Ok(())
    }

    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        let images = self.dataset.part(split);
        ensure!(!images.is_empty(), "no images to evaluate on");
        let path = self.path;
        let bytes = self.transposed[split as usize].get_or_insert_with(|| transpose_all(path, &self.dataset, images));
        let mut pass = Pass {
            path,
            team: &mut self.team,
            linears: &self.linears,
            survivors: &self.survivors,
            weights: &self.weights,
            noise: Noise(None),
            before: 0,
        };
        let mut sums = Sums::default();
        for (images, bytes) in images.chunks(IMAGES).zip(bytes.chunks_exact(self.dataset.pixels())) {
            let mut labels = [0; IMAGES];
            labels.iter_mut().zip(images).for_each(|(label, &image)| *label = self.dataset.labels[image as usize]);
            self.block.spread(&mut pass, &self.dataset, images, bytes);
            self.block.forward(&mut pass);
            self.block.score(path, &labels[..images.len()], &mut sums);
        }
        let n = images.len() as f64;
        Ok(vec![Score { loss: sums.loss / n, accuracy: sums.correct as f64 / n }])
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        ensure!(lane == 0, "the sparse trainer has one lane");
        // Before the first step moments are fresh: the same as none.
        let moments = if self.optimizer_steps == 0 { 0 } else { self.recipe.update.moments() };
        Ok(Snapshot {
            weights: self.unflatten(&self.weights),
            moments: self.moments[..moments].iter().map(|moment| self.unflatten(moment)).collect(),
            buffers: State::default(),
            iteration: self.iteration,
            optimizer_steps: self.optimizer_steps,
        })
    }

    fn set_threads(&mut self, threads: usize) {
        if threads != self.threads {
            self.threads = threads;
            self.gather_team();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::base::random::{Purpose, Stream, mix};
    use crate::config::Dtype;
    use crate::data::Inputs;
    use crate::engine::Update;
    use crate::engine::dense;
    use crate::network::{Layer, Network};

    /// 12 × 12 images in batches of 90: a block and a half.
    const BATCH: usize = 90;

    fn recipe() -> Recipe {
        let layers = vec![
            Layer::Flatten,
            Layer::Dropout { rate: 0.1 },
            Layer::Linear { inputs: 144, outputs: 37 },
            Layer::Relu,
            Layer::Linear { inputs: 37, outputs: 21 },
            Layer::Dropout { rate: 0.3 },
            Layer::Relu,
            Layer::Linear { inputs: 21, outputs: 10 },
        ];
        let update = Update::Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 1e-3 };
        let network = Network { input: [1, 12, 12], classes: 10, layers };
        Recipe { network, update, dtype: Dtype::Float32, batch_size: BATCH }
    }

    fn dataset() -> Arc<Dataset> {
        let all: Vec<u32> = (0..200).collect();
        Arc::new(Dataset {
            shape: [1, 12, 12],
            classes: 10,
            images: (0..200 * 144).map(|i| (mix(1, i) & 255) as u8).collect(),
            labels: (0..200).map(|i| (mix(2, i) % 10) as u8).collect(),
            train: all.clone(),
            validation: all[..70].to_vec(),
            test: all,
            inputs: Inputs::Affine { scale: 0.01, offset: -1.0 },
        })
    }

    /// A network of which `percent` percent survive.
    fn start(recipe: &Recipe, percent: u64) -> (Snapshot, Mask) {
        let (mut state, mut mask) = (Vec::new(), Vec::new());
        for (at, parameter) in recipe.network.parameters().into_iter().enumerate() {
            let number = |i: usize| mix(at as u64 + 10, i as u64);
            let values = (0..parameter.len()).map(|i| (number(i) >> 40) as f32 / 8_388_608.0 - 1.0).map(|v| v * 0.2);
            let values = values.collect();
            if at % 2 == 0 {
                let kept = (0..parameter.len()).map(|i| number(i) % 100 < percent).collect();
                mask.push(LayerMask { name: parameter.name.clone(), shape: parameter.shape.clone(), kept });
            }
            state.push(NamedTensor { name: parameter.name, shape: parameter.shape, values });
        }
        (Snapshot::fresh(State(state)), Mask(mask))
    }

    /// A few steps with a smaller batch among them, and evaluations.
    fn train(trainer: &mut dyn Trainer, (start, mask): &(Snapshot, Mask)) -> (Snapshot, Vec<Score>) {
        trainer.load(0, start, mask).unwrap();
        let elementwise = Stream::of_replicate(1, 1, Purpose::Elementwise).elementwise();
        let mut scores = Vec::new();
        for iteration in 0..6 {
            let n = if iteration == 3 { 11 } else { BATCH };
            let images = (0..n as u64).map(|j| (mix(iteration, j) % 200) as u32).collect();
            trainer.step(&[Batch { images, iteration, elementwise }], &[0.01]).unwrap();
            for split in Split::ALL {
                scores.extend(trainer.evaluate(split).unwrap());
            }
        }
        (trainer.snapshot(0).unwrap(), scores)
    }

    #[test]
    fn every_path_and_any_number_of_threads_give_the_same_bits() {
        let (recipe, dataset) = (recipe(), dataset());
        for percent in [100, 30, 3, 0] {
            let network = start(&recipe, percent);
            let mut results = Vec::new();
            for path in Path::all() {
                for threads in [1, 2, 3] {
                    let mut trainer = SparseMlp::new(&recipe, Arc::clone(&dataset), path).unwrap();
                    trainer.weights_per_thread = 1;
                    trainer.set_threads(threads);
                    results.push((format!("{path:?} {threads}"), train(&mut trainer, &network)));
                }
            }
            let [(_, first), others @ ..] = &results[..] else { panic!("a result") };
            for (name, other) in others {
                assert!(first == other, "{percent} %: {name} gives other numbers");
            }
        }
    }

    #[test]
    fn threads_may_change_in_the_middle() {
        let (recipe, dataset) = (recipe(), dataset());
        let (start, mask) = start(&recipe, 40);
        let run = |change: bool| {
            let mut trainer = SparseMlp::new(&recipe, Arc::clone(&dataset), Path::best()).unwrap();
            trainer.weights_per_thread = 1;
            trainer.load(0, &start, &mask).unwrap();
            for iteration in 0..8_u64 {
                if change {
                    trainer.set_threads(1 + iteration as usize % 4);
                }
                let images = (0..60).map(|j| (mix(iteration, j) % 200) as u32).collect();
                trainer.step(&[Batch { images, iteration, ..Batch::default() }], &[0.01]).unwrap();
            }
            trainer.snapshot(0).unwrap()
        };
        assert_eq!(run(false), run(true));
    }

    #[test]
    fn batches_of_more_than_a_block_agree_with_the_dense_trainer() {
        let (recipe, dataset) = (recipe(), dataset());
        for percent in [100, 30, 3, 0] {
            let network = start(&recipe, percent);
            let (sparse, scores) = train(sparse_trainer(&recipe, &dataset).as_mut(), &network);
            let (dense, expected) = train(dense::build(&recipe, &dataset).unwrap().as_mut(), &network);
            for (a, b) in sparse.weights.0.iter().zip(&dense.weights.0) {
                let worst = a.values.iter().zip(&b.values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                // Adam's first steps are as long whatever a gradient's size; a gradient near 0 may have either sign.
                assert!(worst < 0.03, "{percent} %, {}: off by {worst}", a.name);
            }
            for (a, b) in scores.iter().zip(&expected) {
                assert!((a.loss - b.loss).abs() < 2e-3 * b.loss, "{percent} %: {a:?} {b:?}");
            }
        }
    }

    fn sparse_trainer(recipe: &Recipe, dataset: &Arc<Dataset>) -> Box<dyn Trainer> {
        Box::new(SparseMlp::new(recipe, Arc::clone(dataset), Path::best()).unwrap())
    }
}
