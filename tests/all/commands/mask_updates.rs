//! Masks that change during training, on the real binary.

use std::collections::BTreeMap;

use super::plan::{json, output};
use crate::support::*;

/// An arm of every rule at the sizes of the ticket, one that is trained twice as long, one that is pruned in one ranking
/// of all layers, one that begins with the ticket's mask, and controls with the last mask of another arm.
const ARMS: [&str; 10] = [
    "arms.static={mask={at_init={method=\"random\",like=\"winning_ticket\"}},mask_updates={method=\"static\"},\
     weights=\"rewind\"}",
    "arms.set={mask={at_init={method=\"random\",like=\"winning_ticket\"}},mask_updates={method=\"set\",every=\"10it\"},\
     weights=\"rewind\",repeats=2}",
    "arms.rigl={mask={at_init={method=\"random\",like=\"winning_ticket\"}},mask_updates={method=\"rigl\",every=\"10it\"},\
     weights=\"rewind\"}",
    "arms.longer={mask={at_init={method=\"random\",like=\"winning_ticket\"}},mask_updates={method=\"rigl\",every=\"10it\"},\
     weights=\"rewind\",length=2}",
    "arms.gmp={mask=\"dense\",mask_updates={method=\"gmp\",like=\"winning_ticket\",every=\"10it\"},weights=\"rewind\"}",
    "arms.global={mask=\"dense\",mask_updates={method=\"gmp\",like=\"winning_ticket\",every=\"10it\"},allocation=\"global\",\
     weights=\"reinit\"}",
    "arms.grid={mask=\"dense\",mask_updates={method=\"gmp\",cut=[0.5],every=\"10it\",from=0.0,until=0.5},\
     weights=\"rewind\"}",
    "arms.regrown={mask={of=\"winning_ticket\"},mask_updates={method=\"rigl\",every=\"10it\",drop=0.1},weights=\"rewind\"}",
    "arms.shuffled={mask={random=\"rigl\"},weights=\"rewind\"}",
    "arms.of_rigl={mask={of=\"rigl\"},weights=\"rewind\"}",
];

fn sets(more: &'static [&'static str]) -> Vec<&'static str> {
    ARMS.iter().chain(more).copied().collect()
}

#[test]
fn networks_with_changing_masks_have_the_planned_sizes_and_repeat_to_the_bit() {
    let runs = tempfile::tempdir().unwrap();
    for engine in ["run.engine=sparse", "run.engine=dense"] {
        let sets: Vec<&str> = ARMS.iter().copied().chain(["replicates=1", engine]).collect();
        run_ok(SMOKE, runs.path(), &sets);
    }
    for dir in run_dirs(runs.path()) {
        let rounds = rows(&dir, "rounds.csv");
        let of = |arm: &str, round: &str| -> Vec<&BTreeMap<String, String>> {
            rounds.iter().filter(|row| row["arm"] == arm && row["round"] == round).collect()
        };
        let share = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
        for round in ["1", "2"] {
            let ticket = &of("winning_ticket", round)[0]["weights_kept"];
            for arm in ["static", "set", "rigl", "longer", "gmp", "global", "regrown", "shuffled", "of_rigl"] {
                let of_arm = of(arm, round);
                assert_eq!(of_arm.len(), if arm == "set" { 2 } else { 1 }, "{arm}");
                for row in of_arm {
                    assert_eq!(row["weights_kept"], *ticket, "{arm} round {round}");
                    assert_eq!(row["start_iteration"], "0", "{arm}");
                    assert_eq!(row["iterations"], if arm == "longer" { "240" } else { "120" }, "{arm}");
                    let (ever, remaining) = (share(row, "ever_kept"), share(row, "weights_remaining"));
                    match arm {
                        "gmp" | "global" => assert!((ever - 1.0).abs() < 1e-12, "{arm} begins dense"),
                        "set" | "rigl" | "longer" => assert!(ever > 1.2 * remaining, "{arm}: {ever} of {remaining}"),
                        "regrown" => assert!(ever > 1.02 * remaining, "{arm}: {ever} of {remaining}"),
                        _ => assert!((ever - remaining).abs() < 1e-12, "{arm}: {ever} of {remaining}"),
                    }
                }
            }
            assert_eq!(of("of_rigl", round)[0]["mask_overlap"], "1.0", "the mask at the end");
            assert_eq!(of("of_rigl", round)[0]["search_iterations"], "120", "its mask needs the whole training");
            assert_eq!(of("rigl", round)[0]["search_iterations"], "0");
        }
        assert_eq!(of("grid", "1")[0]["weights_kept"], "12920", "0.5 of the rate of each layer");
        let layers = rows(&dir, "layers.csv");
        let by_layer = |arm: &str| -> Vec<u64> {
            let of_arm = layers.iter().filter(|row| row["arm"] == arm && row["round"] == "2" && row["repeat"] == "1");
            of_arm.map(|row| row["weights_kept"].parse().unwrap()).collect()
        };
        for arm in ["set", "rigl", "gmp"] {
            assert_eq!(by_layer(arm), by_layer("static"), "{arm} has Erdős–Rényi-Kernel densities, and keeps them");
        }
        assert_eq!(by_layer("regrown"), by_layer("winning_ticket"));
        assert_ne!(by_layer("global"), by_layer("gmp"), "one ranking of all layers");
    }
    let [dense, sparse] = ["dense", "sparse"].map(|engine| {
        let dirs = run_dirs(runs.path()).into_iter();
        let mut dirs = dirs.filter(|dir| rows(dir, "rounds.csv")[0]["engine"] == engine);
        dirs.next().unwrap().file_name().unwrap().to_str().unwrap().to_owned()
    });
    for run in [dense, sparse] {
        let verified = output(&["verify", &run, "--deep", "--retrain", "40"], runs.path());
        assert!(verified.status.success(), "{}", stdout(&verified));
    }
}

#[test]
fn masks_that_do_not_change_are_those_of_arms_without_updates() {
    let runs = tempfile::tempdir().unwrap();
    let random = "arms.random={mask={at_init={method=\"random\",like=\"winning_ticket\"}},allocation=\"erk\",\
                  weights=\"rewind\"}";
    let plan = json(&["plan", SMOKE, "--json", "--set", random, "--set", ARMS[0]], runs.path());
    let without = json(&["plan", SMOKE, "--json", "--set", random], runs.path());
    assert_eq!(plan["trainings"], without["trainings"], "static masks are trained once, by whichever name");
}

/// Arms whose masks are trained, while the weights stay as they are.
const SUPERMASKS: [&str; 4] = [
    "arms.edge={mask={at_init={method=\"random\",like=\"winning_ticket\"}},mask_updates={method=\"edge_popup\",lr=0.02},\
     weights=\"rewind\"}",
    "arms.signs={mask={of=\"winning_ticket\"},mask_updates={method=\"edge_popup\"},weights=\"constant_sign\"}",
    "arms.drawn={mask=\"dense\",mask_updates={method=\"bernoulli\",lr=0.1},weights=\"rewind\"}",
    "arms.trained={mask={of=\"edge\"},weights=\"rewind\"}",
];

#[test]
fn masks_that_are_trained_keep_their_size_and_repeat_to_the_bit() {
    let runs = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = SUPERMASKS.iter().copied().chain(["run.keep=all"]).collect();
    run_ok(SMOKE, runs.path(), &sets);
    let rounds = rows(&run_dir(runs.path()), "rounds.csv");
    let of = |arm: &str, round: &str| -> Vec<&BTreeMap<String, String>> {
        rounds.iter().filter(|row| row["arm"] == arm && row["round"] == round).collect()
    };
    for round in ["1", "2"] {
        let ticket = &of("winning_ticket", round)[0]["weights_kept"];
        for arm in ["edge", "signs", "trained"] {
            assert!(of(arm, round).iter().all(|row| row["weights_kept"] == *ticket), "{arm} round {round}");
        }
        let accuracy: f64 = of("edge", round)[0]["final_test_accuracy"].parse().unwrap();
        assert!(accuracy > 0.25, "a mask of untrained weights is no better than chance: {accuracy}");
        assert_eq!(of("trained", round)[0]["search_iterations"], "120");
    }
    let drawn = of("drawn", "0");
    let kept: Vec<u64> = drawn.iter().map(|row| row["weights_kept"].parse().unwrap()).collect();
    assert!(kept.iter().all(|kept| (8_000..18_000).contains(kept)), "about half of 25,760: {kept:?}");
    assert!(drawn.iter().all(|row| row["ever_kept"] == "1.0"), "each is kept with the probability 1/2 at first");
    let layers = rows(&run_dir(runs.path()), "layers.csv");
    let by_layer = |arm: &str| -> Vec<f64> {
        let of_arm = layers.iter().filter(|row| row["arm"] == arm && row["round"] == "2" && row["replicate"] == "1");
        of_arm.map(|row| row["weights_remaining"].parse().unwrap()).collect()
    };
    let edge = by_layer("edge");
    assert!((edge[0] - edge[2]).abs() < 0.01, "the same density in every layer, as by its authors: {edge:?}");
    assert_eq!(by_layer("signs"), by_layer("winning_ticket"));
    let verified = output(&["verify", "smoke", "--deep", "--retrain", "40"], runs.path());
    let said = stdout(&verified);
    assert!(verified.status.success() && said.contains("means over drawn masks"), "{said}");
    let file = runs.path().join("t.safetensors");
    let export = |arm: &str, round: &str| {
        let place = ["--arm", arm, "--round", round, "--replicate", "1", "--force", "-o", file.to_str().unwrap()];
        let mut command = lth();
        command.args(["ticket", "export", "smoke"]).args(place).env("LTH_RUNS_DIR", runs.path());
        command.output().unwrap()
    };
    assert!(export("edge", "2").status.success());
    let verified = output(&["ticket", "verify", file.to_str().unwrap()], runs.path());
    assert!(verified.status.success(), "{}", stdout(&verified));
    let refused = export("drawn", "0");
    assert!(
        !refused.status.success() && stderr(&refused).contains("means over masks that are drawn"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn mask_updates_that_do_not_fit_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let refused = |arm: &str| {
        let set = format!("arms.a={{{arm}}}");
        let sets = ["plan", SMOKE, "--set", &set, "--set", ARMS[2]];
        let refused = lth().args(sets).env("LTH_RUNS_DIR", runs.path()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{arm}: {}", stdout(&refused));
        stderr(&refused)
    };
    let gmp = |keys: &str| format!("mask=\"dense\",weights=\"rewind\",mask_updates={{method=\"gmp\",{keys}}}");
    for (arm, message) in [
        (gmp("like=\"a\""), "arms refer to each other in a circle: a"),
        (gmp("like=\"b\""), "there is no arm `b`"),
        (gmp("like=\"dense\""), "the dense networks have no mask to refer to"),
        (gmp("like=\"winning_ticket\",from=0.5,until=0.4"), "must be above `from`"),
        (gmp("like=\"winning_ticket\",every=10"), "expected iterations such as \"500it\""),
        (
            "mask={of=\"winning_ticket\"},weights=\"rewind\",mask_updates={method=\"gmp\",cut=[0.1,0.2]}".into(),
            "at round 1, `linear1` starts with 15,053 weights and would have to end with",
        ),
        (
            "mask={of=\"winning_ticket\"},weights=\"rewind\",mask_updates={method=\"gmp\",like=\"rigl\"}".into(),
            "at round 1, `linear2` starts with 307 weights and would have to end with 512: `gmp` only prunes",
        ),
        (
            "mask=\"iterative\",weights=\"rewind\",mask_updates={method=\"gmp\",cut=[0.5]}".into(),
            "`gmp` prunes to its own size",
        ),
        (
            "mask=\"dense\",weights=\"reinit\",mask_updates={method=\"rigl\"}".into(),
            "keep the number of weights, and a dense mask has all",
        ),
        (
            "mask={of=\"rigl\"},weights=\"rewind\",mask_updates={method=\"set\"},train=false".into(),
            "`arms.a.mask_updates` changes masks in training, and `train` is `false`",
        ),
        (
            "mask={of=\"rigl\"},weights=\"rewind\",rewind_to=\"100it\",mask_updates={method=\"set\"}".into(),
            "`arms.a.mask_updates.until` = 0.75 is iteration 90, and the first update would be at 100",
        ),
        (
            "mask={of=\"rigl\"},weights=\"rewind\",rewind_to=\"10it\",length=2".into(),
            "and `length` cannot both be given",
        ),
        ("mask={of=\"rigl\"},weights=\"rewind\",length=0".into(), "must be from 1 to 100"),
        ("mask={of=\"rigl\"},weights=\"rewind\",mask_updates=\"rigl\"".into(), "method = \"rigl\""),
        (
            "mask=\"dense\",weights=\"rewind\",mask_updates={method=\"edge_popup\"}".into(),
            "keep the number of weights, and a dense mask has all",
        ),
        ("mask={of=\"rigl\"},weights=\"rewind\",mask_updates={method=\"bernoulli\"}".into(), "begins with all weights"),
        (
            "mask={of=\"rigl\"},weights=\"rewind\",mask_updates={method=\"edge_popup\",every=\"5it\"}".into(),
            "belongs to `set`",
        ),
    ] {
        let said = refused(&arm);
        assert!(said.contains(message), "{arm}: {said}");
    }
}

#[test]
fn experiments_in_which_no_trainer_trains_scores_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let refused = |sets: &[&str]| output_of_refusal(sets, runs.path());
    let said = refused(&[SUPERMASKS[0], "run.engine=sparse"]);
    assert!(
        said.contains("the sparse trainer cannot be used: it trains weights, and the arm `edge` trains scores"),
        "{said}"
    );
    let said = refused(&[SUPERMASKS[0], "train.dtype=float64"]);
    assert!(said.contains("scores are trained in float32, and the arm `edge` trains them"), "{said}");
    let of_drawn = "arms.a={mask={of=\"drawn\"},weights=\"reinit\"}";
    let said = refused(&[SUPERMASKS[2], of_drawn]);
    assert!(said.contains("the masks of `drawn` have a size that is known after training only"), "{said}");
}

#[test]
fn mask_that_turns_out_smaller_than_the_target_fails_its_training_run() {
    // The layers of SNIP's mask are known when it has been made.
    let runs = tempfile::tempdir().unwrap();
    let snip = "arms.snip={mask={at_init={method=\"snip\",cut=[0.5]}},allocation=\"global\",weights=\"rewind\"}";
    let gmp = "arms.gmp={mask={of=\"snip\"},mask_updates={method=\"gmp\",cut=[0.51],every=\"10it\"},allocation=\"balanced\",\
               weights=\"rewind\"}";
    let output = run(SMOKE, runs.path(), &[snip, gmp, "replicates=1", "rounds=1"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("the mask that it starts with keeps fewer in"), "{said}");
    let rounds = rows(&run_dir(runs.path()), "rounds.csv");
    assert!(rounds.iter().any(|row| row["arm"] == "snip" && row["outcome"] == "done"), "the others go on");
}

#[test]
fn networks_with_changing_masks_can_be_measured_and_exported() {
    let runs = tempfile::tempdir().unwrap();
    run_ok(SMOKE, runs.path(), &sets(&["replicates=1", "rounds=1", "run.keep=all"]));
    let ticket = runs.path().join("ticket.safetensors");
    let ticket = ticket.to_str().unwrap();
    for args in [
        &["stability", "smoke", "--arm", "rigl", "--arm", "gmp"][..],
        &["landscape", "smoke", "--arm", "set", "--arm", "gmp"],
        &["evaluate", "smoke", "--arm", "rigl"],
        &["ticket", "export", "smoke", "--arm", "gmp", "--round", "1", "-o", ticket],
        &["ticket", "verify", ticket],
        &["verify", "smoke", "--deep"],
    ] {
        let done = output(args, runs.path());
        assert!(done.status.success(), "{args:?}: {}", stderr(&done));
    }
    let dir = run_dir(runs.path());
    let lines = rows(&dir, "stability.csv");
    let ends: Vec<&str> =
        lines.iter().filter(|row| row["alpha"] == "1.0").map(|row| row["test_error"].as_str()).collect();
    let rounds = rows(&dir, "rounds.csv");
    for (arm, error) in ["rigl", "gmp"].into_iter().zip(ends) {
        let row = rounds.iter().find(|row| row["arm"] == arm).unwrap();
        let accuracy: f64 = row["final_test_accuracy"].parse().unwrap();
        assert!(
            (1.0 - accuracy - error.parse::<f64>().unwrap()).abs() < 1e-12,
            "{arm}: the end of the line is the network"
        );
    }
}

// regression: a mask that is pruned in one ranking of all layers had the same key with other excluded layers
#[test]
fn gradual_pruning_with_other_excluded_layers_has_other_keys() {
    let runs = tempfile::tempdir().unwrap();
    let id = |exclude: &str| {
        let gmp = "arms={gmp={mask=\"dense\",mask_updates={method=\"gmp\",cut=[0.5],every=\"10it\"},allocation=\"global\",\
                   weights=\"reinit\"}}";
        let network = "network={architecture={mlp={hidden=[16,16,16]}}}";
        json(&["plan", SMOKE, "--json", "--set", gmp, "--set", network, "--set", exclude], runs.path())["id"].clone()
    };
    // Both have 256 weights.
    assert_ne!(id("prune.exclude=[\"linear2\"]"), id("prune.exclude=[\"linear3\"]"));
}

// regression: scores began with the moments of the weights at the rewind point, which only the audit noticed
#[test]
fn masks_are_trained_for_late_weights_with_fresh_moments() {
    let runs = tempfile::tempdir().unwrap();
    let late = "arms.late={mask={of=\"winning_ticket\"},mask_updates={method=\"edge_popup\"},weights=\"rewind\",rewind_to=\"30it\"}";
    run_ok(SMOKE, runs.path(), &[late, "replicates=1", "rounds=1"]);
    let row = rows(&run_dir(runs.path()), "rounds.csv").into_iter().find(|row| row["arm"] == "late").unwrap();
    assert_eq!((row["start_iteration"].as_str(), row["iterations"].as_str()), ("30", "90"));
}

// regression: `lth evaluate` refused a whole run, because no single network has the mean accuracy of drawn masks
#[test]
fn networks_with_drawn_masks_are_left_out_where_single_networks_are_measured() {
    let runs = tempfile::tempdir().unwrap();
    run_ok(SMOKE, runs.path(), &[SUPERMASKS[2], "replicates=1", "rounds=1", "run.keep=all"]);
    let evaluated = output(&["evaluate", "smoke"], runs.path());
    assert!(evaluated.status.success(), "{}", stderr(&evaluated));
    assert!(stderr(&evaluated).contains("note: 1 training run with drawn masks left out"), "{}", stderr(&evaluated));
    let arms: Vec<String> =
        rows(&run_dir(runs.path()), "robustness.csv").into_iter().map(|mut row| row.remove("arm").unwrap()).collect();
    assert!(arms.contains(&"winning_ticket".to_owned()) && !arms.contains(&"drawn".to_owned()), "{arms:?}");
    let exclude = output_of_refusal(&[SUPERMASKS[2], "prune.exclude=[\"output\"]"], runs.path());
    assert!(
        exclude.contains("`bernoulli` trains the masks of all layers, and `[prune]` keeps `output` whole"),
        "{exclude}"
    );
}

/// Returns what `lth plan` says of an experiment that it refuses.
fn output_of_refusal(sets: &[&str], runs: &std::path::Path) -> String {
    let mut command = lth();
    command.args(["plan", SMOKE]).env("LTH_RUNS_DIR", runs);
    for set in sets {
        command.args(["--set", set]);
    }
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{sets:?}: {}", stdout(&refused));
    stderr(&refused)
}

// regression: a mask that does not change had other layers than without the key, and dense networks could not train longer
#[test]
fn static_masks_keep_the_layers_of_their_scores_and_dense_networks_may_train_longer() {
    let runs = tempfile::tempdir().unwrap();
    let shot = "arms.shot={mask={one_shot={cut=[0.5]}},weights=\"rewind\"}";
    let fixed = "arms.fixed={mask={one_shot={cut=[0.5]}},mask_updates={method=\"static\"},weights=\"rewind\"}";
    let longer = "arms.longer={mask=\"dense\",weights=\"rewind\",length=2}";
    run_ok(SMOKE, runs.path(), &[shot, fixed, longer, "replicates=1", "rounds=1"]);
    let rounds = rows(&run_dir(runs.path()), "rounds.csv");
    let key = |arm: &str| rounds.iter().find(|row| row["arm"] == arm).unwrap()["key"].clone();
    assert_eq!(key("shot"), key("fixed"), "one training run");
    let longer = rounds.iter().find(|row| row["arm"] == "longer").unwrap();
    assert_eq!((longer["iterations"].as_str(), longer["weights_remaining"].as_str()), ("240", "1.0"));
}
