//! The values everybody passes, and the few things every room may touch: streams, files, time, paths, exit codes.
//! Knows nothing of experiments.

pub mod clock;
pub mod curve;
pub mod env;
pub mod exit;
pub mod files;
pub mod given;
pub mod key;
pub mod mask;
pub mod outcome;
pub mod owned;
pub mod paths;
pub mod random;
pub mod spread;
pub mod state;
pub mod stop;
pub mod words;
