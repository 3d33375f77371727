//! Text in, [`Experiment`] out: TOML or JSON with `--set` on top, every mistake with its place. Plain data; what the
//! values mean is decided in the rooms that use them.

mod count;
mod checkpoints;
mod device;
mod document;
mod encoding;
mod experiment;
mod explain;
mod folders;
mod labels;
mod mend;
mod names;
mod network;
mod problem;
mod proposal;
mod read;
mod reference;
mod repair;
mod resolved;
mod rules;
mod schedule;
mod schema;
mod set;
mod step;
mod syntax;
mod walk;

pub use count::CountOrAuto;
pub use device::DeviceChoice;
pub use document::{ConfigDocument, Origin};
pub use encoding::{STDIN, decode};
pub use experiment::{
    Arm, Arms, Augment, Criterion, DataConfig, DatasetSpec, Dtype, EngineChoice, Experiment, KeepWeights, MaskSource,
    MatmulPrecision, Normalize, OptimizerConfig, PruneConfig, RateConfig, ReferenceWeights, ReportConfig,
    RewindOptimizerState, RunConfig, ScheduleConfig, Scope, TargetSize, TrainConfig, WeightSource,
};
pub use labels::check_names;
pub use network::{Architecture, LayerSpec, NetworkConfig, WeightInit};
pub use problem::{Diagnostic, UsageError, closest_match};
pub use read::read;
pub use reference::reference;
pub use resolved::{flatten, to_json, to_toml};
pub use schema::schema;
pub use step::TrainingTime;
