//! A wish to stop, polled at each step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Exit;

/// Raised by a signal, looked at by whoever works.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl Stop {
    /// Listens for INT and TERM. A second INT ends the process at once, as an impatient person expects.
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let stop = Self::default();
        let code = i32::from(Exit::Interrupted.code());
        // Registered first: at the first INT the flag is not up yet when this looks at it.
        signal_hook::flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&stop.interrupt))?;
        signal_hook::flag::register(SIGINT, Arc::clone(&stop.interrupt))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&stop.terminate))?;
        Ok(stop)
    }

    /// Whether to stop at the next step.
    pub fn wanted(&self) -> bool {
        self.exit().is_some()
    }

    /// How the program ends if it stops now.
    pub fn exit(&self) -> Option<Exit> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(Exit::Interrupted)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(Exit::Again)
        } else {
            None
        }
    }
}
