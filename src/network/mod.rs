//! Architectures as data: a list of layers, from which names, shapes, kinds and counts of tensors derive. Knows no
//! engine.

mod architectures;
mod builder;
mod init;
mod layer;
mod params;
mod sizes;

pub use architectures::build;
pub use init::{init_buffers, init_stds, init_weights};
pub use layer::{Layer, Network};
pub use params::{PrunableTensor, TensorRole, TensorSpec, WeightKind};
pub use sizes::{BatchNormSize, even_kernels};
