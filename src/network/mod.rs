//! Architectures as data: a list of layers, from which names, shapes, kinds and counts of tensors derive. Independent
//! of engines.

mod architectures;
mod builder;
mod compact;
mod init;
mod layer;
mod layer_sizes;
mod model;
mod modules;
mod tensor_spec;

pub use architectures::build;
pub use compact::{CompactNetwork, LayerUnits, compact, dead_units};
pub use init::{init_buffers, init_stds, init_weights};
pub use layer::Layer;
pub use layer_sizes::{BatchNormSize, even_kernel_warnings};
pub use model::Network;
pub use modules::{InvalidDescription, Module, NetworkDescription};
pub use tensor_spec::{PrunableTensor, TensorRole, TensorSpec, WeightKind};
