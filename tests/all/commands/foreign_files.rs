//! Files that this program did not write stay as they are, wherever it removes, replaces or lists files.

use std::fs;
use std::path::{Path, PathBuf};

use lth::system::files;

use crate::support::*;

/// Returns the folder of a run whose store also has files with these names, and their paths.
fn store_with(foreign_names: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let paths: Vec<PathBuf> = foreign_names.iter().map(|name| folder.path().join("store").join(name)).collect();
    for path in &paths {
        files::write(path, b"a user's").unwrap();
    }
    (folder, paths)
}

/// Returns the key of the only dense training run in the store of `runs`.
fn dense_key(runs: &Path) -> String {
    rows(&run_dir(runs), "rounds.csv").into_iter().find(|row| row["arm"] == "dense").unwrap()["key"].clone()
}

/// Files that file managers, backups, network drives and users leave in a folder.
const FOREIGN_NAMES: [&str; 7] = [
    ".DS_Store",
    "@eaDir/SYNOINDEX",
    "lost+found/#123",
    "my_notes/ideas.txt",
    "my_notes/inner/more.txt",
    "old-notes/2025/final.safetensors",
    "old-7/photo.jpg",
];

#[test]
fn clean_leaves_foreign_files_and_names_each_once() {
    let (folder, mut foreign_paths) = store_with(&FOREIGN_NAMES);
    let runs = folder.path();
    let entry = runs.join("store").join(dense_key(runs));
    // A copy of an entry under another name, and a user's file inside an entry.
    let copy = runs.join("store").join(format!("{}.bak", dense_key(runs)));
    for name in ["done.json", "final.safetensors"] {
        files::write(&copy.join(name), &fs::read(entry.join(name)).unwrap()).unwrap();
        foreign_paths.push(copy.join(name));
    }
    files::write(&entry.join("why.txt"), b"a user's").unwrap();
    foreign_paths.push(entry.join("why.txt"));
    // A run without a folder needs no weights.
    fs::remove_dir_all(run_dir(runs)).unwrap();

    let dry = lth_in(runs, &["clean", "--dry-run"]);
    for name in [".DS_Store", "@eaDir", "lost+found", "my_notes", "old-notes", "photo.jpg", ".bak", "why.txt"] {
        assert_eq!(stderr(&dry).matches(name).count(), 1, "{name}: {}", stderr(&dry));
    }
    assert!(stdout(&dry).contains("and of training runs of deleted runs (2 files)"), "{}", stdout(&dry));
    assert!(stdout(&dry).contains(&format!("{}\n", entry.join("final.safetensors").display())), "{}", stdout(&dry));
    let contents: Vec<_> = foreign_paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert!(stdout_of(runs, &["clean", "--yes"]).contains("deleted 2 files"));
    assert_eq!(foreign_paths.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>(), contents);
    assert!(!entry.join("final.safetensors").exists());
    assert!(!runs.join("store/my_notes/lock").exists(), "no lock was left in a foreign folder");
}

#[test]
fn clean_of_unfinished_training_leaves_foreign_files() {
    let (folder, _) = store_with(&[]);
    let entry = folder.path().join("store").join("0".repeat(64));
    for name in ["mask.safetensors", ".tmp-lth-aB3xyZ", "notes.txt", ".tmp-backup", "sub/mask.safetensors"] {
        files::write(&entry.join(name), b"text").unwrap();
    }
    let text = stdout_of(folder.path(), &["clean", "--yes"]);
    assert!(text.contains("killed while they were written (2 files)"), "{text}");
    let mut left: Vec<_> = fs::read_dir(&entry).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, [".tmp-backup", "lock", "notes.txt", "sub"]);
}

#[test]
fn foreign_files_in_store_disturb_no_command() {
    let (folder, _) = store_with(&FOREIGN_NAMES);
    let runs = folder.path();
    let copy = runs.join("store").join(format!("{} (copy)", dense_key(runs)));
    files::write(&copy.join("done.json"), b"{}").unwrap();
    assert_eq!(finished_count(&run_ok(SMOKE, runs, &["replicates=1"])), 0);
    for args in [&["runs"][..], &["show", "smoke"], &["report", "smoke"], &["clean", "--dry-run"]] {
        stdout_of(runs, args);
    }
    let doctor: serde_json::Value = serde_json::from_str(&stdout_of(runs, &["doctor", "--json"])).unwrap();
    let (store, foreign) = (&doctor["store"], doctor["store"]["foreign"].as_array().unwrap());
    assert_eq!((store["trainings"].as_u64(), store["unfinished"].as_u64()), (Some(9), Some(0)), "{store}");
    assert_eq!((store["set_aside"].as_u64(), foreign.len()), (Some(0), 7), "{store}");
}

#[test]
fn report_leaves_figures_of_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let figures = run_dir(folder.path()).join("report/figures");
    for name in ["my_plot.svg", "my_numbers.csv", "my_plot.png"] {
        files::write(&figures.join(name), b"a user's").unwrap();
    }
    stdout_of(folder.path(), &["report", "smoke"]);
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &["replicates=1"])), 0);
    // A foreign file with the name of a figure of the report is renamed.
    files::write(&figures.join("weights_remaining.svg"), b"a user's").unwrap();
    let message = stderr(&lth_in(folder.path(), &["report", "smoke"]));
    assert!(message.contains("weights_remaining.svg.old-1`"), "{message}");
    assert_eq!(fs::read(figures.join("weights_remaining.svg.old-1")).unwrap(), b"a user's");
    for name in ["my_plot.svg", "my_numbers.csv", "my_plot.png"] {
        assert_eq!(fs::read(figures.join(name)).unwrap(), b"a user's", "{name}");
    }
}

#[test]
fn report_out_replaces_only_its_own_files() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let out = folder.path().join("site");
    let (index, page) = (out.join("index.html"), out.join("report.md"));
    files::write(&index, b"a user's home page").unwrap();
    let args = ["report", "smoke", "--out", out.to_str().unwrap()];
    let refused = lth_in(folder.path(), &args);
    assert_eq!((refused.status.code(), stdout(&refused).as_str()), (Some(2), ""), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains(&format!("`{}` exists, and is not on the list", index.display())),
        "{}",
        stderr(&refused)
    );
    assert_eq!(fs::read(&index).unwrap(), b"a user's home page");
    assert!(!page.exists(), "nothing is written where one file is refused");

    fs::remove_file(&index).unwrap();
    files::write(&out.join("notes.txt"), b"a user's").unwrap();
    stdout_of(folder.path(), &args);
    stdout_of(folder.path(), &args);
    // A page that the user has edited is foreign.
    files::write(&page, b"edited").unwrap();
    assert_eq!(lth_in(folder.path(), &args).status.code(), Some(2));
    assert_eq!(
        (fs::read(&page).unwrap(), fs::read(out.join("notes.txt")).unwrap()),
        (b"edited".into(), b"a user's".into())
    );
}
