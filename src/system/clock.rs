//! The only place that asks what time it is. No result may depend on it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Seconds since 1970, UTC.
#[expect(clippy::disallowed_methods, reason = "this is the place the ban points to")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
