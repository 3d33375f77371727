//! Runs a plan: scheduling, the store, resume, cancellation, failures. Independent of pruning criteria and arms.
//!
//! From the plan to the files: `training_graph` (dependencies between training runs), `jobs` (what is missing in the
//! store), `scheduler` (which group runs next: the most expensive dependency path first), `worker` (runs a group),
//! `progress` (snapshots of what is in progress), `run` (starts
//! the workers and ends the run), `run_files` (the CSV files).
//!
//! Words for a training run on its way through these modules:
//!
//! | word | meaning | type |
//! | --- | --- | --- |
//! | row | a training run of the plan; rows may share a key | [`TrainingSpec`](crate::lottery::TrainingSpec) |
//! | node | a key of the plan, with its dependencies: the rows that share it are one node | `training_graph::Node` |
//! | group | the nodes that one trainer trains in lockstep, each in its lane | `training_graph::Group` |
//! | job | what to do for a node that lacks something in the store | `jobs::Job` |
//! | cluster job | a group as one process of a cluster trains it, with the groups it needs | [`ClusterJob`] |
//! | task | a job that is assigned to a worker, with its lane in the group | `scheduler::Task` |
//! | entry | the folder in the store with the outputs of a node | [`TrainingDir`](crate::system::paths::TrainingDir) |

mod archive;
mod calibration;
mod cluster_jobs;
mod context;
mod cost_model;
mod estimate;
mod events;
mod gc;
mod instability;
mod job_list;
mod jobs;
mod landscape;
mod orphans;
mod measuring;
mod memory_estimate;
mod needed_outputs;
mod prepared;
mod progress;
mod recorded_timings;
mod remove_run;
mod retention;
mod robustness;
mod mask_columns;
mod row_builder;
mod run;
mod run_files;
mod scheduler;
mod shared;
mod store;
mod store_check;
mod store_listing;
mod stored_measurement;
mod sweep_estimate;
mod ticket_export;
mod time_estimate;
mod training_graph;
mod verify;
mod weight_evaluator;
mod worker;

pub use archive::archive_plan;
pub use calibration::Calibration;
pub use cluster_jobs::{ClusterJob, JobCost, cluster_jobs, group_costs};
pub use context::{RunContext, TrainerFactory};
pub use estimate::{Estimate, RoundEstimate};
pub use events::{Event, EventSink, Repeats, TrainingId, TrainingResult};
pub use gc::{Freed, Garbage, GarbageFile, GcReason, find_garbage, free};
pub use instability::{CopyPair, InstabilityAnalysis, stability_rows};
pub use job_list::{ClusterEstimate, JobList, JobRow};
pub use jobs::Selection;
pub use landscape::{LandscapeAnalysis, LandscapeDefinition, LandscapeRows, landscape_rows};
pub use mask_columns::MaskColumns;
pub use needed_outputs::plan_for_final_weights;
pub use orphans::{Orphan, delete_orphans, find_orphans};
pub use remove_run::{RemovedRun, remove_run};
pub use robustness::{EvaluatedTicket, RobustnessAnalysis, RobustnessRows, TicketEvaluation, robustness_rows};
pub use row_builder::RowBuilder;
pub use run::{RunOutcome, Runner};
pub use run_files::RunFiles;
pub use scheduler::RunProgress;
pub use store::{Store, StoredTraining};
pub use store_check::StoreReport;
pub use sweep_estimate::{PointEstimate, SharedTrainings, SweepEstimate};
pub use ticket_export::TicketExport;
pub use time_estimate::{TimeBasis, TimeEstimate};
pub use verify::{
    Check, CheckState, Difference, Retraining, Verifier, WRITE_AGAIN, archived_entries, listed_checksums, re_evaluate,
    remake_gradient_masks, retrain,
};
