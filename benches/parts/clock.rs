//! The mean time of a call.

use std::time::Instant;

/// Returns the mean time of a call of `work` in microseconds, over `calls` calls.
pub(crate) fn microseconds(calls: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| work());
    1e6 * start.elapsed().as_secs_f64() / calls as f64
}
