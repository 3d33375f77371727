//! What runs came to, from their files alone: no engine, no data, no store. Knows no terminal.

mod arms;
mod checkpoints;
mod claims;
mod compare;
mod curves;
mod figures;
mod find;
mod make;
mod overview;
mod page;
mod roles;
mod run;
mod stability;
mod statistics;
#[cfg(test)]
mod testing;
mod trainings;
mod verdict;

pub use claims::{ClaimRow, ClaimStatus, claims};
pub use compare::{ConfigDifference, ResultRow, RunComparison, compare};
pub use find::{NoSuchRun, all, find};
pub use make::{RunAnalysis, files};
pub use overview::{BestRound, RunOverview};
pub use run::{Run, RunState};
pub use stability::stability_table;
pub use statistics::Interval;
pub use verdict::{Decision, Verdict, method, sentences, verdicts};
