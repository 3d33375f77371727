//! `lth generate`: what other programs want to know of this one.

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
        #[arg(long, value_name = "DIR", value_parser = folders::path())]
        out: Option<PathBuf>,
    },
    /// The JSON Schema of configurations, for editors: a TOML file names it in a comment, `#:schema PATH`.
    Schema,
    /// The reference of all keys of a configuration, as Markdown.
    ConfigReference,
}

pub(super) fn run(args: &GenerateArgs) -> Result<Exit> {
    match &args.what {
        GenerateTarget::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "lth", &mut script);
            ui::print_result(&String::from_utf8_lossy(&script))?;
        }
        GenerateTarget::Man { out: None } => ui::print_result(&String::from_utf8_lossy(&page(Cli::command())?))?,
        GenerateTarget::Man { out: Some(folder) } => {
            user_path::check_symlinks(folder).map_err(|error| folders::refused(&error))?;
            all_pages(folder)?;
        }
        GenerateTarget::Schema => ui::print_result(&schema_text())?,
        GenerateTarget::ConfigReference => ui::print_result(&config::reference())?,
    }
    Ok(Exit::Success)
}

/// The schema as a file.
pub(super) fn schema_text() -> String {
    format!("{:#}\n", config::schema())
}

fn page(command: clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page).context("could not write a manual page")?;
    Ok(page)
}

/// A page for `lth`, and one for each command, named as git names its own: `lth-data-fetch.1`.
fn all_pages(folder: &Path) -> Result<()> {
    let mut root = Cli::command();
    root.build();
    let mut waiting = vec![("lth".to_owned(), root)];
    while let Some((name, command)) = waiting.pop() {
        let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help");
        waiting.extend(inner.map(|inner| (format!("{name}-{}", inner.get_name()), inner.clone())));
        let file = folder.join(format!("{name}.1"));
        // A page must live as long as the program: clap wants such names.
        let title: &'static str = Box::leak(name.into_boxed_str());
        files::write(&file, &page(command.name(title))?)?;
        ui::print_result(&format!("{}\n", file.display()))?;
    }
    Ok(())
}
