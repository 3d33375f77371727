//! `[train]`: the training of one network, with the optimizer and the learning-rate schedule of their own files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::{Checker, is_below_one, is_positive};
use super::lr_schedule::{LrScheduleConfig, LrScheduleKeys, LrScheduleKind};
use super::mistakes::diagnostic::Diagnostic;
use super::optimizer::{OptimizerConfig, OptimizerKeys, OptimizerKind};
use super::training_length::TrainingLength;
use super::training_time::TrainingTime;

/// Upper bound of `iterations`; above it counters would overflow.
const MAX_ITERATIONS: u64 = 1_000_000_000_000;

/// The training of one network: length, batches, optimizer, learning rate, arithmetic. Written as the flat keys of
/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "TrainKeys")]
pub struct TrainConfig {
    /// Optimizer steps of each training run, less those of `epochs`.
    pub iterations: u64,
    /// Epochs of each training run. They become iterations when the experiment is resolved, and this number then is 0:
    /// before, the number of iterations in an epoch is not known.
    pub epochs: u64,
    /// Images per step.
    pub batch_size: u32,
    /// Steps between evaluations; the last step is always evaluated.
    pub evaluate_every: u64,
    /// The optimizer with its hyper-parameters.
    pub optimizer: OptimizerConfig,
    /// Learning rate, before `lr_schedule` and `warmup`.
    pub lr: f64,
    /// The learning-rate schedule with its parameters.
    pub lr_schedule: LrScheduleConfig,
    /// Length of the linear warm-up of the learning rate, above 0; `None` for no warm-up.
    pub warmup: Option<TrainingTime>,
    /// Weight decay λ, at least 0, on weights and biases.
    pub weight_decay: f64,
    /// Largest Euclidean norm of the gradient, above 0; `None` for no clipping.
    pub clip_norm: Option<f64>,
    /// Share of the target that is spread evenly over all classes, in [0, 1).
    pub label_smoothing: f64,
    /// Whether the last, smaller batch of an epoch is dropped.
    pub drop_last: bool,
    /// Floating-point type of the arithmetic.
    pub dtype: Dtype,
    /// Precision of convolutions and matrix multiplications on a GPU.
    pub matmul_precision: MatmulPrecision,
}

/// Training of each network: length, batches, optimizer, learning rate, arithmetic.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Train")]
pub(super) struct TrainKeys {
    /// Length of each training run: a number of optimizer steps, or a time in epochs such as `"20ep"`.
    pub(super) iterations: TrainingLength,
    /// Images per step.
    batch_size: u32,
    /// Steps between evaluations; the last step is always evaluated.
    #[serde(default = "default_evaluate_every")]
    pub(super) evaluate_every: u64,
    /// The optimizer.
    optimizer: OptimizerKind,
    /// Learning rate, before `schedule` and `warmup`.
    lr: f64,
    /// Schedule of the learning rate (`constant`). Iterations are counted absolutely: a training run that starts at
    /// iteration k continues with the learning rate of iteration k.
    #[serde(default, skip_serializing_if = "LrScheduleKind::is_constant")]
    schedule: LrScheduleKind,
    /// With `step`: iterations (`500it`) or epochs (`20ep`) from one step to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    step_every: Option<TrainingTime>,
    /// With `multi_step`: the times of the steps, such as `["20000it", "25000it"]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    milestones: Option<Vec<TrainingTime>>,
    /// With `step` and `multi_step`: factor of the learning rate at each step (0.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gamma: Option<f64>,
    /// With `cosine`: the learning rate after the last iteration (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lr_min: Option<f64>,
    /// Length w of a linear warm-up before any schedule (`0it`): at iteration i < w the schedule's learning rate is
    /// multiplied by i / w.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    warmup: Option<TrainingTime>,
    /// With `adam` and `adamw`: decay rates of the first and second moment ([0.9, 0.999]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    betas: Option<[f64; 2]>,
    /// With `adam` and `adamw`: added to the denominator (1e-8).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eps: Option<f64>,
    /// With `sgd`: momentum (0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    momentum: Option<f64>,
    /// With `sgd` and momentum: Nesterov's form (false).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    /// Weight decay, on weights and biases, as in `PyTorch`: added to the gradient (L2); with `adamw`, `lr` times this
    /// share of each weight is subtracted from it.
    #[serde(default)]
    weight_decay: f64,
    /// Gradient clipping: gradients are scaled down to this Euclidean norm if their norm, over all remaining weights
    /// and all biases together, is larger, as in `PyTorch`'s `clip_grad_norm_`. Without it, gradients are not clipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clip_norm: Option<f64>,
    /// Label smoothing: the share of the target distribution that is spread evenly over all classes in training (0).
    /// Evaluations record the cross-entropy without smoothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    label_smoothing: f64,
    /// Whether the last, smaller batch of an epoch is dropped.
    #[serde(default = "default_drop_last")]
    drop_last: bool,
    /// Floating-point type of the arithmetic; results are stored in float32 either way.
    #[serde(default)]
    dtype: Dtype,
    /// Precision of convolutions and matrix multiplications on a GPU. All other operations are computed in `dtype`.
    #[serde(default, skip_serializing_if = "MatmulPrecision::is_exact")]
    matmul_precision: MatmulPrecision,
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

/// Precision of matrix multiplications and convolutions on a GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MatmulPrecision")]
pub enum MatmulPrecision {
    /// The same as `dtype`.
    #[default]
    Exact,
    /// TF32: inputs rounded to a 10-bit mantissa, accumulation in float32.
    Tf32,
    /// bfloat16: inputs and results rounded to a 7-bit mantissa.
    Bf16,
}

impl MatmulPrecision {
    /// Returns whether products have the precision of all other operations.
    pub fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

impl TrainConfig {
    /// Returns the configuration with every time in iterations. `per_epoch`: iterations in an epoch.
    #[must_use]
    pub fn without_epochs(&self, per_epoch: u64) -> Self {
        Self {
            lr_schedule: self.lr_schedule.without_epochs(per_epoch),
            warmup: self.warmup.map(|warmup| warmup.without_epochs(per_epoch)),
            ..self.with_length_in_iterations(per_epoch)
        }
    }

    /// Returns the configuration with its length in iterations. `per_epoch`: iterations in an epoch.
    #[must_use]
    pub fn with_length_in_iterations(&self, per_epoch: u64) -> Self {
        let iterations = self.epochs.saturating_mul(per_epoch).saturating_add(self.iterations);
        Self { iterations, epochs: 0, ..self.clone() }
    }

    /// Returns the configuration of a training that is `factor` times as long: the learning rate falls as many times
    /// later. Networks are evaluated as often as before.
    #[must_use]
    pub fn stretched(&self, factor: u32) -> Self {
        Self {
            iterations: self.iterations.saturating_mul(u64::from(factor)),
            lr_schedule: self.lr_schedule.stretched(factor),
            warmup: self.warmup.map(|warmup| warmup.times(factor)),
            ..self.clone()
        }
    }
}

impl TrainKeys {
    /// Returns the keys of the optimizer.
    fn optimizer_keys(&self) -> OptimizerKeys {
        OptimizerKeys {
            optimizer: self.optimizer,
            betas: self.betas,
            eps: self.eps,
            momentum: self.momentum,
            nesterov: self.nesterov,
        }
    }

    /// Returns the keys of the learning-rate schedule.
    fn lr_schedule_keys(&self) -> LrScheduleKeys {
        LrScheduleKeys {
            schedule: self.schedule,
            step_every: self.step_every,
            milestones: self.milestones.clone(),
            gamma: self.gamma,
            lr_min: self.lr_min,
        }
    }

    /// Checks the range of every number that does not belong to the schedule.
    pub(super) fn check_values(&self, checker: &mut Checker) {
        let TrainingLength { epochs, iterations } = self.iterations;
        let is_length = epochs.max(iterations) > 0 && epochs.max(iterations) <= MAX_ITERATIONS;
        checker.require("train.iterations", is_length, "must be from 1 to 10^12");
        checker.require("train.batch_size", self.batch_size > 0, "must be at least 1");
        checker.require("train.evaluate_every", self.evaluate_every > 0, "must be at least 1");
        checker.require("train.lr", is_positive(self.lr), "must be above 0");
        checker.require_float32("train.lr", Some(self.lr));
        checker.require("train.weight_decay", self.weight_decay >= 0.0, "must not be below 0");
        self.optimizer_keys().check_adam(checker);
        let is_norm = self.clip_norm.is_none_or(is_positive);
        checker.require("train.clip_norm", is_norm, "must be above 0; leave it out to clip nothing");
        checker.require_float32("train.clip_norm", self.clip_norm);
        let is_share = is_below_one(self.label_smoothing);
        checker.require("train.label_smoothing", is_share, "must be at least 0 and below 1");
        self.optimizer_keys().check_sgd(checker);
    }

    /// Checks that no key belongs to another optimizer or schedule.
    pub(super) fn check_combinations(&self, checker: &mut Checker) {
        self.optimizer_keys().check_combinations(checker);
        self.lr_schedule_keys().check_combinations(checker);
    }

    /// Checks the numbers of the schedule, and that it has the keys it requires.
    pub(super) fn check_schedule(&self, checker: &mut Checker) {
        self.lr_schedule_keys().check_values(self.lr, checker);
    }

    /// Returns the configuration with its defaults filled in. A warm-up of length 0 is dropped.
    ///
    /// # Errors
    /// Fails if a key that the schedule requires is missing.
    pub(super) fn resolve(self) -> Result<TrainConfig, Diagnostic> {
        Ok(TrainConfig {
            optimizer: self.optimizer_keys().resolve(),
            lr_schedule: self.lr_schedule_keys().resolve()?,
            iterations: self.iterations.iterations,
            epochs: self.iterations.epochs,
            batch_size: self.batch_size,
            evaluate_every: self.evaluate_every,
            lr: self.lr,
            warmup: self.warmup.filter(|warmup| warmup.to_iterations(1) > 0),
            weight_decay: self.weight_decay,
            clip_norm: self.clip_norm,
            label_smoothing: self.label_smoothing,
            drop_last: self.drop_last,
            dtype: self.dtype,
            matmul_precision: self.matmul_precision,
        })
    }
}

impl From<TrainConfig> for TrainKeys {
    fn from(config: TrainConfig) -> Self {
        let OptimizerKeys { optimizer, betas, eps, momentum, nesterov } = config.optimizer.into();
        let LrScheduleKeys { schedule, step_every, milestones, gamma, lr_min } = config.lr_schedule.into();
        Self {
            iterations: TrainingLength { epochs: config.epochs, iterations: config.iterations },
            batch_size: config.batch_size,
            evaluate_every: config.evaluate_every,
            optimizer,
            lr: config.lr,
            schedule,
            step_every,
            milestones,
            gamma,
            lr_min,
            warmup: config.warmup,
            betas,
            eps,
            momentum,
            nesterov,
            weight_decay: config.weight_decay,
            clip_norm: config.clip_norm,
            label_smoothing: config.label_smoothing,
            drop_last: config.drop_last,
            dtype: config.dtype,
            matmul_precision: config.matmul_precision,
        }
    }
}

fn default_evaluate_every() -> u64 {
    100
}

fn default_drop_last() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}
