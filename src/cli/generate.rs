//! `lth generate`: prints files about `lth` for shells, `man`, editors and readers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;

use super::{Cli, completion, folders, man, schemas};
use crate::config;
use crate::system::exit::Exit;
use crate::system::files;
use crate::system::user_path;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    #[command(subcommand)]
    what: GenerateTarget,
}

#[derive(Debug, Subcommand)]
enum GenerateTarget {
    /// Print the completion script of a shell: commands, options, runs, arms, keys.
    ///
    /// For bash: lth generate completions bash > ~/.local/share/bash-completion/completions/lth
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page of lth, or write all manual pages into a folder.
    ///
    /// Such as: lth generate man --out ~/.local/share/man/man1
    Man {
        /// Write lth.1 and a page for each command into this folder.
        #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
        out: Option<PathBuf>,
    },
    /// Print the JSON Schema of configurations, or of an output.
    ///
    /// Editors complete a TOML file that names the schema in a comment, `#:schema PATH`.
    Schema {
        /// The output: the JSON of a command, or a file of a run.
        #[arg(long, value_name = "OUTPUT", value_parser = PossibleValuesParser::new(schemas::names()))]
        of: Option<String>,
    },
    /// Print the reference of all keys of a configuration, all JSON fields and all CSV columns, as Markdown.
    ConfigReference,
}

/// Runs `lth generate` and returns its exit code.
///
/// # Errors
/// Fails if a file or standard output cannot be written.
pub(super) fn run(args: &GenerateArgs) -> Result<Exit> {
    match &args.what {
        GenerateTarget::Completions { shell } => {
            ui::print_result(&completion::script(&shell.to_string())?)?;
        }
        GenerateTarget::Man { out: None } => {
            let (root, pages) = manual_pages();
            ui::print_result(&man::page(&root, "lth", &names(&pages))?)?;
        }
        GenerateTarget::Man { out: Some(folder) } => {
            user_path::check_symlinks(folder).map_err(|error| folders::usage_error(&error))?;
            write_manual_pages(folder)?;
        }
        GenerateTarget::Schema { of: None } => ui::print_result(&schema_text())?,
        GenerateTarget::Schema { of: Some(name) } => {
            let schema = schemas::schema(name).with_context(|| format!("there is no output `{name}`"))?;
            ui::print_result(&format!("{schema:#}\n"))?;
        }
        GenerateTarget::ConfigReference => {
            ui::print_result(&(config::key_reference_markdown() + &schemas::reference_markdown()))?;
        }
    }
    Ok(Exit::Success)
}

/// Returns the text of the schema file.
pub(super) fn schema_text() -> String {
    format!("{:#}\n", config::schema())
}

/// A command with the name of its manual page, such as `lth-data-fetch`, as git names its pages.
type ManualPage = (String, clap::Command);

/// Returns the command line, and all its commands with the names of their manual pages, sorted by name.
fn manual_pages() -> (clap::Command, Vec<ManualPage>) {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    let mut pending = vec![("lth".to_owned(), root.clone())];
    while let Some((name, command)) = pending.pop() {
        let shown = command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set());
        pending.extend(shown.map(|sub| (format!("{name}-{}", sub.get_name()), sub.clone())));
        pages.push((name, command));
    }
    pages.sort_by(|left, right| left.0.cmp(&right.0));
    (root, pages)
}

/// Returns the names of manual pages.
fn names(pages: &[ManualPage]) -> Vec<String> {
    pages.iter().map(|(name, _)| name.clone()).collect()
}

/// Writes the manual page of `lth` and one of each command.
fn write_manual_pages(folder: &Path) -> Result<()> {
    let (_, pages) = manual_pages();
    let names = names(&pages);
    for (name, command) in &pages {
        let file = folder.join(format!("{name}.1"));
        files::write(&file, man::page(command, name, &names)?.as_bytes())?;
        ui::print_result(&format!("{}\n", file.display()))?;
    }
    Ok(())
}
