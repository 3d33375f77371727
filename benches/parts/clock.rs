//! Time.

use std::time::Instant;

/// Microseconds that `work` takes, over `times` times.
pub(crate) fn microseconds(times: u64, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    1e6 * start.elapsed().as_secs_f64() / times as f64
}
