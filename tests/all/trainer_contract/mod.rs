//! The contract that every trainer keeps, against numbers of `PyTorch`.

mod conv;
mod gpu;
mod mask_updates;
mod mlp;
mod oracle;
mod at_init;
mod attack;
mod probe;
mod supermask;
