//! Accuracies at equal iterations: of all training runs after equally many optimizer steps, and at the early stop of
//! the dense network.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::curves;
use super::run::Run;
use crate::artifacts::RoundRow;
use crate::base::format::{mean_and_range, with_thousands};
use crate::config::Experiment;
use crate::lottery::DENSE;

/// An iteration at which training runs are compared; it may differ between replicates, and is equal for all arms and
/// rounds of a replicate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EqualIteration {
    /// Whether it is that of the dense network's early stop.
    pub(crate) is_dense_stop: bool,
    /// The iteration by replicate.
    by_replicate: BTreeMap<u32, u64>,
}

impl EqualIteration {
    /// Returns the iteration in words: `iteration 300`, or `the dense early stop`.
    pub(crate) fn name(&self) -> String {
        match self.by_replicate.values().next() {
            Some(iteration) if !self.is_dense_stop => format!("iteration {}", with_thousands(*iteration)),
            _ => "the dense early stop".to_owned(),
        }
    }

    /// Returns the mean and the range of the iteration over the replicates.
    pub(crate) fn range(&self) -> String {
        let iterations: Vec<f64> = self.by_replicate.values().map(|&iteration| iteration as f64).collect();
        mean_and_range(&iterations, |iteration| with_thousands(iteration.round() as u64))
    }
}

/// The accuracies of one evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Accuracies {
    /// On training images, 0..=1.
    train: f64,
    /// On test images, 0..=1.
    test: f64,
}

/// The accuracies of the training runs of a run at equal iterations.
#[derive(Clone, Debug, Default)]
pub(crate) struct EqualIterations {
    /// The iterations: early, the dense network's early stop, middle, last; fewer if some coincide.
    pub(crate) iterations: Vec<EqualIteration>,
    /// By key of the training run and iteration.
    accuracies: BTreeMap<String, BTreeMap<u64, Accuracies>>,
}

impl EqualIterations {
    /// Reads the accuracies from the run's `curves.csv`.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub(crate) fn read(run: &Run, experiment: &Experiment) -> Result<Self> {
        let iterations = equal_iterations(&run.rounds, experiment);
        let wanted: BTreeSet<u64> = iterations.iter().flat_map(|time| time.by_replicate.values()).copied().collect();
        let mut accuracies: BTreeMap<String, BTreeMap<u64, Accuracies>> = BTreeMap::new();
        curves::for_each_record(run, ["iteration", "train_accuracy", "test_accuracy", "key"], |record| {
            let iteration: u64 = record.number(0)?;
            if wanted.contains(&iteration) {
                let values = Accuracies { train: record.number(1)?, test: record.number(2)? };
                accuracies.entry(record.text(3)).or_default().insert(iteration, values);
            }
            Ok(())
        })?;
        Ok(Self { iterations, accuracies })
    }

    /// Returns the training accuracy of a training run at an iteration, 0..=1; `None` if it has no evaluation there, for
    /// example because it starts later.
    pub(crate) fn train(&self, row: &RoundRow, time: &EqualIteration) -> Option<f64> {
        Some(self.at(row, time)?.train)
    }

    /// Like [`train`](Self::train), but the test accuracy.
    pub(crate) fn test(&self, row: &RoundRow, time: &EqualIteration) -> Option<f64> {
        Some(self.at(row, time)?.test)
    }

    /// Returns accuracies at one iteration, the dense early stop, for tests: (key, replicate, training accuracy).
    #[cfg(test)]
    pub(super) fn at_dense_stop(accuracies: &[(String, u32, f64)]) -> Self {
        let by_replicate = accuracies.iter().map(|(_, replicate, _)| (*replicate, 1)).collect();
        let at_iteration = |train: f64| BTreeMap::from([(1, Accuracies { train, test: 0.5 })]);
        Self {
            iterations: vec![EqualIteration { is_dense_stop: true, by_replicate }],
            accuracies: accuracies.iter().map(|(key, _, train)| (key.clone(), at_iteration(*train))).collect(),
        }
    }

    fn at(&self, row: &RoundRow, time: &EqualIteration) -> Option<Accuracies> {
        self.accuracies.get(&row.key)?.get(time.by_replicate.get(&row.replicate)?).copied()
    }

    /// Returns the early stop of the dense network; without it, the first iteration.
    pub(crate) fn main(&self) -> Option<&EqualIteration> {
        self.iterations.iter().find(|time| time.is_dense_stop).or(self.iterations.first())
    }
}

/// Returns the iterations to compare at: the evaluations nearest to a tenth and to a half of training, the last one, and
/// in each replicate the early stop of the dense network.
fn equal_iterations(rows: &[RoundRow], experiment: &Experiment) -> Vec<EqualIteration> {
    let (last, every) = (experiment.train.iterations, experiment.train.evaluate_every.max(1));
    let replicates: BTreeSet<u32> = rows.iter().map(|row| row.replicate).collect();
    let nearest = |iteration: u64| ((iteration + every / 2) / every * every).max(every).min(last);
    let fixed = |iteration: u64| EqualIteration {
        is_dense_stop: false,
        by_replicate: replicates.iter().map(|&replicate| (replicate, iteration)).collect(),
    };
    let dense = rows.iter().filter(|row| row.arm == DENSE && row.round == 0);
    let stops = dense.filter_map(|row| Some((row.replicate, row.early_stop_iteration?)));
    let dense_stop = EqualIteration { is_dense_stop: true, by_replicate: stops.collect() };
    let mut times = vec![fixed(nearest(last / 10)), dense_stop, fixed(nearest(last / 2)), fixed(last)];
    times.retain(|time| !time.by_replicate.is_empty());
    // Where evaluations are rare, fixed iterations coincide.
    let mut seen = BTreeSet::new();
    times.retain(|time| time.is_dense_stop || seen.insert(time.by_replicate.values().next().copied()));
    times
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::{experiment, row};
    use super::*;

    /// Returns the names and the ranges of the iterations of an experiment.
    fn times(sets: &[&str], rows: &[RoundRow]) -> Vec<String> {
        let times = equal_iterations(rows, &experiment(sets));
        times.iter().map(|time| format!("{}: {}", time.name(), time.range())).collect()
    }

    #[test]
    fn equal_iterations_are_evaluations() {
        let rows = [row(DENSE, 0, 1, (40, 0.5)), row(DENSE, 0, 2, (80, 0.5)), row("t", 1, 1, (60, 0.5))];
        // 120 iterations, evaluated every 20.
        assert_eq!(
            times(&[], &rows),
            [
                "iteration 20: 20 (20–20)",
                "the dense early stop: 60 (40–80)",
                "iteration 60: 60 (60–60)",
                "iteration 120: 120 (120–120)"
            ]
        );
        let long = ["train.iterations=50000", "train.evaluate_every=100"];
        assert!(times(&long, &rows)[0].starts_with("iteration 5,000: "));
        let rare = times(&["train.evaluate_every=500"], &rows);
        assert_eq!(rare.len(), 2, "early, middle and last are one evaluation: {rare:?}");
        assert_eq!(times(&[], &[]), [""; 0]);
    }
}
