//! What is learned from: images as bytes, split and verified. Knows no tensor and no terminal.

mod cifar;
mod dataset;
mod idx;
mod images;
mod load;
mod official;
mod own;
mod packed;
mod source;
mod split;
mod strokes;

pub use dataset::{Dataset, Inputs, Split};
pub use load::{folder, load};
pub use packed::NotFound;
pub use source::Source;
