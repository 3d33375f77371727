//! What runs came to, from their files alone: no engine, no data, no store. Knows no terminal.

mod find;
mod overview;
mod claims;
mod roles;
mod run;
mod statistics;
#[cfg(test)]
mod testing;
mod trainings;
mod verdict;

pub use find::{NoSuchRun, all, find};
pub use overview::{Best, Overview};
pub use run::{Run, State};
pub use claims::{ClaimRow, ClaimStatus, claims};
pub use statistics::Interval;
pub use verdict::{Decision, Verdict, method, verdicts};
