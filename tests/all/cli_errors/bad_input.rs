//! Mistakes on the real binary: a clear message, the right exit code, and no loss of results.

use std::fs;
use std::path::Path;

use crate::support::*;

const MNIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");

/// Returns the message of the binary for [`SMOKE`] with `sets`, and asserts that it is a usage error before anything is
/// written.
fn error_message(sets: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = run(SMOKE, folder.path(), sets);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stdout(&output).is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is begun");
    stderr(&output).replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "")
}

#[test]
fn set_of_invalid_value_is_refused_before_the_run() {
    let all = [
        error_message(&["train.lrr=0.1"]),
        error_message(&["train.lr=fast", "replicates=\"two\""]),
        error_message(&["train.lr"]),
        error_message(&["arms.random_mask.mask={of=\"nobody\"}"]),
        error_message(&["arms.winning_ticket.mask={of=\"random_mask\"}"]),
        error_message(&["arms.winning_ticket.repeats=3"]),
        error_message(&["data.validation=1500"]),
        error_message(&["data.train_limit=1300"]),
        error_message(&["data.test_limit=1300"]),
        error_message(&["train.batch_size=5000"]),
        error_message(&["prune.rate.layers.linear7=0.5"]),
        error_message(&["rounds=40"]),
        error_message(&["data.dataset=mnist"]),
        error_message(&["arms.more.mask=iterative"]),
        error_message(&["arms.more={mask=\"dense\",weights=\"rewind\"}"]),
        error_message(&["prune.exclude=[\"linear\",\"output\"]"]),
        error_message(&["train.eps=inf"]),
        error_message(&["train=5"]),
        error_message(&["train.lr=-1", "train.batchsize=3", "replicates=0"]),
        error_message(&["prune.rate.layers.nope=0.5", "arms.random_mask.mask={of=\"nobody\"}"]),
        error_message(&["network.architecture={mlp={hidden=[4000000000]}}", "replicates=4000000000"]),
        error_message(&["network.architecture={mlp={hidden=[1000000,1000000]}}"]),
    ];
    assert_golden!(all.join("\n---\n"));
}

#[test]
fn config_errors_have_line_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(SMOKE).unwrap().replace("batch_size = 30", "batchsize = 30\nlr = \"fast\"");
    let text = text.replace("lr = 2e-3\n", "");
    let output = run(&config(folder.path(), &text), &folder.path().join("runs"), &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output).replace(&folder.path().display().to_string(), "FOLDER");
    assert_golden!(message);
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn config_files_of_other_formats_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().join("runs");
    let missing = run("nowhere.toml", &runs, &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("could not read `nowhere.toml`"), "{}", stderr(&missing));
    let binary = folder.path().join("binary.toml");
    lth::system::files::write(&binary, &[0xFF, 0xFE, 0]).unwrap();
    let output = run(binary.to_str().unwrap(), &runs, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not text in UTF-8"), "{}", stderr(&output));
    let json = folder.path().join("broken.json");
    lth::system::files::write(&json, b"{\"name\": \"a\",\n  \"rounds\" 3}").unwrap();
    let output = run(json.to_str().unwrap(), &runs, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("broken.json:2:"), "{}", stderr(&output));
}

#[test]
fn runs_folder_that_cannot_be_written_is_an_error() {
    let output = run(SMOKE, Path::new("/dev/null/runs"), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("`/dev/null` is not a folder\n\nhint: name a folder of runs"),
        "{}",
        stderr(&output)
    );
}

/// Returns the bytes of an IDX file.
fn idx(magic: u32, sizes: &[u32], body: usize, fill: u8) -> Vec<u8> {
    let mut bytes = magic.to_be_bytes().to_vec();
    for size in sizes {
        bytes.extend(size.to_be_bytes());
    }
    bytes.resize(bytes.len() + body, fill);
    bytes
}

#[test]
fn data_files_that_are_not_official_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("mnist");
    let runs = folder.path().join("runs");
    let message = |file: &str, bytes: Option<&[u8]>| {
        match bytes {
            Some(bytes) => lth::system::files::write(&data.join(file), bytes).unwrap(),
            None => lth::system::files::remove(&data.join(file)).unwrap(),
        }
        let output = run_command(MNIST, &runs, &[]).arg("--data-dir").arg(folder.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        let message = stderr(&output);
        assert!(message.contains("error: could not read the data set `mnist`") && message.contains(file), "{message}");
        message
    };
    let (images, labels) = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte");
    fs::create_dir_all(&data).unwrap();
    let missing = message(images, None);
    assert!(
        missing.contains("neither") && missing.contains("hint: run `lth data fetch mnist --data-dir "),
        "{missing}"
    );
    let empty = message(images, Some(b""));
    assert!(empty.contains("is empty") && empty.contains("hint: `lth data check mnist --data-dir "), "{empty}");
    let good = idx(0x803, &[60_000, 28, 28], 60_000 * 784, 0);
    assert!(
        message(images, Some(&good[..1_000_000])).contains("holds 999984 bytes after the header instead of 47040000")
    );
    assert!(message(images, Some(&idx(0x801, &[60_000], 60_000, 0))).contains("magic number is 0x00000801"));
    let gzip: &[u8] = &[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2];
    assert!(message(images, Some(gzip)).contains("cut short or damaged"));
    assert!(message(images, Some(&good)).contains("SHA-256"), "the right form, the wrong pixels");
    // The labels are read after the images, so that the messages about labels need the real images, which are only on
    // some machines.
    if let Some(real) = lth::system::user_path::env_folder_or_literal(lth::system::env::DATA) {
        copy_real(&real.join("mnist"), &data, images);
        assert!(
            message(labels, Some(&idx(0x801, &[60_000], 60_000, 11))).contains("label 11 of image 0 is not below 10")
        );
        assert!(message(labels, Some(&idx(0x801, &[60_000], 60_000, 3))).contains("SHA-256"));
    } else {
        println!("skipped: labels of the real images (LTH_DATA_DIR is not set)");
    }
}

fn copy_real(from: &Path, to: &Path, file: &str) {
    fs::remove_file(to.join(file)).unwrap();
    for name in [file.to_owned(), format!("{file}.gz")] {
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name)).unwrap();
        }
    }
}

#[test]
fn divergence_is_a_result_and_other_trainings_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [
        "train={iterations=60,batch_size=30,evaluate_every=20,optimizer=\"sgd\",lr=1e30}",
        "arms.other={mask=\"dense\",weights=\"reinit\"}",
        "replicates=1",
    ];
    let output = run(SMOKE, folder.path(), &sets);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("2 diverged, 8 blocked by them"), "{}", stderr(&output));
    let rounds = rows(&run_dir(folder.path()), "rounds.csv");
    let outcomes: Vec<(&str, &str)> = rounds.iter().map(|row| (row["arm"].as_str(), row["outcome"].as_str())).collect();
    assert_eq!(outcomes, [("dense", "diverged"), ("other", "diverged")]);
    assert!(rounds.iter().all(|row| row["final_test_accuracy"].is_empty() && row["early_stop_iteration"].is_empty()));
    let again = run(SMOKE, folder.path(), &sets);
    assert_eq!((again.status.code(), finished_count(&again)), (Some(1), 0), "a result is not tried again");
    assert_eq!(stdout(&again), stdout(&output));
}
