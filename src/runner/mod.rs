//! Runs a plan: ready trainings on workers, longest chain first; the store; resume; stop; failures. Knows no method by
//! name.

mod events;
mod scheduler;
mod gc;
mod cost_model;
mod estimate;
mod archive;
mod store_check;
mod store_listing;
mod job;
mod run;
mod connectivity;
mod store;
mod turn;
mod run_files;
mod worker;

pub use archive::archive_plan;
pub use connectivity::{CopyPair, InstabilityAnalysis};
pub use estimate::{Estimate, RoundEstimate, TimeEstimate};
pub use events::{Event, EventSink, TrainingId, TrainingResult};
pub use gc::{Cleaning, Freed, GcReason, Needless, cleaning, free};
pub use run::{RunOutcome, Runner, TrainerFactory};
pub use run_files::RunFiles;
pub use scheduler::RunProgress;
pub use store::{Store, StoredTraining};
pub use store_check::StoreReport;
