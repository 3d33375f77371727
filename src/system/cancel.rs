//! The flag that cancels a run. Workers read it before each optimizer step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Exit;

/// A flag that signals raise and workers read. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    interrupt: Arc<AtomicBool>,
    terminate: Arc<AtomicBool>,
}

impl CancelToken {
    /// Returns a flag that is raised by INT (Ctrl-C), and by the signals with which batch systems and closed terminals
    /// end a process: TERM, HUP, USR1 and USR2. A second INT ends the process at once.
    ///
    /// If the process was started with HUP, USR1 or USR2 ignored, as `nohup` does with HUP, that signal stays ignored.
    /// An ignored INT raises the flag all the same, because shells ignore INT in every command that they start in the
    /// background.
    ///
    /// # Errors
    /// Fails if the system does not let the process handle one of the signals.
    pub fn on_signals() -> std::io::Result<Self> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
        let token = Self::default();
        let ignored = ignored_signals();
        let code = i32::from(Exit::Interrupted.code());
        // This handler ends the process if the flag is raised already. It is registered before the one that raises the
        // flag, so that it does nothing at the first INT.
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

    /// Raises the flag, as TERM does.
    pub fn cancel(&self) {
        self.terminate.store(true, Ordering::Relaxed);
    }

    /// Returns whether the flag is raised: the process is to stop before the next step.
    pub fn is_cancelled(&self) -> bool {
        self.exit_code().is_some()
    }

    /// Returns the exit code that the signal asks for; `None` if the flag is not raised.
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

/// Returns the signals that this process was started to ignore, signal n in bit n − 1; 0 if the system has no `/proc`.
pub fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or_default()
}
