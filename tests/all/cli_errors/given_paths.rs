//! Paths that no shell has expanded, on the real binary: the leading `~`, variables, dangling links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::*;

const QUICK: [&str; 3] = ["replicates=1", "rounds=1", "train.iterations=20"];

/// Returns the command of the binary in `folder`, with `folder/home` as home folder.
fn with_home(folder: &Path, args: &[&str]) -> Command {
    let mut command = lth();
    command.current_dir(folder).env("HOME", folder.join("home")).args(args);
    command
}

/// Returns the command of a short `lth run` on [`SMOKE`] with these arguments.
fn quick(folder: &Path, args: &[&str]) -> Command {
    let mut command = with_home(folder, &["run", SMOKE, "-q"]);
    command.args(args);
    for set in QUICK {
        command.args(["--set", set]);
    }
    command
}

/// Runs a command, asserts that it is a usage error, and returns the message.
fn refusal(command: &mut Command) -> String {
    let output: Output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{command:?}: {}{}", stdout(&output), stderr(&output));
    stderr(&output)
}

/// Runs a command, asserts success, and returns standard output.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    stdout(&output)
}

#[test]
fn tilde_is_home_folder_in_every_path() {
    let folder = tempfile::tempdir().unwrap();
    let (here, home) = (folder.path(), folder.path().join("home"));
    fs::create_dir(&home).unwrap();
    done(&mut quick(here, &["--runs=~/a"]));
    done(quick(here, &[]).env("LTH_RUNS_DIR", "~/b"));
    done(&mut quick(here, &["--runs", "~"]));
    let run = run_dir(&home.join("a"));
    assert!(run_dir(&home.join("b")).exists() && home.join("store").exists());
    // Configurations, runs and outputs.
    fs::copy(SMOKE, home.join("my.toml")).unwrap();
    done(&mut with_home(here, &["check", "~/my.toml"]));
    let name = format!("~/a/{}", run.file_name().unwrap().to_str().unwrap());
    done(&mut with_home(here, &["show", &name]));
    done(&mut with_home(here, &["report", &name, "--out", "~/out"]));
    done(&mut with_home(here, &["clean", &name, "--runs=~/a", "--dry-run"]));
    done(&mut with_home(here, &["compare", &name, "smoke", "--runs=~/b"]));
    done(&mut with_home(here, &["generate", "man", "--out", "~/man"]));
    done(&mut with_home(here, &["data", "show", "strokes", "--out", "~/sheet.png"]));
    done(&mut with_home(here, &["init", "~/new.toml"]));
    for file in ["out/index.html", "man/lth.1", "sheet.png", "new.toml"] {
        assert!(home.join(file).exists(), "{file}");
    }
    assert_eq!(fs::read_dir(here).unwrap().count(), 1, "nothing beside the home folder");
}

#[test]
fn tilde_in_data_dir_is_home_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (here, data) = (folder.path(), folder.path().join("home/data"));
    let message = |command: &mut Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        stderr(&output)
    };
    let mnist = ["--set", "data.dataset=mnist", "--set", "data.train_images=7"];
    let by_key = ["--set", "data={dataset=\"mnist\",dir=\"~/data\"}"];
    let by_option = ["--set", "data={dataset=\"mnist\"}", "--data-dir=~/data"];
    let by_variable = &by_option[..2];
    for message in [
        message(&mut quick(here, &by_key)),
        message(&mut quick(here, &by_option)),
        message(quick(here, by_variable).env("LTH_DATA_DIR", "~/data")),
    ] {
        assert!(message.contains(&format!("from `{}`", data.display())), "{message}");
    }
    assert!(refusal(&mut quick(here, &mnist)).contains("belongs to"), "the experiment is refused before");
    for own in ["images={dir=\"~/data\"}", "idx={dir=\"~/data\",classes=2}"] {
        let message = refusal(&mut quick(here, &["--set", &format!("data={{dataset={{{own}}}}}")]));
        assert!(message.contains(&data.display().to_string()), "{message}");
    }
    let survey = with_home(here, &["data", "check", "--data-dir", "~/data"]).output().unwrap();
    assert!(stdout(&survey).contains(&data.display().to_string()), "{}", stdout(&survey));
    assert!(!here.join("~").exists());
}

#[test]
fn paths_that_only_a_shell_would_expand_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let user = refusal(&mut quick(here, &["--runs=~bob/x"]));
    assert!(user.contains("`~` before a name is not expanded here: `~bob/x`"), "{user}");
    let variable = refusal(quick(here, &[]).env("LTH_RUNS_DIR", "$HOME/runs"));
    assert!(variable.contains("LTH_RUNS_DIR: the path `$HOME/runs` begins with the variable $HOME"), "{variable}");
    let official = ["--set", "data={dataset=\"mnist\"}"];
    let data = refusal(quick(here, &official).env("LTH_DATA_DIR", "${HOME}/data"));
    assert!(data.contains("LTH_DATA_DIR: the path `${HOME}/data` begins with the variable ${HOME}"), "{data}");
    refusal(with_home(here, &["data", "check"]).env("LTH_DATA_DIR", "$HOME/data"));
    refusal(with_home(here, &["doctor"]).env("LTH_DATA_DIR", "$HOME/data"));
    let key = refusal(&mut quick(here, &["--set", "data={dataset=\"mnist\",dir=\"$HOME/data\"}"]));
    assert!(key.contains("begins with the variable $HOME") && key.contains("--> --set"), "{key}");
    let homeless = refusal(quick(here, &["--runs=~/x"]).env_remove("HOME"));
    assert!(homeless.contains("HOME is not set"), "{homeless}");
    let quoted = refusal(quick(here, &[]).env("LTH_RUNS_DIR", "\"runs\""));
    assert!(quoted.contains("has quotes around it"), "{quoted}");
    let ended = refusal(quick(here, &[]).env("LTH_RUNS_DIR", "runs\r"));
    assert!(ended.contains(r"`runs\r` ends with a line end"), "{ended}");
    assert_eq!(fs::read_dir(here).unwrap().count(), 0, "nothing is made");
    // Variables that the command does not use are not checked.
    let mut strokes = quick(here, &["--runs", "runs"]);
    done(strokes.env("LTH_DATA_DIR", "$HOME/data").env("LTH_RUNS_DIR", "$HOME/runs"));
}

#[test]
fn symlinks_to_nothing_are_refused_as_runs_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    symlink("gone", here.join("runs")).unwrap();
    for args in [&[][..], &["--runs=runs/inside"]] {
        let message = refusal(&mut quick(here, args));
        assert!(message.contains("`runs` is a symbolic link to `gone`, which does not exist"), "{message}");
    }
    refusal(&mut with_home(here, &["runs"]));
    fs::create_dir(here.join("gone")).unwrap();
    done(&mut quick(here, &[]));
}
