//! Every exit code of the program.

/// The exit code of a process that a signal stopped and that may be started again: `EX_TEMPFAIL` of `sysexits.h`, which
/// batch systems read as "try again".
const EX_TEMPFAIL: u8 = 75;

/// The way in which the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The command did everything that it was asked to do.
    Success,
    /// Something failed, or a training run diverged. All other results are kept.
    Failure,
    /// The command line or the configuration is not valid; nothing was started.
    Usage,
    /// Stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the same command goes on where this one stopped.
    Terminated,
    /// Interrupted by SIGINT (Ctrl-C): the same command goes on where this one stopped.
    Interrupted,
}

impl Exit {
    /// Returns the exit code that the shell receives.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Terminated => EX_TEMPFAIL,
            Self::Interrupted => 130,
        }
    }
}

/// The table of exit codes in `--help`.
pub const HELP: &str = "\
Exit codes:
    0  all that was asked for is there
    1  something failed, or a training diverged; what succeeded is kept
    2  the command line or the configuration is not understood; nothing was begun
   75  stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the same command goes on where it stopped
  130  interrupted (Ctrl-C): the same command goes on where it stopped";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_all_in_the_help() {
        for exit in [Exit::Success, Exit::Failure, Exit::Usage, Exit::Terminated, Exit::Interrupted] {
            assert!(HELP.lines().any(|line| line.trim_start().starts_with(&format!("{} ", exit.code()))), "{exit:?}");
        }
    }
}
