//! The algorithm: an experiment becomes a plan, and each training run of the plan gets a mask and weights to start from. Plain
//! values, independent of files and threads.
//!
//! The entry point is [`Study::resolve`].
//!
//! # The forms of an arm
//!
//! An arm has another form at each step from the configuration file to the report:
//!
//! | form | file | contents |
//! | --- | --- | --- |
//! | `ArmKeys` | `config/arms.rs` | the keys of `[arms.NAME]` as text |
//! | [`Arm`](crate::config::Arm) | `config/arms.rs` | a [`MaskSource`](crate::config::MaskSource) and a [`WeightSource`](crate::config::WeightSource), which may name other arms; combinations of keys are checked |
//! | `ValidArms` | `lottery/validate_arms.rs` | the indices of the arms, each after the one it refers to; references between arms are checked |
//! | `ResolvedArm` | `lottery/plan_builder.rs` | an arm with the index of the arm it refers to, its rounds, its counts of weights and its iterations |
//! | [`MaskRule`], [`StartRule`] | `lottery/rules.rs` | the rules of one training run of the arm (one replicate, repeat and round), which name other training runs by key |
//! | `ArmRole` | `report/roles.rs` | whether the arm is a ticket, and else the arm whose mask it takes |
//!
//! # Reference weights
//!
//! Some criteria score a weight by its trained value and by an earlier value of it, its reference weight (see
//! [`Criterion::needs_reference_weights`](crate::config::Criterion::needs_reference_weights)). By `prune.reference_weights` the
//! earlier weights are θ₀ of the replicate, or those that the pruned training run started from (the default). In the plan, a
//! [`ReferencePoint`] names them.
//!
//! For example, the arm `tuned` has `mask = "iterative"` and `weights = "final"`, and the criterion is `movement`, which is
//! |trained − reference|. Each round starts from the final weights of the round before:
//!
//! | round | starts from | prunes the mask of | trained weights | reference weights | [`ReferencePoint`] |
//! | --- | --- | --- | --- | --- | --- |
//! | 1 | final weights of the dense network | the dense network | its final weights | θ₀, which it started from | `Initial` |
//! | 2 | final weights of round 1 | round 1 | its final weights | final weights of the dense network, under the mask of round 1 | `TrainingStart`: round 1, `Final` of the dense network |
//! | 3 | final weights of round 2 | round 2 | its final weights | final weights of round 1, under the mask of round 2 | `TrainingStart`: round 2, `Final` of round 1 |
//!
//! Round 3 thus depends on the final weights of two training runs ([`TrainingSpec::dependencies`]). If round 3 is added after round
//! 2 has been trained, the final weights of round 1 must still be in the store: [`TrainingSpec::reference_of_next_round`] and
//! [`Lineage::compares_with`] of round 2 are round 1, so that garbage collection keeps them. In the key of a mask,
//! `reference_weights` stands only for `TrainingStart`; the key of the pruned training run determines the weights it started from.

mod arm_graph;
mod audit;
mod lineage;
mod lockstep;
mod plan;
mod plan_builder;
mod prepare;
mod resolved;
mod rules;
mod study;
mod surroundings;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod training;
mod transform;
mod validate_arms;
mod weight_measure;
mod weight_stats;

pub use audit::{AuditError, audit_end, audit_start};
pub use lineage::Lineage;
pub use lockstep::{LockstepGroup, lockstep_groups};
pub use plan::{DENSE, Plan};
pub use prepare::{ArtifactSource, PrepareContext, all_ones, prepare};
pub use resolved::ResolvedExperiment;
pub use rules::{Dependency, MaskRule, ReferencePoint, RewindPoint, StartRule};
pub use study::Study;
pub use surroundings::Surroundings;
pub use training::TrainingSpec;
pub use weight_measure::WeightMeasure;
pub use weight_stats::{LayerWeightStats, RANKS, WeightStats, weight_stats};
