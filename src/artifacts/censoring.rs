//! Censored early stops: early stops so close to the end of training that the minimum of the validation loss may lie
//! beyond it.

use super::metrics::{Metric, MetricUnit};
use super::round_group::RoundGroup;
use super::rows::RoundRow;
use super::starts::last_iteration;
use crate::config::Experiment;

/// The end of the training runs of a run, which decides whether early stops are censored.
///
/// An early stop is censored if it lies on one of the last two evaluations of its training run. The number of
/// iterations to early stop is then a lower bound, written with `≥`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastEvaluations {
    /// The last iteration of the longest training runs, counted from iteration 0.
    pub last_iteration: u64,
    /// Iterations from one evaluation to the next; `None` if the configuration of the run cannot be read, so that only
    /// the last evaluation is known.
    evaluate_every: Option<u64>,
}

impl LastEvaluations {
    /// Returns the end of the training runs of a run. `rows`: all its rows; `evaluate_every`: `train.evaluate_every`.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a RoundRow>, evaluate_every: Option<u64>) -> Self {
        Self { last_iteration: last_iteration(rows), evaluate_every: evaluate_every.filter(|every| *every > 0) }
    }

    /// Like [`new`](Self::new), with the interval of an experiment; `None` if the configuration of the run cannot be
    /// read.
    pub fn of_experiment<'a>(rows: impl IntoIterator<Item = &'a RoundRow>, experiment: Option<&Experiment>) -> Self {
        Self::new(rows, experiment.map(|experiment| experiment.train.evaluate_every))
    }

    /// Returns whether the early stop of a training run is censored.
    pub fn is_censored(self, row: &RoundRow) -> bool {
        // Evaluations are at the start, at multiples of the interval, and at the last iteration.
        let last = row.end_iteration(self.last_iteration);
        let last_multiple = self.evaluate_every.map_or(last, |every| last.saturating_sub(1) / every * every);
        let second_last = last_multiple.max(row.start_iteration(self.last_iteration));
        row.early_stop_iteration.is_some_and(|iteration| iteration >= second_last)
    }

    /// Returns the number of training runs of a group that reached their last iteration and whose early stop is
    /// censored.
    pub fn censored_count(self, group: &RoundGroup<'_>) -> usize {
        group.done().filter(|row| self.is_censored(row)).count()
    }

    /// Returns the mark before the mean of a metric over the training runs of a group: `≥ ` if the metric is the
    /// iterations to early stop and any of them is censored, otherwise empty.
    pub fn mark(self, metric: &Metric, group: &RoundGroup<'_>) -> &'static str {
        let is_lower_bound = metric.unit == MetricUnit::Iterations && self.censored_count(group) > 0;
        if is_lower_bound { "≥ " } else { "" }
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{EARLY_STOP_ITERATION, FINAL_TEST_ACCURACY};
    use super::*;
    use crate::base::outcome::OutcomeKind;

    fn row(iterations: u64, early_stop: u64) -> RoundRow {
        RoundRow {
            arm: "t".into(),
            iterations,
            early_stop_iteration: Some(early_stop),
            outcome: OutcomeKind::Done.into(),
            ..RoundRow::default()
        }
    }

    #[test]
    fn early_stops_on_the_last_two_evaluations_are_censored() {
        // (iterations, interval, the largest early stop that is not censored, the smallest that is)
        for (iterations, every, free, censored) in [(1000, 100, 800, 900), (1050, 100, 900, 1000), (90, 100, 0, 0)] {
            let end = LastEvaluations::new(&[row(iterations, 0)], Some(every));
            assert!(end.is_censored(&row(iterations, censored)), "{iterations} {every}");
            assert!(end.is_censored(&row(iterations, iterations)), "{iterations} {every}");
            assert_eq!(end.is_censored(&row(iterations, free)), free == censored, "{iterations} {every}");
        }
    }

    #[test]
    fn censoring_counts_the_evaluations_of_the_training_run_itself() {
        // Evaluated at 950, its start, and at 1,000: both are among its last two.
        let end = LastEvaluations::new(&[row(1000, 0)], Some(100));
        assert!(end.is_censored(&row(50, 950)) && !end.is_censored(&row(1000, 850)));
        let unknown = LastEvaluations::new(&[row(1000, 0)], None);
        assert!(unknown.is_censored(&row(1000, 1000)) && !unknown.is_censored(&row(1000, 900)));
    }

    #[test]
    fn mark_is_that_of_a_lower_bound() {
        let rows =
            [row(1000, 500), row(1000, 900), RoundRow { outcome: OutcomeKind::Failed.into(), ..row(1000, 1000) }];
        let end = LastEvaluations::new(&rows, Some(100));
        let group = RoundGroup::by_arm_and_round(&rows).remove(0);
        assert_eq!(end.censored_count(&group), 1, "one of two that were trained to their end");
        assert_eq!([end.mark(&EARLY_STOP_ITERATION, &group), end.mark(&FINAL_TEST_ACCURACY, &group)], ["≥ ", ""]);
        let free = RoundGroup::by_arm_and_round(&rows[..1]).remove(0);
        assert_eq!(end.mark(&EARLY_STOP_ITERATION, &free), "");
    }
}
