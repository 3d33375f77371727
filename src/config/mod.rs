//! Text in, [`Experiment`] out: TOML or JSON with `--set` on top, every mistake with its place. Plain data; the meaning of
//! the values is decided in the layers that use them.
//!
//! A configuration is read in four steps; `read.rs` runs steps 2 to 4.
//!
//! 1. `parse.rs`: text and overrides to a [`ConfigDocument`], which has the values and their origins.
//! 2. `deserialize.rs`: values to the keys of an experiment, flat as they are written.
//! 3. The files of the sections (`data.rs`, `network.rs`, `train.rs`, …): fields, defaults and checks of each section.
//! 4. `experiment.rs`: keys to an [`Experiment`], in which options that exclude each other are enums.
//!
//! A third of the layer serves the messages about mistakes: see `mistakes/mod.rs`.

// Step 1: text to values with their origins.
mod document;
mod dotted_keys;
mod early_bird;
mod encoding;
mod json_values;
mod nesting;
mod parse;
mod renamed_keys;
mod set;
mod toml_values;
mod unset;
mod value_path;

// Steps 2 and 4: values to keys, keys to an experiment.
mod deserialize;
mod experiment;
mod read;

// Step 3: the sections and the types of their values.
mod architecture;
mod allocation;
mod arms;
mod at_init;
mod checker;
mod count_or_auto;
mod data;
mod device;
mod layer_spec;
mod lr_schedule;
mod mask_source;
mod mask_updates;
mod network;
mod optimizer;
mod prune;
mod report;
mod run;
mod scalar;
mod score_images;
mod snapshot_interval;
mod source_file;
mod train;
mod training_length;
mod training_time;
mod weight_source;

// Several experiments in one configuration.
mod sweep;

// Mistakes, and names that other programs would misread.
mod mistakes;
mod name_check;

// The experiment as text, and the description of all keys.
mod effective;
mod key_paths;
mod output_reference;
mod reference;
mod schema;

#[cfg(test)]
pub mod test_support;

pub use allocation::Allocation;
pub use architecture::Architecture;
pub use arms::{Arm, Arms, DENSE_ARM};
pub use at_init::{AtInit, AtInitMethod, ScoreBatchNorm, Scoring};
pub use count_or_auto::CountOrAuto;
pub use data::{Augment, DataConfig, DatasetSpec, Normalize};
pub use device::DeviceChoice;
pub use document::{ConfigDocument, Origin, Override};
pub use early_bird::{EarlyBird, MaskDistance};
pub use effective::{ResolvedValue, to_json, to_toml};
pub use encoding::{STDIN, decode, read_bytes};
pub use experiment::Experiment;
pub use key_paths::{KeyPath, key_paths};
pub use layer_spec::LayerSpec;
pub use lr_schedule::{LrScheduleConfig, LrScheduleKind};
pub use mask_source::{MaskSource, TargetSize};
pub use mask_updates::{DropDecay, GradualPruning, Growth, MaskLearning, MaskUpdates, Regrowth, Supermask};
pub use mistakes::diagnostic::{Diagnostic, DiagnosticKind};
pub use mistakes::render::UsageError;
pub use mistakes::suggest::closest_match;
pub use name_check::check_names;
pub use network::{NamedNetwork, NetworkConfig, NetworkStructure, WeightInit};
pub use optimizer::{OptimizerConfig, OptimizerKind};
pub use output_reference::object_reference_markdown;
pub use prune::{Criterion, PruneConfig, RateConfig, ReferenceWeights, Scope};
pub use read::read;
pub use reference::key_reference_markdown;
pub use report::{PublishedSet, ReportConfig};
pub use run::{EngineChoice, KeepWeights, MAX_LANES, RunConfig};
pub use schema::schema;
pub use score_images::ScoreImages;
pub use snapshot_interval::SnapshotInterval;
pub use source_file::{FileTensors, FileWeights, SourceFile};
pub use sweep::{SWEEP, Sweep, SweepAxis};
pub use train::{Dtype, MatmulPrecision, TrainConfig};
pub use training_time::TrainingTime;
pub use value_path::for_each_leaf;
pub use weight_source::{RewindOptimizerState, RewindTarget, WeightSource};
