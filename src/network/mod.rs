//! Architectures as data: a list of layers, from which names, shapes, kinds and counts derive. Knows no engine.

mod architectures;
mod build;
mod init;
mod layer;
mod sizes;

pub use architectures::build;
pub use init::{deviations, draw, fresh_buffers};
pub use layer::{Kind, Layer, Network, Parameter, Role, Weight};
pub use sizes::{Norm, even_kernels};
