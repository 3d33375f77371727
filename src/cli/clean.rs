//! `lth clean`: frees weights that no run needs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::json::CleanResult;
use super::load::RunsArgs;
use crate::artifacts::find_run;
use crate::base::format::{bytes, count_of};
use crate::config::UsageError;
use crate::runner;
use crate::runner::{Garbage, GarbageFile, GcReason};
use crate::system::exit::Exit;
use crate::ui;

/// The largest number of foreign files that a note lists.
const MAX_NAMES: usize = 20;

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Only trainings of these runs: each by its folder, its name, or the name of its experiment.
    #[arg(value_name = "RUN", value_parser = super::folders::path_parser())]
    only: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    /// Lists the files that would be freed, and frees nothing.
    #[arg(long)]
    dry_run: bool,
    /// Frees without asking.
    #[arg(long, short)]
    yes: bool,
    /// Print the result as one line of JSON.
    #[arg(long)]
    json: bool,
}

impl CleanArgs {
    /// Prints a result: `text`, or with `--json` the files that were deleted. Texts without such a result are not
    /// printed with `--json`.
    fn print(&self, text: &str, result: Option<CleanResult>) -> Result<()> {
        let text = match result {
            Some(result) if self.json => serde_json::to_string(&result)? + "\n",
            None if self.json => return Ok(()),
            _ => text.to_owned(),
        };
        Ok(ui::print_result(&text)?)
    }
}

/// Runs `lth clean` and returns its exit code.
///
/// # Errors
/// Fails if a run cannot be found, the store cannot be read, or `--yes` is needed because there is no terminal to ask
/// on.
pub(super) fn run(args: &CleanArgs) -> Result<Exit> {
    let runs = args.runs.folder()?;
    let run_dirs = args.only.iter().map(|word| find_run(&runs, word)).collect::<Result<Vec<_>>>()?;
    let only = (!run_dirs.is_empty()).then_some(run_dirs.as_slice());
    let Garbage { files: candidates, foreign } = runner::find_garbage(&runs, only)?;
    if let Some(note) = foreign_note(&foreign) {
        ui::eprint_line(&note);
    }
    let nothing = CleanResult { dry_run: args.dry_run, files: 0, bytes: 0, kept: 0 };
    if candidates.is_empty() {
        args.print(&format!("nothing to free in {}\n", runs.store().display()), Some(nothing))?;
        return Ok(Exit::Success);
    }
    args.print(&listing(&candidates, args.dry_run), None)?;
    let size = candidates.iter().map(|file| file.bytes).sum();
    let total = bytes(size);
    if args.dry_run {
        let result = CleanResult { files: candidates.len() as u64, bytes: size, ..nothing };
        args.print(&format!("{total} could be freed\n"), Some(result))?;
        return Ok(Exit::Success);
    }
    let question = format!("Free {total}? Curves, masks and CSV files stay; the weights can be trained again.");
    match if args.yes { Some(true) } else { ui::confirm(&question) } {
        Some(true) => {}
        Some(false) => {
            args.print("nothing was freed\n", Some(nothing))?;
            return Ok(Exit::Success);
        }
        None => {
            let message = format!(
                "error: {total} could be freed, and there is no terminal to ask on\n\nhint: `--yes` frees them"
            );
            return Err(UsageError::from_text(&message).into());
        }
    }
    let freed = runner::free(&runs, only, &candidates)?;
    let result = CleanResult { files: freed.files as u64, bytes: freed.bytes, kept: freed.kept as u64, ..nothing };
    args.print(&format!("freed {}, {}\n", count_of(freed.files as u64, "file"), bytes(freed.bytes)), Some(result))?;
    if freed.kept > 0 {
        ui::eprint_line(&format!(
            "note: {} stay: a run has come to need or use them",
            count_of(freed.kept as u64, "file")
        ));
    }
    Ok(Exit::Success)
}

/// Returns a note that lists the files and folders of the store that this program did not write; `None` if there are
/// none.
fn foreign_note(foreign: &[PathBuf]) -> Option<String> {
    let names: Vec<String> = foreign
        .iter()
        .take(MAX_NAMES)
        .map(|path| format!("  {}\n", ui::printable(&path.display().to_string())))
        .collect();
    let unlisted = foreign.len().saturating_sub(MAX_NAMES);
    let more = if unlisted > 0 { format!("  and {unlisted} more\n") } else { String::new() };
    let text = format!("note: lth did not write these and leaves them alone:\n{}{more}", names.concat());
    (!foreign.is_empty()).then(|| text.trim_end().to_owned())
}

/// Returns a line for each reason to free files, with their number and size. With `names`, the files follow.
fn listing(candidates: &[GarbageFile], names: bool) -> String {
    let reasons = [
        (GcReason::NotKept, "final weights that no run needs by its `run.keep`"),
        (
            GcReason::NoRun,
            "final weights of copies that `lth stability` made, and of trainings whose runs are no longer here",
        ),
        (GcReason::Archived, "weights of trainings that --fresh has set aside"),
        (GcReason::Unfinished, "files of trainings that were killed while they were written"),
    ];
    let line = |(reason, description): (GcReason, &str)| {
        let files: Vec<&GarbageFile> = candidates.iter().filter(|file| file.reason == reason).collect();
        let size = files.iter().map(|file| file.bytes).sum();
        let name = |file: &&GarbageFile| format!("{:>9}    {}\n", bytes(file.bytes), file.path.display());
        let list: String = if names { files.iter().map(name).collect() } else { String::new() };
        let n = count_of(files.len() as u64, "file");
        (!files.is_empty()).then(|| format!("{:>9}  {description} ({n})\n{list}", bytes(size)))
    };
    reasons.into_iter().filter_map(line).collect()
}
