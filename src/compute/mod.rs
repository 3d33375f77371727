//! Vectors and threads for inner loops: SIMD chosen at run time, a pool of spinning threads, and memory aligned to
//! cache lines. Independent of networks and training.

pub(crate) mod aligned;
pub(crate) mod simd;
pub(crate) mod spin_pool;
