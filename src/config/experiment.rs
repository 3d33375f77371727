//! The experiment as a person writes it. Field names are the keys of the file; doc comments are their documentation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::count_or_auto::CountOrAuto;
use super::device::DeviceChoice;
use super::network::NetworkConfig;
use super::training_time::TrainingTime;

/// One experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names the run's folder and the `experiment` column; small letters, digits, `_` and `-`.
    pub name: String,
    /// Seed of every random stream.
    #[serde(default = "first_seed")]
    pub seed: u64,
    /// Independent repetitions of the whole experiment, each with its own initial weights and data order.
    #[serde(default = "one")]
    pub replicates: u32,
    /// Prunings; round 0 is the dense network.
    pub rounds: u32,
    /// What is learned from.
    pub data: DataConfig,
    /// What learns.
    pub network: NetworkConfig,
    /// How one network is trained.
    pub train: TrainConfig,
    /// What each round cuts.
    #[serde(default)]
    pub prune: PruneConfig,
    /// What is compared, by name; each is one mask rule with one rule for the weights.
    #[serde(default)]
    pub arms: Arms,
    /// What the report says of the results; changes no training.
    #[serde(default)]
    pub report: ReportConfig,
    /// How the work is done; changes no number but by `device`, `engine` and, in last digits, `lanes`.
    #[serde(default)]
    pub run: RunConfig,
}

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Data")]
pub struct DataConfig {
    /// The data set.
    pub dataset: DatasetSpec,
    /// Folder of the built-in data sets; `--data-dir` beats it, `LTH_DATA_DIR` and `data` stand behind it.
    /// A relative folder is looked for where the command is run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Images held out of the training set; the early stop is found on them.
    #[serde(default = "five_thousand")]
    pub validation: u32,
    /// How pixels become inputs.
    #[serde(default)]
    pub normalize: Normalize,
    /// How training images are changed at random each time they are shown; evaluations see them as they are.
    #[serde(default, skip_serializing_if = "Augment::is_none")]
    pub augment: Augment,
    /// Keeps this many training images (after the split, balanced over the classes; validation shrinks in proportion).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<u32>,
    /// Keeps this many test images, balanced over the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<u32>,
    /// With `strokes`: images to draw for training and validation (60,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images: Option<u32>,
    /// With `strokes`: images to draw for the test set (10,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_images: Option<u32>,
    /// With `strokes`: seed of the drawing (1), apart from the experiment's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw_seed: Option<u64>,
}

/// A data set: a built-in one by name, or own data and where they lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "Dataset")]
pub enum DatasetSpec {
    /// Procedural digits, 28×28 grey; no files needed.
    Strokes,
    /// MNIST, 28×28 grey.
    Mnist,
    /// Fashion-MNIST, 28×28 grey.
    FashionMnist,
    /// CIFAR-10, 32×32 in colour.
    Cifar10,
    /// CIFAR-100 with its 100 fine classes, 32×32 in colour.
    Cifar100,
    /// Own data: four IDX files with MNIST's names, gzip'd or not; grey images of any one size. Labels are bytes, 32-bit
    /// integers, or QMNIST's eight columns of these, of which the first is the class.
    Idx {
        /// Folder of the four files; a relative one is looked for where the command is run.
        dir: PathBuf,
        /// Number of classes.
        classes: u32,
        /// The label of the first class (0): labels are from `first_label` to `first_label` + `classes` - 1. Those of
        /// EMNIST's letters begin at 1.
        #[serde(default, skip_serializing_if = "is_no_shift")]
        first_label: u32,
        /// Whether rows and columns of the images change places (false): EMNIST's images are stored column by column.
        #[serde(default, skip_serializing_if = "is_off")]
        transpose: bool,
        /// The beginning of the files' names, such as `emnist-letters` of `emnist-letters-train-images-idx3-ubyte`;
        /// needed only where the folder has files with several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        /// SHA-256 of the four decompressed files one after another, training images, training labels, test images,
        /// test labels: other files are refused. `lth check` tells it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
    /// Own data: PNG files `train/<class>/*.png` and `test/<class>/*.png`, grey or in colour, all of one size.
    Images {
        /// Folder of `train` and `test`; a relative one is looked for where the command is run.
        dir: PathBuf,
        /// SHA-256 of the decoded images, their labels and the names of the classes: others are refused. `lth check`
        /// tells it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
    },
}

/// How pixels become inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalize {
    /// [0, 1].
    None,
    /// Minus the mean, over the standard deviation of the training set's pixels, for each channel: fixed constants of
    /// the built-in data sets; of own data, computed from all images of the training files.
    #[default]
    MeanStd,
    /// Each image scaled to Euclidean length 1.
    L2,
}

/// How training images are changed at random each time they are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Mirrored left to right, one time in two.
    #[serde(default)]
    pub flip: bool,
    /// Moved by up to so many pixels in each direction (black comes in from the other side): padded by as many and cropped
    /// to the old size.
    #[serde(default)]
    pub crop: u32,
}

/// How one network is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Train")]
pub struct TrainConfig {
    /// Optimizer steps of each training.
    pub iterations: u64,
    /// Images a step.
    pub batch_size: u32,
    /// Steps between evaluations; the last step is always evaluated.
    #[serde(default = "hundred")]
    pub evaluate_every: u64,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// Learning rate, before `schedule` and `warmup`.
    pub lr: f64,
    /// How the learning rate changes (`constant`). Iterations are counted absolutely: a training that starts at iteration
    /// k goes on with the rate of iteration k.
    #[serde(default, skip_serializing_if = "ScheduleConfig::is_constant")]
    pub schedule: ScheduleConfig,
    /// With `step`: iterations (`500it`) or epochs (`20ep`) from one step to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_every: Option<TrainingTime>,
    /// With `multi_step`: when the steps come, such as `["20000it", "25000it"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milestones: Option<Vec<TrainingTime>>,
    /// With `step` and `multi_step`: the learning rate is multiplied by it at each step (0.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gamma: Option<f64>,
    /// With `cosine`: the learning rate after the last iteration (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_min: Option<f64>,
    /// Warm-up in front of any schedule: at iteration i of so many the schedule's rate times i / so many, from 0 (`0it`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<TrainingTime>,
    /// With `adam` and `adamw`: decay of the first and second moment ([0.9, 0.999]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<[f64; 2]>,
    /// With `adam` and `adamw`: added to the denominator (1e-8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// With `sgd`: momentum (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// With `sgd` and momentum: Nesterov's form (false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Weight decay, on weights and biases, as in `PyTorch`: added to the gradient (L2); with `adamw`, `lr` times so much
    /// of each weight is taken off it.
    #[serde(default)]
    pub weight_decay: f64,
    /// Gradients are scaled down to this Euclidean norm where theirs, of all weights that are left and all biases
    /// together, is larger, as `PyTorch`'s `clip_grad_norm_` does; without it they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// In training, the share of the target that is spread evenly over all classes (0). The losses that evaluations record
    /// are the plain cross-entropy all the same, so that they can be compared.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_smoothing: f64,
    /// Whether the last, smaller batch of an epoch is dropped.
    #[serde(default = "yes")]
    pub drop_last: bool,
    /// Type of the arithmetic; results are kept in float32 either way.
    #[serde(default)]
    pub dtype: Dtype,
    /// On a GPU: the type that conv and linear products are made in; all else is `dtype`.
    #[serde(default, skip_serializing_if = "MatmulPrecision::is_exact")]
    pub products: MatmulPrecision,
}

/// An optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Optimizer")]
pub enum OptimizerConfig {
    /// Adam (Kingma & Ba, arXiv 1412.6980).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), in `PyTorch`'s form; `weight_decay` is
    /// 0 by default here too.
    #[serde(rename = "adamw")]
    AdamW,
    /// Stochastic gradient descent, with momentum if asked for.
    Sgd,
}

/// How the learning rate changes over a training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Schedule")]
pub enum ScheduleConfig {
    /// Not at all.
    #[default]
    Constant,
    /// `gamma` times what it was, every `step_every`.
    Step,
    /// `gamma` times what it was, at each of `milestones`.
    MultiStep,
    /// From `lr` to `lr_min` along half a cosine, over all iterations.
    Cosine,
}

/// A floating-point type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32 bits.
    #[default]
    Float32,
    /// 64 bits.
    Float64,
}

/// The type that products are made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Products")]
pub enum MatmulPrecision {
    /// That of all else.
    #[default]
    Exact,
    /// Factors rounded to 10 bits, sums in float32: NVIDIA's TF32.
    Tf32,
    /// Factors and results rounded to 7 bits: bfloat16.
    Bf16,
}

/// What each round cuts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Prune")]
pub struct PruneConfig {
    /// What makes a weight worth keeping.
    #[serde(default)]
    pub criterion: Criterion,
    /// The weights that the criteria `magnitude_increase`, `movement`, `large_init` and `large_final_same_sign` compare
    /// with (`training_start`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_weights: Option<ReferenceWeights>,
    /// Whether weights compete within their layer or across the network.
    #[serde(default)]
    pub scope: Scope,
    /// Fraction of the remaining weights that a round cuts.
    #[serde(default)]
    pub rate: RateConfig,
    /// Only these are pruned: layers (`linear2`), kinds (`conv`), or patterns of layer names (`block3.*`; `*` stands for any
    /// letters, `?` for one). Without it, all are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Of those, layers, kinds (`output`) or patterns that are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// What makes a weight worth keeping; the lowest scores are pruned first (Zhou et al. 2019, section 3, for all but the
/// first). Ties are broken at random, by a random stream of the criterion's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Its magnitude at the end of training (the paper).
    #[default]
    Magnitude,
    /// How much its magnitude has grown in training, from the reference weights on.
    MagnitudeIncrease,
    /// How far it has moved in training, from the reference weights on. (The criterion of Zhou et al.; Sanh et al. 2020 call
    /// another one "movement pruning".)
    Movement,
    /// Nothing: a uniformly random number.
    Random,
    /// The magnitude of the reference weight.
    LargeInit,
    /// The smallness of its magnitude at the end of training.
    SmallFinal,
    /// Its magnitude at the end of training; 0 where its sign is not that of the reference weight.
    LargeFinalSameSign,
}

/// The weights that a criterion compares trained weights with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceWeights {
    /// Those that the pruned training run started from: the rewind point; with `weights = "final"` the trained weights of
    /// the round before.
    #[default]
    TrainingStart,
    /// Those of iteration 0 of the replicate, wherever the training run started.
    Initial,
}

/// Where weights compete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Within their layer.
    #[default]
    Layerwise,
    /// Across all layers that are not excluded.
    Global,
}

/// Fractions of the remaining weights that a round cuts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rate")]
pub struct RateConfig {
    /// With scope `global`: of all included weights together (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<f64>,
    /// Of convolutions (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conv: Option<f64>,
    /// Of convolutions on shortcuts (that of `conv`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortcut: Option<f64>,
    /// Of linear layers (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linear: Option<f64>,
    /// Of the output layer (half of `linear`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<f64>,
    /// Of single layers by name; beats the kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, f64>,
}

/// The arms in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arms(pub Vec<(String, Arm)>);

/// One arm: where the mask comes from, and where the weights come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Arm {
    /// Where the mask comes from.
    pub mask: MaskSource,
    /// Where the weights come from.
    pub weights: WeightSource,
    /// With `rewind`: back to the dense network after so many iterations (`500it`) or epochs (`2ep`); without it, to the
    /// initial values. Learning rate and data go on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewind_to: Option<TrainingTime>,
    /// With `rewind_to`: what becomes of the optimizer's moments (`restore`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewind_moments: Option<RewindOptimizerState>,
    /// With `final`: where learning rate and data go on from (`0it`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr_from: Option<TrainingTime>,
    /// With `noise`: how much, in standard deviations of the layer's initial weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
    /// Draws of this arm inside a replicate.
    #[serde(default = "one")]
    pub repeats: u32,
    /// Only these rounds; not for an arm that prunes its own previous round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<u32>>,
    /// Only rounds that are a multiple of this; not for an arm that prunes its own previous round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<u32>,
}

/// Where an arm's mask comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MaskFrom")]
pub enum MaskSource {
    /// All ones; such an arm has round 0 only.
    Dense,
    /// The arm's own previous round, pruned; round 1 prunes the dense network.
    Iterative,
    /// The mask of the named arm, same replicate and round.
    Of(String),
    /// Uniformly random, with the named arm's count in every layer.
    Random(String),
    /// The trained dense network, pruned straight to a size.
    OneShot(TargetSize),
    /// The untrained network, pruned by the magnitude of its initial weights.
    MagnitudeAtInit(TargetSize),
}

/// How much a mask keeps that is not pruned round by round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Size")]
pub enum TargetSize {
    /// As much as the named arm at the same round.
    Like(String),
    /// A grid of its own, one round per entry: the fraction that the layers with the largest rate lose; the others lose
    /// in proportion to their rates.
    Cut(Vec<f64>),
}

/// Where an arm's weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "WeightsFrom")]
pub enum WeightSource {
    /// The replicate's initial values θ₀, or those of the dense network at `rewind_to`.
    Rewind,
    /// A fresh draw from the distribution of θ₀.
    Reinit,
    /// The kept initial values, permuted within each layer.
    Shuffle,
    /// The standard deviation of the layer's initial weights, with the sign of each initial value.
    ConstantSign,
    /// The trained weights that the mask was cut from: training goes on (fine-tuning).
    Final,
    /// The initial values with normal noise added.
    Noise,
}

/// What becomes of the optimizer's moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Moments")]
pub enum RewindOptimizerState {
    /// As they were.
    #[default]
    Restore,
    /// Zero, as at the start of a training.
    Reset,
}

/// What the report says of the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reporting")]
pub struct ReportConfig {
    /// The least loss of test accuracy that matters, in percentage points: a ticket loses less than that.
    #[serde(default = "tenth")]
    pub margin: f64,
    /// Iterations whose test accuracy has a figure and a column of its own, such as `[10_000, 20_000, 30_000]`: deep
    /// networks are compared there and not at the early stop. Each is a multiple of `train.evaluate_every`, or the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<u64>,
}

/// How the work is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Run")]
pub struct RunConfig {
    /// The device: `cpu`, `cuda`, `cuda:1`, or `auto` for CUDA where it can be had. CUDA is never replaced by the processor in
    /// silence.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Trainings, or groups of them, at a time: a number, or `auto` for one per core, and on a GPU one. While fewer can go
    /// on, those of the sparse trainer use the cores that are free.
    #[serde(default)]
    pub workers: CountOrAuto,
    /// Networks that a trainer trains in lockstep: a number up to 1024, or `auto` for 1 on the processor and 16 on a GPU.
    /// With more than 1 the dense trainer takes every training.
    #[serde(default)]
    pub lanes: CountOrAuto,
    /// The trainer of the networks; each training's own is in the plan, in its key and in every row.
    #[serde(default)]
    pub engine: EngineChoice,
    /// Which final weights are kept.
    #[serde(default)]
    pub keep: KeepWeights,
}

/// Which final weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Keep")]
pub enum KeepWeights {
    /// Those of the dense networks and of the last round of every chain; those in between until their children are
    /// done.
    #[default]
    Needed,
    /// Those of the dense networks and of every round of every chain.
    Tickets,
    /// Those of every training.
    All,
}

/// A trainer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Engine")]
pub enum EngineChoice {
    /// For each training the trainer whose step is estimated to cost less, from the network's shapes, the weights that
    /// are left and the batch size: the same on every machine.
    #[default]
    Auto,
    /// `LibTorch`: all weights stored and multiplied, the mask applied.
    Dense,
    /// Only the weights that are left are stored, multiplied and updated; on the processor, with `dtype = "float32"`.
    Sparse,
}

fn one() -> u32 {
    1
}

fn first_seed() -> u64 {
    1
}

fn hundred() -> u64 {
    100
}

fn five_thousand() -> u32 {
    5000
}

fn tenth() -> f64 {
    0.1
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_no_shift(first_label: &u32) -> bool {
    *first_label == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_off(option: &bool) -> bool {
    !*option
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { margin: tenth(), checkpoints: Vec::new() }
    }
}

impl JsonSchema for Arms {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Arms".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <BTreeMap<String, Arm>>::json_schema(generator)
    }
}

impl Serialize for Arms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, arm) in &self.0 {
            map.serialize_entry(name, arm)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Arms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArmsVisitor;
        impl<'de> Visitor<'de> for ArmsVisitor {
            type Value = Arms;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of arms")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Arms, M::Error> {
                let mut arms = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    arms.push(entry);
                }
                Ok(Arms(arms))
            }
        }
        deserializer.deserialize_map(ArmsVisitor)
    }
}
