//! The commands of the README: each is run, or there is a reason why not.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use lth::system::exit::Exit;

use crate::support::*;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn readme() -> String {
    fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap()
}

/// Returns the commands in the `sh` code blocks of `text`. A command over several lines is joined into one.
fn commands(text: &str) -> Vec<String> {
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines = blocks.flat_map(|block| block.replace("\\\n", " ").lines().map(str::to_owned).collect::<Vec<_>>());
    lines.filter(|line| !line.trim().is_empty()).collect()
}

/// How a command of the README is checked.
enum CommandCheck {
    /// Run with this text appended; it must succeed.
    Run(String),
    /// Run with this text appended; it must be valid, and fail because there is no network connection.
    Offline(String),
    /// Run unchanged; it must be refused because there is no GPU.
    Refused,
    /// Not run, for this reason.
    Skip(&'static str),
}

/// Returns the check of a command. `real` is the folder of real data sets, if there is one. Training runs are made
/// short by overrides, because the commands are tested and not their results.
fn check_of(command: &str, real: Option<&Path>) -> CommandCheck {
    let words: Vec<&str> = command.split('#').next().unwrap_or_default().split_whitespace().collect();
    match words[..] {
        ["scripts/test", ..] => CommandCheck::Skip("it would run this test"),
        ["scripts/setup", ..] => CommandCheck::Skip("it installs libtorch"),
        ["scripts/lth", "data", "fetch", ..] => {
            CommandCheck::Offline(" --only-mirrors --data-dir fetched --mirror ".to_owned())
        }
        ["scripts/lth", "run", ref rest @ ..] if rest.contains(&"run.device=cuda") => {
            if lth::engine::torch::cuda_unavailable_reason().is_some() {
                CommandCheck::Refused
            } else {
                CommandCheck::Skip("it would take a GPU days")
            }
        }
        ["scripts/lth", "run", ref rest @ ..] => {
            let short = " --quiet --set replicates=1 --set rounds=2 --set train.iterations=40";
            match (rest.contains(&"--data-dir"), real) {
                (false, _) => CommandCheck::Run(format!(
                    "{short} --set data.train_images=600 --set data.validation=100 --set data.train_limit=300"
                )),
                (true, Some(_)) => {
                    CommandCheck::Run(format!("{short} --set data.train_limit=600 --set data.test_limit=300"))
                }
                (true, None) => CommandCheck::Skip("LTH_DATA_DIR is not set"),
            }
        }
        ["scripts/lth", ..] => CommandCheck::Run(String::new()),
        _ => panic!("the README has a command that this test does not know: {command}"),
    }
}

/// Returns a folder like a checkout of the repository, in which `scripts/lth` is the binary under test.
fn checkout() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("scripts")).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lth"), folder.path().join("scripts/lth")).unwrap();
    std::os::unix::fs::symlink(Path::new(ROOT).join("configs"), folder.path().join("configs")).unwrap();
    folder
}

/// Runs a line in a shell, with `more` before its comment.
fn shell(folder: &Path, line: &str, more: &str) -> Output {
    let (command, _) = line.split_once(" #").unwrap_or((line, ""));
    let mut shell = Command::new("sh");
    shell.current_dir(folder).arg("-c").arg(format!("{}{more}", command.trim_end()));
    for name in ["LTH_RUNS_DIR", "LTH_DATA_DIR", "LTH_LOCKS", "NO_COLOR"] {
        shell.env_remove(name);
    }
    shell.output().unwrap()
}

#[test]
fn readme_commands_do_what_they_say() {
    let real: Option<PathBuf> = lth::system::user_path::env_folder_or_literal(lth::system::env::DATA)
        .map(|folder| folder.canonicalize().unwrap());
    let folder = checkout();
    // The address of a server that has been closed.
    let nowhere = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let (mut ran, mut skipped) = (0, 0);
    for command in commands(&readme()) {
        let real = real.as_deref();
        let line = real.map_or_else(|| command.clone(), |real| command.replace("DIR", &real.display().to_string()));
        match check_of(&command, real) {
            CommandCheck::Skip(reason) => {
                println!("skipped: {command} ({reason})");
                let script = command.split_whitespace().next().unwrap();
                assert!(Path::new(ROOT).join(script).exists(), "{command}");
                skipped += 1;
            }
            CommandCheck::Run(more) => {
                let output = shell(folder.path(), &line, &more);
                assert_eq!(output.status.code(), Some(0), "{line}{more}\n{}", stderr(&output));
                assert!(!output.stdout.is_empty(), "{line}");
                ran += 1;
            }
            CommandCheck::Refused => {
                let output = shell(folder.path(), &line, "");
                assert_eq!(output.status.code(), Some(2), "{line}\n{}", stderr(&output));
                assert!(stderr(&output).contains("CUDA cannot be used"), "{line}\n{}", stderr(&output));
                ran += 1;
            }
            CommandCheck::Offline(more) => {
                let output = shell(folder.path(), &line, &format!("{more}{nowhere}"));
                assert_eq!(output.status.code(), Some(1), "{line}\n{}", stderr(&output));
                assert!(stderr(&output).contains("Connection refused"), "{line}\n{}", stderr(&output));
                ran += 1;
            }
        }
    }
    assert!(ran >= 14 && skipped <= 4, "{ran} ran, {skipped} skipped");
}

/// The loop of the section on sweeps, with short training runs: two runs, which share their dense network.
#[test]
fn readme_sweep_trains_dense_networks_once() {
    let folder = checkout();
    let text = readme();
    let script = text
        .split("```bash\n")
        .map(|rest| rest.split("```").next().unwrap())
        .find(|block| block.contains("for rate in"));
    let short = "run my_lenet.toml --quiet --set replicates=1 --set rounds=1 --set train.iterations=40 \
                 --set data.train_images=600 --set data.validation=100 --set data.train_limit=300";
    let script = script.unwrap().replace("run my_lenet.toml", short);
    let output = shell(folder.path(), "scripts/lth init my_lenet.toml", "");
    assert!(output.status.success(), "{}", stderr(&output));
    let mut command = Command::new("sh");
    let output = command.current_dir(folder.path()).args(["-ec", &script]).env_remove("LTH_RUNS_DIR").output().unwrap();
    assert!(output.status.success(), "{script}\n{}", stderr(&output));
    assert_eq!(run_dirs(&folder.path().join("runs")).len(), 2);
    // Each run has a dense network and one round of three arms.
    let stored = fs::read_dir(folder.path().join("runs/store")).unwrap().count();
    assert_eq!(stored, 2 * 4 - 1, "the dense network is shared");
    assert!(folder.path().join("report/index.html").exists());
}

#[test]
fn readme_has_every_exit_code_and_no_dead_link() {
    let text = readme();
    for exit in [Exit::Success, Exit::Failure, Exit::Usage, Exit::Terminated, Exit::Interrupted] {
        assert!(text.contains(&format!("\n| {} | ", exit.code())), "{exit:?}");
    }
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let heading = |anchor: &str| format!("## {}", anchor.replace('-', " "));
        match link.strip_prefix('#') {
            Some(anchor) => assert!(text.to_lowercase().contains(&heading(anchor)), "{link}"),
            None => assert!(link.starts_with("https://") || Path::new(ROOT).join(link).exists(), "{link}"),
        }
    }
}
