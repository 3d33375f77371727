//! Every environment variable that this program reads, and its command line. The library with which `lth data fetch`
//! downloads also reads the usual variables for proxies: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};

/// The folder of all runs. Used where `--runs` is not given.
pub const RUNS: &str = "LTH_RUNS_DIR";
/// The folder of the data sets. Used where neither `--data-dir` nor `data.dir` is given.
pub const DATA: &str = "LTH_DATA_DIR";
/// `claims` makes the processes on a folder of runs use claims in place of file locks, from now on.
const LOCKS: &str = "LTH_LOCKS";
/// For tests: the time in seconds without a heartbeat after which a claim is stale, in place of 60.
const TEST_STALE_SECONDS: &str = "LTH_TEST_STALE_SECONDS";
/// The file of the certificates with which servers are verified, as OpenSSL and curl define it.
pub(super) const CERTIFICATES: &str = "SSL_CERT_FILE";
/// The home folder of the user, as POSIX defines it.
const HOME: &str = "HOME";
/// The GPUs that CUDA may use, as the CUDA runtime defines it.
const VISIBLE_GPUS: &str = "CUDA_VISIBLE_DEVICES";
/// The number of processors that Slurm has allocated to each task of a job.
pub(super) const SLURM_CPUS_PER_TASK: &str = "SLURM_CPUS_PER_TASK";
/// The variables in which cluster engines give a task its number, each with the number of the first task: Slurm's job
/// arrays (where the user chooses the first number; `--array=0-…` is meant), `HyperQueue`'s task arrays, GNU parallel,
/// and indexed jobs of Kubernetes.
const TASK_NUMBERS: [(&str, usize); 4] =
    [("SLURM_ARRAY_TASK_ID", 0), ("HQ_TASK_ID", 0), ("PARALLEL_SEQ", 1), ("JOB_COMPLETION_INDEX", 0)];
/// The terminal type.
const TERM: &str = "TERM";
/// Turns colours off if its value is not empty (<https://no-color.org>).
pub const NO_COLOR: &str = "NO_COLOR";

/// Set by the completion scripts of shells: the name of the shell that asks for completions.
pub const COMPLETE: &str = "LTH_COMPLETE";

/// The variables that users set, each with its meaning in lines of at most 55 characters.
pub const VARIABLES: [(&str, &[&str]); 7] = [
    (RUNS, &["folder of all runs, if `--runs` is not given [runs]"]),
    (DATA, &["folder of the data sets, if neither `--data-dir` nor", "`data.dir` is given [data]"]),
    (
        LOCKS,
        &["`claims` for a file system without file locks: every", "process on a folder of runs then uses claim files"],
    ),
    (VISIBLE_GPUS, &["GPUs that CUDA may use; empty or -1 for none"]),
    (NO_COLOR, &["turn colours off, if not empty"]),
    (TERM, &["`dumb` for plain lines in place of progress bars"]),
    ("HTTPS_PROXY", &["proxy for `lth data fetch`; SSL_CERT_FILE names its", "certificates"]),
];

/// Returns the value of the variable `name`; an empty value counts as not set.
#[expect(clippy::disallowed_methods, reason = "`.clippy.toml` bans this function everywhere but here")]
pub fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the variables of cluster engines that are set, each with its value and the number of the first task.
pub fn task_numbers() -> Vec<(&'static str, String, usize)> {
    let set = |&(name, first)| Some((name, value(name)?.to_string_lossy().into_owned(), first));
    TASK_NUMBERS.iter().filter_map(set).collect()
}

/// The error for a variable with a value that is not possible.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadVariable(String);

/// Returns whether `LTH_LOCKS` asks for claims in place of file locks.
///
/// # Errors
/// Fails if it has another value than `claims`.
pub(super) fn asks_for_claims() -> Result<bool> {
    match value(LOCKS) {
        None => Ok(false),
        Some(value) if value == "claims" => Ok(true),
        Some(value) => {
            bail!(BadVariable(format!("LTH_LOCKS is `{}`; the only value is `claims`", value.to_string_lossy())))
        }
    }
}

/// Returns the time of `LTH_TEST_STALE_SECONDS`; `None` if it is not set.
pub(super) fn test_stale_time() -> Option<Duration> {
    Duration::try_from_secs_f64(value(TEST_STALE_SECONDS)?.to_str()?.parse().ok()?).ok()
}

/// Returns the home folder of the user (`HOME`).
pub fn home() -> Option<PathBuf> {
    value(HOME).map(PathBuf::from)
}

/// Returns whether `NO_COLOR` turns colours off.
pub fn no_color() -> bool {
    value(NO_COLOR).is_some()
}

/// Returns whether the terminal does not support escape sequences: `TERM` is `dumb`, as in the shell of an editor.
pub fn is_dumb_terminal() -> bool {
    value(TERM).is_some_and(|term| term == "dumb")
}

/// Returns whether `CUDA_VISIBLE_DEVICES` hides every GPU: it is set, and empty or -1.
#[expect(clippy::disallowed_methods, reason = "`.clippy.toml` bans this function everywhere but here")]
pub fn hides_gpus() -> bool {
    std::env::var(VISIBLE_GPUS).is_ok_and(|value| value.is_empty() || value.starts_with('-'))
}

/// Returns the command line of this process, quoted for a shell.
pub fn command() -> String {
    quoted_line(&arguments())
}

/// Returns the name of this program as it was typed: `lth`, or a path such as `scripts/lth`.
pub fn program_name() -> String {
    let typed = arguments().into_iter().next().unwrap_or_default();
    let is_ours = std::path::Path::new(&typed).file_name().is_some_and(|name| name == "lth");
    if is_ours { typed } else { "lth".to_owned() }
}

/// Returns the name of this program as it was typed, quoted for a shell.
pub fn program() -> String {
    quoted(&program_name())
}

/// Returns `text` with the name of this program as it was typed in every command line in backticks.
pub fn with_program_name(text: &str) -> String {
    text.replace("`lth ", &format!("`{} ", program()))
}

/// Returns the path of the executable file of this process.
///
/// # Errors
/// Fails if the system does not tell it.
pub fn executable() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Returns the arguments of this process, the name of the program first.
pub fn arguments() -> Vec<String> {
    std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Returns `words` as a command line: each quoted for a shell, with spaces between them.
pub fn quoted_line(words: &[String]) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// Returns `word` quoted for a shell: in single quotes if it is empty or has characters that a shell interprets; as
/// `$'…'` (POSIX 2024, bash, zsh, ksh) if it has control characters, which would command a terminal.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,@%+".contains(c);
    if word.chars().any(char::is_control) {
        return format!("$'{}'", word.chars().map(escaped).collect::<String>());
    }
    // A shell expands `=name` (zsh) at the beginning of a word.
    let needs_quotes = word.is_empty() || word.starts_with('=') || !word.chars().all(is_plain);
    if needs_quotes { format!("'{}'", word.replace('\'', "'\\''")) } else { word.to_owned() }
}

/// Returns a character as it is written in `$'…'`: control characters as the octal numbers of their bytes.
fn escaped(c: char) -> String {
    match c {
        '\\' | '\'' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        c if c.is_control() => {
            let bytes: Vec<String> = c.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect();
            bytes.concat()
        }
        c => c.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn quoted_words_are_plain_where_a_shell_reads_them_as_they_are() {
        for word in ["runs/a-1.toml", "train.lr=0.1", "a:b,c@d%e+f"] {
            assert_eq!(quoted(word), word);
        }
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted("a\n\u{1b}'\\"), r"$'a\n\033\'\\'");
    }

    #[test]
    fn quoted_words_are_read_back_by_a_shell() {
        let words = [
            "",
            " ",
            "a b",
            "$(id)",
            "`id`",
            "$HOME",
            "~",
            "*",
            "a;b",
            "a&b",
            "a|b",
            "a>b",
            "!x",
            "#x",
            "=ls",
            "{a,b}",
            "it's",
            "\"",
            "\\",
            "a\\'b",
            "-rf",
            "ü",
            "x\ny",
            "x\ty",
            "\u{1b}[31m'$(id)\\",
            "\u{9b}2J",
        ];
        for word in words {
            let script = format!("printf %s {}", quoted(word));
            let output = Command::new("bash").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{script}");
        }
    }
}
