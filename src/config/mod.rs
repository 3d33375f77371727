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

pub use count::Count;
pub use device::Device;
pub use document::{Document, Origin};
pub use encoding::{STDIN, decode};
pub use experiment::{
    Arm, Arms, Augment, Criterion, Data, Dataset, Dtype, Engine, Experiment, Keep, MaskFrom, Moments, Normalize,
    Optimizer, Products, Prune, Rate, ReferenceWeights, Reporting, Run, Schedule, Scope, Size, Train, WeightsFrom,
};
pub use labels::check_names;
pub use network::{Architecture, Init, LayerSpec, Network};
pub use problem::{Problem, Report, nearest};
pub use read::read;
pub use reference::reference;
pub use resolved::{flatten, to_json, to_toml};
pub use schema::schema;
pub use step::Step;
