//! The values everybody passes, and the few things every room may touch: streams, files, time, paths, exit codes.
//! Knows nothing of experiments.

pub mod category;
pub mod curve;
pub mod histogram;
pub mod key;
pub mod mask;
pub mod outcome;
pub mod rng;
pub mod stats;
pub mod tensors;
pub mod units;
pub mod format;
