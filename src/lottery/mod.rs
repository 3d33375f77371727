//! The algorithm: an experiment becomes a plan, and each training of the plan a mask with weights to start from.
//! Plain values; knows no file and no thread, and of engines which one a training takes.

mod arm_graph;
mod audit;
mod validate_arms;
mod lockstep;
mod plan;
mod prepare;
mod weight_measure;
mod weight_stats;
mod resolved;
mod plan_builder;
#[cfg(test)]
mod tests;
mod training;
mod reinit;

pub use audit::{AuditError, audit_end, audit_start};
pub use lockstep::{LockstepGroup, lockstep_groups};
pub use plan::{DENSE, Plan};
pub use prepare::{ArtifactSource, PrepareContext, all_ones, prepare};
pub use resolved::ResolvedExperiment;
pub use training::{Dependency, MaskRule, RewindPoint, StartRule, TrainingSpec};
pub use validate_arms::validate_arms;
pub use weight_measure::WeightMeasure;
pub use weight_stats::{LayerWeightStats, RANKS, WeightStats, weight_stats};
