//! Architectures as data: a list of layers, from which names, shapes, kinds and counts derive. Knows no engine.

mod architectures;
mod init;
mod layer;

pub use architectures::build;
pub use init::{deviations, draw};
pub use layer::{Kind, Layer, Network, Parameter, Weight};
