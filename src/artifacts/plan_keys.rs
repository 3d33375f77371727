//! The file with the keys of a run's plan, which a run writes at its start: a line for each training run, and a last
//! line with the checksum of the lines before it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::rows::{RoundRow, from_csv};
use super::run_checksums::{damaged, read_run_file};
use crate::base::key::{ContentHash, sha256};
use crate::system::files;
use crate::system::paths::RunDir;

/// The first line. Lists of older versions have none, and no checksum.
const FIRST_LINE: &str = "lth plan keys\n";

/// The word before the checksum in the last line.
const CHECKSUM: &str = "checksum ";

/// Returns the bytes of the file with the keys of a plan, in the order of the plan.
pub fn plan_keys_to_bytes<'a>(keys: impl Iterator<Item = &'a ContentHash>) -> Vec<u8> {
    let lines = FIRST_LINE.to_owned() + &keys.map(|key| format!("{key}\n")).collect::<Vec<_>>().concat();
    let sum = sha256(lines.as_bytes());
    format!("{lines}{CHECKSUM}{sum}\n").into_bytes()
}

/// Reads the keys from the bytes of their file; `None` if it is damaged. Older versions of this program wrote no
/// checksum.
fn keys_from_bytes(bytes: &[u8]) -> Option<BTreeSet<String>> {
    let text = str::from_utf8(bytes).ok()?;
    let lines = match text.strip_prefix(FIRST_LINE) {
        None => text.ends_with('\n').then_some(text)?,
        Some(rest) => {
            let (lines, sum) = rest.strip_suffix('\n')?.rsplit_once(CHECKSUM)?;
            let is_right = sum == sha256(&bytes[..FIRST_LINE.len() + lines.len()]);
            is_right.then_some(lines)?
        }
    };
    lines.lines().map(|line| line.parse::<ContentHash>().is_ok().then(|| line.to_owned())).collect()
}

/// Returns the keys of the training runs of a run's plan, from the file that the run wrote at its start; if there is
/// none, from `rounds.csv`.
///
/// # Errors
/// Fails if the run has neither file, or the file is damaged or cannot be read.
pub fn plan_keys(run_dir: &RunDir) -> Result<BTreeSet<String>> {
    let path = run_dir.plan_keys();
    let Some(bytes) = files::read_if_present(&path)? else { return keys_of_rounds(run_dir) };
    keys_from_bytes(&bytes)
        .with_context(|| format!("`{}` is damaged; the command that made the run makes it again", path.display()))
}

/// Returns the keys in `rounds.csv`.
fn keys_of_rounds(run_dir: &RunDir) -> Result<BTreeSet<String>> {
    let bytes = read_run_file(run_dir, RunDir::ROUNDS)?;
    let bytes = bytes.with_context(|| format!("there is no `{}`", run_dir.file(RunDir::ROUNDS).display()))?;
    let rows = from_csv::<RoundRow>(&bytes).with_context(|| damaged(run_dir, RunDir::ROUNDS))?;
    Ok(rows.into_iter().map(|row| row.key).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_changed_bit_and_no_cut_of_the_keys_is_read() {
        let keys = ["a", "b"].map(ContentHash::of_json_text);
        let bytes = plan_keys_to_bytes(keys.iter());
        let expected: BTreeSet<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(keys_from_bytes(&bytes), Some(expected.clone()));
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(keys_from_bytes(&changed), None, "bit {bit}");
        }
        let old = format!("{}\n{}\n", keys[0], keys[1]);
        assert_eq!(keys_from_bytes(old.as_bytes()), Some(expected), "a version without checksum");
        for cut in 0..bytes.len() {
            assert_eq!(keys_from_bytes(&bytes[..cut]), None, "{cut} bytes");
        }
        assert_eq!(keys_from_bytes(b"\n"), None);
    }
}
