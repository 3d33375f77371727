//! Experiments from standard input, on the real binary, and the encodings and line ends of editors.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::*;

const QUICK: [&str; 6] = ["--set", "replicates=1", "--set", "rounds=1", "--set", "train.iterations=20"];

/// Runs `command` with `text` on its standard input.
fn run_with_stdin(command: &mut Command, text: &[u8]) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text).unwrap();
    child.wait_with_output().unwrap()
}

/// Returns the command of the binary in `folder`.
fn lth_in(folder: &Path, args: &[&str]) -> Command {
    let mut command = lth();
    command.current_dir(folder).args(args);
    command
}

fn smoke() -> String {
    fs::read_to_string(SMOKE).unwrap()
}

fn as_json(toml: &str) -> String {
    // The document keeps the order of the file, which is the order of the arms.
    serde_json::to_string_pretty(&lth::config::ConfigDocument::parse("my.toml", toml, &[]).unwrap().root).unwrap()
}

#[test]
fn stdin_is_read_as_toml_or_json() {
    let folder = tempfile::tempdir().unwrap();
    let file = lth_in(folder.path(), &["plan", SMOKE]).output().unwrap();
    for text in [smoke(), as_json(&smoke()), format!("\u{feff}\n {}", as_json(&smoke()))] {
        let piped = run_with_stdin(&mut lth_in(folder.path(), &["plan", "-"]), text.as_bytes());
        assert!(piped.status.success(), "{}", stderr(&piped));
        assert_eq!(stdout(&piped), stdout(&file));
    }
    let check = run_with_stdin(&mut lth_in(folder.path(), &["check", "-", "--set", "seed=9"]), smoke().as_bytes());
    assert!(stdout(&check).contains("seed = 9  # --set seed=9"), "{}", stderr(&check));
    assert!(stdout(&check).contains("# <stdin>:"), "{}", stdout(&check));
    let data = run_with_stdin(&mut lth_in(folder.path(), &["data", "show", "-"]), smoke().as_bytes());
    assert!(data.status.success(), "{}", stderr(&data));
}

#[test]
fn stdin_errors_have_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let message = |text: &str| {
        let output = run_with_stdin(&mut lth_in(folder.path(), &["run", "-"]), text.as_bytes());
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let toml = message(&smoke().replace("seed = 1", "seed = 007"));
    assert!(toml.contains("--> <stdin>:5:8") && toml.contains("hint: write `7`"), "{toml}");
    assert!(message("{\"name\": \"a\",\n \"rounds\" 3}").contains("--> <stdin>:2:"));
    assert!(message("").contains("the configuration is empty"));
    assert!(!folder.path().join("runs").exists());
    // `./-` is a file with that name, not standard input.
    fs::copy(SMOKE, folder.path().join("-")).unwrap();
    let file = lth_in(folder.path(), &["check", "./-"]).output().unwrap();
    assert!(file.status.success(), "{}", stderr(&file));
}

#[test]
fn stdin_config_is_kept_in_run_folder_for_resume() {
    let folder = tempfile::tempdir().unwrap();
    for (text, name) in [(smoke(), "config.toml"), (as_json(&smoke()).replace("smoke", "json"), "config.json")] {
        let args = [&["run", "-", "--runs", "my runs", "-q"][..], &QUICK].concat();
        let first = run_with_stdin(&mut lth_in(folder.path(), &args), text.as_bytes());
        assert!(first.status.success(), "{}", stderr(&first));
        let run = if name == "config.toml" { "smoke" } else { "json" };
        let run = run_dir_named(&folder.path().join("my runs"), run);
        let kept = fs::read_to_string(run.join(name)).unwrap();
        let (comment, kept) = if name == "config.toml" { kept.split_once('\n').unwrap() } else { ("", &kept[..]) };
        assert_eq!(kept, text);
        assert_eq!(comment.starts_with("# Run with: --set replicates=1 "), name == "config.toml", "{comment}");
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
        let command = manifest["commands"][0]["command"].as_str().unwrap();
        let config = format!("'my runs/{}/{name}'", run.file_name().unwrap().to_str().unwrap());
        assert!(command.contains(&format!(" run {config} --runs 'my runs'")), "{command}");
        let again = Command::new("sh").current_dir(folder.path()).args(["-c", command]).output().unwrap();
        assert!(again.status.success(), "{}", stderr(&again));
        assert_eq!((stdout(&again), finished_count(&again)), (stdout(&first), 0));
    }
}

#[test]
fn init_to_stdout_is_valid_for_plan() {
    let folder = tempfile::tempdir().unwrap();
    let init = lth_in(folder.path(), &["init", "-"]).output().unwrap();
    assert!(init.status.success() && init.stderr.is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let text = stdout(&init);
    assert!(text.starts_with("# A winning ticket beside two controls") && text.ends_with('\n'), "{text}");
    let plan = run_with_stdin(&mut lth_in(folder.path(), &["plan", "-"]), text.as_bytes());
    assert!(plan.status.success(), "{}", stderr(&plan));
}

/// Asserts that a file with these bytes, and standard input with them, have the plan of [`SMOKE`].
fn assert_read(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    lth::system::files::write(&folder.path().join(name), bytes).unwrap();
    let plan = lth_in(folder.path(), &["plan", name]).output().unwrap();
    assert!(plan.status.success(), "{}", stderr(&plan));
    assert_eq!(stdout(&plan), stdout(&lth_in(folder.path(), &["plan", SMOKE]).output().unwrap()));
    let piped = run_with_stdin(&mut lth_in(folder.path(), &["plan", "-"]), bytes);
    assert_eq!(stdout(&piped), stdout(&plan), "{}", stderr(&piped));
}

/// Asserts that a file with these bytes, and standard input with them, are usage errors. Returns the message for the
/// file.
fn assert_refused(name: &str, bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    lth::system::files::write(&folder.path().join(name), bytes).unwrap();
    let output = lth_in(folder.path(), &["run", name]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let piped = run_with_stdin(&mut lth_in(folder.path(), &["run", "-"]), bytes);
    assert_eq!(piped.status.code(), Some(2), "{}", stderr(&piped));
    stderr(&output)
}

#[test]
fn encoding_marks_and_line_ends_of_editors_are_read() {
    for (name, text) in [("my.toml", smoke()), ("my.json", as_json(&smoke()))] {
        assert_read(name, format!("\u{feff}{text}").as_bytes());
        assert_read(name, text.replace('\n', "\r\n").as_bytes());
        assert_read(name, format!("\u{feff}{}\u{1a}", text.replace('\n', "\r\n")).as_bytes());
    }
    assert_read("my.json", as_json(&smoke()).replace('\n', "\r").as_bytes());
    // A byte order mark does not change the column of an error.
    let wrong = assert_refused("my.json", "\u{feff}{\"name\" 3}".as_bytes());
    assert!(wrong.contains("my.json:1:9"), "{wrong}");
    let wrong = assert_refused("my.toml", "\u{feff}name == 3".as_bytes());
    assert!(wrong.contains("my.toml:1:7"), "{wrong}");
}

#[test]
fn encoding_that_is_not_utf_8_is_named() {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    for text in [smoke(), format!("\u{feff}{}", smoke())] {
        let message = assert_refused("my.toml", &utf16(&text));
        assert!(message.contains("but in UTF-16") && message.contains("hint: save it as UTF-8"), "{message}");
    }
    let latin: Vec<u8> = smoke().replace("seed = 1", "seed = 1  # gr÷").chars().map(|c| c as u8).collect();
    let message = assert_refused("my.toml", &latin);
    assert!(message.contains("byte 0xF7, `÷` in Latin-1") && message.contains("my.toml:"), "{message}");
    let mac = assert_refused("my.toml", smoke().replace('\n', "\r").as_bytes());
    assert!(mac.contains("lines end with CR alone") && mac.contains("tr '\\r' '\\n' < my.toml"), "{mac}");
    assert!(!mac.contains('\r'), "{mac:?}");
    let zeros = assert_refused("my.toml", format!("{}\0\0", smoke()).as_bytes());
    assert!(zeros.contains("has 2 zero bytes in it") && zeros.contains("crash"), "{zeros}");
}

#[test]
fn encoding_of_files_that_a_user_has_edited_in_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [QUICK[1], QUICK[3], QUICK[5]];
    run_ok(SMOKE, folder.path(), &sets);
    let run = run_dir(folder.path());
    let show = || lth_in(folder.path(), &["show", run.to_str().unwrap()]).output().unwrap();
    let first = show();
    for file in ["rounds.csv", "resolved.toml"] {
        let text = fs::read_to_string(run.join(file)).unwrap();
        let crlf = text.replace('\n', "\r\n");
        for edited in [format!("\u{feff}{text}"), crlf.clone(), format!("\u{feff}{crlf}\u{1a}")] {
            lth::system::files::write(&run.join(file), edited.as_bytes()).unwrap();
            let again = show();
            assert_eq!(stdout(&again), stdout(&first), "{file}: {}", stderr(&again));
        }
        lth::system::files::write(&run.join(file), text.as_bytes()).unwrap();
    }
}
