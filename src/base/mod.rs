//! Values that every other module passes around: tensors, masks, curves, hashes, random streams, statistics and text
//! formats. Does no input or output, and is independent of experiments.

pub mod category;
pub mod confidence;
pub mod curve;
pub mod formula;
pub mod histogram;
pub mod key;
pub mod mask;
pub mod outcome;
pub mod placeholders;
pub mod rng;
pub mod stats;
pub mod tensors;
pub mod units;
pub mod format;
