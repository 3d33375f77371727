//! `lth clean`: deletes weights that no run needs, and entries of the store that no run names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::deletion::DeletionArgs;
use super::execution::sweep_locks;
use super::json::CleanResult;
use super::load::RunsArgs;
use crate::artifacts::find_runs;
use crate::base::format::{bytes, count_of};
use crate::runner;
use crate::runner::{Garbage, GarbageFile, GcReason, Orphan};
use crate::system::exit::Exit;
use crate::system::files::{Lock, WaitOptions};
use crate::system::paths::{RunDir, RunsDir};
use crate::ui;

/// The largest number of foreign files that a note lists.
const MAX_NAMES: usize = 20;

#[derive(Debug, Args)]
pub(super) struct CleanArgs {
    /// Delete only weights of these runs: folders, names, or names of experiments, which stand for all their runs.
    #[arg(value_name = "RUN", value_parser = super::folders::path_parser())]
    only: Vec<PathBuf>,
    #[command(flatten)]
    runs: RunsArgs,
    /// Delete also the results of training runs that belong to no run, because the run was deleted.
    #[arg(long, conflicts_with = "only")]
    orphans: bool,
    #[command(flatten)]
    deletion: DeletionArgs,
}

/// Runs `lth clean` and returns its exit code.
///
/// # Errors
/// Fails if a run cannot be found, the store cannot be read, or `--yes` is needed because there is no terminal to ask
/// on.
pub(super) fn run(args: &CleanArgs) -> Result<Exit> {
    let deletion = &args.deletion;
    let found = Deletable::find(args)?;
    if !deletion.dry_run && found.runs.locks().is_dir() {
        sweep_locks(&found.runs)?;
    }
    if let Some(note) = foreign_note(&found.foreign) {
        ui::eprint_line(&note);
    }
    for message in &found.unknown {
        ui::eprint_line(&format!("note: {message}. Weights that it may need are kept"));
    }
    let nothing = CleanResult { dry_run: deletion.dry_run, ..CleanResult::default() };
    if found.files.is_empty() && found.orphans.is_empty() {
        deletion.print_result(&format!("nothing to delete in {}", found.runs.store().display()), &nothing)?;
        return Ok(Exit::Success);
    }
    let list = listing(&found.files, deletion.dry_run) + &orphan_listing(&found.orphans, deletion.dry_run);
    deletion.print_list(&list)?;
    let total = bytes(found.bytes());
    if deletion.dry_run {
        let (files, training_runs) = (found.files.len() as u64, found.orphans.len() as u64);
        let result = CleanResult { files, training_runs, bytes: found.bytes(), ..nothing };
        deletion.print_result(&format!("{total} would be deleted"), &result)?;
    } else if deletion.confirm(&total, &found.question())? {
        delete(&found, args)?;
    } else {
        deletion.print_result("nothing was deleted", &nothing)?;
    }
    Ok(Exit::Success)
}

/// What can be deleted from a store.
struct Deletable {
    /// The folder of all runs.
    runs: RunsDir,
    /// The runs whose weights are deleted; `None` if those of all runs are.
    only: Option<Vec<RunDir>>,
    /// Files with weights that no run needs.
    files: Vec<GarbageFile>,
    /// Training runs that belong to no run; empty without `--orphans`.
    orphans: Vec<Orphan>,
    /// Files and folders of the store that this program did not write.
    foreign: Vec<PathBuf>,
    /// A message for each run whose training runs are not known.
    unknown: Vec<String>,
}

impl Deletable {
    /// Finds what the arguments ask for.
    fn find(args: &CleanArgs) -> Result<Self> {
        let runs = args.runs.folder()?;
        Lock::remove_stale_claims(&runs, &WaitOptions { gives_up: &|| false, announce: &ui::eprint_line })?;
        let named = args.only.iter().map(|word| find_runs(&runs, word)).collect::<Result<Vec<_>>>()?.concat();
        let only = (!named.is_empty()).then_some(named);
        let Garbage { mut files, foreign, unknown } = runner::find_garbage(&runs, only.as_deref())?;
        let orphans = if args.orphans { runner::find_orphans(&runs)? } else { Vec::new() };
        // The weights of orphans are deleted with the rest of their files.
        let orphan_dirs: BTreeSet<&Path> = orphans.iter().map(|orphan| &*orphan.entry.0).collect();
        files.retain(|file| !file.path.parent().is_some_and(|folder| orphan_dirs.contains(folder)));
        Ok(Self { runs, only, files, orphans, foreign, unknown })
    }

    /// Returns the size of all files in bytes.
    fn bytes(&self) -> u64 {
        let files = self.files.iter().map(|file| file.bytes);
        files.chain(self.orphans.iter().map(|orphan| orphan.bytes)).sum()
    }

    /// Returns the question before they are deleted.
    fn question(&self) -> String {
        let total = bytes(self.bytes());
        if self.orphans.is_empty() {
            format!("Delete {total}? Curves, masks and CSV files stay; the weights can be trained again.")
        } else {
            format!("Delete {total}? Results of training runs that belong to no run are lost.")
        }
    }
}

/// Deletes what was found and is not needed now either, and prints what was deleted.
fn delete(found: &Deletable, args: &CleanArgs) -> Result<()> {
    let wait_options = WaitOptions { gives_up: &|| false, announce: &ui::eprint_line };
    let freed = runner::free(&found.runs, found.only.as_deref(), &found.files, &wait_options)?;
    let (entries, entry_bytes) = runner::delete_orphans(&found.runs, &found.orphans, &wait_options)?;
    let and_entries =
        if args.orphans { format!(" and {}", count_of(entries as u64, "training run")) } else { String::new() };
    let result = CleanResult {
        dry_run: false,
        files: freed.files as u64,
        training_runs: entries as u64,
        bytes: freed.bytes + entry_bytes,
        kept: freed.kept as u64,
    };
    let files = count_of(result.files, "file");
    args.deletion.print_result(&format!("deleted {files}{and_entries}, {}", bytes(result.bytes)), &result)?;
    if freed.kept > 0 {
        ui::eprint_line(&format!("note: {} stay: a run needs or uses them now", count_of(result.kept, "file")));
    }
    Ok(())
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
