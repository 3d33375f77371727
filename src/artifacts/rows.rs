//! The rows of the CSV files. The order of fields is the order of columns, and both are pinned.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A row of `rounds.csv`.
#[expect(missing_docs, reason = "the README explains the columns; their names are their documentation")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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

/// The rows of a CSV file; columns that are not known are passed over.
///
/// # Errors
/// The line that is no row, and why.
pub fn from_csv<R: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<R>> {
    let row = |row: std::result::Result<R, csv::Error>| {
        row.map_err(|error| {
            let line = error.position().map_or(1, csv::Position::line);
            let cause = match error.kind() {
                csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("it has {len} fields, and the header {expected_len}")
                }
                _ => error.to_string(),
            };
            anyhow::anyhow!("line {line} is no row: {cause}")
        })
    };
    // DOS editors end a file with Ctrl-Z.
    let end = bytes.trim_ascii_end();
    csv::Reader::from_reader(end.strip_suffix(b"\x1a").unwrap_or(bytes)).into_deserialize().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::WeightRow;
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
            header(&to_csv::<WeightRow>(&[]).unwrap()),
            header(&to_csv::<crate::artifacts::SummaryRow>(&[]).unwrap()),
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

    #[test]
    fn what_is_written_reads_back_and_what_was_spoilt_is_told_by_its_line() {
        let row = RoundRow { arm: "a".into(), weights_remaining: 0.1 + 0.2, ..RoundRow::default() };
        let csv = to_csv(&[row.clone(), RoundRow { final_test_accuracy: Some(0.5), ..row.clone() }]).unwrap();
        let back = from_csv::<RoundRow>(&csv).unwrap();
        assert_eq!((back[0].clone(), back[1].final_test_accuracy), (row, Some(0.5)));
        assert_eq!(from_csv::<RoundRow>(&to_csv::<RoundRow>(&[]).unwrap()).unwrap(), []);
        let text = String::from_utf8(csv).unwrap();
        let spoilt = |text: String| from_csv::<RoundRow>(text.as_bytes()).unwrap_err().to_string();
        assert!(spoilt(text.replacen("0.5", "half", 1)).starts_with("line 3 is no row: "), "{}", spoilt(text.clone()));
        assert!(spoilt(text.clone() + "a,b\n").contains("line 4 is no row: it has 2 fields"));
        assert!(spoilt(text.replacen("arm,", "leg,", 1)).contains("missing field `arm`"));
    }
}
