//! `lth plan` and `lth check` on the real binary: they train nothing and agree with the run.

use crate::support::*;

pub(super) fn output(args: &[&str], runs: &std::path::Path) -> std::process::Output {
    let output = lth().args(args).env("LTH_RUNS_DIR", runs).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

pub(super) fn json(args: &[&str], runs: &std::path::Path) -> serde_json::Value {
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
    assert!(before.contains("\nbasis: rough: 20 to 200 GFLOP/s per worker assumed"), "{before}");
    run_ok(SMOKE, runs.path(), &[]);
    let more = json(&["plan", SMOKE, "--json", "--set", "replicates=3"], runs.path());
    assert_eq!((more["trainings"].as_u64(), more["stored"].as_u64()), (Some(27), Some(18)));
    assert_eq!(more["iterations_to_go"].as_u64(), Some(9 * 120));
    assert_eq!((more["time"]["timings"].as_u64(), &more["time"]["basis"]), (Some(18), &"recorded".into()));
    // Other data, another learning rate and other rounds: the network and the batch size are the same.
    let sets =
        ["--set", "data.draw_seed=5", "--set", "train.lr=0.5", "--set", "rounds=1", "--set", "data.validation=600"];
    let other = json(&[&["plan", SMOKE, "--json"][..], &sets].concat(), runs.path());
    assert_eq!((other["stored"].as_u64(), other["time"]["timings"].as_u64()), (Some(0), Some(18)));
    let text = stdout(&output(&[&["plan", SMOKE][..], &sets].concat(), runs.path()));
    assert!(text.contains("\nbasis: 18 recorded training runs of this network on this machine\n"), "{text}");
    let other_batch = json(&["plan", SMOKE, "--json", "--set", "train.batch_size=31"], runs.path());
    assert_eq!(other_batch["time"]["basis"], "rough");
    let disk: u64 = json(&["plan", SMOKE, "--json"], runs.path())["disk_bytes"].as_u64().unwrap();
    let real: u64 = walk(&runs.path().join("store"));
    assert!(disk > real / 2 && disk < real * 2, "{disk} bytes foretold, {real} there");
    // A snapshot has the weights and Adam's two moments.
    let late = "arms.winning_ticket.rewind_to=30it";
    let more = json(&["plan", SMOKE, "--json", "--set", late], runs.path())["disk_bytes"].as_u64().unwrap() - disk;
    assert_eq!(more, 2 * 3 * 4 * (25_760 + 58));
    let done = stdout(&output(&["plan", SMOKE], runs.path()));
    assert!(
        done.contains("training runs: 18, 18 of them in the store\nwork: none\n") && done.contains("nothing to train"),
        "{done}"
    );
}

fn walk(folder: &std::path::Path) -> u64 {
    let sizes = std::fs::read_dir(folder).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path) } else { path.metadata().unwrap().len() }
    });
    sizes.sum()
}

#[test]
fn plan_measures_speed() {
    let folder = tempfile::tempdir().unwrap();
    // A dense and a sparse trainer.
    let sets = ["--set", "network.architecture=lenet_300_100", "--set", "prune.rate={linear=0.9,output=0.9}"];
    let measured = json(&[&["plan", SMOKE, "--json", "--measure"][..], &sets].concat(), folder.path());
    let time = &measured["time"];
    let seconds = |key: &str| time[key].as_f64().unwrap();
    assert_eq!(time["basis"], "measured");
    assert!(seconds("measured_in") > 1.0 && seconds("measured_in") < 60.0, "{time}");
    assert!(seconds("seconds") > 0.0 && time["timings"].as_u64().unwrap() >= 2, "{time}");
    let text = stdout(&output(&["plan", SMOKE, "--measure"], folder.path()));
    assert!(text.contains("\nbasis: measured now, in "), "{text}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is written");
}

#[test]
fn missing_or_damaged_data_are_reported_before_training() {
    let folder = tempfile::tempdir().unwrap();
    let mnist = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke_mnist.toml");
    let command = |args: &[&str]| lth_in(&folder.path().join("runs"), args);
    let data_dir = folder.path().join("none").display().to_string();
    let problem = format!("data: mnist not found in {data_dir}/mnist (`lth data fetch mnist --data-dir {data_dir}`)\n");
    let plan = command(&["plan", mnist, "--data-dir", &data_dir]);
    assert!(plan.status.success() && stdout(&plan).contains(&problem), "{}", stdout(&plan));
    let check = command(&["check", mnist, "--data-dir", &data_dir]);
    assert!(check.status.success() && stderr(&check).contains(&problem), "{}", stderr(&check));
    for name in ["plan", "check"] {
        let strict = command(&[name, mnist, "--strict", "--data-dir", &data_dir]);
        assert_eq!(strict.status.code(), Some(1), "{name}");
        assert!(command(&[name, SMOKE, "--strict"]).status.success(), "{name}: strokes needs no files");
    }
    let json = command(&["plan", mnist, "--json", "--data-dir", &data_dir]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["data_problem"].as_str().unwrap().starts_with("mnist not found in "), "{json}");
    // A run without its data leaves nothing behind.
    let run = command(&["run", mnist, "--data-dir", &data_dir]);
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    assert!(stderr(&run).contains("could not read the data set `mnist`"), "{}", stderr(&run));
    assert!(!folder.path().join("runs").exists(), "no folder is made");

    let files =
        ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
    for name in files {
        lth::system::files::write(&folder.path().join("none/mnist").join(name), b"damaged").unwrap();
    }
    let damaged = command(&["plan", mnist, "--strict", "--data-dir", &data_dir]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(stdout(&damaged).contains("data: mnist damaged in "), "{}", stdout(&damaged));
}

#[test]
fn global_scope_says_that_layers_are_decided_by_training() {
    let runs = tempfile::tempdir().unwrap();
    for name in ["resnet20_cifar10", "paper/appendix_i_resnet20_layerwise"] {
        let config = format!("{}/configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let plan = stdout(&output(&["plan", &config], runs.path()));
        let (table, rest) = plan.split_once("\n\n").unwrap();
        assert!(table.lines().all(|line| line.chars().count() <= 80) && !table.contains('?'), "{table}");
        assert!(rest.lines().all(|line| line.chars().count() <= 80), "{rest}");
        let reason = if name.starts_with("paper") { "22 layers: too wide" } else { "decided by the scores" };
        assert!(table.lines().last().unwrap().contains(reason), "{table}");
    }
}

#[test]
fn images_are_what_the_experiment_says() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["--set", "data.validation=500", "--set", "data.train_limit=600", "--set", "train.evaluate_every=5000"];
    let line = "images: 600 train, 500 validation, 300 test; training accuracy on 500\n";
    let with_sets = |command: &str| lth_in(folder.path(), &[&[command, SMOKE][..], &sets].concat());
    let plan = with_sets("plan");
    assert!(stdout(&plan).contains(line), "{}", stdout(&plan));
    assert!(stdout(&plan).contains("warning: `train.evaluate_every` is 5,000, more than the 120 iterations"));
    let check = with_sets("check");
    assert!(stderr(&check).contains(line) && stderr(&check).contains("warning: `train.eval"), "{}", stderr(&check));
    let run = with_sets("run");
    assert!(stderr(&run).contains(line) && stdout(&run).contains(line), "{}{}", stderr(&run), stdout(&run));
    let show = stdout_of(folder.path(), &["show", "smoke"]);
    assert!(show.contains(line), "{show}");
    let manifest = std::fs::read_to_string(run_dir(folder.path()).join("run.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let images = serde_json::json!({ "train": 600, "validation": 500, "test": 300, "train_accuracy_on": 500 });
    assert_eq!(manifest["images"], images);
    let few = stdout(&output(&["plan", SMOKE], folder.path()));
    assert!(few.contains("warning: only 300 validation images"), "{few}");
}

#[test]
fn workers_respect_slurm() {
    let folder = tempfile::tempdir().unwrap();
    let with_slurm =
        |args: &[&str]| lth().env("SLURM_CPUS_PER_TASK", "1").current_dir(&folder).args(args).output().unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&with_slurm(&["plan", SMOKE, "--json"]).stdout).unwrap();
    assert_eq!(plan["time"]["workers"], 1);
    let all = lth::system::machine::cores();
    if all > 1 {
        let doctor = with_slurm(&["doctor"]);
        assert!(stdout(&doctor).contains("SLURM_CPUS_PER_TASK is 1"), "{}", stdout(&doctor));
        let run = with_slurm(&["run", SMOKE]);
        assert!(stderr(&run).contains("note: 1 worker: SLURM_CPUS_PER_TASK is 1\n"), "{}", stderr(&run));
        let chosen = with_slurm(&["run", SMOKE, "--set", "run.workers=2"]);
        assert!(!stderr(&chosen).contains("SLURM"), "{}", stderr(&chosen));
    }
}

#[test]
fn smoke_mnist_runs() {
    let Some(data) = lth::system::user_path::env_folder_or_literal(lth::system::env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let runs = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke_mnist.toml");
    let run = lth_in(runs.path(), &["run", config, "--data-dir", &data.display().to_string()]);
    assert!(run.status.success(), "{}", stderr(&run));
    assert!(!stderr(&run).contains("warning"), "{}", stderr(&run));
    let rows = rows(&run_dir(runs.path()), "rounds.csv");
    let header = std::fs::read_to_string(config).unwrap();
    assert!(header.contains(&format!("# {} training runs of 300 iterations.", rows.len())), "{}", rows.len());
    let accuracy: f64 = rows[0]["final_test_accuracy"].parse().unwrap();
    assert!(accuracy > 0.8, "chance is 0.1: {accuracy}");
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
    assert!(!plan.contains("warning: layer"), "{plan}");
}

#[test]
fn allocations_are_planned_and_kept_exactly() {
    let runs = tempfile::tempdir().unwrap();
    let arms = [
        "arms.erk={mask={at_init={method=\"random\",like=\"winning_ticket\"}},allocation=\"erk\",weights=\"reinit\"}",
        "arms.balanced={mask={one_shot={like=\"winning_ticket\"}},allocation=\"balanced\",weights=\"rewind\"}",
        "arms.ranked={mask={at_init={method=\"magnitude\",like=\"winning_ticket\"}},allocation=\"global\",weights=\"rewind\"}",
    ];
    let sets = ["--set", arms[0], "--set", arms[1], "--set", arms[2], "--set", "replicates=1"];
    let plan = json(&[&["plan", SMOKE, "--json"], &sets[..]].concat(), runs.path());
    let planned = |arm: &str, round: u64| {
        let rounds = plan["rounds"].as_array().unwrap();
        rounds.iter().find(|row| row["arm"] == arm && row["round"] == round).unwrap().clone()
    };
    // Layers of 784 x 32, 32 x 16 and 16 x 10 weights, of which 9,318 are kept. `balanced` keeps the two small ones whole.
    let kept = planned("winning_ticket", 2)["weights_kept"].as_u64().unwrap();
    let balanced = planned("balanced", 2)["layers"].clone();
    assert_eq!(balanced, serde_json::json!({ "linear1": kept - 512 - 160, "linear2": 512, "output": 160 }));
    // The sums of the sizes are 816, 48 and 26: the output is whole, because 26 x = 160 at x = 6.2, and then
    // 816 x + 48 x = 9,158 gives x = 10.6, that is 8,649.2 and 508.8 weights.
    assert_eq!(kept, 9318);
    assert_eq!(planned("erk", 2)["layers"], serde_json::json!({ "linear1": 8649, "linear2": 509, "output": 160 }));
    assert!(planned("ranked", 2)["layers"].is_null());
    let text = stdout(&output(&[&["plan", SMOKE], &sets[..]].concat(), runs.path()));
    assert!(text.contains("decided by the scores"), "{text}");

    run_ok(SMOKE, runs.path(), &[arms[0], arms[1], arms[2], "replicates=1"]);
    let layers = rows(&run_dir(runs.path()), "layers.csv");
    for arm in ["erk", "balanced"] {
        for row in layers.iter().filter(|row| row["arm"] == arm) {
            let round = row["round"].parse().unwrap();
            let expected = planned(arm, round)["layers"][row["layer"].as_str()].to_string();
            assert_eq!(row["weights_kept"], expected, "{row:?}");
        }
    }
    let verified = output(&["verify", "smoke", "--deep", "--retrain", "9"], runs.path());
    assert!(verified.status.success(), "{}", stdout(&verified));
}

#[test]
fn allocations_that_cannot_be_are_refused_at_their_key() {
    let runs = tempfile::tempdir().unwrap();
    let refused = |arm: &str| {
        let set = format!("arms.a={{{arm},weights=\"reinit\"}}");
        let refused = lth().args(["plan", SMOKE, "--set", &set]).env("LTH_RUNS_DIR", runs.path()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", stdout(&refused));
        stderr(&refused)
    };
    let random = refused("mask={random=\"winning_ticket\"},allocation=\"erk\"");
    assert!(random.contains("belongs to the masks `iterative`, `one_shot`, `at_init` and `early_bird`"), "{random}");
    assert!(
        random.contains("write `mask = { at_init = { method = \"random\", like = \"winning_ticket\" } }`"),
        "{random}"
    );
    let chain = refused("mask=\"iterative\",allocation={like=\"winning_ticket\"}");
    assert!(chain.contains("cannot be used with `iterative`"), "{chain}");
    let circle = refused("mask={one_shot={cut=[0.5]}},allocation={like=\"a\"}");
    assert!(circle.contains("in a circle: a"), "{circle}");
    let short = refused("mask={one_shot={cut=[0.5,0.6,0.7]}},allocation={like=\"winning_ticket\"}");
    assert!(short.contains("`winning_ticket` has no round 3, whose layers `a` would be like"), "{short}");
    let unknown = refused("mask={one_shot={cut=[0.5]}},allocation=\"ekr\"");
    assert!(unknown.contains("unknown value `ekr`") && unknown.contains("erk"), "{unknown}");
    let empty = refused("mask={one_shot={cut=[0.9999]}},allocation=\"uniform\"");
    let message = "`uniform` leaves none of 83 weights in `output` at round 1";
    assert!(empty.contains(message), "{empty}");
    let few = refused("mask={one_shot={cut=[0.9]}},allocation=\"uniform_plus\"");
    assert!(few.contains("`uniform_plus` keeps at least 25120 weights"), "{few}");
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
