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
    /// Every exit code, in ascending order.
    pub const ALL: [Self; 5] = [Self::Success, Self::Failure, Self::Usage, Self::Terminated, Self::Interrupted];

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

    /// Returns what the exit code means, in lines of at most 70 characters.
    pub fn meaning(self) -> &'static [&'static str] {
        match self {
            Self::Success => &["success; also if the reader of a pipe stopped reading"],
            Self::Failure => &[
                "failure: a training run failed or diverged, data or a file could",
                "not be read or written, or a requirement is not met; finished",
                "training runs are kept",
            ],
            Self::Usage => &[
                "the command line or the configuration is not valid, or names a run",
                "that does not exist; nothing was started",
            ],
            Self::Terminated => &["stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2; repeat the command to", "resume"],
            Self::Interrupted => &["interrupted by SIGINT (Ctrl-C); repeat the command to resume"],
        }
    }
}

/// Returns the table of exit codes in `--help`.
pub fn help() -> String {
    let entry = |exit: Exit| {
        let lines = exit.meaning().join(&format!("\n{:7}", ""));
        format!("  {:>3}  {lines}\n", exit.code())
    };
    let entries: String = Exit::ALL.into_iter().map(entry).collect();
    format!("Exit status:\n{}", entries.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_all_in_the_help() {
        let help = help();
        for exit in Exit::ALL {
            assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{}  ", exit.code()))), "{exit:?}");
        }
        assert!(Exit::ALL.is_sorted_by_key(|exit| exit.code()));
        assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    }
}
