//! Runs: arms, resume, lockstep groups, failures, and networks with batch norm.

mod arms;
mod batch_norm;
mod failures;
mod lockstep;
mod progress;
mod resume;
