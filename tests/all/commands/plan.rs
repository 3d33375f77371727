//! `lth plan` and `lth check` on the real binary: they train nothing and agree with the run.

use crate::support::*;

fn output(args: &[&str], runs: &std::path::Path) -> std::process::Output {
    let output = lth().args(args).env("LTH_RUNS_DIR", runs).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

fn json(args: &[&str], runs: &std::path::Path) -> serde_json::Value {
    serde_json::from_slice(&output(args, runs).stdout).unwrap()
}

#[test]
fn plan_of_lenet_has_sizes_of_paper() {
    let runs = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let plan = json(&["plan", config, "--json"], runs.path());
    assert_eq!((plan["trainings"].as_u64(), plan["iterations_to_go"].as_u64()), (Some(605), Some(30_250_000)));
    let percent = |round: u64| {
        let rounds = plan["rounds"].as_array().unwrap();
        let row = rounds.iter().find(|row| row["round"] == round && (round == 0 || row["arm"] == "winning_ticket"));
        format!("{:.2}", 100.0 * row.unwrap()["weights_remaining"].as_f64().unwrap())
    };
    // The labels of Frankle & Carbin 2019, Figures 1, 3 and 4.
    let paper = [(1, "80.04"), (7, "21.07"), (10, "10.83"), (15, "3.58"), (20, "1.19"), (24, "0.50")];
    for (round, label) in paper {
        assert_eq!(percent(round), label, "round {round}");
    }
    assert_eq!(std::fs::read_dir(runs.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn plan_counts_stored_trainings_and_estimates_rest() {
    let runs = tempfile::tempdir().unwrap();
    let before = stdout(&output(&["plan", SMOKE], runs.path()));
    assert!(before.contains("time        unknown"), "{before}");
    run_ok(SMOKE, runs.path(), &[]);
    let more = json(&["plan", SMOKE, "--json", "--set", "replicates=3"], runs.path());
    assert_eq!((more["trainings"].as_u64(), more["stored"].as_u64()), (Some(27), Some(18)));
    assert_eq!(more["iterations_to_go"].as_u64(), Some(9 * 120));
    assert_eq!(more["time"]["timings"].as_u64(), Some(18));
    let disk: u64 = json(&["plan", SMOKE, "--json"], runs.path())["disk_bytes"].as_u64().unwrap();
    let real: u64 = walk(&runs.path().join("store"));
    assert!(disk > real / 2 && disk < real * 2, "{disk} bytes foretold, {real} there");
    // A snapshot has the weights and Adam's two moments.
    let late = "arms.winning_ticket.rewind_to=30it";
    let more = json(&["plan", SMOKE, "--json", "--set", late], runs.path())["disk_bytes"].as_u64().unwrap() - disk;
    assert_eq!(more, 2 * 3 * 4 * (25_760 + 58));
    let done = stdout(&output(&["plan", SMOKE], runs.path()));
    assert!(done.contains("18, 18 in the store") && done.contains("nothing to train"), "{done}");
}

fn walk(folder: &std::path::Path) -> u64 {
    let sizes = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path) } else { path.metadata().unwrap().len() }
    });
    sizes.sum()
}

#[test]
fn plan_has_engine_of_every_round_like_check() {
    let folder = tempfile::tempdir().unwrap();
    let lenet = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let engines = |plan: &serde_json::Value| {
        let rounds = plan["rounds"].as_array().unwrap().iter();
        rounds.map(|row| row["engine"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let plan = json(&["plan", lenet, "--json"], folder.path());
    assert_eq!(engines(&plan)[0], "dense", "the dense networks");
    assert!(engines(&plan).iter().any(|engine| engine == "sparse"));
    for (arm, round) in [("winning_ticket", 7), ("random_reinit", 7), ("random_mask", 24)] {
        let rounds = plan["rounds"].as_array().unwrap();
        let row = rounds.iter().find(|row| row["arm"] == arm && row["round"] == round).unwrap();
        assert_eq!(row["engine"], "sparse", "{arm} {round}");
    }
    let text = stdout(&output(&["plan", lenet], folder.path()));
    let row = |round: &str| text.lines().find(|line| line.split_whitespace().next() == Some(round)).unwrap();
    assert!(row("0").contains(" dense ") && row("24").contains(" sparse "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    // The multiply-adds are those of the chosen engine.
    let dense = json(&["plan", lenet, "--json", "--set", "run.engine=dense"], folder.path());
    assert!(engines(&dense).iter().all(|engine| engine == "dense"));
    assert!(plan["macs_to_go"].as_u64().unwrap() < dense["macs_to_go"].as_u64().unwrap() / 2);
    for engine in ["auto", "dense", "sparse"] {
        let set = format!("run.engine={engine}");
        let resolved = stdout(&output(&["check", lenet, "--set", &set], folder.path()));
        let again = json(&["plan", &config(folder.path(), &resolved), "--json"], folder.path());
        assert_eq!(again["id"], json(&["plan", lenet, "--json", "--set", &set], folder.path())["id"], "{engine}");
    }
}

#[test]
fn plan_warns_of_layers_that_stop_shrinking() {
    let runs = tempfile::tempdir().unwrap();
    let plan = stdout(&output(&["plan", SMOKE, "--set", "rounds=14"], runs.path()));
    assert!(plan.contains("warning: layer `linear2` does not shrink any more from round"), "{plan}");
}

#[test]
fn plan_shows_grid_of_arm_beside_rounds() {
    let runs = tempfile::tempdir().unwrap();
    let grid = "arms.grid={mask={one_shot={cut=[0.9,0.5,0.5]}},weights=\"rewind\"}";
    let plan = stdout(&output(&["plan", SMOKE, "--set", grid], runs.path()));
    let row = |arm: &str, round: &str| {
        let words = |line: &&str| line.split_whitespace().take(2).eq([arm, round]);
        plan.lines().find(words).unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    assert_eq!(
        (row("winning_ticket", "1"), row("grid", "1"), row("grid", "2")),
        ("15,488".into(), "2,648".into(), "12,920".into())
    );
    assert!(!plan.contains("warning"), "{plan}");
}

#[test]
fn check_prints_every_value_with_origin() {
    let runs = tempfile::tempdir().unwrap();
    let text = stdout(&output(&["check", SMOKE, "--set", "train.lr=0.5"], runs.path()));
    assert!(text.contains("lr = 0.5  # --set train.lr=0.5\n"), "{text}");
    let values = json(&["check", SMOKE, "--json", "--set", "train.lr=0.5"], runs.path());
    assert_eq!(values["train.lr"]["origin"], "--set train.lr=0.5");
    assert_eq!(values["train.eps"], serde_json::json!({ "value": 1e-8, "origin": "default" }));
    assert_eq!(values["rounds"]["origin"], "smoke.toml:7");
    let wrong = lth().args(["check", SMOKE, "--set", "train.lr=0"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn readme_example_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let example = readme.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = config(folder.path(), example);
    let plan = json(&["plan", &config, "--json"], folder.path());
    assert_eq!(plan["trainings"].as_u64(), Some(3 * (1 + 10 + 30 + 10 + 1)));
}
