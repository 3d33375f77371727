//! The contract that every trainer keeps, against numbers of `PyTorch`.

mod conv;
mod gpu;
mod mlp;
mod oracle;
mod attack;
mod probe;
