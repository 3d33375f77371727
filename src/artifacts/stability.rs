//! `stability.csv`: errors of the networks on the line between two copies of a training.

use serde::{Deserialize, Serialize};

/// A row of `stability.csv`: one network on the straight line from the copy's final weights (`alpha` 0) to those of the
/// training itself (`alpha` 1). Errors are shares of images, 0..=1.
#[expect(missing_docs, reason = "the README explains the columns; their names are their documentation")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StabilityRow {
    pub experiment: String,
    pub arm: String,
    pub replicate: u32,
    pub repeat: u32,
    pub round: u32,
    pub weights_remaining: f64,
    pub alpha: f64,
    pub train_error: f64,
    pub test_error: f64,
    pub key: String,
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
