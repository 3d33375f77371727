//! The cancellation flag that trainings poll at each step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Exit;

/// Cancellation flag: raised by signals, polled by workers. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl CancelToken {
    /// Returns a flag raised by INT, and by the signals by which clusters and closed terminals end a process: TERM,
    /// HUP, USR1 and USR2. A second INT ends the process at once. HUP, USR1 or USR2 stay ignored where the process was
    /// started to ignore them, as `nohup` does with HUP; INT does not, because shells start every background command to
    /// ignore it.
    ///
    /// # Errors
    /// Fails for a signal that the system does not let the process handle.
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
        let token = Self::default();
        let ignored = ignored_signals();
        let code = i32::from(Exit::Interrupted.code());
        // Registered first: at the first INT the flag is not raised yet when this handler reads it.
        signal_hook::flag::register_conditional_shutdown(SIGINT, code, Arc::clone(&token.interrupt))?;
        signal_hook::flag::register(SIGINT, Arc::clone(&token.interrupt))?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&token.terminate))?;
        for signal in [SIGHUP, SIGUSR1, SIGUSR2] {
            let is_ignored = ignored >> (signal - 1) & 1 == 1;
            if !is_ignored {
                signal_hook::flag::register(signal, Arc::clone(&token.terminate))?;
            }
        }
        Ok(token)
    }

    /// Returns whether to stop at the next step.
    pub fn is_cancelled(&self) -> bool {
        self.exit_code().is_some()
    }

    /// Returns the exit code of a program that stops now; `None` if it is not cancelled.
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

/// Returns the signals that this process was started to ignore, signal n in bit n − 1; 0 if the system does not say.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}
