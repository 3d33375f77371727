//! Runs a plan: ready trainings on workers, longest chain first; the store; resume; stop; failures. Knows no method by
//! name.

mod board;
mod clean;
mod costs;
mod forecast;
mod fresh;
mod health;
mod listing;
mod lane;
mod run;
mod stability;
mod store;
mod turn;
mod view;
mod worker;

pub use board::RunProgress;
pub use clean::{Cleaning, Freed, GcReason, Needless, cleaning, free};
pub use forecast::{Estimate, RoundEstimate, TimeEstimate};
pub use fresh::archive_plan;
pub use health::StoreReport;
pub use run::{RunOutcome, Runner, TrainerFactory};
pub use stability::{CopyPair, InstabilityAnalysis};
pub use store::{Store, StoredTraining};
pub use view::RunFiles;
