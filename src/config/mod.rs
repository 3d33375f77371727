//! Text in, [`Experiment`] out: TOML or JSON with `--set` on top, every mistake with its place. Plain data; what the
//! values mean is decided in the rooms that use them.

mod count_or_auto;
mod checkpoints;
mod device;
mod document;
mod encoding;
mod experiment;
mod serde_errors;
mod folders;
mod labels;
mod syntax_fix;
mod names;
mod network;
mod diagnostic;
mod proposal;
mod read;
mod reference;
mod repair;
mod effective;
mod rules;
mod schedule;
mod schema;
mod set;
mod training_time;
mod syntax;
mod walk;

pub use count_or_auto::CountOrAuto;
pub use device::DeviceChoice;
pub use diagnostic::{Diagnostic, UsageError, closest_match};
pub use document::{ConfigDocument, Origin};
pub use effective::{flatten, to_json, to_toml};
pub use encoding::{STDIN, decode};
pub use experiment::{
    Arm, Arms, Augment, Criterion, DataConfig, DatasetSpec, Dtype, EngineChoice, Experiment, KeepWeights, MaskSource,
    MatmulPrecision, Normalize, OptimizerConfig, PruneConfig, RateConfig, ReferenceWeights, ReportConfig,
    RewindOptimizerState, RunConfig, ScheduleConfig, Scope, TargetSize, TrainConfig, WeightSource,
};
pub use labels::check_names;
pub use network::{Architecture, LayerSpec, NetworkConfig, WeightInit};
pub use read::read;
pub use reference::reference;
pub use schema::schema;
pub use training_time::TrainingTime;
