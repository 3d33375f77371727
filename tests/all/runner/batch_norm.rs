//! Networks with batch norm, residual blocks, augmentation or dropout, on the real binary: every arm, rewinding to
//! iteration k with running statistics, lanes, and the instability analysis.

use std::fs;
use std::path::Path;

use lth::artifacts::{snapshot_from_bytes, tensors_from_bytes};
use lth::base::tensors::{Snapshot, TensorMap};

use crate::support::*;

/// A plain network with batch norm after a convolution and after a linear layer.
const NORMED: [&str; 7] = [
    "network={layers=[{conv={out=3,stride=2,bias=false}},'batch_norm','relu',{max_pool={size=2}},\
     {linear={out=8}},'batch_norm','relu',{linear={out=10}}]}",
    "data.augment={flip=true,crop=2}",
    "data.train_images=400",
    "data.test_images=60",
    "data.validation=60",
    "train.optimizer=sgd",
    "prune={rate={conv=0.2,linear=0.4,output=0.2}}",
];

fn sets<'a>(more: &[&'a str]) -> Vec<&'a str> {
    NORMED
        .into_iter()
        .chain(["train.momentum=0.9", "train.lr=0.05", "train.iterations=40"])
        .chain(more.iter().copied())
        .collect()
}

fn entry(runs: &Path, row: &std::collections::BTreeMap<String, String>, file: &str) -> Vec<u8> {
    fs::read(runs.join("store").join(&row["key"]).join(file)).unwrap()
}

#[test]
fn batch_norm_network_passes_audit_in_every_arm() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let all = sets(&[ALL_ARMS, "run.keep=all", "train.iterations=120"]);
    // The audit checks that the weights, moments and running statistics of each training run start as their rules say.
    run_ok(SMOKE, runs, &all);
    let rounds = rows(&run_dir(runs), "rounds.csv");
    assert!(rounds.iter().all(|row| row["outcome"] == "done" && row["engine"] == "dense"));
    let dense = rounds.iter().find(|row| row["arm"] == "dense").unwrap();
    // What is kept of a network are its weights and its running statistics, which have moved.
    let last: TensorMap = tensors_from_bytes(&entry(runs, dense, "final.safetensors")).unwrap();
    let variance = last.get("bn1.running_var").unwrap();
    assert!(variance.values.iter().all(|value| *value > 0.0 && *value != 1.0), "{variance:?}");
    let there: Snapshot = snapshot_from_bytes(&entry(runs, dense, "at-30.safetensors")).unwrap();
    assert_eq!(there.buffers.0.len(), 4, "two batch norms, mean and variance each");
    assert_ne!(there.buffers.get("bn1.running_var").unwrap().values, variance.values);
    assert_eq!(there.moments.len(), 1);
    // The same again, with other workers, to the byte.
    let again = tempfile::tempdir().unwrap();
    run_ok(SMOKE, again.path(), &sets(&[ALL_ARMS, "run.keep=all", "train.iterations=120", "run.workers=1"]));
    for file in ["rounds.csv", "curves.csv", "layers.csv"] {
        assert_eq!(
            fs::read(run_dir(runs).join(file)).unwrap(),
            fs::read(run_dir(again.path()).join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn batch_norm_network_in_lanes_equals_single_training() {
    let accuracies = |lanes: &str| {
        let folder = tempfile::tempdir().unwrap();
        run_ok(SMOKE, folder.path(), &sets(&[lanes, "train.dtype=float64", "replicates=3"]));
        let of = |row: &std::collections::BTreeMap<String, String>| {
            (
                row["arm"].clone(),
                row["replicate"].clone(),
                row["round"].clone(),
                row["final_validation_loss"].parse::<f64>().unwrap(),
            )
        };
        rows(&run_dir(folder.path()), "rounds.csv").iter().map(of).collect::<Vec<_>>()
    };
    let (alone, together) = (accuracies("run.lanes=1"), accuracies("run.lanes=4"));
    assert_eq!(alone.len(), together.len());
    for (a, b) in alone.iter().zip(&together) {
        assert_eq!((&a.0, &a.1, &a.2), (&b.0, &b.1, &b.2));
        assert!((a.3 - b.3).abs() < 1e-6 * a.3, "{a:?} {b:?}");
    }
}

#[test]
fn stability_of_batch_norm_networks_recomputes_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &sets(&["replicates=1", "rounds=1"]));
    let output = lth().args(["stability", "smoke", "--points", "3", "--runs"]).arg(runs).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let points = rows(&run_dir(runs), "stability.csv");
    // The dense network and the ticket, three points each.
    assert_eq!(points.len(), 6);
    for point in &points {
        let errors = ["train_error", "test_error"].map(|column| point[column].parse::<f64>().unwrap());
        assert!(errors.iter().all(|error| (0.0..1.0).contains(error)), "{point:?}");
    }
    // A network that was trained is far better than guessing with its own statistics, and so are those beside it.
    let ends: Vec<f64> =
        points.iter().filter(|point| point["alpha"] != "0.5").map(|p| p["train_error"].parse().unwrap()).collect();
    assert!(ends.iter().all(|&error| error < 0.8), "{ends:?}");
}

/// `resnet20` and a VGG by name, as a configuration would have them; shortcuts and the classifier stay whole.
#[test]
fn global_scope_prunes_exact_count_of_convolutions() {
    let folder = tempfile::tempdir().unwrap();
    let short = [
        "data.train_images=120",
        "data.test_images=20",
        "data.validation=20",
        "train.iterations=2",
        "train.batch_size=10",
        "replicates=1",
    ];
    let deep = ["prune={scope='global',rate={all=0.2},exclude=['shortcut','output']}", "rounds=1"];
    for architecture in ["network={architecture='resnet20'}", "network={architecture='vgg11'}"] {
        let all: Vec<&str> = [architecture].into_iter().chain(short).chain(deep).collect();
        let runs = folder.path().join(architecture.len().to_string());
        run_ok(SMOKE, &runs, &all);
        let layers = rows(&run_dir(&runs), "layers.csv");
        let ticket = layers.iter().filter(|row| row["arm"] == "winning_ticket");
        let (mut kept, mut total) = (0, 0);
        for layer in ticket {
            let [k, t] = ["weights_kept", "weights_total"].map(|column| layer[column].parse::<u64>().unwrap());
            match layer["kind"].as_str() {
                "conv" => (kept, total) = (kept + k, total + t),
                _ => assert_eq!(k, t, "{layer:?}"),
            }
        }
        assert_eq!(kept, total - (total as f64 * 0.2).round() as u64, "{architecture}");
    }
}

#[test]
fn dropout_network_trains_and_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let set = "network={layers=[{linear={out=32}},\"relu\",{dropout={rate=0.3}},{linear={out=10}}]}";
    run_ok(SMOKE, folder.path(), &[set, "replicates=1", "rounds=1"]);
    let resolved = fs::read_to_string(run_dir(folder.path()).join("resolved.toml")).unwrap();
    assert!(resolved.contains("dropout = { rate = 0.3 }"), "{resolved}");
}
