//! Test accuracies at the iterations of `report.checkpoints`. The paper compares deep networks at fixed iterations and
//! not at the early stop, which depends on when their learning rate drops (Section 4).

use std::collections::BTreeMap;

use anyhow::Result;

use super::curves;
use super::run::Run;
use crate::artifacts::RoundRow;
use crate::base::format::with_thousands;
use crate::config::Experiment;

/// The test accuracy of each training run at the iterations of `report.checkpoints`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoints {
    /// The iterations, ascending.
    iterations: Vec<u64>,
    /// Test accuracy, 0..=1, by iteration and key of the training run.
    accuracies: BTreeMap<u64, BTreeMap<String, f64>>,
}

impl Checkpoints {
    /// Reads the accuracies from the run's `curves.csv`.
    ///
    /// # Errors
    /// Fails if the file is damaged.
    pub(crate) fn read(run: &Run, experiment: Option<&Experiment>) -> Result<Self> {
        let mut iterations = experiment.map_or_else(Vec::new, |experiment| experiment.report.checkpoints.clone());
        iterations.sort_unstable();
        let mut checkpoints = Self { iterations, ..Self::default() };
        if checkpoints.iterations.is_empty() {
            return Ok(checkpoints);
        }
        curves::for_each_record(run, ["iteration", "test_accuracy", "key"], |record| {
            let iteration: u64 = record.number(0)?;
            if checkpoints.iterations.contains(&iteration) {
                let accuracy = record.number(1)?;
                checkpoints.accuracies.entry(iteration).or_default().insert(record.text(2), accuracy);
            }
            Ok(())
        })?;
        Ok(checkpoints)
    }

    /// Returns the iterations, ascending.
    pub(crate) fn iterations(&self) -> &[u64] {
        &self.iterations
    }

    /// Returns the test accuracy of a training run at an iteration; `None` if it has no evaluation at this iteration,
    /// for example because the training run starts later.
    pub(crate) fn accuracy(&self, row: &RoundRow, iteration: u64) -> Option<f64> {
        self.accuracies.get(&iteration)?.get(&row.key).copied()
    }

    /// Returns the title of the accuracies at an iteration, with their unit.
    pub(crate) fn title(iteration: u64) -> String {
        format!("test accuracy at iteration {} (%)", with_thousands(iteration))
    }
}
