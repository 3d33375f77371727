//! The manual pages, from the definition of the command line.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Command;

use super::help::{EXAMPLES, FILES};
use crate::system::env;
use crate::system::exit::Exit;

/// Returns the manual page of a command in roff. `name`: its page, such as `lth-data-fetch`; `pages`: the names of the
/// other pages.
pub(super) fn page(command: &Command, name: &str, pages: &[String]) -> Result<String> {
    // clap accepts only names of static lifetime.
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let invocation = name.replace('-', " ");
    let command = command.clone().name(title).after_help(None).after_long_help(None);
    let man = clap_mangen::Man::new(command.clone()).section("1").manual("lth manual");
    let mut bytes = Vec::new();
    man.render_title(&mut bytes).and_then(|()| man.render_name_section(&mut bytes)).context(FAILED)?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    let _ = write!(text, ".SH SYNOPSIS\n{}", paragraph(&synopsis(&command, &invocation)));
    let mut bytes = Vec::new();
    man.render_description_section(&mut bytes).context(FAILED)?;
    if command.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut bytes).context(FAILED)?;
    }
    text.push_str(&String::from_utf8_lossy(&bytes));
    text.push_str(&subcommands(&command, name));
    text.push_str(&exit_status());
    text.push_str(&environment());
    text.push_str(&section("FILES", FILES.iter().map(|(path, lines)| (*path, lines.join(" ")))));
    text.push_str(&examples(&invocation));
    text.push_str(&see_also(name, pages));
    Ok(text)
}

/// The message about a page that cannot be rendered.
const FAILED: &str = "could not write a manual page";

/// Returns the usage of a command as one line.
fn synopsis(command: &Command, invocation: &str) -> String {
    let usage = command.clone().bin_name(invocation).render_usage().to_string();
    usage.trim_start_matches("Usage:").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the section of the subcommands, each with its page; empty for a command without any.
fn subcommands(command: &Command, name: &str) -> String {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
    let entries: Vec<(String, String)> = shown
        .map(|sub| {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            (format!("{name}-{}(1)", sub.get_name()), about)
        })
        .collect();
    if entries.is_empty() {
        return String::new();
    }
    section("COMMANDS", entries.iter().map(|(page, about)| (page.as_str(), about.clone())))
}

/// Returns the section of the exit codes.
fn exit_status() -> String {
    let entries: Vec<(String, String)> =
        Exit::ALL.iter().map(|exit| (exit.code().to_string(), exit.meaning().join(" "))).collect();
    section("EXIT STATUS", entries.iter().map(|(code, meaning)| (code.as_str(), meaning.clone())))
}

/// Returns the section of the environment variables.
fn environment() -> String {
    section("ENVIRONMENT", env::VARIABLES.iter().map(|(name, lines)| (*name, lines.join(" "))))
}

/// Returns the section of the examples of a command: of the program, all.
fn examples(invocation: &str) -> String {
    let own = EXAMPLES.iter().filter(|(line, _)| *line == invocation || line.starts_with(&format!("{invocation} ")));
    let mut text = String::from(".SH EXAMPLES\n");
    let count = text.len();
    for (line, about) in own {
        let _ = write!(text, ".TP\n{}\n{}\n", escaped(about), format_args!("\\fB{}\\fR", escaped(line)));
    }
    if text.len() == count { String::new() } else { text }
}

/// Returns the section that names the other pages: of a command, that of the program and of its neighbours.
fn see_also(name: &str, pages: &[String]) -> String {
    let others = pages.iter().filter(|page| *page != name).map(|page| format!("\\fB{}\\fR(1)", escaped(page)));
    format!(".SH SEE ALSO\n{}\n", others.collect::<Vec<_>>().join(", "))
}

/// Returns a section with a list of terms and their descriptions.
fn section<'a>(title: &str, entries: impl Iterator<Item = (&'a str, String)>) -> String {
    let mut text = format!(".SH \"{title}\"\n");
    for (term, description) in entries {
        let _ = write!(text, ".TP\n\\fB{}\\fR\n{}", escaped(term), paragraph(&description));
    }
    text
}

/// Returns a text as a line of roff.
fn paragraph(text: &str) -> String {
    format!("{}\n", escaped(text))
}

/// Returns a text in which no character controls roff. A line must not begin with `.` or `'`.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_does_not_control_roff() {
        assert_eq!(escaped(".x-y\\z\nw"), "\\&.x\\-y\\ez w");
    }
}
