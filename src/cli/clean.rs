//! `lth clean`: deletes weights that no run needs, and entries of the store that no run names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::confirmation::confirm_deletion;
use super::json::CleanResult;
use super::load::RunsArgs;
use crate::artifacts::find_runs;
use crate::base::format::{bytes, count_of};
use crate::runner;
use crate::runner::{Garbage, GarbageFile, GcReason, Orphan};
use crate::system::exit::Exit;
use crate::ui;

/// The largest number of foreign files that a note lists.
const MAX_NAMES: usize = 20;

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct CleanArgs {
    /// Delete only weights of these runs: folders, names, or names of experiments, which stand for all their runs.
    #[arg(value_name = "RUN", value_parser = super::folders::path_parser())]
    only: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    /// Delete also the results of training runs that belong to no run, because the run was deleted.
    #[arg(long, conflicts_with = "only")]
    orphans: bool,
    /// List the files that would be deleted, and delete nothing.
    #[arg(long)]
    dry_run: bool,
    /// Delete without asking.
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
    let run_dirs = args.only.iter().map(|word| find_runs(&runs, word)).collect::<Result<Vec<_>>>()?.concat();
    let only = (!run_dirs.is_empty()).then_some(run_dirs.as_slice());
    let Garbage { files: mut candidates, foreign } = runner::find_garbage(&runs, only)?;
    let orphans = if args.orphans { runner::find_orphans(&runs)? } else { Vec::new() };
    // The weights of orphans are deleted with the rest of their files.
    let orphan_dirs: BTreeSet<&Path> = orphans.iter().map(|orphan| &*orphan.entry.0).collect();
    candidates.retain(|file| !file.path.parent().is_some_and(|folder| orphan_dirs.contains(folder)));
    if let Some(note) = foreign_note(&foreign) {
        ui::eprint_line(&note);
    }
    let nothing = CleanResult { dry_run: args.dry_run, files: 0, bytes: 0, kept: 0, training_runs: 0 };
    if candidates.is_empty() && orphans.is_empty() {
        args.print(&format!("nothing to delete in {}\n", runs.store().display()), Some(nothing))?;
        return Ok(Exit::Success);
    }
    args.print(&(listing(&candidates, args.dry_run) + &orphan_listing(&orphans, args.dry_run)), None)?;
    let sizes = candidates.iter().map(|file| file.bytes).chain(orphans.iter().map(|orphan| orphan.bytes));
    let size = sizes.sum();
    let total = bytes(size);
    if args.dry_run {
        let (files, training_runs) = (candidates.len() as u64, orphans.len() as u64);
        let result = CleanResult { files, training_runs, bytes: size, ..nothing };
        args.print(&format!("{total} would be deleted\n"), Some(result))?;
        return Ok(Exit::Success);
    }
    let question = if orphans.is_empty() {
        format!("Delete {total}? Curves, masks and CSV files stay; the weights can be trained again.")
    } else {
        format!("Delete {total}? Results of training runs that belong to no run are lost.")
    };
    if !confirm_deletion(args.yes, &total, &question)? {
        args.print("nothing was deleted\n", Some(nothing))?;
        return Ok(Exit::Success);
    }
    let freed = runner::free(&runs, only, &candidates)?;
    let (entries, entry_bytes) = runner::delete_orphans(&runs, &orphans)?;
    let and_entries =
        if args.orphans { format!(" and {}", count_of(entries as u64, "training run")) } else { String::new() };
    let files = count_of(freed.files as u64, "file");
    let result = CleanResult {
        files: freed.files as u64,
        training_runs: entries as u64,
        bytes: freed.bytes + entry_bytes,
        kept: freed.kept as u64,
        ..nothing
    };
    args.print(&format!("deleted {files}{and_entries}, {}\n", bytes(result.bytes)), Some(result))?;
    if freed.kept > 0 {
        ui::eprint_line(&format!("note: {} stay: a run needs or uses them now", count_of(freed.kept as u64, "file")));
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

/// Returns a line for each reason to delete files, with their number and size. With `names`, the files follow.
fn listing(candidates: &[GarbageFile], names: bool) -> String {
    let reasons = [
        (GcReason::NotKept, "final weights that no run needs by its `run.keep`"),
        (GcReason::NoRun, "final weights of copies by `lth stability`, and of training runs of deleted runs"),
        (GcReason::Archived, "weights of training runs that --fresh has archived"),
        (GcReason::Unfinished, "files of training runs that were killed while they were written"),
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

/// Returns a line with the number and size of the training runs of no run. With `names`, their folders follow.
fn orphan_listing(orphans: &[Orphan], names: bool) -> String {
    if orphans.is_empty() {
        return String::new();
    }
    let size = orphans.iter().map(|orphan| orphan.bytes).sum();
    let name = |orphan: &Orphan| format!("{:>9}    {}\n", bytes(orphan.bytes), orphan.entry.0.display());
    let list: String = if names { orphans.iter().map(name).collect() } else { String::new() };
    let n = count_of(orphans.len() as u64, "training run");
    format!("{:>9}  all results of training runs that belong to no run ({n})\n{list}", bytes(size))
}
