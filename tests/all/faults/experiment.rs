//! The experiments that the tests interrupt, and what must be equal after each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{all_files, results};

/// An experiment of 14 training runs of a few milliseconds: three arms, two replicates, two rounds.
pub(super) const TINY: &str = r#"
name = "tiny"
replicates = 2
rounds = 2
[data]
dataset = "strokes"
train_images = 200
test_images = 50
validation = 50
[network]
architecture = { mlp = { hidden = [8] } }
[train]
iterations = 8
batch_size = 10
evaluate_every = 4
optimizer = "adam"
lr = 2e-3
[prune]
rate = { linear = 0.4, output = 0.2 }
[arms.winning_ticket]
mask = "iterative"
weights = "rewind"
[arms.random_reinit]
mask = { of = "winning_ticket" }
weights = "reinit"
[arms.random_mask]
mask = { random = "winning_ticket" }
weights = "reinit"
"#;

/// Returns the first difference between the [`results`] of a run and those of the reference, and the temporary files
/// left in `runs`; an empty list if there is none.
pub(super) fn differences(runs: &Path, reference: &BTreeMap<PathBuf, Vec<u8>>) -> Vec<String> {
    let results = results(runs);
    let all_names = results.keys().chain(reference.keys());
    let mut differences: Vec<String> = all_names
        .filter(|&name| results.get(name) != reference.get(name))
        .map(|name| format!("{} differs", name.display()))
        .take(1)
        .collect();
    let is_temporary = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with(".tmp-");
    differences.extend(
        all_files(runs).into_iter().filter(is_temporary).map(|path| format!("{} is left over", path.display())),
    );
    differences
}
