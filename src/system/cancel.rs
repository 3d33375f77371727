//! A wish to stop, polled at each step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::env;
use super::exit::Exit;

/// Raised by a signal, looked at by whoever works.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl CancelToken {
    /// Listens for INT, and for the signals by which clusters and closed terminals end a process: TERM, HUP, USR1 and
    /// USR2. A second INT ends the process at once. HUP, USR1 or USR2 stay ignored where the process was started to ignore
    /// them, as `nohup` does with HUP; INT does not, because shells start every background command to ignore it.
    ///
    /// # Errors
    /// A signal that the system does not let the process listen for.
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
        let (stop, ignored) = (Self::default(), env::ignored_signals());
        let code = i32::from(Exit::Interrupted.code());
        // Registered first: at the first INT the flag is not up yet when this looks at it.
        signal_hook::flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&stop.interrupt))?;
        signal_hook::flag::register(SIGINT, Arc::clone(&stop.interrupt))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&stop.terminate))?;
        for signal in [SIGHUP, SIGUSR1, SIGUSR2] {
            let is_ignored = ignored >> (signal - 1) & 1 == 1;
            if !is_ignored {
                signal_hook::flag::register(signal, Arc::clone(&stop.terminate))?;
            }
        }
        Ok(stop)
    }

    /// Whether to stop at the next step.
    pub fn is_cancelled(&self) -> bool {
        self.exit_code().is_some()
    }

    /// How the program ends if it stops now.
    pub fn exit_code(&self) -> Option<Exit> {
        if self.interrupt.load(Ordering::Relaxed) {
            Some(Exit::Interrupted)
        } else if self.terminate.load(Ordering::Relaxed) {
            Some(Exit::Terminated)
        } else {
            None
        }
    }
}
