//! Damage of stored files, as a table: each kind of file is damaged in each way. No command panics or gives a wrong
//! result without a word, `lth verify` finds the damage, and `lth run` makes the file again or names it.
//!
//! One kind of damage is tried on each file, in turn; with the environment variable `LTH_TEST_DAMAGE=all` every kind
//! on every file, with every command.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use lth::system::files;

use crate::support::*;

const SETS: [&str; 4] = ["replicates=1", "rounds=1", "train.iterations=60", "train.evaluate_every=20"];

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Damage {
    Truncated,
    BitFlipped,
    Empty,
    /// Another file of the same kind lies in its place.
    Swapped,
    OtherVersion,
    Deleted,
    /// A folder lies in its place.
    Folder,
    Unreadable,
}

const DAMAGES: [Damage; 8] = [
    Damage::Truncated,
    Damage::BitFlipped,
    Damage::Empty,
    Damage::Swapped,
    Damage::OtherVersion,
    Damage::Deleted,
    Damage::Folder,
    Damage::Unreadable,
];

/// A store with two runs, the first of which has been measured by `lth stability`.
struct Fixture {
    _folder: tempfile::TempDir,
    runs: PathBuf,
    /// The folder of the first run.
    run: PathBuf,
    /// Every file with its bytes.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        run_ok(SMOKE, &runs, &SETS);
        stdout_of(&runs, &["stability", "smoke", "--arm", "dense", "--points", "3"]);
        let more = [&SETS[..1], &["rounds=2", "name=other"], &SETS[2..]].concat();
        run_ok(SMOKE, &runs, &more);
        let run = run_dir_named(&runs, "smoke");
        let files = read_all(&runs);
        Self { _folder: folder, runs, run, files }
    }

    /// Brings every file back to what it was.
    fn restore(&self) {
        let paths = |folder: &Path| files::list(folder).unwrap();
        for folder in paths(&self.runs).into_iter().chain(paths(&self.runs.join("store"))).filter(|path| path.is_dir())
        {
            for path in paths(&folder).into_iter().filter(|path| !self.files.contains_key(path)) {
                let is_kept = path.is_dir() && self.files.keys().any(|file| file.starts_with(&path));
                if path.is_dir() && !is_kept {
                    fs::remove_dir_all(path).unwrap();
                } else if !is_kept {
                    fs::remove_file(path).unwrap();
                }
            }
        }
        for (path, bytes) in &self.files {
            if path.is_dir() {
                fs::remove_dir(path).unwrap();
            }
            if fs::read(path).ok().as_ref() != Some(bytes) {
                files::write(path, bytes).unwrap();
            }
        }
    }

    /// Returns the files to be damaged, each with another one for [`Damage::Swapped`].
    fn targets(&self) -> Vec<[PathBuf; 2]> {
        let entry = |arm: &str| {
            let row = rows(&self.run, "rounds.csv").into_iter().find(|row| row["arm"] == arm).unwrap();
            self.runs.join("store").join(&row["key"])
        };
        let [dense, ticket, control] = ["dense", "winning_ticket", "random_mask"].map(entry);
        let copy =
            self.files.keys().find(|path| path.ends_with("stability.json")).unwrap().parent().unwrap().to_owned();
        let name = self.run.file_name().unwrap().to_str().unwrap().to_owned();
        let mut targets = Vec::new();
        for file in ["done.json", "curve.json", "mask.safetensors", "weights.json"] {
            targets.push([ticket.join(file), dense.join(file)]);
        }
        targets.push([dense.join("final.safetensors"), dense.join("start.safetensors")]);
        targets.push([dense.join("start.safetensors"), dense.join("final.safetensors")]);
        targets.push([control.join("done.json"), ticket.join("done.json")]);
        targets.push([copy.join("stability.json"), copy.join("curve.json")]);
        targets.push([self.runs.join(".locks").join(format!("{name}.keys")), self.run.join("rounds.csv")]);
        let csv = ["rounds.csv", "curves.csv", "layers.csv", "weights.csv", "summary.csv", "stability.csv"];
        for (index, file) in csv.iter().enumerate() {
            targets.push([self.run.join(file), self.run.join(csv[(index + 1) % csv.len()])]);
        }
        for file in ["run.json", "resolved.toml", "SHA256SUMS"] {
            let other = run_dir_named(&self.runs, "other").join(file);
            targets.push([self.run.join(file), other]);
        }
        targets
    }

    /// Runs a command on the first run.
    fn command(&self, command: &str) -> Output {
        let run = self.run.to_str().unwrap();
        let other = run_dir_named(&self.runs, "other").display().to_string();
        let sets: Vec<&str> = SETS.iter().flat_map(|set| ["--set", set]).collect();
        let args = match command {
            "run" | "plan" => [&[command, SMOKE][..], &sets].concat(),
            "compare" => vec![command, run, &other],
            "clean" => vec![command, "--yes"],
            "doctor" | "runs" => vec![command],
            "stability" => vec![command, run, "--arm", "dense", "--points", "3"],
            _ => vec![command, run],
        };
        lth_in(&self.runs, &args)
    }

    /// Returns what a reading command gives: its output, and the files of the report.
    fn reading(&self, command: &str) -> (Output, BTreeMap<String, String>) {
        let output = self.command(command);
        let report = self.run.join("report");
        let files = if command == "report" { reproducible_files(&report) } else { BTreeMap::new() };
        (output, files)
    }
}

fn read_all(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in files::list(folder).unwrap() {
        if path.is_dir() {
            found.extend(read_all(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Damages a file. Returns false where this damage is none on this file or for this user.
fn damage(damage: Damage, path: &Path, other: &Path) -> bool {
    let mut bytes = fs::read(path).unwrap();
    match damage {
        Damage::Truncated => bytes.truncate(bytes.len() / 2),
        Damage::BitFlipped => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        Damage::Empty => bytes.clear(),
        Damage::Swapped => bytes = fs::read(other).unwrap(),
        Damage::OtherVersion if path.ends_with("done.json") || path.ends_with("stability.json") => {
            edit_json(path, |page| page["format"] = 99.into());
            return true;
        }
        Damage::OtherVersion => bytes.extend(b"more"),
        Damage::Deleted => {
            fs::remove_file(path).unwrap();
            return true;
        }
        Damage::Folder => {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
            return true;
        }
        Damage::Unreadable => return make_unreadable(path),
    }
    files::write(path, &bytes).unwrap();
    true
}

#[cfg(unix)]
fn make_unreadable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    // The superuser reads every file.
    fs::read(path).is_err()
}

#[cfg(not(unix))]
fn make_unreadable(_: &Path) -> bool {
    false
}

/// Asserts that a command ended in an orderly way.
fn assert_orderly(output: &Output, case: &str) {
    let message = stderr(output);
    assert!(matches!(output.status.code(), Some(0..=2)), "{case}: {:?} {message}", output.status);
    assert!(!message.contains("panicked") && !message.contains("a defect"), "{case}: {message}");
}

#[test]
fn damaged_files_are_found_and_made_again_or_named() {
    let fixture = Fixture::new();
    let is_complete = lth::system::env::value("LTH_TEST_DAMAGE").is_some_and(|value| value == "all");
    let readers = ["show", "report", "compare"];
    let others = ["clean", "doctor", "runs", "plan", "stability"];
    let baseline = readers.map(|reader| fixture.reading(reader));
    let mut cases = 0;
    for (index, [path, other]) in fixture.targets().iter().enumerate() {
        for (turn, kind) in DAMAGES.into_iter().enumerate() {
            if !is_complete && (turn + 5 * index) % 8 != 0 {
                continue;
            }
            let is_mine = |position: usize| is_complete || (position + index).is_multiple_of(6);
            let case = format!("{kind:?} {}", path.strip_prefix(&fixture.runs).unwrap().display());
            for (position, reader) in readers.iter().enumerate().filter(|(position, _)| is_mine(*position)) {
                fixture.restore();
                if damage(kind, path, other) {
                    assert_read(&fixture, reader, &baseline[position], path, &case);
                }
            }
            for (_, command) in others.iter().enumerate().filter(|(position, _)| is_mine(*position)) {
                fixture.restore();
                if damage(kind, path, other) {
                    assert_orderly(&fixture.command(command), &format!("{case}: {command}"));
                }
            }
            fixture.restore();
            if damage(kind, path, other) {
                cases += 1;
                assert_verified_and_mended(&fixture, kind, path, &case);
            }
        }
    }
    assert!(cases >= if is_complete { 120 } else { 15 }, "{cases}");
}

/// Asserts that a reading command gives what it gave before the damage, or names the file.
fn assert_read(
    fixture: &Fixture,
    reader: &str,
    baseline: &(Output, BTreeMap<String, String>),
    path: &Path,
    case: &str,
) {
    let (output, report) = fixture.reading(reader);
    assert_orderly(&output, &format!("{case}: {reader}"));
    let is_same = output.status.success() && stdout(&output) == stdout(&baseline.0) && report == baseline.1;
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(is_same || stderr(&output).contains(name), "{case}: {reader}: {}", stderr(&output));
}

/// Asserts that `lth verify` finds the damage, and that `lth run` makes the file again or names it.
fn assert_verified_and_mended(fixture: &Fixture, kind: Damage, path: &Path, case: &str) {
    let name = path.file_name().unwrap().to_str().unwrap();
    // Weights may be freed, and a run that was copied elsewhere has no list of keys.
    let is_allowed = kind == Damage::Deleted
        && (name == "final.safetensors" || path.extension().is_some_and(|ending| ending == "keys"));
    let found = fixture.command("verify");
    assert_orderly(&found, &format!("{case}: verify"));
    assert_eq!(found.status.code(), Some(i32::from(!is_allowed)), "{case}: {}{}", stdout(&found), stderr(&found));
    let mended = fixture.command("run");
    assert_orderly(&mended, &format!("{case}: run"));
    if !mended.status.success() {
        assert!(stderr(&mended).contains(name), "{case}: {}", stderr(&mended));
        return;
    }
    // A run writes again what it makes, and weights only if something needs them.
    let measured = fixture.command("stability");
    if !measured.status.success() {
        assert!(stderr(&measured).contains(name), "{case}: {}", stderr(&measured));
        return;
    }
    let expected = fixture.files.iter().filter(|(path, _)| path.parent() == Some(&*fixture.run));
    for (path, bytes) in expected.filter(|(path, _)| path.extension().is_some_and(|ending| ending == "csv")) {
        let is_equal = path.ends_with("timings.csv") || fs::read(path).unwrap() == *bytes;
        assert!(is_equal, "{case}: {} has other bytes", path.display());
    }
    let again = fixture.command("verify");
    let unneeded = ["final.safetensors"].contains(&name);
    assert!(again.status.success() || unneeded, "{case}: {}", stderr(&again));
}
