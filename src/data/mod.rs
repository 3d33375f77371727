//! What is learned from: images as bytes, split and verified. Knows no tensor.

mod dataset;
mod idx;
mod known;
mod load;
mod split;
mod strokes;

pub use dataset::{Dataset, Inputs, Split};
pub use idx::NotFound;
pub use known::Source;
pub use load::{folder, load};
