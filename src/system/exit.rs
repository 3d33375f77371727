//! Every exit code of the program.

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All that was asked for is there.
    Success,
    /// Something failed, or a training diverged; what succeeded is kept.
    Failure,
    /// The command line or the configuration is not understood; nothing was begun.
    Usage,
    /// Stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2: the same command goes on where this one stopped.
    Terminated,
    /// Interrupted by SIGINT (Ctrl-C): the same command goes on where this one stopped.
    Interrupted,
}

impl Exit {
    /// The number the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Terminated => 75,
            Self::Interrupted => 130,
        }
    }
}

/// The exit codes as `--help` tells them.
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
    fn the_help_names_every_code() {
        for exit in [Exit::Success, Exit::Failure, Exit::Usage, Exit::Terminated, Exit::Interrupted] {
            assert!(HELP.lines().any(|line| line.trim_start().starts_with(&format!("{} ", exit.code()))), "{exit:?}");
        }
    }
}
