//! `stability.csv`: errors of the networks on the line between a training run and its copy with another data order.

use serde::{Deserialize, Serialize};

/// A row of `stability.csv`: one network on the straight line from the final weights of the copy to those of the
/// training run itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StabilityRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Position on the line, 0..=1: 0 is the copy, 1 the training run.
    pub alpha: f64,
    /// Share of training images that are classified wrongly, 0..=1.
    pub train_error: f64,
    /// Share of test images that are classified wrongly, 0..=1.
    pub test_error: f64,
    /// The key of the training run, hexadecimal.
    pub key: String,
    /// The key of the copy, hexadecimal.
    pub copy_key: String,
}

#[cfg(test)]
mod tests {
    use super::super::to_csv;
    use super::*;

    #[test]
    fn columns_are_pinned() {
        let text = String::from_utf8(to_csv(&[StabilityRow::default()]).unwrap()).unwrap();
        let header =
            "experiment,arm,replicate,repeat,round,weights_remaining,alpha,train_error,test_error,key,copy_key";
        assert_eq!(text.lines().next(), Some(header));
    }
}
