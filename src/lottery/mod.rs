//! The algorithm: an experiment becomes a plan, and each training of the plan a mask with weights to start from.
//! Plain values; knows no file and no thread, and of engines which one a training takes.

mod arms;
mod audit;
mod check;
mod groups;
mod plan;
mod prepare;
mod profile;
mod setting;
mod sketch;
#[cfg(test)]
mod tests;
mod training;
mod weights;

pub use audit::{AuditError, audit_end, audit_start};
pub use check::validate_arms;
pub use groups::{LockstepGroup, lockstep_groups};
pub use plan::{DENSE, Plan};
pub use prepare::{ArtifactSource, PrepareContext, all_ones, prepare};
pub use profile::weight_stats;
pub use setting::ResolvedExperiment;
pub use training::{Dependency, MaskRule, RewindPoint, StartRule, TrainingSpec};
