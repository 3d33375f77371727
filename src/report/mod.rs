//! What runs came to, from their files alone: no engine, no data, no store. Knows no terminal.

mod arms;
mod checkpoints;
mod claims;
mod compare;
mod curves;
mod figures;
mod run_lookup;
mod analysis;
mod overview;
mod document;
mod roles;
mod run;
mod stability;
mod statistics;
#[cfg(test)]
mod test_fixtures;
mod paired;
mod verdict;

pub use analysis::{RunAnalysis, files};
pub use claims::{ClaimRow, ClaimStatus, claims};
pub use compare::{ConfigDifference, ResultRow, RunComparison, compare};
pub use overview::{BestRound, RunOverview};
pub use run::{Run, RunState};
pub use run_lookup::{NoSuchRun, all, find};
pub use stability::stability_table;
pub use statistics::Interval;
pub use verdict::{Decision, Verdict, method, sentences, verdicts};
