//! The rows of the CSV files. The order of fields is the order of columns, and both are pinned.

use anyhow::{Context, Result};
use serde::Serialize;

/// A row of `rounds.csv`.
#[expect(missing_docs, reason = "the columns are the vocabulary of the design; their names are their documentation")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoundRow {
    pub experiment: String,
    pub arm: String,
    pub replicate: u32,
    pub repeat: u32,
    pub round: u32,
    pub weights_remaining: f64,
    pub weights_kept: u64,
    pub weights_total: u64,
    pub sparsity: f64,
    pub compression: Option<f64>,
    pub early_stop_iteration: Option<u64>,
    pub early_stop_train_accuracy: Option<f64>,
    pub early_stop_validation_accuracy: Option<f64>,
    pub early_stop_test_accuracy: Option<f64>,
    pub early_stop_validation_loss: Option<f64>,
    pub final_train_accuracy: Option<f64>,
    pub final_validation_accuracy: Option<f64>,
    pub final_test_accuracy: Option<f64>,
    pub final_validation_loss: Option<f64>,
    pub macs: u64,
    pub macs_remaining: Option<u64>,
    pub engine: String,
    pub device: String,
    pub iterations: u64,
    pub outcome: String,
    pub key: String,
}

/// A row of `curves.csv`.
#[expect(missing_docs, reason = "as above")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct CurveRow {
    pub experiment: String,
    pub arm: String,
    pub replicate: u32,
    pub repeat: u32,
    pub round: u32,
    pub iteration: u64,
    pub train_accuracy: f64,
    pub train_loss: f64,
    pub validation_accuracy: f64,
    pub validation_loss: f64,
    pub test_accuracy: f64,
    pub test_loss: f64,
    pub key: String,
}

/// A row of `layers.csv`.
#[expect(missing_docs, reason = "as above")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct LayerRow {
    pub experiment: String,
    pub arm: String,
    pub replicate: u32,
    pub repeat: u32,
    pub round: u32,
    pub layer: String,
    pub kind: String,
    pub weights_kept: u64,
    pub weights_total: u64,
    pub weights_remaining: f64,
    pub key: String,
}

/// A row of `timings.csv`: everything that may differ between two runs.
#[expect(missing_docs, reason = "as above")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct TimingRow {
    pub experiment: String,
    pub arm: String,
    pub replicate: u32,
    pub repeat: u32,
    pub round: u32,
    pub seconds: f64,
    pub iterations_per_second: f64,
    pub host: String,
    pub key: String,
}

/// A CSV file of `rows`; with its header even where there are none.
pub fn to_csv<R: Serialize + Default>(rows: &[R]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(true).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().context("could not finish a CSV file")?;
    if !rows.is_empty() {
        return Ok(bytes);
    }
    let one = to_csv(&[R::default()])?;
    Ok(one.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(csv: &[u8]) -> String {
        String::from_utf8_lossy(csv).lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn columns_are_pinned() {
        let all = [
            header(&to_csv::<RoundRow>(&[]).unwrap()),
            header(&to_csv::<CurveRow>(&[]).unwrap()),
            header(&to_csv::<LayerRow>(&[]).unwrap()),
            header(&to_csv::<TimingRow>(&[]).unwrap()),
        ];
        insta::assert_snapshot!(all.join("\n").replace(',', ", "));
    }

    #[test]
    fn floats_are_the_shortest_that_read_back_and_missing_values_are_empty() {
        let row = RoundRow { weights_remaining: 0.1 + 0.2, sparsity: 1.0, ..RoundRow::default() };
        let csv = String::from_utf8(to_csv(&[row]).unwrap()).unwrap();
        let line = csv.lines().nth(1).unwrap();
        assert!(line.starts_with(",,0,0,0,0.30000000000000004,0,0,1.0,,,,"), "{line}");
    }
}
