//! Rows of the CSV files. The order of fields is the order of columns; a test pins both. Words of categorical columns
//! that only another version knows are kept as they are: see [`Category`].

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::base::category::{Categorical, Category};
use crate::base::formula::without_formulas;
use crate::base::outcome::OutcomeKind;
use crate::engine::EngineKind;
use crate::network::WeightKind;

/// The kind of device of a training run: the column `device` of `rounds.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
}

impl Categorical for DeviceKind {
    const ALL: &'static [Self] = &[Self::Cpu, Self::Cuda];

    fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }
}

impl Categorical for EngineKind {
    const ALL: &'static [Self] = &EngineKind::ALL;

    fn as_str(self) -> &'static str {
        EngineKind::as_str(self)
    }
}

impl Categorical for WeightKind {
    const ALL: &'static [Self] = &WeightKind::ALL;

    fn as_str(self) -> &'static str {
        WeightKind::as_str(self)
    }
}

/// A row of `rounds.csv`: one training run.
///
/// Early stop is the evaluation with the lowest validation loss. Columns that are `None` are empty cells: a training
/// run that diverged or failed has no results.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RoundRow {
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
    /// `weights_kept` / `weights_total`, 0..=1.
    pub weights_remaining: f64,
    /// Number of conv and linear weights that the mask keeps at the end of training; of a training run that failed, the planned
    /// number. With `bernoulli`, the number of weights that are kept with a probability of at least 1/2, where accuracies are
    /// means over ten drawn masks.
    pub weights_kept: u64,
    /// Number of conv and linear weights of the network.
    pub weights_total: u64,
    /// 1 − `weights_remaining`, 0..=1.
    pub sparsity: f64,
    /// `weights_total` / `weights_kept`, at least 1; `None` if no weight is kept.
    pub compression: Option<f64>,
    /// Iteration of the early stop, counted from iteration 0 of the dense training run.
    pub early_stop_iteration: Option<u64>,
    /// Accuracy on training images at the early stop, 0..=1.
    pub early_stop_train_accuracy: Option<f64>,
    /// Accuracy on validation images at the early stop, 0..=1.
    pub early_stop_validation_accuracy: Option<f64>,
    /// Accuracy on test images at the early stop, 0..=1.
    pub early_stop_test_accuracy: Option<f64>,
    /// Mean cross-entropy per validation image at the early stop, in nats.
    pub early_stop_validation_loss: Option<f64>,
    /// Accuracy on training images after the last iteration, 0..=1.
    pub final_train_accuracy: Option<f64>,
    /// Accuracy on validation images after the last iteration, 0..=1.
    pub final_validation_accuracy: Option<f64>,
    /// Accuracy on test images after the last iteration, 0..=1.
    pub final_test_accuracy: Option<f64>,
    /// Mean cross-entropy per validation image after the last iteration, in nats.
    pub final_validation_loss: Option<f64>,
    /// Multiply-adds of the dense network for one image; biases are not counted.
    pub macs: u64,
    /// Multiply-adds for one image with the weights that the mask keeps; `None` if the training run failed and the
    /// counts per layer are not known without it.
    pub macs_remaining: Option<u64>,
    /// The engine that trained the network.
    pub engine: Category<EngineKind>,
    /// The kind of device that the engine used.
    pub device: Category<DeviceKind>,
    /// Number of iterations that this training run takes from its start to its last iteration; not the last iteration,
    /// if it starts late.
    pub iterations: u64,
    /// How the training run ended.
    pub outcome: Category<OutcomeKind>,
    /// The key of the training run, hexadecimal.
    pub key: String,
    /// Iterations of other training runs that mask and starting weights needed, each counted once: the dense network and the
    /// rounds before with iterative pruning, 0 for masks at initialization.
    #[serde(default)]
    pub search_iterations: Option<u64>,
    /// Multiply-adds of these iterations, forward and backward, with the weights that their masks keep; and of the scores
    /// that masks were made with, with all weights.
    #[serde(default)]
    pub search_macs: Option<u64>,
    /// `search_macs` and the multiply-adds of this training run: its whole cost.
    #[serde(default)]
    pub total_macs: Option<u64>,
    /// Number of units (features, channels) without effect by the mask alone: that no kept weight leads into or reads, or
    /// that only such units read or lead into. Channels that a residual block adds to others are not counted, and one unit
    /// of each layer never is.
    #[serde(default)]
    pub dead_units: Option<u64>,
    /// Overlap with the mask of the reference arm at the same replicate and round: weights that both keep / weights that
    /// one of them keeps, 0..=1. The reference is the arm that the mask or its size comes from, or else the first other arm
    /// that is pruned iteratively, if it keeps as many weights.
    #[serde(default)]
    pub mask_overlap: Option<f64>,
    /// The reference arm of `mask_overlap`.
    #[serde(default)]
    pub overlap_reference: Option<String>,
    /// Share of all weights that some mask of this training run kept, 0..=1: `weights_remaining` if its mask does not change
    /// during training (called Rs by Liu et al. 2021, arXiv 2102.02887).
    #[serde(default)]
    pub ever_kept: Option<f64>,
    /// The iteration that the training run starts at: 0, or that of its rewind point.
    #[serde(default)]
    pub start_iteration: Option<u64>,
}

/// A row of `curves.csv`: one evaluation of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CurveRow {
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
    /// The iteration of the evaluation, counted from iteration 0 of the dense training run.
    pub iteration: u64,
    /// Accuracy on training images, 0..=1.
    pub train_accuracy: f64,
    /// Mean cross-entropy per training image, in nats.
    pub train_loss: f64,
    /// Accuracy on validation images, 0..=1.
    pub validation_accuracy: f64,
    /// Mean cross-entropy per validation image, in nats.
    pub validation_loss: f64,
    /// Accuracy on test images, 0..=1.
    pub test_accuracy: f64,
    /// Mean cross-entropy per test image, in nats.
    pub test_loss: f64,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

/// A row of `layers.csv`: one weight tensor of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LayerRow {
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
    /// The layer's name, such as `conv1`.
    pub layer: String,
    /// The kind of the layer.
    pub kind: Category<WeightKind>,
    /// Number of weights of the layer that the mask keeps.
    pub weights_kept: u64,
    /// Number of weights of the layer.
    pub weights_total: u64,
    /// `weights_kept` / `weights_total`, 0..=1.
    pub weights_remaining: f64,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

/// A row of `timings.csv`: the speed of one training run, which may differ between two runs of the same experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TimingRow {
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
    /// Seconds of training; in a lockstep group, the share of each of its training runs.
    pub seconds: f64,
    /// Optimizer steps per second of training.
    pub iterations_per_second: f64,
    /// Host name of the machine.
    pub host: String,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

/// Returns `rows` as a CSV file, with its header even where there are no rows.
///
/// # Errors
/// Fails if a row has a value that CSV cannot hold.
pub fn to_csv<R: Serialize + Default>(rows: &[R]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(true).from_writer(Vec::new());
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().context("could not finish a CSV file")?;
    if !rows.is_empty() {
        return Ok(without_formulas(bytes));
    }
    // The header is only written with a row, so it is taken from a file with a default row.
    let with_default_row = to_csv(&[R::default()])?;
    Ok(with_default_row.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default().to_vec())
}

/// Reads the rows of a CSV file; columns that `R` does not have are ignored.
///
/// # Errors
/// Fails if a line is no row; the error names the line and the cause.
pub fn from_csv<R: DeserializeOwned>(bytes: &[u8]) -> Result<Vec<R>> {
    // DOS editors end a file with Ctrl-Z.
    let text = bytes.trim_ascii_end().strip_suffix(b"\x1a").unwrap_or(bytes);
    csv::Reader::from_reader(text).into_deserialize().map(|row| row.map_err(|error| row_error(&error))).collect()
}

fn row_error(error: &csv::Error) -> anyhow::Error {
    let line = error.position().map_or(1, csv::Position::line);
    let cause = match error.kind() {
        csv::ErrorKind::Deserialize { err, .. } => err.to_string(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields, and the header {expected_len}")
        }
        _ => error.to_string(),
    };
    anyhow::anyhow!("line {line} is no row: {cause}")
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
        let headers = [
            header(&to_csv::<RoundRow>(&[]).unwrap()),
            header(&to_csv::<CurveRow>(&[]).unwrap()),
            header(&to_csv::<LayerRow>(&[]).unwrap()),
            header(&to_csv::<TimingRow>(&[]).unwrap()),
            header(&to_csv::<WeightRow>(&[]).unwrap()),
            header(&crate::artifacts::summary_to_csv(&[]).unwrap()),
        ];
        insta::assert_snapshot!(headers.join("\n").replace(',', ", "));
    }

    #[test]
    fn rows_have_the_shortest_floats_and_empty_cells_for_missing_values() {
        let row = RoundRow { weights_remaining: 0.1 + 0.2, sparsity: 1.0, ..RoundRow::default() };
        let csv = String::from_utf8(to_csv(&[row]).unwrap()).unwrap();
        let line = csv.lines().nth(1).unwrap();
        assert!(line.starts_with(",,0,0,0,0.30000000000000004,0,0,1.0,,,,"), "{line}");
    }

    #[test]
    fn rows_read_back_what_was_written() {
        let row = RoundRow { arm: "a".into(), weights_remaining: 0.1 + 0.2, ..RoundRow::default() };
        let csv = to_csv(&[row.clone(), RoundRow { final_test_accuracy: Some(0.5), ..row.clone() }]).unwrap();
        let rows = from_csv::<RoundRow>(&csv).unwrap();
        assert_eq!((rows[0].clone(), rows[1].final_test_accuracy), (row, Some(0.5)));
        assert_eq!(from_csv::<RoundRow>(&to_csv::<RoundRow>(&[]).unwrap()).unwrap(), []);
    }

    #[test]
    fn damaged_rows_are_named_by_their_line() {
        let row = RoundRow { arm: "a".into(), ..RoundRow::default() };
        let csv = to_csv(&[row.clone(), RoundRow { final_test_accuracy: Some(0.5), ..row }]).unwrap();
        let text = String::from_utf8(csv).unwrap();
        let error = |text: String| from_csv::<RoundRow>(text.as_bytes()).unwrap_err().to_string();
        assert!(error(text.replacen("0.5", "half", 1)).starts_with("line 3 is no row: "));
        assert!(error(text.clone() + "a,b\n").contains("line 4 is no row: it has 2 fields"));
        assert!(error(text.replacen("arm,", "leg,", 1)).contains("missing field `arm`"));
    }

    #[test]
    fn unknown_words_of_categorical_columns_are_kept() {
        let row = RoundRow {
            engine: EngineKind::Sparse.into(),
            device: DeviceKind::Cpu.into(),
            outcome: OutcomeKind::Done.into(),
            ..RoundRow::default()
        };
        let text = String::from_utf8(to_csv(&[row]).unwrap()).unwrap();
        assert!(text.contains(",sparse,cpu,0,done,"), "{text}");
        let foreign = text.replace(",sparse,cpu,0,done,", ",photonic,7,0,paused,");
        let rows = from_csv::<RoundRow>(foreign.as_bytes()).unwrap();
        assert_eq!((rows[0].engine.as_str(), rows[0].device.as_str()), ("photonic", "7"));
        assert!(!rows[0].outcome.is(OutcomeKind::Done));
        assert_eq!(to_csv(&rows).unwrap(), foreign.as_bytes());
    }
}
