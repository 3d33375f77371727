//! The algorithm: an experiment becomes a plan, and each training run of the plan gets a mask and weights to start from. Plain
//! values: knows no file and no thread.
//!
//! The entry point is [`Study::resolve`].

mod arm_graph;
mod audit;
mod lineage;
mod lockstep;
mod plan;
mod plan_builder;
mod prepare;
mod reinit;
mod resolved;
mod study;
mod surroundings;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod training;
mod validate_arms;
mod weight_measure;
mod weight_stats;

pub use audit::{AuditError, audit_end, audit_start};
pub use lineage::Lineage;
pub use lockstep::{LockstepGroup, lockstep_groups};
pub use plan::{DENSE, Plan};
pub use prepare::{ArtifactSource, PrepareContext, all_ones, prepare};
pub use resolved::ResolvedExperiment;
pub use study::Study;
pub use surroundings::Surroundings;
pub use training::{Dependency, MaskRule, RewindPoint, StartRule, TrainingSpec};
pub use weight_measure::WeightMeasure;
pub use weight_stats::{LayerWeightStats, RANKS, WeightStats, weight_stats};
