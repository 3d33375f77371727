//! An experiment: the sections of a configuration together, as they are written and as they are used.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::allocation::Allocation;
use super::arms::{ArmKeys, Arms};
use super::checker::Checker;
use super::data::DataConfig;
use super::mask_source::MaskSource;
use super::mistakes::diagnostic::Diagnostic;
use super::network::{NetworkConfig, NetworkKeys};
use super::prune::PruneConfig;
use super::report::ReportConfig;
use super::run::RunConfig;
use super::source_file::SourceFile;
use super::train::{TrainConfig, TrainKeys};
use super::weight_source::WeightSource;

/// Upper bound of the number of training runs; above it memory would be exhausted.
const MAX_TRAININGS: u64 = 1_000_000;
/// Upper bound of `rounds`. Arbitrary, far above practical values.
const MAX_ROUNDS: u32 = 1000;
/// Largest length of a name in bytes. A run has the folder `<name>-<8 digits>`, and `.old-<n>` is appended to it when
/// it is archived; a file name may have 255 bytes, so that the limit leaves more space than these need.
pub(super) const MAX_NAME_LENGTH: usize = 100;

/// One experiment: checked, with every default filled in. Written with the keys of a configuration.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experiment {
    /// Name of the run's folder and of the `experiment` column; lower-case letters, digits, `_` and `-`.
    pub name: String,
    /// Seed that all random numbers derive from.
    pub seed: u64,
    /// Independent repetitions of the whole experiment, at least 1.
    pub replicates: u32,
    /// Rounds of pruning; round 0 is the dense network.
    pub rounds: u32,
    /// The data set, its splits and its preprocessing.
    pub data: DataConfig,
    /// The network and its initialization.
    pub network: NetworkConfig,
    /// The training of one network.
    pub train: TrainConfig,
    /// Pruning criterion, scope and rate.
    pub prune: PruneConfig,
    /// The compared arms, in the order of the file.
    pub arms: Arms,
    /// Settings of the report.
    pub report: ReportConfig,
    /// Device, parallelism, engine and stored weights.
    pub run: RunConfig,
}

/// One experiment.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Experiment")]
pub(super) struct ExperimentKeys {
    /// Name of the run's folder and of the `experiment` column; lower-case letters, digits, `_` and `-`.
    name: String,
    /// Seed that all random numbers derive from.
    #[serde(default = "default_seed")]
    seed: u64,
    /// Independent repetitions of the whole experiment, each with its own initial weights and data order.
    #[serde(default = "default_replicates")]
    replicates: u32,
    /// Rounds of pruning; round 0 is the dense network.
    rounds: u32,
    /// The data set, its splits and its preprocessing.
    pub(super) data: DataConfig,
    /// The network and its initialization.
    network: NetworkKeys,
    /// The training of one network: length, batches, optimizer, learning rate, arithmetic.
    train: TrainKeys,
    /// Pruning criterion, scope and rate.
    #[serde(default)]
    prune: PruneConfig,
    /// The compared arms by name: each combines a source of masks with a source of initial weights.
    #[serde(default)]
    arms: Arms<ArmKeys>,
    /// Settings of the report. They change no training run.
    #[serde(default)]
    report: ReportConfig,
    /// Device, parallelism, engine and stored weights. No result depends on them, except on `device`, `engine` and, in the
    /// last digits, on `lanes`.
    #[serde(default)]
    run: RunConfig,
    /// Axes of a sweep: settings by their paths, each with a list of values, such as
    /// `"prune.rate.linear" = [0.1, 0.2, 0.4]`. Each combination of values is an experiment of its own; with `zip = true`
    /// the first values of all axes make the first experiment, the second ones the second, and so on.
    #[serde(default)]
    sweep: Map<String, Value>,
}

impl Experiment {
    /// Returns the files that the dense networks and the arms take masks and weights from.
    pub fn source_files_mut(&mut self) -> Vec<&mut SourceFile> {
        let mut files = Vec::new();
        files.extend(self.network.pretrained.as_mut().map(|weights| &mut weights.file));
        for (_, arm) in &mut self.arms.0 {
            if let MaskSource::File(file) = &mut arm.mask {
                files.push(file);
            }
            if let WeightSource::File(weights) = &mut arm.weights {
                files.push(&mut weights.file);
            }
        }
        files
    }

    /// Returns the paths of the files with layer allocations of the arms.
    pub fn allocation_files_mut(&mut self) -> Vec<&mut PathBuf> {
        let mut files = Vec::new();
        for (_, arm) in &mut self.arms.0 {
            if let Some(Allocation::File(path)) = &mut arm.allocation {
                files.push(path);
            }
        }
        files
    }
}

impl ExperimentKeys {
    /// Returns every mistake that can be found before the network and the data are known: values out of range, keys that
    /// belong to another choice, and keys that are missing.
    pub(super) fn validate(&self) -> Vec<Diagnostic> {
        let mut checker = Checker::default();
        self.check_values(&mut checker);
        self.data.check_values(&mut checker);
        self.train.check_values(&mut checker);
        self.run.check_values(&mut checker);
        self.report.check_margins(&mut checker);
        self.network.check_values(&mut checker);
        self.train.check_combinations(&mut checker);
        self.network.check_combinations(&mut checker);
        self.data.check_combinations(&mut checker);
        self.prune.check_combinations(&mut checker);
        self.train.check_schedule(&mut checker);
        self.prune.check_rates(&mut checker);
        self.arms.check(&mut checker);
        // The number of iterations of a length in epochs depends on the data.
        if let Some(iterations) = self.train.iterations.in_iterations() {
            self.report.check_checkpoints(self.train.evaluate_every, iterations, &mut checker);
        }
        checker.into_diagnostics()
    }

    /// Checks the keys above the first section.
    fn check_values(&self, checker: &mut Checker) {
        let is_name_character = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        let is_name = !self.name.is_empty() && self.name.chars().all(is_name_character);
        checker.require("name", is_name, "must be made of small letters, digits, `_` and `-`");
        let is_short = self.name.len() <= MAX_NAME_LENGTH;
        let hint = "`lth run` and `lth plan` take sweeps; `--unset sweep` leaves one experiment";
        checker.require("sweep", self.sweep.is_empty(), &format!("is not possible here: {hint}"));
        checker.require("name", is_short, "must not be longer than 100 letters");
        checker.require("replicates", self.replicates > 0, "must be at least 1");
        let trainings = self.arms.max_trainings(self.rounds).saturating_mul(u64::from(self.replicates));
        let message = "times repeats times rounds gives more than a million training runs";
        checker.require("replicates", trainings <= MAX_TRAININGS, message);
        checker.require("rounds", self.rounds <= MAX_ROUNDS, "must be at most 1000");
    }

    /// Returns the experiment with every default filled in, also those that depend on another value, so that what is
    /// recorded is what was used. Keys must have been validated: a key that belongs to another choice is dropped.
    ///
    /// # Errors
    /// Fails if a key that the value of another key requires is missing.
    pub(super) fn resolve(self) -> Result<Experiment, Diagnostic> {
        let Self { mut data, mut prune, .. } = self;
        let network = self.network.resolve()?;
        data.resolve();
        prune.resolve(&network);
        Ok(Experiment {
            name: self.name,
            seed: self.seed,
            replicates: self.replicates,
            rounds: self.rounds,
            data,
            network,
            train: self.train.resolve()?,
            prune,
            arms: self.arms.resolve()?,
            report: self.report,
            run: self.run,
        })
    }
}

fn default_seed() -> u64 {
    1
}

fn default_replicates() -> u32 {
    1
}
