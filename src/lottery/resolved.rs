//! What an experiment means before anything is trained: its names resolved against each other.

use super::surroundings::Surroundings;
use crate::config::{DeviceChoice, Diagnostic, Dtype, Experiment};
use crate::data::DatasetInfo;
use crate::engine::{Conflict, EngineSelector, TrainerSpec, Unsupported};
use crate::network::{Network, build};
use crate::prune::{PruningSchedule, RemainingCounts};
use crate::train::{iterations_per_epoch, validate_lr_schedule};

/// 2²⁸: four copies of so many (weights, gradients, moments) take 4 GiB.
const MAX_WEIGHTS: u64 = 1 << 28;

/// Lanes of a trainer on a GPU, where nothing else is asked for: small networks leave most of it idle.
const LANES_ON_CUDA: usize = 16;

/// An experiment's names, resolved.
#[derive(Clone, Debug)]
pub struct ResolvedExperiment {
    /// The network.
    pub network: Network,
    /// What each round cuts.
    pub pruning: PruningSchedule,
    /// What is known of the data.
    pub dataset: DatasetInfo,
    /// Which engine a training takes.
    pub engines: EngineSelector,
    /// The kind of device: `cpu` or `cuda`.
    pub device: &'static str,
    /// The number of the GPU, where there is one.
    pub gpu: Option<usize>,
    /// Networks that a trainer trains in lockstep.
    pub lanes: usize,
    /// Images that an evaluation looks at: the validation images, as many training images, and the test set.
    pub images_evaluated: u64,
    /// Steps that an epoch takes.
    pub iterations_per_epoch: u64,
}

impl ResolvedExperiment {
    /// Resolves network, pruning, data, device and engines.
    pub(super) fn new(experiment: &Experiment, surroundings: Surroundings) -> Result<Self, Vec<Diagnostic>> {
        // Without data there is no image size for the network, whose mistakes are found once the data are there.
        let source = surroundings.dataset.map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let cuda_unavailable = surroundings.cuda_unavailable.as_deref();
        let gpu = gpu(experiment.run.device, cuda_unavailable).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let (mut per_epoch, mut images_evaluated, mut rest) = (1, 0, 0);
        match source.sizes(&experiment.data) {
            Err(problem) => problems.push(problem),
            Ok((train, ..)) if experiment.train.batch_size > train => {
                let message = format!("a batch of {} from {train} training images", experiment.train.batch_size);
                problems.push(Diagnostic::new("train.batch_size", message).hint(format!("at most {train}")));
            }
            Ok((train, validation, test)) => {
                rest = train % experiment.train.batch_size;
                images_evaluated = 2 * u64::from(validation) + u64::from(test);
                let batch_size = u64::from(experiment.train.batch_size);
                per_epoch = iterations_per_epoch(u64::from(train), batch_size, experiment.train.drop_last);
                problems.extend(validate_lr_schedule(&experiment.train, per_epoch));
            }
        }
        let network = match build(&experiment.network, source.shape, source.classes) {
            Ok(network) => network,
            Err(more) => {
                problems.extend(more);
                return Err(problems);
            }
        };
        if network.weights_total() > MAX_WEIGHTS {
            let message = "the network has more than 268 million weights, which this program does not hold";
            problems.push(Diagnostic::new("network.architecture", message));
            return Err(problems);
        }
        let device = if gpu.is_some() { "cuda" } else { "cpu" };
        let recipe = TrainerSpec::new(network.clone(), experiment, gpu);
        problems.extend(misfits(experiment, &recipe, rest));
        let lanes = experiment.run.lanes.unwrap_or(if gpu.is_some() { LANES_ON_CUDA } else { 1 });
        let choice = EngineSelector::new(experiment.run.engine, &recipe, lanes)
            .map_err(|unsupported| problems.push(unsupported_engine(&unsupported, &recipe, device, lanes)));
        let pruning = PruningSchedule::new(&experiment.prune, &network).map_err(|more| problems.extend(more));
        match (choice, pruning) {
            (Ok(choice), Ok(pruning)) if problems.is_empty() => Ok(Self {
                network,
                pruning,
                dataset: source,
                engines: choice,
                device,
                gpu,
                lanes,
                images_evaluated,
                iterations_per_epoch: per_epoch,
            }),
            _ => Err(problems),
        }
    }

    /// What each layer keeps, as far as that is known before training; else what it is expected to keep.
    pub fn expected_per_layer(&self, counts: &RemainingCounts) -> Vec<u64> {
        self.pruning.expected_per_layer(counts, self.network.sizes())
    }
}

/// Returns the GPU to train on; `None` for the CPU. An experiment that asks for CUDA is never trained on the CPU instead.
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

/// Returns the message about a requested engine that does not support the experiment: the key to change and the value to
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

/// What of the recipe does not go with the network, the images or the device.
/// `rest` images are left over by the full batches of an epoch.
fn misfits(experiment: &Experiment, recipe: &TrainerSpec, rest: u32) -> Vec<Diagnostic> {
    let mut problems = Vec::from_iter(one_value_a_channel(experiment, recipe, rest));
    let [_, height, width] = recipe.network.input;
    if recipe.augment.crop as usize >= height.min(width) {
        let message =
            format!("images of {height} × {width} pixels moved by {} would be all black", recipe.augment.crop);
        problems.push(Diagnostic::new("data.augment.crop", message).hint("such as `crop = 4`"));
    }
    if recipe.gpu.is_none() && !recipe.products.is_exact() {
        let message = "products are rounded on a GPU only, and the device is the processor";
        let hint = "leave it out, or train on CUDA: `run.device = \"cuda\"`";
        problems.push(Diagnostic::new("train.products", message).hint(hint).on_key());
    }
    problems
}

/// A batch norm that gets one value a channel in some batch: it has no variance. Of a convolution the values are those of
/// all images and positions, so that one image is enough where it has several positions.
fn one_value_a_channel(experiment: &Experiment, recipe: &TrainerSpec, rest: u32) -> Option<Diagnostic> {
    let is_single = recipe.batch_size == 1;
    if !is_single && (rest != 1 || experiment.train.drop_last) {
        return None;
    }
    let norm = recipe.network.batch_norms().into_iter().find(|norm| norm.positions == [1, 1])?;
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
        let one = problems(&[norm, "train.batch_size=1"]);
        assert_eq!((one.len(), one[0].0.as_str()), (1, "train.batch_size"));
        // 1,500 images, 300 of them for validation: 1,200 are 17 batches of 70 and 10, or 109 of 11 and one.
        assert_eq!(problems(&[norm, "train.batch_size=70", "train.drop_last=false"]), []);
        let left_over = problems(&[norm, "train.batch_size=11", "train.drop_last=false"]);
        assert_eq!((left_over.len(), left_over[0].0.as_str()), (1, "train.drop_last"));
        assert_eq!(problems(&[norm, "train.batch_size=11"]), []);
        assert_eq!(problems(&["train.batch_size=1"]), [], "where there is none");
        assert!(left_over[0].1.contains("`bn1`") && left_over[0].1.contains("1 × 1 pixels"), "{left_over:?}");
        // Of a convolution one image has a value at each position, unless there is one position only.
        let conv = |rest: &str| format!("network={{layers=[{{conv={{out=2}}}},{rest},{{linear={{out=10}}}}]}}");
        let one_image = ["train.batch_size=11", "train.drop_last=false"];
        assert_eq!(problems(&[&conv("\"batch_norm\""), one_image[0], one_image[1]]), []);
        assert_eq!(problems(&[&conv("\"batch_norm\""), "train.batch_size=1"]), []);
        let to_one = conv("{max_pool={size=28}},\"batch_norm\"");
        assert_eq!(problems(&[&to_one, one_image[0], one_image[1]]).len(), 1);
        assert_eq!(problems(&[&to_one, "train.batch_size=1"])[0].0, "train.batch_size");
    }
}
