//! Architectures as data: a list of layers, from which names, shapes, kinds and counts of tensors derive. Knows no
//! engine.

mod architectures;
mod builder;
mod init;
mod layer;
mod model;
mod sizes;
mod tensor_spec;

pub use architectures::build;
pub use init::{init_buffers, init_stds, init_weights};
pub use layer::Layer;
pub use model::Network;
pub use sizes::{BatchNormSize, even_kernels};
pub use tensor_spec::{PrunableTensor, TensorRole, TensorSpec, WeightKind};
