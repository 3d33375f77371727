//! The errors of commands: what is printed of them, with a hint, and the exit code.

use super::execution;
use crate::system::exit::Exit;
use crate::system::files::{LocksUnsupported, WriteError};
use crate::ui;

/// The part of a hint that names the option for another folder of runs.
pub(super) const FOLDER_OPTION: &str = " with `--runs`";

/// Prints an error with its causes and a hint on standard error, and returns the exit code: [`Exit::Usage`] for a
/// mistake in the arguments or the configuration, else [`Exit::Failure`]. `folder_option`: the part of the hint that
/// names the option for another folder, such as " with `--runs`".
pub(super) fn explain(error: &anyhow::Error, folder_option: &str) -> Exit {
    if let Some(mistake) = error.downcast_ref::<crate::config::UsageError>() {
        ui::eprint_line(&mistake.to_string());
        return Exit::Usage;
    }
    if let Some(wrong) = error.chain().find_map(|cause| cause.downcast_ref::<crate::system::env::BadVariable>()) {
        ui::eprint_line(&format!("error: {wrong}"));
        return Exit::Usage;
    }
    if let Some(missing) = error.downcast_ref::<crate::artifacts::NoSuchRun>() {
        ui::eprint_line(&format!("error: {missing}"));
        return Exit::Usage;
    }
    if let Some(execution::Stopped(exit)) = error.downcast_ref() {
        ui::eprint_line(&format!("{error:#}"));
        return *exit;
    }
    let mut causes = error.chain().map(ToString::to_string);
    ui::eprint_line(&format!("error: {}", causes.next().unwrap_or_default()));
    causes.for_each(|cause| ui::eprint_line(&format!("  Caused by: {cause}")));
    if let Some(hint) = hint(error, folder_option) {
        ui::eprint_line(&format!("\nhint: {hint}"));
    }
    Exit::Failure
}

/// Returns advice for the most frequent system errors: missing data, downloads, file locks, folders that cannot be
/// written; `None` for other errors. `folder_option`: see [`explain`].
fn hint(error: &anyhow::Error, folder_option: &str) -> Option<String> {
    if let Some(crate::data::Unreadable { builtin: set, folder }) = error.downcast_ref() {
        let is_missing = error.chain().any(<dyn std::error::Error>::is::<crate::data::NotFound>);
        let folder_argument = crate::data::data_dir_argument(folder);
        return Some(if is_missing {
            format!(
                "run `lth data fetch {set}{folder_argument}`, or point `--data-dir` or LTH_DATA_DIR at the folder of the \
                 files; `data.dataset=strokes` needs none"
            )
        } else {
            format!(
                "`lth data check {set}{folder_argument}` checks every file; `lth data fetch {set}{folder_argument}` \
                 downloads damaged files again"
            )
        });
    }
    if let Some(unreachable) = error.chain().find_map(|cause| cause.downcast_ref::<crate::data::NoMirror>()) {
        return Some(format!(
            "repeat the command to resume the download. Behind a proxy, set HTTPS_PROXY; `--mirror URL` names another \
             address with the same files; or copy the files that `lth data check` lists to `{}`",
            unreachable.folder.display()
        ));
    }
    if error.chain().any(<dyn std::error::Error>::is::<LocksUnsupported>) {
        return Some(
            "set LTH_LOCKS=claims for the first command on this folder: claim files then take the place of locks, for every \
             process on it. Or name a folder on another file system with `--runs`: a local disk, or one that is mounted \
             with locks (Lustre: `-o flock`). `lth doctor --runs FOLDER` tests whether a folder has locks"
                .to_owned(),
        );
    }
    let Some(unwritten) = error.chain().find_map(|cause| cause.downcast_ref::<WriteError>()) else {
        let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
        let is_denied = causes.any(|cause| cause.kind() == std::io::ErrorKind::PermissionDenied);
        return is_denied
            .then(|| "change the permissions of the file or folder, so that this user may read it".to_owned());
    };
    let advice = match unwritten.source.kind() {
        std::io::ErrorKind::PermissionDenied
        | std::io::ErrorKind::ReadOnlyFilesystem
        | std::io::ErrorKind::NotFound
        | std::io::ErrorKind::AlreadyExists
        | std::io::ErrorKind::NotADirectory => "name a folder you may write to",
        std::io::ErrorKind::IsADirectory => {
            "a folder stands where the file belongs; move it away, or name another place"
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            "free some space (`df -h` and `df -i` show what is used), or name another folder"
        }
        _ => return None,
    };
    Some(format!("{advice}{folder_option}"))
}
