//! Vectors and threads for inner loops: SIMD chosen at run time, a pool of spinning threads, aligned memory. No machine
//! learning in it.

pub(crate) mod aligned;
pub(crate) mod simd;
pub(crate) mod spin_pool;
