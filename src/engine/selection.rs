//! Which engine takes a training: the one whose step is estimated to cost less. The estimate is a function of shapes,
//! counts and recipe alone and never of a timing, so that an experiment has the same engines on every machine.

use std::sync::Arc;

use anyhow::{Result, ensure};

use super::trainer::{Trainer, TrainerSpec};
use super::{sparse, torch};
use crate::config::{Diagnostic, Dtype, EngineChoice};
use crate::data::Dataset;
use crate::network::Layer;

/// Nanoseconds of the estimate, as `benches/dense_step.rs` and `benches/roofline.rs` gave them for LeNet-300-100 at batch 60
/// on one core of an Intel Xeon with AVX-512 (libtorch 2.11.0). Only their ratios decide. They are part of what keys mean:
/// where one changes, some trainings change their engine, and with it their key.
mod nanoseconds {
    /// Dense: a multiply-add of a matrix product.
    pub(super) const DENSE_PRODUCT: f64 = 13e-3;
    /// Dense: a weight in what is not a product, most of it the update by Adam, which waits for memory.
    pub(super) const DENSE_UPDATE: f64 = 0.55;
    /// Sparse: a surviving weight in the forward pass of a block of images.
    pub(super) const SPARSE_FORWARD: f64 = 1.15;
    /// Sparse: its gradient by a block.
    pub(super) const SPARSE_WEIGHT_GRADIENT: f64 = 1.35;
    /// Sparse: its part in the gradient of a layer's inputs by a block.
    pub(super) const SPARSE_INPUT_GRADIENT: f64 = 1.3;
    /// Sparse: its update by Adam.
    pub(super) const SPARSE_UPDATE: f64 = 0.4;
    /// Sparse: an input feature of a block, fetched from all over the memory, transposed and converted.
    pub(super) const SPARSE_GATHER: f64 = 20.0;
    /// Sparse: an input feature of a block for evaluation, which was transposed before.
    pub(super) const SPARSE_SPREAD: f64 = 5.0;
}

/// Images that the sparse trainer takes at a time.
const BLOCK: u64 = 64;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// Stores and multiplies every weight.
    Dense,
    /// Stores and multiplies the surviving weights.
    Sparse,
}

impl EngineKind {
    /// Every engine.
    pub const ALL: [Self; 2] = [Self::Dense, Self::Sparse];

    /// Its name in keys and CSVs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dense => torch::NAME,
            Self::Sparse => sparse::NAME,
        }
    }
}

/// Builds a trainer of this kind with so many lanes, in the thread that will use it.
pub fn build(kind: EngineKind, lanes: usize, recipe: &TrainerSpec, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
    match kind {
        EngineKind::Dense => torch::build(recipe, dataset, lanes),
        EngineKind::Sparse => {
            ensure!(lanes == 1, "the sparse trainer trains one network at a time, not {lanes}");
            sparse::build(recipe, dataset)
        }
    }
}

/// How the trainings of an experiment get their engine. What they keep is told by layer, in the network's order.
#[derive(Clone, Debug)]
pub struct EngineSelector {
    wish: EngineChoice,
    sparse_can: bool,
    /// Features of an image.
    inputs: u64,
    /// Weights of each layer.
    sizes: Vec<u64>,
    /// Multiply-adds that each weight of a layer takes part in, per image.
    uses: Vec<u64>,
    batch_size: u64,
}

impl EngineSelector {
    /// The choice for an experiment that wishes for `wish` and trains so many networks in lockstep.
    ///
    /// # Errors
    /// A wish for an engine that cannot do what the recipe asks.
    pub fn new(wish: EngineChoice, recipe: &TrainerSpec, device: &str, lanes: usize) -> Result<Self, Diagnostic> {
        let mut cannot = sparse_unsupported_reason(recipe, device).map(|(reason, hint)| ("run.engine", reason, hint));
        if cannot.is_none() && lanes > 1 {
            let reason = format!("it trains one network at a time, and `run.lanes` is {lanes}");
            cannot = Some(("run.lanes", reason, "set `run.lanes` to 1, or `run.engine` to `dense` or `auto`"));
        }
        let sparse_can = cannot.is_none();
        if let Some((key, reason, hint)) = cannot.filter(|_| wish == EngineChoice::Sparse) {
            return Err(Diagnostic::new(key, format!("the sparse trainer cannot be used: {reason}")).hint(hint));
        }
        Ok(Self {
            wish,
            sparse_can,
            inputs: recipe.network.input.iter().product::<usize>() as u64,
            sizes: recipe.network.sizes().to_vec(),
            uses: recipe.network.weights().iter().map(|weight| weight.macs_per_weight).collect(),
            batch_size: recipe.batch_size as u64,
        })
    }

    /// The engine of a training that keeps so many weights: by its steps alone, since evaluations break even where they do.
    pub fn select(&self, kept: &[u64]) -> EngineKind {
        let is_sparse = match self.wish {
            EngineChoice::Dense => false,
            EngineChoice::Sparse => true,
            EngineChoice::Auto => {
                self.sparse_can && self.step_cost(EngineKind::Sparse, kept) < self.step_cost(EngineKind::Dense, kept)
            }
        };
        if is_sparse { EngineKind::Sparse } else { EngineKind::Dense }
    }

    /// Estimated nanoseconds of an optimizer step.
    pub fn step_cost(&self, kind: EngineKind, kept: &[u64]) -> f64 {
        use nanoseconds as each;
        // Nobody asks for the gradient of the images.
        let is_inner = |layer: usize| f64::from(u8::from(layer > 0));
        match kind {
            EngineKind::Dense => {
                let products = |layer| (2.0 + is_inner(layer)) * self.batch_size as f64 * each::DENSE_PRODUCT;
                let layer = |(layer, &size): (usize, &u64)| {
                    size as f64 * (self.uses[layer] as f64 * products(layer) + each::DENSE_UPDATE)
                };
                self.sizes.iter().enumerate().map(layer).sum()
            }
            EngineKind::Sparse => {
                let blocks = self.batch_size.div_ceil(BLOCK) as f64;
                let passes = |layer| {
                    let inner = is_inner(layer) * each::SPARSE_INPUT_GRADIENT;
                    blocks * (each::SPARSE_FORWARD + each::SPARSE_WEIGHT_GRADIENT + inner)
                };
                let layer = |(layer, &kept): (usize, &u64)| kept as f64 * (passes(layer) + each::SPARSE_UPDATE);
                let gather = blocks * self.inputs as f64 * each::SPARSE_GATHER;
                kept.iter().enumerate().map(layer).sum::<f64>() + gather
            }
        }
    }

    /// Estimated nanoseconds of evaluating an image, among many.
    pub fn evaluation_cost(&self, kind: EngineKind, kept: &[u64]) -> f64 {
        let sum = |of: &[u64]| of.iter().sum::<u64>() as f64;
        match kind {
            EngineKind::Dense => {
                let macs: u64 = self.sizes.iter().zip(&self.uses).map(|(size, uses)| size * uses).sum();
                macs as f64 * nanoseconds::DENSE_PRODUCT
            }
            EngineKind::Sparse => {
                let gather = self.inputs as f64 * nanoseconds::SPARSE_SPREAD;
                (sum(kept) * nanoseconds::SPARSE_FORWARD + gather) / BLOCK as f64
            }
        }
    }
}

/// Why the sparse trainer cannot do what a recipe asks, and what to do about it.
fn sparse_unsupported_reason(recipe: &TrainerSpec, device: &str) -> Option<(String, &'static str)> {
    if device != "cpu" {
        return Some((format!("it runs on the CPU, and the device is `{device}`"), "set `run.device` to `cpu`"));
    }
    if recipe.dtype == Dtype::Float64 {
        let reason = "it computes in float32, and `train.dtype` is `float64`".to_owned();
        return Some((reason, "set `train.dtype` to `float32`, or `run.engine` to `dense` or `auto`"));
    }
    if !recipe.augment.is_none() {
        let reason = "it shows images as they are, and `data.augment` changes them".to_owned();
        return Some((reason, "set `run.engine` to `dense` or `auto`"));
    }
    let lacks = recipe.network.layers.iter().find_map(unsupported_layer)?;
    let reason = format!("it knows linear layers only, and the network has {lacks}");
    Some((reason, "set `run.engine` to `dense` or `auto`"))
}

/// What the sparse trainer does not know a layer of; `None` of a layer that it knows. Every kind is named, so that the
/// compiler asks about a new one.
fn unsupported_layer(layer: &Layer) -> Option<&'static str> {
    match layer {
        Layer::Flatten | Layer::Linear { .. } | Layer::Relu | Layer::Dropout { .. } => None,
        Layer::Conv { .. } => Some("convolutions"),
        Layer::BatchNorm { .. } => Some("batch norm"),
        Layer::MaxPool { .. } | Layer::AvgPool { .. } | Layer::GlobalAvgPool => Some("pooling"),
        Layer::Residual { .. } => Some("residual blocks"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigDocument, read};
    use crate::network::build;

    /// `LeNet-300-100` in batches of 60.
    fn recipe(dtype: Dtype) -> TrainerSpec {
        let sets = ["network.architecture=lenet_300_100", "train.batch_size=60"].map(str::to_owned);
        let text = include_str!("../../configs/smoke.toml");
        let mut experiment = read(&ConfigDocument::parse("smoke.toml", text, &sets).unwrap()).unwrap();
        experiment.train.dtype = dtype;
        TrainerSpec::new(build(&experiment.network, [1, 28, 28], 10).unwrap(), &experiment, None)
    }

    fn choice(wish: EngineChoice, dtype: Dtype) -> EngineSelector {
        EngineSelector::new(wish, &recipe(dtype), "cpu", 1).unwrap()
    }

    /// What is kept where every layer keeps so many percent.
    fn kept(percent: u64) -> [u64; 3] {
        [235_200, 30_000, 1_000].map(|size| size * percent / 100)
    }

    #[test]
    fn the_dense_network_is_for_the_dense_trainer_and_a_sparse_one_for_the_sparse() {
        let auto = choice(EngineChoice::Auto, Dtype::Float32);
        assert_eq!(
            [100, 20, 3].map(|percent| auto.select(&kept(percent))),
            [EngineKind::Dense, EngineKind::Sparse, EngineKind::Sparse]
        );
        // One change on the way down, where a step of each costs the same.
        let even = (1..=100).filter(|&percent| auto.select(&kept(percent)) == EngineKind::Sparse).max().unwrap();
        assert!((65..76).contains(&even), "{even} %: measured between 64 and 80");
        assert!((1..=even).all(|percent| auto.select(&kept(percent)) == EngineKind::Sparse));
    }

    #[test]
    fn a_wish_is_met_whatever_it_costs() {
        assert_eq!(choice(EngineChoice::Dense, Dtype::Float32).select(&kept(1)), EngineKind::Dense);
        assert_eq!(choice(EngineChoice::Sparse, Dtype::Float32).select(&kept(100)), EngineKind::Sparse);
    }

    #[test]
    fn what_the_sparse_trainer_cannot_do_is_for_the_dense_one() {
        assert_eq!(choice(EngineChoice::Auto, Dtype::Float64).select(&kept(1)), EngineKind::Dense);
        let elsewhere = EngineSelector::new(EngineChoice::Auto, &recipe(Dtype::Float32), "cuda", 1).unwrap();
        assert_eq!(elsewhere.select(&kept(1)), EngineKind::Dense);
        let lanes = EngineSelector::new(EngineChoice::Auto, &recipe(Dtype::Float32), "cpu", 2).unwrap();
        assert_eq!(lanes.select(&kept(1)), EngineKind::Dense);
        let problem = |dtype, device| EngineSelector::new(EngineChoice::Sparse, &recipe(dtype), device, 1).unwrap_err();
        let refused = problem(Dtype::Float64, "cpu");
        assert_eq!((refused.key.as_str(), refused.message.contains("float64")), ("run.engine", true));
        assert!(problem(Dtype::Float32, "cuda").message.contains("`cuda`"));
    }

    #[test]
    fn a_cost_is_the_sum_of_its_parts() {
        let auto = choice(EngineChoice::Auto, Dtype::Float32);
        let (first, inner) = (235_200.0, 31_000.0);
        let dense = 60.0 * 13e-3 * (2.0 * first + 3.0 * inner) + 0.55 * (first + inner);
        assert!((auto.step_cost(EngineKind::Dense, &kept(10)) / dense - 1.0).abs() < 1e-12);
        let sparse = 0.1 * (2.9 * first + 4.2 * inner) + 20.0 * 784.0;
        assert!((auto.step_cost(EngineKind::Sparse, &kept(10)) / sparse - 1.0).abs() < 1e-12);
        let image = (0.1 * 1.15 * (first + inner) + 5.0 * 784.0) / 64.0;
        assert!((auto.evaluation_cost(EngineKind::Sparse, &kept(10)) / image - 1.0).abs() < 1e-12);
    }
}
