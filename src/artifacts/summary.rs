//! `summary.csv`: the metrics of each arm at each round, over its training runs.

use anyhow::{Context, Result};

use super::metrics::{METRICS, Metric};
use super::round_group::RoundGroup;
use super::rows::RoundRow;
use crate::base::formula::without_formulas;
use crate::base::stats::SummaryStats;

/// Columns before those of the metrics, each with its meaning.
const COLUMNS: [(&str, &str); 6] = [
    ("experiment", "The experiment's name."),
    ("arm", "The arm's name."),
    ("round", "Index of the mask size, from 0 (dense)."),
    ("weights_remaining", "Kept weights / all weights, mean over the training runs, 0..=1."),
    ("n", "Number of training runs that reached their last iteration."),
    ("without_result", "Number of training runs that diverged or failed."),
];

/// Suffixes of the columns of a metric, after its name and `_`, each with its meaning.
const STATISTICS: [(&str, &str); 4] = [
    ("mean", "Mean"),
    ("minimum", "Minimum"),
    ("maximum", "Maximum"),
    ("std", "Standard deviation (with n - 1; empty for n = 1)"),
];

/// Returns the columns of `summary.csv`, each with its meaning.
pub fn summary_columns() -> Vec<(String, String)> {
    let metric_columns = |metric: &'static Metric| {
        STATISTICS.iter().map(|(suffix, statistic)| {
            let unit = metric.unit.in_words();
            let meaning = format!("{statistic} of `{}` over the n training runs, {unit}.", metric.name);
            (format!("{}_{suffix}", metric.name), meaning)
        })
    };
    let metrics = METRICS.iter().filter(|metric| metric.in_summary);
    let first = COLUMNS.iter().map(|(name, meaning)| ((*name).to_owned(), (*meaning).to_owned()));
    first.chain(metrics.flat_map(metric_columns)).collect()
}

/// Statistics of one arm at one round, over the training runs of all replicates and repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, mean over the training runs, 0..=1.
    pub weights_remaining: f64,
    /// Number of training runs that reached their last iteration.
    pub n: usize,
    /// Number of training runs that diverged or failed.
    pub without_result: usize,
    /// Statistics over the `n` training runs, in the order of [`METRICS`]; `None` where no training run has a value.
    stats: Vec<Option<SummaryStats>>,
}

impl SummaryRow {
    /// Returns the statistics of a metric over the training runs; `None` where no training run has a value.
    pub fn stats(&self, metric: &Metric) -> Option<SummaryStats> {
        let index = METRICS.iter().position(|candidate| candidate == metric)?;
        self.stats[index]
    }
}

/// Returns a row for each arm and round, in the order of their first rows.
///
/// `last_iteration`: the last iteration of the training runs of the run (see
/// [`last_iteration`](super::last_iteration)).
pub fn summary(rows: &[RoundRow], last_iteration: u64) -> Vec<SummaryRow> {
    RoundGroup::by_arm_and_round(rows).iter().map(|group| summary_row(group, last_iteration)).collect()
}

fn summary_row(group: &RoundGroup<'_>, last_iteration: u64) -> SummaryRow {
    let n = group.done().count();
    SummaryRow {
        experiment: group.rows.first().map(|row| row.experiment.clone()).unwrap_or_default(),
        arm: group.arm.to_owned(),
        round: group.round,
        weights_remaining: group.weights_remaining(),
        n,
        without_result: group.rows.len() - n,
        stats: METRICS.iter().map(|metric| SummaryStats::of(&group.metric(metric, last_iteration))).collect(),
    }
}

/// Returns `summary.csv`: a line for each arm and round of `rows`, in the order of their first rows. The columns of the
/// metrics are `NAME_mean`, `NAME_minimum`, `NAME_maximum` and `NAME_std` (sample deviation), empty where there is no
/// value.
///
/// # Errors
/// Fails if a row cannot be written as CSV.
pub fn summary_to_csv(rows: &[RoundRow]) -> Result<Vec<u8>> {
    let metrics: Vec<&Metric> = METRICS.iter().filter(|metric| metric.in_summary).collect();
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(summary_columns().into_iter().map(|(name, _)| name))?;
    // The metrics of `summary.csv` count iterations from iteration 0, so that none depends on the last iteration.
    for row in summary(rows, 0) {
        let values: Vec<Option<f64>> = metrics.iter().flat_map(|metric| statistics(row.stats(metric))).collect();
        let SummaryRow { experiment, arm, round, weights_remaining, n, without_result, .. } = row;
        writer.serialize((experiment, arm, round, weights_remaining, n, without_result, values))?;
    }
    Ok(without_formulas(writer.into_inner().context("could not finish a CSV file")?))
}

/// Returns the values in the order of [`STATISTICS`]; `None` where there is no value.
fn statistics(stats: Option<SummaryStats>) -> [Option<f64>; 4] {
    stats.map_or([None; 4], |stats| [Some(stats.mean), Some(stats.min), Some(stats.max), stats.std])
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{EARLY_STOP_ITERATION, FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY};
    use super::*;
    use crate::base::outcome::OutcomeKind;

    #[test]
    fn summary_has_a_row_for_each_arm_and_round() {
        let row = |arm: &str, round, outcome: OutcomeKind| RoundRow {
            experiment: "e".into(),
            arm: arm.into(),
            round,
            outcome: outcome.into(),
            weights_remaining: 0.5,
            ..RoundRow::default()
        };
        let done = |arm, early, last| RoundRow {
            early_stop_iteration: Some(early),
            final_test_accuracy: Some(last),
            ..row(arm, 1, OutcomeKind::Done)
        };
        let rows = [
            done("b", 100, 0.25),
            row("a", 2, OutcomeKind::Diverged),
            done("b", 300, 0.75),
            row("b", 1, OutcomeKind::Failed),
        ];
        let summary_rows = summary(&rows, 0);
        assert_eq!(summary_rows.len(), 2);
        let b = &summary_rows[0];
        assert_eq!((b.arm.as_str(), b.round, b.n, b.without_result), ("b", 1, 2, 1));
        let early_stop = b.stats(&EARLY_STOP_ITERATION).unwrap();
        assert_eq!((early_stop.mean, early_stop.min), (200.0, 100.0));
        let accuracy = b.stats(&FINAL_TEST_ACCURACY).unwrap();
        assert_eq!((accuracy.mean, accuracy.max, accuracy.std), (0.5, 0.75, Some(0.125f64.sqrt())));
        assert_eq!(b.stats(&FINAL_TRAIN_ACCURACY), None, "no training has a value");
        let single = summary(&rows[..1], 0)[0].stats(&FINAL_TEST_ACCURACY).unwrap();
        assert_eq!((single.n, single.mean, single.std), (1, 0.25, None));
    }

    #[test]
    fn summary_csv_has_empty_cells_where_there_is_no_value() {
        let row = RoundRow { experiment: "e".into(), arm: "a,b".into(), weights_remaining: 1.0, ..RoundRow::default() };
        let done = RoundRow {
            outcome: OutcomeKind::Done.into(),
            early_stop_iteration: Some(300),
            early_stop_train_accuracy: Some(0.1 + 0.2),
            ..row.clone()
        };
        let text = String::from_utf8(summary_to_csv(&[RoundRow { round: 2, ..row }, done]).unwrap()).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(',')).collect();
        assert_eq!(lines[1], "e,\"a,b\",2,1.0,0,1", "only the counts");
        let mean = "0.30000000000000004";
        assert_eq!(lines[2], format!("e,\"a,b\",0,1.0,1,0,300.0,300.0,300.0,,{mean},{mean},{mean}"));
        let commas = text.lines().map(|line| line.replace("a,b", "").matches(',').count());
        assert!(commas.into_iter().all(|commas| commas == 65), "{text}");
        assert_eq!(summary_to_csv(&[]).unwrap(), text.split_inclusive('\n').next().unwrap().as_bytes());
    }
}
