//! Folders that vanish or that cannot be used.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use lth::system::files;

use crate::support::*;

#[test]
fn run_whose_folder_is_deleted_meanwhile_ends_with_all_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["train.iterations=1500"];
    let mut command = run_command(SMOKE, folder.path(), &sets);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_stored = || {
        let entries = files::list(&folder.path().join("store")).unwrap_or_default();
        entries.iter().any(|entry| entry.join("done.json").exists())
    };
    while !is_stored() {
        std::thread::sleep(Duration::from_millis(5));
    }
    // The run may be writing a file there.
    let run = run_dir(folder.path());
    while fs::remove_dir_all(&run).is_err() && run.exists() {}
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    for name in ["config.toml", "resolved.toml", "run.json", "SHA256SUMS"] {
        assert!(run.join(name).exists(), "{name}");
    }
    assert!(fs::read_to_string(run.join("report/report.md")).unwrap().contains("winning_ticket"));
    assert!(stdout(&output).contains("of the weights, winning_ticket is "), "the verdict: {}", stdout(&output));
    stdout_of(folder.path(), &["verify", "smoke"]);
}

#[test]
fn file_of_a_run_that_was_changed_is_no_result() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1"]);
    let run = run_dir(folder.path());
    for name in ["rounds.csv", "curves.csv", "layers.csv", "weights.csv", "resolved.toml"] {
        let text = fs::read_to_string(run.join(name)).unwrap();
        let end = text.trim_end().rfind('\n').unwrap();
        // Cut at the end of a row.
        files::write(&run.join(name), &text.as_bytes()[..=end]).unwrap();
        let output = lth_in(folder.path(), &["report", "smoke"]);
        let message = stderr(&output);
        assert!(message.contains(&format!("{name}` is damaged")) && !output.status.success(), "{name}: {message}");
        fs::remove_file(run.join(name)).unwrap();
        let output = lth_in(folder.path(), &["report", "smoke"]);
        let message = stderr(&output);
        assert!(message.contains(&format!("{name}` is missing")) && !output.status.success(), "{name}: {message}");
        run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1"]);
        assert_eq!(fs::read_to_string(run.join(name)).unwrap(), text, "{name}");
        stdout_of(folder.path(), &["report", "smoke"]);
    }
}

#[test]
fn runs_that_is_no_folder_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    files::write(&file, b"mine").unwrap();
    for runs in [file.clone(), file.join("inside")] {
        let runs = runs.to_str().unwrap().to_owned();
        for args in [
            &["run", SMOKE][..],
            &["plan", SMOKE],
            &["runs"],
            &["show", "smoke"],
            &["verify", "smoke"],
            &["report", "smoke"],
            &["compare", "a", "b"],
            &["clean", "--yes"],
            &["doctor"],
        ] {
            let output = lth().args(args).args(["--runs", &runs]).output().unwrap();
            let expected = format!("error: `{}` is not a folder\n\nhint: name a folder", file.display());
            assert!(stderr(&output).contains(&expected), "{args:?}: {}", stderr(&output));
            assert_eq!(output.status.code(), Some(1), "{args:?}");
        }
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}
