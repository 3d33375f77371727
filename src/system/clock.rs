//! The clock. No other module reads it, and no number of a training run depends on it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Returns the seconds since 1970-01-01 00:00 UTC.
#[expect(clippy::disallowed_methods, reason = "`.clippy.toml` bans this function everywhere but here")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// A running measurement of elapsed time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the measurement.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}
