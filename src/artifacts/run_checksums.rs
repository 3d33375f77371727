//! `SHA256SUMS`, the checksums of a run's files: the resolved configuration and the CSV files, but not the durations.
//! `sha256sum -c SHA256SUMS` in the folder of the run checks them.
//!
//! While files are replaced, the list has the old and the new checksum of each, so that a process that is killed
//! meanwhile leaves no file that counts as damaged.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::base::key::{ContentHash, sha256};
use crate::system::files;
use crate::system::paths::RunDir;
use crate::system::retry::with_retries;

/// The files of a run that the list has.
const LISTED: [&str; 12] = [
    RunDir::RESOLVED_CONFIG,
    RunDir::ROUNDS,
    RunDir::CURVES,
    RunDir::LAYERS,
    RunDir::SUMMARY,
    RunDir::WEIGHTS,
    RunDir::STABILITY,
    RunDir::LANDSCAPE,
    RunDir::LANDSCAPE_CURVES,
    RunDir::ROBUSTNESS,
    RunDir::CALIBRATION,
    RunDir::CLASS_ACCURACY,
];

/// The first line of a list.
const FIRST_LINE: &str = "# SHA-256 of the files of a run of lth";
/// The beginning of the last line of a list, before the SHA-256 of the lines above it.
const LAST_LINE: &str = "# SHA-256 of the lines above: ";

/// The number of times that a file is read before it counts as damaged: a process may be replacing it.
const ATTEMPTS: u32 = 3;
/// The pause before a file is read again.
const PAUSE: Duration = Duration::from_millis(50);

/// The checksums of a run's files, each as (name, SHA-256).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunChecksums(BTreeSet<(String, String)>);

impl RunChecksums {
    /// Reads the list of a run; `None` if it has none: an older version of this program wrote it.
    ///
    /// # Errors
    /// Fails if the list exists and cannot be read, or is no list.
    pub fn read(run_dir: &RunDir) -> Result<Option<Self>> {
        with_retries(|| Self::try_read(run_dir))
    }

    /// Like [`read`](Self::read), without retries.
    fn try_read(run_dir: &RunDir) -> Result<Option<Self>> {
        let Some(bytes) = files::read_if_present(&run_dir.file(RunDir::CHECKSUMS))? else { return Ok(None) };
        let list = String::from_utf8(bytes).ok().and_then(|text| Self::from_text(&text));
        Ok(Some(list.with_context(|| damaged(run_dir, RunDir::CHECKSUMS))?))
    }

    /// Returns the list that [`to_bytes`](Self::to_bytes) wrote, or an older version of this program, which wrote no
    /// comments; `None` if the text is damaged.
    fn from_text(text: &str) -> Option<Self> {
        let lines = if text.starts_with(FIRST_LINE) {
            let (lines, sum) = text.strip_suffix('\n')?.rsplit_once(LAST_LINE)?;
            (sum == sha256(lines.as_bytes())).then_some(lines)?
        } else {
            text
        };
        let parse = |line: &str| {
            let (sum, name) = line.split_once("  ")?;
            sum.parse::<ContentHash>().ok()?;
            Some((name.to_owned(), sum.to_owned()))
        };
        let listed: BTreeSet<_> = lines.lines().filter(|&line| line != FIRST_LINE).map(parse).collect::<Option<_>>()?;
        (!listed.is_empty()).then_some(Self(listed))
    }

    /// Returns the bytes of the list: a line for each file, sorted by name, between two lines of comments, the second
    /// of which has the SHA-256 of the lines above it. `sha256sum` passes over comments.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines: Vec<String> = self.0.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
        let text = format!("{FIRST_LINE}\n{}", lines.concat());
        let last = format!("{LAST_LINE}{}\n", sha256(text.as_bytes()));
        (text + &last).into_bytes()
    }

    /// Returns the list after `files`, each as (name, bytes), have replaced those of their names. Files that are not
    /// listed are left out.
    #[must_use]
    pub fn with(&self, files: &[(&str, Vec<u8>)]) -> Self {
        let new = files.iter().filter(|(name, _)| LISTED.contains(name));
        let new: BTreeSet<(String, String)> = new.map(|(name, bytes)| ((*name).to_owned(), sha256(bytes))).collect();
        let is_replaced = |name: &str| new.iter().any(|(other, _)| other == name);
        let others = self.0.iter().filter(|(name, _)| !is_replaced(name)).cloned();
        Self(others.chain(new.clone()).collect())
    }

    /// Returns the list for the time in which the files of this list are replaced by those of `new`: the checksums of
    /// both. Files that this list does not have are left out, because they may not exist yet.
    #[must_use]
    pub fn during(&self, new: &Self) -> Self {
        let added = new.0.iter().filter(|(name, _)| self.lists(name)).cloned();
        Self(self.0.iter().cloned().chain(added).collect())
    }

    /// Returns whether the list has no file. An empty list is not written: it would count as damaged.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names of the files on the list, sorted, each once.
    pub fn names(&self) -> BTreeSet<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Returns whether the list has a file of this name.
    pub fn lists(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// Returns whether a file may have this checksum: the list has it, or has none for the file.
    fn accepts(&self, name: &str, sum: &str) -> bool {
        !self.lists(name) || self.0.iter().any(|listed| (listed.0.as_str(), listed.1.as_str()) == (name, sum))
    }
}

/// Opens a file of a run whose checksum is that of the list, at its beginning; `None` if the run has no such file.
///
/// # Errors
/// Fails if the file exists and cannot be read, is on the list and missing, or has another checksum.
pub fn open_run_file(run_dir: &RunDir, name: &str) -> Result<Option<File>> {
    with_retries(|| try_open_run_file(run_dir, name))
}

/// Like [`open_run_file`], without retries.
fn try_open_run_file(run_dir: &RunDir, name: &str) -> Result<Option<File>> {
    let path = run_dir.file(name);
    for attempt in 1..=ATTEMPTS {
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if !RunChecksums::try_read(run_dir)?.is_some_and(|list| list.lists(name)) {
                    return Ok(None);
                }
                let is_last = attempt == ATTEMPTS;
                ensure!(!is_last, "`{}` is missing; the command that made the run makes it again", path.display());
                std::thread::sleep(PAUSE);
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("could not read `{}`", path.display())),
        };
        // The list is read after the file: a process that replaces the file has listed its checksum before.
        let sum = files::sha256_of(&mut file).with_context(|| format!("could not read `{}`", path.display()))?;
        let list = RunChecksums::try_read(run_dir)?;
        let accepts = |sum: &str| list.as_ref().is_none_or(|list| list.accepts(name, sum));
        if accepts(&sum) || accepts(&sum_without_marks(&path)?) {
            file.rewind().with_context(|| format!("could not read `{}`", path.display()))?;
            return Ok(Some(file));
        }
        if attempt < ATTEMPTS {
            std::thread::sleep(PAUSE);
        }
    }
    bail!("{}: its checksum is not that in `{}`", damaged(run_dir, name), RunDir::CHECKSUMS)
}

/// Returns the checksum of a text file without what editors change when they save it: a byte order mark, line ends with
/// CR, and a Ctrl-Z at the end.
fn sum_without_marks(path: &Path) -> Result<String> {
    let bytes = files::read(path)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let text = text.strip_suffix(b"\x1a").unwrap_or(text);
    let is_carriage_return = |index: usize| text[index] == b'\r' && text.get(index + 1) == Some(&b'\n');
    let kept: Vec<u8> = (0..text.len()).filter(|&index| !is_carriage_return(index)).map(|index| text[index]).collect();
    Ok(sha256(&kept))
}

/// Returns the bytes of a file of a run whose checksum is that of the list; `None` if the run has no such file.
///
/// # Errors
/// Fails like [`open_run_file`].
pub fn read_run_file(run_dir: &RunDir, name: &str) -> Result<Option<Vec<u8>>> {
    with_retries(|| {
        let Some(mut file) = try_open_run_file(run_dir, name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes);
        read.with_context(|| format!("could not read `{}`", run_dir.file(name).display()))?;
        Ok(Some(bytes))
    })
}

/// Returns the message about a damaged file of a run.
pub fn damaged(run_dir: &RunDir, name: &str) -> String {
    let path = run_dir.file(name);
    format!("`{}` is damaged; the command that made the run makes it again", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = RunDir(folder.path().join("a-12345678"));
        (folder, run_dir)
    }

    #[test]
    fn list_that_is_cut_anywhere_is_damaged() {
        let (_folder, run_dir) = run();
        let file = |name| (name, b"a,b\n".to_vec());
        let list = RunChecksums::default().with(&[file(RunDir::ROUNDS), file(RunDir::CURVES)]);
        let bytes = list.to_bytes();
        let read = |bytes: &[u8]| {
            files::write(&run_dir.file(RunDir::CHECKSUMS), bytes).unwrap();
            RunChecksums::read(&run_dir).map(Option::unwrap)
        };
        assert_eq!(read(&bytes).unwrap(), list);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        // An older version wrote no comments.
        let lines: Vec<&[u8]> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
        assert_eq!(read(&lines[1..3].concat()).unwrap(), list);
    }

    #[test]
    fn file_that_is_not_listed_or_has_its_checksum_is_read() {
        let (_folder, run_dir) = run();
        let write = |name: &str, bytes: &[u8]| files::write(&run_dir.file(name), bytes).unwrap();
        let read = |name: &str| read_run_file(&run_dir, name);
        assert_eq!(read(RunDir::ROUNDS).unwrap(), None);
        write(RunDir::ROUNDS, b"a,b\n");
        assert_eq!(read(RunDir::ROUNDS).unwrap().unwrap(), b"a,b\n", "a run of an older version has no list");
        let list = RunChecksums::default().with(&[(RunDir::ROUNDS, b"a,b\n".to_vec()), (RunDir::TIMINGS, vec![])]);
        write(RunDir::CHECKSUMS, &list.to_bytes());
        let lines = format!("# SHA-256 of the files of a run of lth\n{}  rounds.csv\n", sha256(b"a,b\n"));
        let text = format!("{lines}# SHA-256 of the lines above: {}\n", sha256(lines.as_bytes()));
        assert_eq!(String::from_utf8(list.to_bytes()).unwrap(), text);
        assert_eq!(read(RunDir::ROUNDS).unwrap().unwrap(), b"a,b\n");
        for bytes in [&b"a,b\r\n"[..], b"\xef\xbb\xbfa,b\n", b"a,b\n\x1a"] {
            write(RunDir::ROUNDS, bytes);
            assert!(read(RunDir::ROUNDS).is_ok(), "an editor has saved it: {bytes:?}");
        }
        for bytes in [&b"a,b"[..], b"", b"a,c\n", b"a,b\x1a", b"a,b\r"] {
            write(RunDir::ROUNDS, bytes);
            let error = format!("{:#}", read(RunDir::ROUNDS).unwrap_err());
            assert!(error.contains("rounds.csv` is damaged"), "{error}");
        }
    }

    #[test]
    fn file_has_either_checksum_while_it_is_replaced() {
        let (_folder, run_dir) = run();
        let list = |bytes: &[u8]| RunChecksums::default().with(&[(RunDir::ROUNDS, bytes.to_vec())]);
        files::write(&run_dir.file(RunDir::CHECKSUMS), &list(b"1").during(&list(b"2")).to_bytes()).unwrap();
        for (bytes, is_read) in [(b"1", true), (b"2", true), (b"3", false)] {
            files::write(&run_dir.file(RunDir::ROUNDS), bytes).unwrap();
            assert_eq!(read_run_file(&run_dir, RunDir::ROUNDS).is_ok(), is_read);
        }
        std::fs::remove_file(run_dir.file(RunDir::ROUNDS)).unwrap();
        let missing = read_run_file(&run_dir, RunDir::ROUNDS).unwrap_err().to_string();
        assert!(missing.contains("rounds.csv` is missing"), "{missing}");
        assert_eq!(RunChecksums::default().during(&list(b"1")), RunChecksums::default(), "it may not exist yet");
    }
}
