//! Completions, manual pages and help texts of the real binary.

use std::path::Path;

use crate::support::*;

/// Returns the candidates for the last of `words`, as bash asks for them.
fn candidates(runs: &Path, words: &[&str]) -> Vec<String> {
    let index = (words.len() - 1).to_string();
    let mut command = lth();
    command.env("LTH_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n");
    let output = command.env("LTH_RUNS_DIR", runs).arg("--").args(words).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn completions_know_commands_runs_arms_and_keys() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1"]);
    let name = run_dir(runs).file_name().unwrap().to_str().unwrap().to_owned();
    let commands = candidates(runs, &["lth", ""]);
    assert!(
        commands.contains(&"run".to_owned())
            && commands.contains(&"runs".to_owned())
            && commands.contains(&"doctor".to_owned()),
        "{commands:?}"
    );
    assert!(candidates(runs, &["lth", "show", ""]).contains(&name));
    assert_eq!(candidates(runs, &["lth", "compare", "smo"]), [name]);
    let arms = candidates(runs, &["lth", "show", "smoke", "--arm", ""]);
    assert!(arms.contains(&"dense".to_owned()) && arms.contains(&"winning_ticket".to_owned()), "{arms:?}");
    let mut keys = candidates(runs, &["lth", "run", SMOKE, "--set", "train.l"]);
    keys.sort();
    assert_eq!(keys, ["train.label_smoothing=", "train.lr=", "train.lr_min="]);
    let unset = candidates(runs, &["lth", "plan", SMOKE, "--unset", "data.train_"]);
    assert!(unset.contains(&"data.train_limit".to_owned()), "{unset:?}");
    let options = candidates(runs, &["lth", "data", "fetch", "--"]);
    assert!(options.contains(&"--mirror".to_owned()) && !options.iter().any(|o| o == "--stall-seconds"), "{options:?}");
}

#[test]
fn completion_scripts_call_the_program() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = lth().args(["generate", "completions", shell]).output().unwrap();
        assert!(output.status.success() && stdout(&output).contains("LTH_COMPLETE"), "{shell}: {}", stderr(&output));
    }
}

#[test]
fn manual_pages_have_all_sections() {
    let folder = tempfile::tempdir().unwrap();
    let output = lth().args(["generate", "man", "--out"]).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let root = page("lth.1");
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "COMMANDS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "EXAMPLES",
        "SEE ALSO",
    ] {
        let (plain, quoted) = (format!(".SH {section}\n"), format!(".SH \"{section}\"\n"));
        assert!(root.contains(&plain) || root.contains(&quoted), "{section}: {root}");
    }
    assert!(!root.contains("EXTRA") && root.contains("LTH_RUNS_DIR") && root.contains("\\fB75\\fR"), "{root}");
    let run = page("lth-run.1");
    assert!(run.contains(".SH SYNOPSIS\nlth run [OPTIONS] <CONFIG>\n"), "{run}");
    assert!(run.contains("\\fBlth run configs/quickstart.toml\\fR") && run.contains("\\fBlth\\-plan\\fR(1)"), "{run}");
}

#[test]
fn help_fits_80_columns_and_has_examples() {
    let help = |args: &[&str]| stdout(&lth().args(args).arg("--help").output().unwrap());
    let root = help(&[]);
    for text in ["Examples:\n  lth run configs/quickstart.toml", "LTH_DATA_DIR", "Exit status:\n    0  success"] {
        assert!(root.contains(text), "{text}: {root}");
    }
    let commands = [
        "run",
        "plan",
        "report",
        "check",
        "show",
        "compare",
        "stability",
        "landscape",
        "evaluate",
        "ticket",
        "verify",
        "runs",
        "clean",
        "data",
        "doctor",
        "init",
        "generate",
    ];
    for command in commands {
        for text in [help(&[command]), root.clone()] {
            let wide = text.lines().find(|line| line.chars().count() > 80);
            assert_eq!(wide, None, "{command}");
        }
    }
}

#[test]
fn schema_of_an_output_and_unknown_outputs() {
    let schema = |of: &str| lth().args(["generate", "schema", "--of", of]).output().unwrap();
    let rounds: serde_json::Value = serde_json::from_slice(&schema("rounds.csv").stdout).unwrap();
    assert!(rounds["properties"]["final_test_accuracy"]["description"].as_str().unwrap().contains("0..=1"));
    assert_eq!(schema("nothing").status.code(), Some(2));
}
