//! Masks at initialization on the real binary.

use super::plan::{json, output};
use crate::support::*;

/// An arm of every method at the sizes of the ticket, and controls of SNIP.
const ARMS: [&str; 9] = [
    "arms.magnitude={mask={at_init={method=\"magnitude\",like=\"winning_ticket\"}},weights=\"rewind\"}",
    "arms.random={mask={at_init={method=\"random\",like=\"winning_ticket\"}},allocation=\"global\",weights=\"rewind\"}",
    "arms.snip={mask={at_init={method=\"snip\",like=\"winning_ticket\"}},allocation=\"global\",weights=\"rewind\"}",
    "arms.force={mask={at_init={method=\"force\",like=\"winning_ticket\",steps=4}},allocation=\"global\",weights=\"rewind\"}",
    "arms.grasp={mask={at_init={method=\"grasp\",like=\"winning_ticket\",score={batches=2}}},weights=\"rewind\",repeats=2}",
    "arms.synflow={mask={at_init={method=\"synflow\",like=\"winning_ticket\"}},allocation=\"global\",weights=\"rewind\"}",
    "arms.shuffled={mask={random=\"snip\"},weights=\"rewind\"}",
    "arms.inverted={mask={at_init={method=\"snip\",like=\"winning_ticket\",inverted=true}},weights=\"rewind\"}",
    "arms.like_snip={mask={at_init={method=\"random\",cut=[0.5,0.9]}},allocation={like=\"snip\"},weights=\"reinit\"}",
];

#[test]
fn networks_pruned_at_initialization_have_the_planned_sizes_and_repeat_to_the_bit() {
    let runs = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = ARMS.iter().copied().chain(["replicates=1"]).collect();
    run_ok(SMOKE, runs.path(), &sets);
    let dir = run_dir(runs.path());
    let rounds = rows(&dir, "rounds.csv");
    let kept = |arm: &str, round: &str| -> Vec<u64> {
        let of_arm = rounds.iter().filter(|row| row["arm"] == arm && row["round"] == round);
        of_arm.map(|row| row["weights_kept"].parse().unwrap()).collect()
    };
    for round in ["1", "2"] {
        let ticket = kept("winning_ticket", round)[0];
        for arm in ["magnitude", "random", "snip", "force", "synflow", "shuffled", "inverted"] {
            assert_eq!(kept(arm, round), [ticket], "{arm} round {round}");
        }
        assert_eq!(kept("grasp", round), [ticket; 2], "two repeats, with images of their own");
    }
    let layers = rows(&dir, "layers.csv");
    let by_layer = |arm: &str, round: &str| -> Vec<f64> {
        let of_arm = layers.iter().filter(|row| row["arm"] == arm && row["round"] == round);
        of_arm.map(|row| row["weights_kept"].parse().unwrap()).collect()
    };
    assert_eq!(by_layer("shuffled", "2"), by_layer("snip", "2"), "shuffled within the layers");
    assert_ne!(by_layer("snip", "2"), by_layer("winning_ticket", "2"), "SNIP ranks all layers together");
    // In proportion to SNIP's densities, and together half of all weights.
    let (like, snip) = (by_layer("like_snip", "1"), by_layer("snip", "1"));
    assert_eq!(like.iter().sum::<f64>(), 12_920.0, "0.5 of the rate of each layer");
    assert!((like[0] / like[1] / (snip[0] / snip[1]) - 1.0).abs() < 0.01, "{like:?} {snip:?}");
    let verified = output(&["verify", "smoke", "--deep", "--retrain", "40"], runs.path());
    assert!(verified.status.success(), "{}", stdout(&verified));
}

#[test]
fn a_layer_without_weights_is_named_with_its_method() {
    let runs = tempfile::tempdir().unwrap();
    let arm = "arms.tiny={mask={at_init={method=\"random\",cut=[0.9999]}},allocation=\"global\",weights=\"rewind\"}";
    let run = output(&["run", SMOKE, "--set", arm, "--set", "replicates=1"], runs.path());
    assert!(run.status.success(), "{}", stderr(&run));
    let said = stderr(&run);
    let warning = "warning: tiny round 1 replicate 1: `random` at initialization leaves no weight in ";
    assert!(said.contains(warning), "{said}");
    let row = rows(&run_dir(runs.path()), "rounds.csv").into_iter().find(|row| row["arm"] == "tiny").unwrap();
    assert_eq!(
        row["weights_kept"], "83",
        "0.0001 of the first two layers, half of the output: rates are in proportion"
    );
    assert!(!row["final_test_accuracy"].is_empty(), "it is trained all the same");
}

#[test]
fn keys_of_methods_at_initialization_that_do_not_belong_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let refused = |mask: &str| {
        let set = format!("arms.a={{mask={{at_init={{{mask}}}}},weights=\"reinit\"}}");
        let refused = lth().args(["plan", SMOKE, "--set", &set]).env("LTH_RUNS_DIR", runs.path()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", stdout(&refused));
        stderr(&refused)
    };
    for (mask, message) in [
        ("method=\"snip\"", "add `like = \"ARM\"` or `cut = [0.5, 0.8]`"),
        ("method=\"snip\",like=\"winning_ticket\",steps=2", "`steps` belongs to `synflow`"),
        ("method=\"magnitude\",like=\"winning_ticket\",score={batches=1}", "`magnitude` needs none"),
        ("method=\"snap\",like=\"winning_ticket\"", "did you mean `snip`?"),
        ("method=\"snip\",like=\"a\"", "in a circle: a"),
        ("method=\"snip\",like=\"b\"", "there is no arm `b`"),
        ("method=\"snip\",cut=[1.5]", "above 0 and below 1"),
        ("method=\"snip\",cut=0.5", "[0.5, 0.8, 0.9]"),
        ("method=\"snip\",like=\"dense\"", "the dense networks have no mask to refer to"),
        ("method=\"snip\",like=\"winning_ticket\",score=10", "{ images_per_class = 10 }"),
        (
            "method=\"snip\",like=\"winning_ticket\",allocation=\"erk\"",
            "`allocation` is a key of the arm, beside `mask`",
        ),
    ] {
        let said = refused(mask);
        assert!(said.contains(message), "{mask}: {said}");
    }
}

#[test]
fn former_key_of_magnitude_at_initialization_is_understood() {
    let runs = tempfile::tempdir().unwrap();
    let plan = |mask: &str| {
        let set = format!("arms.a={{mask={mask},weights=\"rewind\"}}");
        json(&["plan", SMOKE, "--json", "--set", &set], runs.path())["id"].clone()
    };
    let present = plan("{at_init={method=\"magnitude\",like=\"winning_ticket\"}}");
    assert_eq!(plan("{magnitude_at_init={like=\"winning_ticket\"}}"), present);
}

#[test]
fn densities_of_layers_are_read_from_a_file_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("e.toml");
    let arm =
        "\n[arms.a]\nmask = { one_shot = { cut = [0.5] } }\nallocation = { file = \"d.csv\" }\nweights = \"rewind\"\n";
    std::fs::copy(SMOKE, &config).unwrap();
    let text = std::fs::read_to_string(&config).unwrap() + arm;
    lth::system::files::write(&config, text.as_bytes()).unwrap();
    let config = config.to_str().unwrap();
    let plan = |csv: Option<&str>| {
        if let Some(csv) = csv {
            lth::system::files::write(&folder.path().join("d.csv"), csv.as_bytes()).unwrap();
        }
        lth().args(["plan", config, "--json"]).env("LTH_RUNS_DIR", folder.path()).output().unwrap()
    };
    let missing = stderr(&plan(None));
    assert!(missing.contains("there is no file `d.csv`") && missing.contains("`layer` and `density`"), "{missing}");
    // Half of the included layers' rates keep 12,880 + 40 weights: 12,920, of which the output layer keeps all 160 and the
    // others have a ratio of 1 to 2.
    let planned = plan(Some("layer,density\nlinear1,0.1\nlinear2,0.2\noutput,1\n"));
    let planned: serde_json::Value = serde_json::from_slice(&planned.stdout).unwrap();
    let row = planned["rounds"].as_array().unwrap().iter().find(|row| row["arm"] == "a").unwrap().clone();
    assert_eq!(row["layers"], serde_json::json!({ "linear1": 12_260, "linear2": 500, "output": 160 }));
    let rounds = stderr(&plan(Some("layer,density,round\nlinear1,0.1,2\nlinear2,0.2,2\noutput,1,2\n")));
    assert!(rounds.contains("d.csv` has no densities at round 1"), "{rounds}");
    let unknown = stderr(&plan(Some("layer,density\nconv1,0.1\n")));
    assert!(unknown.contains("the network has no layer `conv1` (line 2)"), "{unknown}");
}

#[test]
fn networks_that_are_not_trained_are_evaluated_once() {
    let runs = tempfile::tempdir().unwrap();
    let arms = [
        "arms.signs={mask={of=\"winning_ticket\"},weights=\"constant_sign\",train=false}",
        "arms.pruned={mask={one_shot={like=\"winning_ticket\"}},weights=\"final\",train=false}",
        "arms.late={mask={of=\"winning_ticket\"},weights=\"rewind\",rewind_to=\"30it\",train=false}",
    ];
    run_ok(SMOKE, runs.path(), &[arms[0], arms[1], arms[2], "replicates=1"]);
    let dir = run_dir(runs.path());
    let rounds = rows(&dir, "rounds.csv");
    let curves = rows(&dir, "curves.csv");
    for arm in ["signs", "pruned", "late"] {
        for row in rounds.iter().filter(|row| row["arm"] == arm) {
            assert_eq!((row["iterations"].as_str(), row["outcome"].as_str()), ("0", "done"), "{row:?}");
            assert!(row["early_stop_test_accuracy"].is_empty() && !row["final_test_accuracy"].is_empty(), "{row:?}");
            let points = curves.iter().filter(|point| point["arm"] == arm && point["round"] == row["round"]);
            assert_eq!(points.count(), 1, "{arm}");
        }
    }
    // One step of pruning, and no training after it, loses little of the dense accuracy at 60% of the weights.
    let accuracy = |arm: &str, round: &str| -> f64 {
        let row = rounds.iter().find(|row| row["arm"] == arm && row["round"] == round).unwrap();
        row["final_test_accuracy"].parse().unwrap()
    };
    assert!((accuracy("pruned", "1") - accuracy("dense", "0")).abs() < 0.1);
    let verified = output(&["verify", "smoke", "--deep", "--retrain", "20"], runs.path());
    assert!(verified.status.success(), "{}", stdout(&verified));
    let set = "arms.a={mask=\"iterative\",weights=\"rewind\",train=false}";
    let refused = lth().args(["plan", SMOKE, "--set", set]).env("LTH_RUNS_DIR", runs.path()).output().unwrap();
    assert!(stderr(&refused).contains("would leave nothing trained to prune"), "{}", stderr(&refused));
}
