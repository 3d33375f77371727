//! `lth generate`: prints files about `lth` for shells, `man`, editors and readers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Subcommand};
use clap_complete::Shell;

use super::{Cli, folders};
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
    /// A script that completes commands and options in a shell.
    ///
    /// For bash: lth generate completions bash > ~/.local/share/bash-completion/completions/lth
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// The manual pages: that of lth itself, or all of them into a folder.
    ///
    /// Such as: lth generate man --out ~/.local/share/man/man1
    Man {
        /// Writes lth.1 and a page for each command into this folder.
        #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
        out: Option<PathBuf>,
    },
    /// The JSON Schema of configurations, for editors: a TOML file names it in a comment, `#:schema PATH`.
    Schema,
    /// The reference of all keys of a configuration, as Markdown.
    ConfigReference,
}

/// Runs `lth generate` and returns its exit code.
///
/// # Errors
/// Fails if a file or standard output cannot be written.
pub(super) fn run(args: &GenerateArgs) -> Result<Exit> {
    match &args.what {
        GenerateTarget::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "lth", &mut script);
            ui::print_result(&String::from_utf8_lossy(&script))?;
        }
        GenerateTarget::Man { out: None } => ui::print_result(&String::from_utf8_lossy(&manual_page(Cli::command())?))?,
        GenerateTarget::Man { out: Some(folder) } => {
            user_path::check_symlinks(folder).map_err(|error| folders::usage_error(&error))?;
            write_manual_pages(folder)?;
        }
        GenerateTarget::Schema => ui::print_result(&schema_text())?,
        GenerateTarget::ConfigReference => ui::print_result(&config::key_reference_markdown())?,
    }
    Ok(Exit::Success)
}

/// Returns the text of the schema file.
pub(super) fn schema_text() -> String {
    format!("{:#}\n", config::schema())
}

/// Returns the manual page of a command.
fn manual_page(command: clap::Command) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command).render(&mut bytes).context("could not write a manual page")?;
    Ok(bytes)
}

/// Writes the manual page of `lth` and one of each command, named as git names its pages: `lth-data-fetch.1`.
fn write_manual_pages(folder: &Path) -> Result<()> {
    let mut root = Cli::command();
    root.build();
    let mut pending = vec![("lth".to_owned(), root)];
    while let Some((name, command)) = pending.pop() {
        let subcommands = command.get_subcommands().filter(|subcommand| subcommand.get_name() != "help");
        pending.extend(subcommands.map(|command| (format!("{name}-{}", command.get_name()), command.clone())));
        let file = folder.join(format!("{name}.1"));
        // clap accepts only names of static lifetime.
        let title: &'static str = Box::leak(name.into_boxed_str());
        files::write(&file, &manual_page(command.name(title))?)?;
        ui::print_result(&format!("{}\n", file.display()))?;
    }
    Ok(())
}
