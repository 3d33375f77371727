//! Resolves an experiment: determines its network, pruning rates, data set, device and engines.

use super::allocation_files::AllocationFiles;
use super::source_files::SourceFiles;
use super::surroundings::Surroundings;
use super::update_rule::{MaskUpdateRule, UpdateKind};
use crate::base::units::Iteration;
use crate::config::{DeviceChoice, Diagnostic, Dtype, Experiment};
use crate::data::{DatasetInfo, ImageCounts};
use crate::engine::{Conflict, EngineSelector, TrainerSpec, Unsupported};
use crate::network::{Network, build};
use crate::prune::{PruningRates, RemainingCounts};
use crate::train::{iterations_per_epoch, validate_lr_schedule};

/// Largest number of weights of a network, 2²⁸: four copies of as many values (weights, gradients, two moments) take 4
/// GiB.
const MAX_WEIGHTS: u64 = 1 << 28;

/// Default number of lanes of a trainer on a GPU: a small network leaves most of a GPU idle.
const LANES_ON_CUDA: usize = 16;

/// An experiment with network, pruning rates, data set, device and engines determined.
#[derive(Clone, Debug)]
pub struct ResolvedExperiment {
    /// The network.
    pub network: Network,
    /// The rates by which each round prunes.
    pub pruning: PruningRates,
    /// The data set.
    pub dataset: DatasetInfo,
    /// Selects the engine of each training run.
    pub engines: EngineSelector,
    /// The kind of device: `cpu` or `cuda`.
    pub device: &'static str,
    /// Index of the GPU, from 0; `None` on the CPU.
    pub gpu: Option<usize>,
    /// Largest number of lanes of a trainer: the networks that it trains in lockstep.
    pub lanes: usize,
    /// Numbers of images of the splits.
    pub images: ImageCounts,
    /// Optimizer steps of one epoch.
    pub iterations_per_epoch: u64,
    /// The masks and weights that are taken from files.
    pub(super) files: SourceFiles,
    /// The layer allocations in files.
    pub(super) allocations: AllocationFiles,
}

/// The numbers of images, and the sizes of an epoch that follow from them.
struct EpochSizes {
    images: ImageCounts,
    /// Optimizer steps of one epoch.
    iterations: u64,
    /// Number of training images that the full batches of an epoch leave over.
    left_over: u32,
}

impl ResolvedExperiment {
    /// Determines network, pruning rates, data set, device and engines.
    ///
    /// # Errors
    /// Fails with every mistake found.
    pub(super) fn new(experiment: &Experiment, surroundings: Surroundings) -> Result<Self, Vec<Diagnostic>> {
        // Without the data set there is no image size, so that the network cannot be checked.
        let dataset = surroundings.dataset.map_err(|mistake| vec![mistake])?;
        let mut mistakes = Vec::new();
        let gpu = gpu(experiment.run.device, surroundings.cuda_unavailable.as_deref());
        let gpu = gpu.map_err(|mistake| mistakes.push(mistake)).unwrap_or_default();
        let sizes = epoch_sizes(experiment, &dataset).map_err(|found| mistakes.extend(found)).ok();
        let network = build_network(experiment, &dataset, &mut mistakes);
        let Some(network) = network else { return Err(mistakes) };
        let device = if gpu.is_some() { "cuda" } else { "cpu" };
        let spec = TrainerSpec::new(network.clone(), experiment, gpu);
        mistakes.extend(option_conflicts(experiment, &spec, sizes.as_ref().map_or(0, |sizes| sizes.left_over)));
        let lanes = experiment.run.lanes.unwrap_or(if gpu.is_some() { LANES_ON_CUDA } else { 1 });
        let engines = EngineSelector::new(experiment.run.engine, &spec, lanes)
            .map_err(|unsupported| mistakes.push(unsupported_engine(&unsupported, &spec, device, lanes)));
        let pruning = PruningRates::new(&experiment.prune, &network).map_err(|found| mistakes.extend(found));
        let files = SourceFiles::new(experiment, &network, &surroundings.files);
        let files = files.map_err(|found| mistakes.extend(found)).unwrap_or_default();
        let allocations = AllocationFiles::new(experiment, &network, &surroundings.allocations);
        let allocations = allocations.map_err(|found| mistakes.extend(found)).unwrap_or_default();
        let (Ok(engines), Ok(pruning), Some(sizes), true) = (engines, pruning, sizes, mistakes.is_empty()) else {
            return Err(mistakes);
        };
        Ok(Self {
            network,
            pruning,
            dataset,
            engines,
            device,
            gpu,
            lanes,
            images: sizes.images,
            iterations_per_epoch: sizes.iterations,
            files,
            allocations,
        })
    }

    /// Returns the number of weights that each layer keeps on average over a training run with the numbers `counts` at the
    /// end, between two iterations; the expected number where it depends on trained weights.
    pub(super) fn mean_per_layer(
        &self,
        counts: &RemainingCounts,
        updates: Option<&MaskUpdateRule>,
        between: [Iteration; 2],
    ) -> Vec<u64> {
        let end = self.expected_per_layer(counts);
        let Some(MaskUpdateRule { kind: UpdateKind::Prune { start, .. }, .. }) = updates else { return end };
        let start = self.expected_per_layer(start);
        let mean = |(start, end): (u64, u64)| updates.map_or(end, |updates| updates.mean([start, end], between));
        start.into_iter().zip(end).map(mean).collect()
    }

    /// Returns the number of weights that each layer keeps; the expected number where it depends on trained weights.
    pub fn expected_per_layer(&self, counts: &RemainingCounts) -> Vec<u64> {
        self.pruning.expected_per_layer(counts, self.network.weight_counts())
    }
}

/// Returns the numbers of images and the sizes of an epoch.
///
/// # Errors
/// Fails with every mistake found: splits, batches and schedules that do not fit the data.
fn epoch_sizes(experiment: &Experiment, dataset: &DatasetInfo) -> Result<EpochSizes, Vec<Diagnostic>> {
    let images = dataset.image_counts(&experiment.data).map_err(|mistake| vec![mistake])?;
    let batch_size = experiment.train.batch_size;
    let train = images.train;
    if batch_size > train {
        let message = format!("a batch of {batch_size} from {train} training images");
        return Err(vec![Diagnostic::new("train.batch_size", message).hint(format!("at most {train}"))]);
    }
    let iterations = iterations_per_epoch(u64::from(train), u64::from(batch_size), experiment.train.drop_last);
    let mistakes = validate_lr_schedule(&experiment.train.with_length_in_iterations(iterations), iterations);
    if mistakes.is_empty() {
        Ok(EpochSizes { images, iterations, left_over: train % batch_size })
    } else {
        Err(mistakes)
    }
}

/// Builds the network, and reports layers that do not fit and networks that are too large.
fn build_network(experiment: &Experiment, dataset: &DatasetInfo, mistakes: &mut Vec<Diagnostic>) -> Option<Network> {
    let network = build(&experiment.network, dataset.shape, dataset.classes);
    let network = network.map_err(|found| mistakes.extend(found)).ok()?;
    if network.weights_total() > MAX_WEIGHTS {
        let message = "the network has more than 268 million weights, which this program does not hold";
        mistakes.push(Diagnostic::new("network.architecture", message));
        return None;
    }
    Some(network)
}

/// Returns the GPU to train on; `None` for the CPU. An experiment that asks for CUDA is never trained on the CPU
/// instead.
fn gpu(device: DeviceChoice, cuda_unavailable: Option<&str>) -> Result<Option<usize>, Diagnostic> {
    match (device, cuda_unavailable) {
        (DeviceChoice::Cpu, _) | (DeviceChoice::Auto, Some(_)) => Ok(None),
        (DeviceChoice::Auto, None) => Ok(Some(0)),
        (DeviceChoice::Cuda(n), None) => Ok(Some(n as usize)),
        (DeviceChoice::Cuda(_), Some(reason)) => {
            let hint = "`cpu` trains on the processor, and so does `auto` where CUDA cannot be had; `lth doctor` tells what \
                        is there";
            Err(Diagnostic::new("run.device", format!("CUDA cannot be used: {reason}")).hint(hint))
        }
    }
}

/// Returns the mistake of requesting an engine that does not support the experiment: the key to change and the value to
/// set it to.
fn unsupported_engine(unsupported: &Unsupported, spec: &TrainerSpec, device: &str, lanes: usize) -> Diagnostic {
    let other_engine = "`run.engine` to `dense` or `auto`";
    let (key, found, hint) = match unsupported.conflict {
        Conflict::Device { supported } => {
            ("run.engine", format!("the device is `{device}`"), format!("set `run.device` to `{supported}`"))
        }
        Conflict::Dtype { supported } => {
            let found = format!("`train.dtype` is `{}`", dtype_name(spec.dtype));
            ("run.engine", found, format!("set `train.dtype` to `{}`, or {other_engine}", dtype_name(supported)))
        }
        Conflict::Augmentation => {
            ("run.engine", "`data.augment` changes them".to_owned(), format!("set {other_engine}"))
        }
        Conflict::Layer { layers } => {
            ("run.engine", format!("the network has {layers}"), format!("set {other_engine}"))
        }
        Conflict::Lanes { supported } => {
            let hint = format!("set `run.lanes` to {supported}, or {other_engine}");
            ("run.lanes", format!("`run.lanes` is {lanes}"), hint)
        }
    };
    Diagnostic::new(key, format!("{unsupported}, and {found}")).hint(hint)
}

fn dtype_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::Float32 => "float32",
        Dtype::Float64 => "float64",
    }
}

/// Reports training options that do not fit the network, the images or the device. `left_over`: training images that
/// the full batches of an epoch leave over.
fn option_conflicts(experiment: &Experiment, spec: &TrainerSpec, left_over: u32) -> Vec<Diagnostic> {
    let mut problems = Vec::from_iter(one_value_per_channel(experiment, spec, left_over));
    let [_, height, width] = spec.network.input;
    if spec.augment.crop as usize >= height.min(width) {
        let message = format!("images of {height} × {width} pixels moved by {} would be all black", spec.augment.crop);
        problems.push(Diagnostic::new("data.augment.crop", message).hint("such as `crop = 4`"));
    }
    if spec.gpu.is_none() && !spec.matmul_precision.is_exact() {
        let message = "`train.matmul_precision` has an effect on a GPU only, and the device is the CPU";
        let hint = "leave it out, or train on CUDA: `run.device = \"cuda\"`";
        problems.push(Diagnostic::new("train.matmul_precision", message).hint(hint).on_key());
    }
    problems
}

/// Reports a batch norm that gets a single value per channel in some batch, which has no variance. After a convolution
/// the values are those of all images and positions, so that one image with several positions is enough.
fn one_value_per_channel(experiment: &Experiment, spec: &TrainerSpec, left_over: u32) -> Option<Diagnostic> {
    let is_single = spec.batch_size == 1;
    if !is_single && (left_over != 1 || experiment.train.drop_last) {
        return None;
    }
    let norm = spec.network.batch_norms().into_iter().find(|norm| norm.input_size == [1, 1])?;
    let batch = if is_single { "a batch of 1 image" } else { "the last batch of each epoch, 1 image," };
    let message =
        format!("batch norm `{}` needs at least 2 values per channel and has 1: {batch} of 1 × 1 pixels", norm.name);
    Some(if is_single {
        let hint = "at least 2, better 32 and more; or a network without this `batch_norm`";
        Diagnostic::new("train.batch_size", message).hint(hint)
    } else {
        Diagnostic::new("train.drop_last", message).hint("`drop_last = true`, or another `batch_size`")
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_support::resolve;

    fn problems(sets: &[&str]) -> Vec<(String, String)> {
        let problems = resolve(sets).err().unwrap_or_default();
        problems.into_iter().map(|problem| (problem.key, problem.message)).collect()
    }

    #[test]
    fn unsupported_engine_names_the_key_and_the_conflict() {
        let augmented = problems(&["run.engine=sparse", "data.augment={crop=2}"]);
        let message = "the sparse trainer cannot be used: it shows images as they are, and `data.augment` changes them";
        assert_eq!(augmented, [("run.engine".to_owned(), message.to_owned())]);
    }

    #[test]
    fn batch_norm_needs_more_than_one_value_a_channel() {
        let norm = "network={layers=[{linear={out=4}},\"batch_norm\",\"relu\",{linear={out=10}}]}";
        let single_image = problems(&[norm, "train.batch_size=1"]);
        assert_eq!((single_image.len(), single_image[0].0.as_str()), (1, "train.batch_size"));
        // 1,500 images, 300 of them for validation: 1,200 are 17 batches of 70 and 10, or 109 of 11 and one.
        assert_eq!(problems(&[norm, "train.batch_size=70", "train.drop_last=false"]), []);
        let left_over = problems(&[norm, "train.batch_size=11", "train.drop_last=false"]);
        assert_eq!((left_over.len(), left_over[0].0.as_str()), (1, "train.drop_last"));
        assert_eq!(problems(&[norm, "train.batch_size=11"]), []);
        assert_eq!(problems(&["train.batch_size=1"]), [], "where there is none");
        assert!(left_over[0].1.contains("`bn1`") && left_over[0].1.contains("1 × 1 pixels"), "{left_over:?}");
        // After a convolution, one image has a value at each position, unless there is one position only.
        let conv = |rest: &str| format!("network={{layers=[{{conv={{out=2}}}},{rest},{{linear={{out=10}}}}]}}");
        let one_image = ["train.batch_size=11", "train.drop_last=false"];
        assert_eq!(problems(&[&conv("\"batch_norm\""), one_image[0], one_image[1]]), []);
        assert_eq!(problems(&[&conv("\"batch_norm\""), "train.batch_size=1"]), []);
        let to_one = conv("{max_pool={size=28}},\"batch_norm\"");
        assert_eq!(problems(&[&to_one, one_image[0], one_image[1]]).len(), 1);
        assert_eq!(problems(&[&to_one, "train.batch_size=1"])[0].0, "train.batch_size");
    }
}
