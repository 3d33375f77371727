//! The metrics of a training run: one table, from which `summary.csv`, `lth compare`, the report's table of results and
//! the figures are made. A new metric is one more constant in this file that [`METRICS`] lists.

use super::rows::RoundRow;
use crate::base::format;

/// A number that is measured once per training run.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Unique name: the column of CSV files (`summary.csv` adds the statistic to it), and `measure` in `claims.toml`.
    pub name: &'static str,
    /// Title of figure axes and table columns, with its unit.
    pub title: &'static str,
    /// Unit, which decides how values are printed.
    pub unit: MetricUnit,
    /// Whether the metric is measured on test images.
    pub is_test: bool,
    /// The iteration that the metric is measured at.
    pub time: MetricTime,
    /// Whether `summary.csv` has columns for the metric.
    pub in_summary: bool,
    /// Whether `lth compare` compares the means of the metric.
    pub is_compared: bool,
    /// Rank and title in figures and terminal tables; `None` if the metric is not displayed.
    pub display: Option<MetricDisplay>,
    /// Returns the value of a training run. The second argument is the last iteration of the run: see
    /// [`Metric::value`].
    value: fn(&RoundRow, u64) -> Option<f64>,
}

/// Rank and title of a metric in figures and terminal tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDisplay {
    /// Rank among the panels of a figure and the columns of a table; 0 comes first.
    pub rank: u8,
    /// Column title in the terminal.
    pub terminal_title: &'static str,
    /// Column title in a narrow terminal, without a unit.
    pub short_title: &'static str,
}

/// The iteration of a training run that a metric is measured at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricTime {
    /// The iteration of minimum validation loss.
    EarlyStop,
    /// The last iteration.
    End,
}

/// The unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Iterations: optimizer steps.
    Iterations,
    /// Share of images that are classified correctly, 0..=1.
    Accuracy,
    /// Mean cross-entropy per image, in nats.
    Loss,
    /// A number of things.
    Count,
    /// Multiply-adds.
    MultiplyAdds,
    /// A share, 0..=1.
    Share,
}

impl MetricUnit {
    /// Returns the unit or the range of the values in files, as a word of a description.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Iterations => "iterations",
            Self::Accuracy | Self::Share => "0..=1",
            Self::Loss => "nats",
            Self::Count => "as a number of them",
            Self::MultiplyAdds => "multiply-adds",
        }
    }
}

/// The iteration of minimum validation loss, counted from iteration 0 of the dense training run.
pub const EARLY_STOP_ITERATION: Metric =
    Metric::new("early_stop_iteration", "early-stop iteration", MetricUnit::Iterations, |row, _| {
        row.early_stop_iteration.map(|iteration| iteration as f64)
    })
    .compared();

/// Training accuracy at the early stop.
pub const EARLY_STOP_TRAIN_ACCURACY: Metric =
    Metric::new("early_stop_train_accuracy", "train accuracy at early stop (%)", MetricUnit::Accuracy, |row, _| {
        row.early_stop_train_accuracy
    })
    .shown(2, "train % @ early stop", "train @ stop");

/// Validation accuracy at the early stop.
pub const EARLY_STOP_VALIDATION_ACCURACY: Metric = Metric::new(
    "early_stop_validation_accuracy",
    "validation accuracy at early stop (%)",
    MetricUnit::Accuracy,
    |row, _| row.early_stop_validation_accuracy,
);

/// Test accuracy at the early stop.
pub const EARLY_STOP_TEST_ACCURACY: Metric =
    Metric::new("early_stop_test_accuracy", "test accuracy at early stop (%)", MetricUnit::Accuracy, |row, _| {
        row.early_stop_test_accuracy
    })
    .on_test_images()
    .compared()
    .shown(1, "test % @ early stop", "test @ stop");

/// Validation loss at the early stop.
const EARLY_STOP_VALIDATION_LOSS: Metric =
    Metric::new("early_stop_validation_loss", "validation loss at early stop (nats)", MetricUnit::Loss, |row, _| {
        row.early_stop_validation_loss
    });

/// Training accuracy after the last iteration.
pub const FINAL_TRAIN_ACCURACY: Metric =
    Metric::new("final_train_accuracy", "train accuracy at the end (%)", MetricUnit::Accuracy, |row, _| {
        row.final_train_accuracy
    })
    .at_the_end()
    .shown(4, "train % @ end", "train @ end");

/// Validation accuracy after the last iteration.
const FINAL_VALIDATION_ACCURACY: Metric =
    Metric::new("final_validation_accuracy", "validation accuracy at the end (%)", MetricUnit::Accuracy, |row, _| {
        row.final_validation_accuracy
    })
    .at_the_end();

/// Test accuracy after the last iteration.
pub const FINAL_TEST_ACCURACY: Metric =
    Metric::new("final_test_accuracy", "test accuracy at the end (%)", MetricUnit::Accuracy, |row, _| {
        row.final_test_accuracy
    })
    .on_test_images()
    .at_the_end()
    .compared()
    .shown(3, "test % @ end", "test @ end");

/// Validation loss after the last iteration.
const FINAL_VALIDATION_LOSS: Metric =
    Metric::new("final_validation_loss", "validation loss at the end (nats)", MetricUnit::Loss, |row, _| {
        row.final_validation_loss
    })
    .at_the_end();

/// Like [`EARLY_STOP_ITERATION`], but counted from the iteration that the training run starts at, so that arms with
/// different starts can be compared.
pub const ITERATIONS_TO_EARLY_STOP: Metric = Metric::new(
    "iterations_to_early_stop",
    "iterations trained until early stop",
    MetricUnit::Iterations,
    |row, last_iteration| row.iterations_to_early_stop(last_iteration).map(|iterations| iterations as f64),
)
.compared()
.shown(0, "early stop", "early stop")
.not_in_summary();

/// Iterations of other training runs that mask and starting weights needed.
pub const SEARCH_ITERATIONS: Metric =
    Metric::new("search_iterations", "iterations to find the mask", MetricUnit::Count, |row, _| {
        row.search_iterations.map(|iterations| iterations as f64)
    });

/// Multiply-adds of these training runs and of scores.
pub const SEARCH_MACS: Metric =
    Metric::new("search_macs", "multiply-adds to find the mask", MetricUnit::MultiplyAdds, |row, _| {
        row.search_macs.map(|macs| macs as f64)
    });

/// Multiply-adds to the end of training.
pub const TOTAL_MACS: Metric = Metric::new("total_macs", "multiply-adds in all", MetricUnit::MultiplyAdds, |row, _| {
    row.total_macs.map(|macs| macs as f64)
});

/// Number of units that no kept weight leads into or reads.
pub const DEAD_UNITS: Metric =
    Metric::new("dead_units", "dead units", MetricUnit::Count, |row, _| row.dead_units.map(|units| units as f64));

/// Intersection over union with the mask of the reference arm.
pub const MASK_OVERLAP: Metric =
    Metric::new("mask_overlap", "overlap with the reference mask", MetricUnit::Share, |row, _| row.mask_overlap);

/// Share of all weights that some mask of the training run kept.
pub const EVER_KEPT: Metric = Metric::new("ever_kept", "weights ever kept", MetricUnit::Share, |row, _| row.ever_kept);

/// Every metric, in the order of the columns of `summary.csv` and of `lth compare --csv`.
pub static METRICS: [Metric; 16] = [
    EARLY_STOP_ITERATION,
    EARLY_STOP_TRAIN_ACCURACY,
    EARLY_STOP_VALIDATION_ACCURACY,
    EARLY_STOP_TEST_ACCURACY,
    EARLY_STOP_VALIDATION_LOSS,
    FINAL_TRAIN_ACCURACY,
    FINAL_VALIDATION_ACCURACY,
    FINAL_TEST_ACCURACY,
    FINAL_VALIDATION_LOSS,
    ITERATIONS_TO_EARLY_STOP,
    SEARCH_ITERATIONS,
    SEARCH_MACS,
    TOTAL_MACS,
    DEAD_UNITS,
    MASK_OVERLAP,
    EVER_KEPT,
];

/// Metrics are equal if their names are.
impl PartialEq for Metric {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Metric {
    const fn new(
        name: &'static str,
        title: &'static str,
        unit: MetricUnit,
        value: fn(&RoundRow, u64) -> Option<f64>,
    ) -> Self {
        Self {
            name,
            title,
            unit,
            is_test: false,
            time: MetricTime::EarlyStop,
            in_summary: true,
            is_compared: false,
            display: None,
            value,
        }
    }

    const fn on_test_images(self) -> Self {
        Self { is_test: true, ..self }
    }

    const fn at_the_end(self) -> Self {
        Self { time: MetricTime::End, ..self }
    }

    const fn compared(self) -> Self {
        Self { is_compared: true, ..self }
    }

    const fn shown(self, rank: u8, terminal_title: &'static str, short_title: &'static str) -> Self {
        Self { display: Some(MetricDisplay { rank, terminal_title, short_title }), ..self }
    }

    const fn not_in_summary(self) -> Self {
        Self { in_summary: false, ..self }
    }

    /// Returns the metric with a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        METRICS.iter().find(|metric| metric.name == name)
    }

    /// Returns the metrics that figures and terminal tables show, by rank.
    pub fn all_shown() -> Vec<&'static Self> {
        let mut metrics: Vec<&Self> = METRICS.iter().filter(|metric| metric.display.is_some()).collect();
        metrics.sort_by_key(|metric| metric.display.map(|display| display.rank));
        metrics
    }

    /// Returns the metric's value of one training run, if it has one.
    ///
    /// `last_iteration`: the last iteration of the training runs of the run, counted from iteration 0 (see
    /// [`last_iteration`](super::last_iteration)).
    pub fn value(&self, row: &RoundRow, last_iteration: u64) -> Option<f64> {
        (self.value)(row, last_iteration)
    }

    /// Returns a value as text, without its unit; accuracies in percent.
    pub fn format(&self, value: f64) -> String {
        match self.unit {
            MetricUnit::Iterations => format::with_thousands(value.round() as u64),
            MetricUnit::Accuracy => format::accuracy(value),
            MetricUnit::Loss => format!("{value:.3}"),
            MetricUnit::Count if value.fract() == 0.0 => format::with_thousands(value as u64),
            MetricUnit::Count => format!("{value:.1}"),
            MetricUnit::MultiplyAdds if value == 0.0 => "0".to_owned(),
            MetricUnit::MultiplyAdds => format!("{value:.2e}"),
            MetricUnit::Share => format!("{value:.2}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_unique_names_and_ranks() {
        for (index, metric) in METRICS.iter().enumerate() {
            assert_eq!(METRICS.iter().position(|other| other == metric), Some(index), "{}", metric.name);
            assert_eq!(Metric::named(metric.name), Some(metric));
        }
        let ranks: Vec<u8> = Metric::all_shown().iter().filter_map(|metric| Some(metric.display?.rank)).collect();
        assert!(ranks.is_sorted_by(|a, b| a < b), "{ranks:?}");
    }

    #[test]
    fn metrics_read_their_own_column() {
        let columns = [
            "early_stop_iteration",
            "early_stop_train_accuracy",
            "early_stop_validation_accuracy",
            "early_stop_test_accuracy",
            "early_stop_validation_loss",
            "final_train_accuracy",
            "final_validation_accuracy",
            "final_test_accuracy",
            "final_validation_loss",
            "search_iterations",
            "search_macs",
            "total_macs",
            "dead_units",
            "mask_overlap",
        ];
        for column in columns {
            let mut json = serde_json::to_value(RoundRow { iterations: 200, ..RoundRow::default() }).unwrap();
            json[column] = 7.into();
            let row: RoundRow = serde_json::from_value(json).unwrap();
            let measured = METRICS.iter().filter(|metric| metric.value(&row, 200).is_some());
            let names: Vec<&str> = measured.map(|metric| metric.name).collect();
            assert_eq!(names[0], column);
            assert_eq!(Metric::named(column).unwrap().value(&row, 200), Some(7.0));
        }
    }

    #[test]
    fn metric_formats_by_unit() {
        assert_eq!(EARLY_STOP_ITERATION.format(1234.5), "1,235");
        assert_eq!(FINAL_TEST_ACCURACY.format(0.9766), "97.66");
        assert_eq!(FINAL_VALIDATION_LOSS.format(0.0625), "0.062");
        assert_eq!((TOTAL_MACS.format(1.436e11), TOTAL_MACS.format(0.0)), ("1.44e11".to_owned(), "0".to_owned()));
    }
}
