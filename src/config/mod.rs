//! Text in, [`Experiment`] out: TOML or JSON with `--set` on top, every mistake with its place. Plain data; the meaning of
//! the values is decided in the layers that use them.
//!
//! A configuration is read in four steps:
//!
//! 1. `parse.rs`: text and overrides to a [`ConfigDocument`], which has the values and their origins.
//! 2. `deserialize.rs`: values to the keys of an experiment, flat as they are written.
//! 3. The files of the sections (`data.rs`, `network.rs`, `train.rs`, …): fields, defaults and checks of each section.
//! 4. `experiment.rs`: keys to an [`Experiment`], in which options that exclude each other are enums.

mod architecture;
mod arms;
mod checker;
mod count_or_auto;
mod data;
mod deserialize;
mod device;
mod diagnostic;
mod document;
mod effective;
mod encoding;
mod experiment;
mod json_values;
mod labels;
mod layer_spec;
mod lr_schedule;
mod names;
mod network;
mod optimizer;
mod parse;
mod proposal;
mod prune;
mod read;
mod reference;
mod render;
mod repair;
mod report;
mod run;
mod scalar;
mod schema;
mod serde_errors;
mod set;
mod suggest;
mod syntax;
mod syntax_fix;
#[cfg(test)]
pub mod test_support;
mod toml_values;
mod train;
mod training_time;
mod walk;

pub use architecture::Architecture;
pub use arms::{Arm, Arms, MaskSource, RewindOptimizerState, RewindTarget, TargetSize, WeightSource};
pub use count_or_auto::CountOrAuto;
pub use data::{Augment, DataConfig, DatasetSpec, Normalize};
pub use device::DeviceChoice;
pub use diagnostic::{Diagnostic, DiagnosticKind};
pub use document::{ConfigDocument, Origin};
pub use effective::{flatten, to_json, to_toml};
pub use encoding::{STDIN, decode};
pub use experiment::Experiment;
pub use labels::check_names;
pub use layer_spec::LayerSpec;
pub use lr_schedule::{LrScheduleConfig, LrScheduleKind};
pub use network::{NamedNetwork, NetworkConfig, NetworkStructure, WeightInit};
pub use optimizer::{OptimizerConfig, OptimizerKind};
pub use prune::{Criterion, PruneConfig, RateConfig, ReferenceWeights, Scope};
pub use read::read;
pub use reference::reference;
pub use render::UsageError;
pub use report::ReportConfig;
pub use run::{EngineChoice, KeepWeights, RunConfig};
pub use schema::schema;
pub use suggest::closest_match;
pub use train::{Dtype, MatmulPrecision, TrainConfig};
pub use training_time::TrainingTime;
