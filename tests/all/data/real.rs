//! Tests on the real files of MNIST and CIFAR-10; they are skipped, and print so, if `LTH_DATA_DIR` is not set.

use lth::config::DataConfig;
use lth::data::{Split, inspect, load};
use lth::system::{env, user_path};

use crate::support::*;

fn data(value: serde_json::Value) -> DataConfig {
    serde_json::from_value(value).unwrap()
}

#[test]
fn mnist_is_verified_and_split() {
    let Some(folder) = user_path::env_folder_or_literal(env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let mnist = load(&data(serde_json::json!({ "dataset": "mnist" })), Some(&folder), 1).unwrap();
    let sizes = Split::ALL.map(|split| mnist.indices(split).len());
    assert_eq!((mnist.train.len(), sizes), (55_000, [5_000, 5_000, 10_000]));
    let mean: f64 =
        mnist.images[..60_000 * 784].iter().map(|&b| f64::from(b)).sum::<f64>() / (60_000.0 * 784.0 * 255.0);
    assert!((mean - 0.1307).abs() < 1e-4, "the constant of the normalization: {mean}");
    let limited =
        data(serde_json::json!({ "dataset": "mnist", "validation": 100, "train_limit": 1100, "test_limit": 50 }));
    let small = load(&limited, Some(&folder), 1).unwrap();
    assert_eq!((small.train.len(), small.validation.len(), small.test.len()), (1100, 100, 50));
    let of_class = |class: u8| small.train.iter().filter(|&&i| small.labels[i as usize] == class).count();
    assert!((0..10).all(|class| of_class(class) == 110), "balanced over the classes");
}

#[test]
fn cifar10_is_verified_and_partial_test_file_noted_and_keyed() {
    let Some(folder) = user_path::env_folder_or_literal(env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let cifar = data(serde_json::json!({ "dataset": "cifar10", "dir": folder }));
    let (source, _) = inspect(&cifar).unwrap();
    let (whole, _) = inspect(&data(serde_json::json!({ "dataset": "cifar10", "dir": "nowhere" }))).unwrap();
    assert_eq!((whole.test_images, whole.note), (10_000, None), "a plan needs no files");
    if source.test_images < 10_000 {
        assert!(source.note.as_ref().unwrap().contains("of the 10000 test images of `cifar10`"), "{:?}", source.note);
        assert_ne!(source.identity, whole.identity);
    }
    let set = source.load(&cifar, 1).unwrap();
    assert_eq!((set.shape, set.train.len(), set.test.len()), ([3, 32, 32], 45_000, source.test_images as usize));
    for (channel, &(mean, std)) in source.mean_std.iter().enumerate() {
        let bytes = || set.images[..50_000 * 3072].chunks_exact(1024).skip(channel).step_by(3).flatten();
        let count = 50_000.0 * 1024.0;
        let found = bytes().map(|&b| f64::from(b)).sum::<f64>() / count / 255.0;
        let squares = bytes().map(|&b| f64::from(b) * f64::from(b)).sum::<f64>() / count / 255.0 / 255.0;
        assert!((found - mean).abs() < 6e-5, "channel {channel}: mean {found}");
        assert!(((squares - found * found).sqrt() - std).abs() < 6e-5, "channel {channel}: {squares}");
    }
}

/// Returns a batch of CIFAR-10 as Python 2 pickles it, from the records of the binary version.
fn pickled(records: &[u8]) -> Vec<u8> {
    let records: Vec<&[u8]> = records.chunks_exact(3073).collect();
    let mut bytes = b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(".to_vec();
    bytes.extend(records.iter().flat_map(|record| [b'K', record[0]]));
    bytes.extend(b"eU\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01M");
    bytes.extend((records.len() as u16).to_le_bytes());
    bytes.extend(
        b"M\0\x0c\x86cnumpy\ndtype\nU\x02u1K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T",
    );
    bytes.extend((records.len() as u32 * 3072).to_le_bytes());
    bytes.extend(records.iter().flat_map(|record| &record[1..]));
    bytes.extend(b"tbu.");
    bytes
}

#[test]
fn cifar10_python_version_is_same_data() {
    let Some(folder) = user_path::env_folder_or_literal(env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let mut files = Vec::new();
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        let Ok(zipped) = std::fs::read(folder.join(format!("cifar10/{name}.bin.gz"))) else {
            println!("skipped: CIFAR-10 is not there as the test expects it");
            return;
        };
        let mut records = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(zipped.as_slice()), &mut records).unwrap();
        files.push((name, records));
    }
    let python = tempfile::tempdir().unwrap();
    for (name, records) in &files {
        lth::system::files::write(&python.path().join("cifar-10-batches-py").join(name), &pickled(records)).unwrap();
    }
    let [binary, python] = [folder.as_path(), python.path()].map(|dir| {
        let data = data(serde_json::json!({ "dataset": "cifar10", "dir": dir, "train_limit": 1000 }));
        let (source, _) = inspect(&data).unwrap();
        let set = source.load(&data, 1).unwrap();
        (source.identity, set.images, set.labels, set.train)
    });
    assert!(binary == python, "sums, pixels, labels and split");
}

/// Waits for a process and returns its peak memory in MiB, by `/proc`.
fn watch_memory(child: &mut std::process::Child) -> f64 {
    let mut most = 0.0_f64;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
        most = most.max(line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1024.0);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    most
}

#[test]
fn mnist_lenet_of_paper_finds_tickets() {
    let Some(folder) = user_path::env_folder_or_literal(env::DATA) else {
        println!("skipped: LTH_DATA_DIR is not set");
        return;
    };
    let runs = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let sets = [
        "replicates=2",
        "rounds=2",
        "train.iterations=3000",
        "run.workers=2",
        "arms={winning_ticket={mask=\"iterative\",weights=\"rewind\"}}",
    ];
    let mut child = run_command(config, runs.path(), &sets).arg("--data-dir").arg(&folder).spawn().unwrap();
    let memory = watch_memory(&mut child);
    assert!(child.wait().unwrap().success());
    assert!(memory < 700.0, "{memory} MiB");
    let rounds = rows(&run_dir(runs.path()), "rounds.csv");
    let kept: Vec<&str> = rounds.iter().map(|row| row["weights_kept"].as_str()).collect();
    assert_eq!(kept, ["266200", "213060", "170538", "266200", "213060", "170538"]);
    for row in &rounds {
        let accuracy: f64 = row["final_test_accuracy"].parse().unwrap();
        assert!(accuracy > 0.965, "{} round {}: {accuracy}", row["arm"], row["round"]);
    }
}

#[test]
fn strokes_are_neither_too_easy_nor_too_hard() {
    let runs = tempfile::tempdir().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let sets = [
        "data.dataset=strokes",
        "replicates=1",
        "rounds=6",
        "train.iterations=3000",
        "train.evaluate_every=500",
        "prune.rate={linear=0.49,output=0.25}",
        "arms={winning_ticket={mask=\"iterative\",weights=\"rewind\"}}",
    ];
    run_ok(config, runs.path(), &sets);
    let accuracies: Vec<f64> = rows(&run_dir(runs.path()), "rounds.csv")
        .iter()
        .map(|row| row["early_stop_test_accuracy"].parse().unwrap())
        .collect();
    let best = accuracies.iter().copied().fold(0.0, f64::max);
    assert!(accuracies.iter().all(|accuracy| (0.95..0.995).contains(accuracy)), "{accuracies:?}");
    assert!(accuracies[6] < best - 0.005, "2 % of the weights are too few: {accuracies:?}");
}
