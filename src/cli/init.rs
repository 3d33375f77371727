//! `lth init`: writes an experiment to start from.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::folders;
use super::generate::schema_text;
use super::json::InitResult;
use crate::config::UsageError;
use crate::system::exit::Exit;
use crate::system::{env, files, user_path};
use crate::ui;

/// The experiment that is written. It runs unchanged, and its comments describe the alternatives.
const TEMPLATE: &str = include_str!("template.toml");

/// File name of the schema. It is written beside the experiment, which names it in its first line.
const SCHEMA: &str = "lth.schema.json";

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// File to write; an existing file is not replaced. `-` prints the experiment and writes no schema.
    #[arg(default_value = "experiment.toml", value_parser = folders::path_parser())]
    file: PathBuf,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth init` and returns its exit code.
///
/// # Errors
/// Fails if the file exists or cannot be written.
pub(super) fn run(args: &InitArgs) -> Result<Exit> {
    let file = &args.file;
    if user_path::is_stdin(file) {
        let without_schema = TEMPLATE.split_once('\n').map_or(TEMPLATE, |(_, rest)| rest);
        ui::print_result(&without_schema.replace("NAME", "my_experiment"))?;
        return Ok(Exit::Success);
    }
    if file.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("toml")) {
        let toml = file.with_extension("toml").display().to_string();
        let hint = format!("hint: such as `lth init {}`", env::quoted(&toml));
        return Err(
            UsageError::from_text(&format!("error: `{}` does not end in `.toml`\n\n{hint}", file.display())).into()
        );
    }
    if file.exists() {
        let message = format!("error: `{}` exists and is not replaced\n\nhint: name another file", file.display());
        return Err(UsageError::from_text(&message).into());
    }
    let schema = file.parent().unwrap_or(Path::new("")).join(SCHEMA);
    files::write(&schema, schema_text().as_bytes())?;
    files::write(file, TEMPLATE.replace("NAME", &name(file)).as_bytes())?;
    if args.json {
        let json = InitResult { config: file.clone(), schema };
        ui::print_result(&(serde_json::to_string(&json)? + "\n"))?;
        return Ok(Exit::Success);
    }
    let (program, word) = (env::program(), env::quoted(&file.display().to_string()));
    ui::print_result(&format!(
        "wrote {} and its schema for editors, {}\n  {program} plan {word}     shows what it will cost\n  \
         {program} run {word}      runs it\n",
        file.display(),
        schema.display()
    ))?;
    Ok(Exit::Success)
}

/// Returns the name of the experiment in `file`: the name of the file in allowed characters, at most 60.
fn name(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let allowed = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c) { c } else { '_' };
    stem.chars().map(allowed).take(60).collect()
}
