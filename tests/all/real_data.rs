//! What needs the real files; skipped, and said so, where `LTH_DATA_DIR` is not set.

use lth::base::env;
use lth::config::Data;
use lth::data::{Split, load};

use crate::support::*;

fn data(value: serde_json::Value) -> Data {
    serde_json::from_value(value).unwrap()
}

#[test]
fn mnist_is_verified_split_and_learned() {
    let Some(folder) = env::folder(env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let mnist = load(&data(serde_json::json!({ "dataset": "mnist" })), Some(&folder), 1).unwrap();
    let sizes = Split::ALL.map(|split| mnist.part(split).len());
    assert_eq!((mnist.train.len(), sizes), (55_000, [5_000, 5_000, 10_000]));
    let mean: f64 =
        mnist.images[..60_000 * 784].iter().map(|&b| f64::from(b)).sum::<f64>() / (60_000.0 * 784.0 * 255.0);
    assert!((mean - 0.1307).abs() < 1e-4, "the constant of the normalisation: {mean}");
    let limited = data(serde_json::json!({ "dataset": "mnist", "train_limit": 1100, "test_limit": 50 }));
    let small = load(&limited, Some(&folder), 1).unwrap();
    assert_eq!((small.train.len(), small.validation.len(), small.test.len()), (1100, 100, 50));
    let of_class = |class: u8| small.train.iter().filter(|&&i| small.labels[i as usize] == class).count();
    assert!((0..10).all(|class| of_class(class) == 110), "balanced over the classes");

    let runs = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let sets =
        ["replicates=1", "rounds=1", "train.iterations=400", "arms.random_reinit.repeats=1", "data.test_limit=2000"];
    let output = run_command(config, runs.path(), &sets).arg("--data-dir").arg(&folder).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let rounds = rows(&view(runs.path()), "rounds.csv");
    assert_eq!(rounds.iter().map(|row| row["weights_kept"].as_str()).take(2).collect::<Vec<_>>(), ["266200", "213060"]);
    for row in &rounds {
        let accuracy: f64 = row["final_test_accuracy"].parse().unwrap();
        assert!(accuracy > 0.9, "{} round {}: {accuracy}", row["arm"], row["round"]);
    }
}
