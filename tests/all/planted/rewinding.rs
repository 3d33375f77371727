//! Rewinding to iteration k: the stored snapshot is the state of the dense network after k iterations.

use std::fs;

use lth::artifacts::snapshot_from_bytes;
use lth::base::tensors::Snapshot;

use crate::fake::{Fault, run_experiment};
use crate::support::{rows, run_dir, smoke_document};

#[test]
fn snapshot_of_iteration_k_is_the_state_that_was_evaluated_there() {
    let folder = tempfile::tempdir().unwrap();
    let late = "arms={late={mask='iterative',weights='rewind',rewind_to='30it'}}";
    let sets = [late, "replicates=1", "train.evaluate_every=10", "run.keep=all"];
    run_experiment(folder.path(), &smoke_document(&sets), Fault::None, 0);
    let curve = rows(&run_dir(folder.path()), "curves.csv");
    let row = curve.iter().find(|row| row["arm"] == "dense" && row["iteration"] == "30").unwrap();
    let file = folder.path().join("store").join(&row["key"]).join("at-30.safetensors");
    let snapshot: Snapshot = snapshot_from_bytes(&fs::read(file).unwrap()).unwrap();
    // The loss of the fake trainer is 1 plus the sum of magnitudes of the first layer's weights.
    let sum: f64 = snapshot.weights.0[0].values.iter().map(|w| f64::from(w.abs())).sum();
    assert_eq!(row["validation_loss"].parse::<f64>().unwrap(), 1.0 + sum);
    assert_eq!(snapshot.iteration, 30);
}
