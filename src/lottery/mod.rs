//! The algorithm: an experiment becomes a plan, and each training run of the plan gets a mask and weights to start
//! from. Plain values, independent of files and threads.
//!
//! The entry point is [`Study::resolve`].
//!
//! # The forms of an arm
//!
//! From the configuration file to the report, an arm takes these forms:
//!
//! | form | file | contents |
//! | --- | --- | --- |
//! | `ArmKeys` | `config/arms.rs` | the keys of `[arms.NAME]` as they are written |
//! | [`Arm`] | `config/arms.rs` | a [`MaskSource`] and a [`WeightSource`]; combinations of keys are checked |
//! | `ValidArms` | `validate_arms.rs` | indices of arms, each after the one it refers to; references are checked |
//! | `ResolvedArm` | `plan_builder.rs` | adds the index of the arm it refers to, rounds, counts of weights, iterations |
//! | [`MaskRule`], [`StartRule`] | `rules.rs` | rules of each training run of the arm, which name others by key |
//! | [`MaskUpdateRule`] | `update_rule.rs` | how its mask changes during training, with all times in iterations |
//! | `ArmRole` | `report/roles.rs` | whether the arm is a ticket; of a control, the arm whose mask it takes |
//!
//! # Reference weights
//!
//! Some criteria score a weight by its trained value and by an earlier value of it, its reference weight (see
//! [`Criterion::needs_reference_weights`]). The trained weights are the final weights of the training run that is
//! pruned. The reference weights are, by `prune.reference_weights`, those that this training run started from (the
//! default), or θ₀. In the plan, a [`ReferencePoint`] names them.
//!
//! For example, let the criterion be `movement`, which is |trained − reference|, and let an arm have
//! `mask = "iterative"` and `weights = "final"`: each round prunes the round before, and starts from its final weights.
//!
//! | round | prunes, and starts from | reference weights: the start of the pruned training run | [`ReferencePoint`] |
//! | --- | --- | --- | --- |
//! | 1 | the dense network | θ₀ | `Initial` |
//! | 2 | round 1 | final weights of the dense network | `TrainingStart` of round 1 |
//! | 3 | round 2 | final weights of round 1 | `TrainingStart` of round 2 |
//!
//! Round 3 thus depends on the final weights of two training runs, rounds 1 and 2 ([`TrainingSpec::dependencies`]). If
//! round 3 is added after the run of rounds 1 and 2 has ended, the final weights of round 1 must still be in the store.
//! Therefore [`TrainingSpec::reference_of_next_round`] and [`Lineage::compares_with`] of round 2 are round 1, and
//! garbage collection keeps its weights. The key of a mask contains `reference_weights` only with `TrainingStart`; the
//! weights themselves follow from the key of the training run that is pruned.
//!
//! [`Arm`]: crate::config::Arm
//! [`MaskSource`]: crate::config::MaskSource
//! [`WeightSource`]: crate::config::WeightSource
//! [`Criterion::needs_reference_weights`]: crate::config::Criterion::needs_reference_weights

mod allocation_files;
mod arm_counts;
mod arm_graph;
mod at_init;
mod audit;
mod audit_updates;
mod early_bird;
mod initial_scores;
mod lineage;
mod lockstep;
mod plan;
mod plan_builder;
mod plan_checks;
mod prepare;
mod resolved;
mod rules;
mod score_images;
mod search_cost;
mod source_files;
mod study;
mod surroundings;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod training;
mod transform;
mod update_rule;
mod validate_arms;
mod weight_measure;
mod weight_stats;

pub use allocation_files::{AllocationBytes, allocation_file_paths};
pub use at_init::{ScoredNetwork, Untrained, at_init_mask, at_init_scores, empty_layers};
pub use audit::{AuditError, audit_end, audit_initial, audit_mask, audit_start, audit_stored_start};
pub use audit_updates::{audit_learned_weights, audit_update, audit_updated_masks};
pub use early_bird::EarlyBirdRule;
pub use lineage::Lineage;
pub use lockstep::{LockstepGroup, lockstep_groups};
pub use plan::{DENSE, Plan};
pub use prepare::{
    ArtifactSource, PrepareContext, Prepared, all_ones, prepare, prepare_start, prepare_updates, unmasked_start,
    update_stream,
};
pub use resolved::ResolvedExperiment;
pub use rules::{Dependency, MaskRule, ReferencePoint, RewindPoint, StartRule};
pub use search_cost::{KnownTraining, SearchCost};
pub use source_files::{FileContents, FileUse, FilesByPath, UnusableFile, paths_of_source, source_file_paths};
pub use study::Study;
pub use surroundings::Surroundings;
pub use training::TrainingSpec;
pub use update_rule::{MaskUpdateRule, UpdateKind};
pub use weight_measure::WeightMeasure;
pub use weight_stats::{LayerWeightStats, RANKS, WeightStats, weight_stats};
