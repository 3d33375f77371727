//! Runs a plan: scheduling, the store, resume, cancellation, failures. Independent of pruning criteria and arms.
//!
//! From the plan to the files: `training_graph` (dependencies between training runs), `jobs` (which of them are missing in the
//! store), `scheduler` (which runs next: the longest chain first), `worker` (runs it), `run` (starts the workers and ends the run).

mod archive;
mod connectivity;
mod context;
mod cost_model;
mod estimate;
mod events;
mod gc;
mod jobs;
mod prepared;
mod retention;
mod row_builder;
mod run;
mod run_files;
mod scheduler;
mod shared;
mod store;
mod store_check;
mod store_listing;
mod training_graph;
mod worker;

pub use archive::archive_plan;
pub use connectivity::{CopyPair, InstabilityAnalysis};
pub use context::{RunContext, TrainerFactory};
pub use estimate::{Estimate, RoundEstimate, TimeEstimate};
pub use events::{Event, EventSink, TrainingId, TrainingResult};
pub use gc::{Candidate, Freed, Garbage, GcReason, find_garbage, free};
pub use row_builder::RowBuilder;
pub use run::{RunOutcome, Runner};
pub use run_files::RunFiles;
pub use scheduler::RunProgress;
pub use store::{Store, StoredTraining};
pub use store_check::StoreReport;
