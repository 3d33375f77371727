//! Networks on the real binary whose layers do not fit together or do not fit the images: batch norm of one value, even
//! kernels, and places of errors in lists of layers.

use crate::support::*;

/// A convolution with batch norm.
const NORM: &str = "network={layers=[{conv={out=2}},\"batch_norm\",\"relu\",{max_pool={size=4}},{linear={out=10}}]}";
/// Overrides of [`SMOKE`] for 301 training images.
const IMAGES: [&str; 4] = ["data.train_limit=301", "replicates=1", "rounds=1", "train.drop_last=false"];

#[test]
fn batch_norm_of_a_convolution_trains_on_a_last_batch_of_one_image() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [&IMAGES[..], &[NORM, "train.iterations=24", "train.batch_size=30", "train.evaluate_every=11"]].concat();
    run_ok(SMOKE, folder.path(), &sets);
    let curves = rows(&run_dir(folder.path()), "curves.csv");
    assert!(curves.len() > 6);
    for row in curves {
        for column in ["train_loss", "validation_loss", "test_loss"] {
            let loss: f64 = row[column].parse().unwrap();
            assert!(loss.is_finite() && loss > 0.0, "{row:?}");
        }
    }
    // With a batch size of 1.
    let single = tempfile::tempdir().unwrap();
    run_ok(SMOKE, single.path(), &[&IMAGES[..], &[NORM, "train.iterations=9", "train.batch_size=1"]].concat());
}

#[test]
fn batch_norm_of_one_value_a_channel_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for layers in [
        "[{linear={out=8}},\"batch_norm\",\"relu\",{linear={out=10}}]",
        "[{conv={out=2,kernel=28,padding=0}},\"batch_norm\",{linear={out=10}}]",
        "[{conv={out=2}},\"global_avg_pool\",\"batch_norm\",{linear={out=10}}]",
    ] {
        let network = format!("network={{layers={layers}}}");
        let output = run(SMOKE, folder.path(), &[&IMAGES[..], &[&network, "train.batch_size=30"]].concat());
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(
            message.contains("batch norm `bn1` needs at least 2 values per channel") && message.contains("1 × 1"),
            "{message}"
        );
    }
}

#[test]
fn even_kernels_are_warned_of_with_their_sizes() {
    let network = "network={layers=[{conv={out=2}},{conv={out=2,kernel=4}},{linear={out=10}}]}";
    for command in ["plan", "check"] {
        let output = lth().args([command, SMOKE, "--set", network]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let message = stdout(&output) + &stderr(&output);
        assert!(message.contains("warning: layer `conv2` makes 29 × 29 of 28 × 28"), "{message}");
        assert!(message.contains("set `padding` (`padding = 1` gives 27 × 27)"), "{message}");
    }
    let odd =
        lth().args(["plan", SMOKE, "--set", &network.replace("kernel=4", "kernel=4,padding=2")]).output().unwrap();
    assert!(!stdout(&odd).contains("warning: layer `conv2` makes"), "{}", stdout(&odd));
}

#[test]
fn layer_errors_have_their_place() {
    let message = |layers: &str| {
        let set = format!("network={{layers={layers}}}");
        let output = lth().args(["check", SMOKE, "--set", &set]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let all = [
        message("[]"),
        message("[\"relu\",{linear={out=10}}]"),
        message("[{linear={out=300}},\"relu\"]"),
        message("[{linear={out=11}}]"),
        message("[{lin={out=3}},{dropout={rate=1.5}},{linear={out=0}}]"),
        message("[\"linear\"]"),
        message("[{linear={}},\"rely\"]"),
    ];
    assert_golden!(all.join("\n---\n"));
}
