//! Job control of the shell: Ctrl-Z stops a process, and `fg` continues it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is raised when the process continues after a stop.
#[derive(Debug, Default)]
pub struct ContinueFlag(Arc<AtomicBool>);

impl ContinueFlag {
    /// Returns a flag that is raised by the signal CONT. If the system does not let the process handle it, the flag stays
    /// lowered.
    pub fn on_signal() -> Self {
        let flag = Self::default();
        // Only the display of progress depends on it.
        let _ = signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&flag.0));
        flag
    }

    /// Returns whether the flag is raised, and lowers it.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continue_flag_is_raised_once_by_the_signal() {
        let flag = ContinueFlag::on_signal();
        assert!(!flag.take());
        signal_hook::low_level::raise(signal_hook::consts::SIGCONT).unwrap();
        assert_eq!([flag.take(), flag.take()], [true, false]);
    }
}
