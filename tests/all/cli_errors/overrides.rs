//! `--unset`, the order of overrides, and tips for the habits of other programs.

use crate::support::*;

/// Returns the resolved values of [`SMOKE`] with these arguments, as `lth check --json` prints them.
fn check(args: &[&str]) -> serde_json::Value {
    let output = lth().args(["check", SMOKE, "--json"]).args(args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the message of `lth` for these arguments, which are wrong usage.
fn refused(args: &[&str]) -> String {
    let output = lth().args(args).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn unset_removes_keys_and_arms_in_the_order_of_the_command_line() {
    let values = check(&["--unset", "prune.rate", "--unset", "arms.random_mask"]);
    assert_eq!(values["prune.rate.linear"]["value"], 0.2, "the default");
    assert_eq!(values["prune.rate.linear"]["origin"], "default");
    assert!(values.get("arms.random_mask.mask").is_none() && values.get("arms.winning_ticket.mask").is_some());
    let last = check(&["--unset", "train.lr", "--set", "train.lr=0.5"]);
    assert_eq!(last["train.lr"]["origin"], "--set train.lr=0.5");
    let missing = refused(&["check", SMOKE, "--set", "train.lr=0.5", "--unset=train.lr"]);
    assert!(missing.contains("error: `train.lr` is missing\n  --> --unset train.lr\n"), "{missing}");
}

#[test]
fn unset_puts_smoke_on_another_data_set() {
    let sets = ["--set", "data.dataset=mnist"];
    let refused = refused(&[&["check", SMOKE][..], &sets].concat());
    assert!(refused.contains("hint: leave it out (`--unset data.train_images`)"), "{refused}");
    let unsets = ["--unset", "data.train_images", "--unset", "data.test_images"];
    let output = lth().args(["check", SMOKE]).args(sets).args(unsets).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.contains("\n# --unset data.test_images\n# --unset data.train_images\n"), "{text}");
}

#[test]
fn unset_of_an_unknown_key_is_refused() {
    let message = refused(&["plan", SMOKE, "--unset", "data.train_imges"]);
    let hint = "error: there is no key `data.train_imges`\n  --> --unset data.train_imges\n\n\
                hint: did you mean `--unset data.train_images`?\n";
    assert_eq!(message, hint);
}

#[test]
fn set_to_nothing_names_unset_and_lists_name_the_loop() {
    for set in ["data.train_limit=null", "data.train_limit=", "arms.random_mask=none"] {
        let key = set.split('=').next().unwrap();
        let message = refused(&["plan", SMOKE, "--set", set]);
        assert!(message.contains(&format!("hint: `--unset {key}` removes the key")), "{message}");
    }
    let sweep = refused(&["plan", SMOKE, "--set", "train.lr=1e-3,2e-3"]);
    assert!(sweep.contains("`for v in 1e-3 2e-3; do lth run CONFIG --set train.lr=$v; done`"), "{sweep}");
    let names = refused(&["plan", SMOKE, "--set", "data.dataset=MNIST"]);
    assert!(names.contains("did you mean `mnist`?"), "{names}");
    let init = refused(&["plan", SMOKE, "--set", "network.init=xavier"]);
    assert!(init.contains("did you mean `glorot_normal`?"), "{init}");
}

#[test]
fn options_and_commands_of_other_programs_have_a_tip() {
    for (args, tip) in [
        (&["run", SMOKE, "--lr", "1e-3"][..], "did you mean `--set train.lr=1e-3`?"),
        (&["run", SMOKE, "--seed", "3"], "did you mean `--set seed=3`?"),
        (&["run", SMOKE, "--epochs", "20"], "did you mean `--set train.iterations=20ep`?"),
        (&["plan", SMOKE, "train.lr=1e-3"], "did you mean `--set train.lr=1e-3`?"),
        (&["run", SMOKE, "--fesh"], "a similar argument exists: '--fresh'"),
        (&["rn"], "did you mean `lth run`?"),
        (&["version"], "did you mean `lth --version`?"),
        (&["list"], "did you mean `lth runs`?"),
        (&["configs/smoke.toml"], "did you mean `lth run configs/smoke.toml`?"),
    ] {
        let message = refused(args);
        assert!(message.contains(&format!("tip: {tip}")), "{args:?}: {message}");
    }
}

#[test]
fn length_in_epochs_is_that_in_iterations() {
    let runs = tempfile::tempdir().unwrap();
    // 1,200 images in batches of 30.
    let epochs = plan_of(SMOKE, runs.path(), &["train.iterations=3ep"]);
    let iterations = plan_of(SMOKE, runs.path(), &["train.iterations=120"]);
    assert_eq!(epochs["id"], iterations["id"], "the same keys");
    assert_eq!(check(&["--set", "train.iterations=3ep"])["train.iterations"]["value"], 120);
    let wrong = refused(&["plan", SMOKE, "--set", "train.iterations=3 epochs"]);
    assert!(wrong.contains("expected a whole number from 0, or a time such as \"20ep\""), "{wrong}");
}

#[test]
fn short_names_of_files_are_not_suggested_for_each_other() {
    let folder = tempfile::tempdir().unwrap();
    lth::system::files::write(&folder.path().join("bn.toml"), b"").unwrap();
    let message = |name: &str| stderr(&lth().current_dir(&folder).args(["plan", name]).output().unwrap());
    assert!(!message("e.toml").contains("did you mean"), "{}", message("e.toml"));
    assert!(message("bm.toml").contains("did you mean `bn.toml`?"), "{}", message("bm.toml"));
}

#[cfg(unix)]
#[test]
fn hints_have_the_name_of_the_program_as_typed() {
    use std::os::unix::process::CommandExt as _;
    let folder = tempfile::tempdir().unwrap();
    let mut command = lth();
    command.arg0("scripts/lth").current_dir(&folder).args(["init", "z.toml"]);
    let written = stdout(&command.output().unwrap());
    assert!(
        written.contains("  scripts/lth plan z.toml ") && written.contains("  scripts/lth run z.toml "),
        "{written}"
    );
    let mut command = lth();
    let output = command.arg0("scripts/lth").current_dir(&folder).args(["plan", "nowhere.toml"]).output().unwrap();
    assert!(stderr(&output).contains("`scripts/lth init my_experiment.toml`"), "{}", stderr(&output));
}
