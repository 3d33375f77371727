//! Test accuracies after the iterations that `report.checkpoints` names: deep networks are compared there and not at the
//! early stop, which the drops of their learning rate decide (the paper, Section 4).

use std::collections::BTreeMap;

use anyhow::Result;

use super::curves;
use super::run::Run;
use crate::artifacts::RoundRow;
use crate::base::format::with_thousands;
use crate::config::Experiment;

/// The test accuracy of each training after chosen iterations.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checkpoints {
    iterations: Vec<u64>,
    /// By iteration and key.
    accuracies: BTreeMap<u64, BTreeMap<String, f64>>,
}

impl Checkpoints {
    /// Reads those that the experiment names.
    ///
    /// # Errors
    /// A file of the run that is damaged.
    pub(crate) fn read(run: &Run, experiment: Option<&Experiment>) -> Result<Self> {
        let mut iterations = experiment.map_or_else(Vec::new, |experiment| experiment.report.checkpoints.clone());
        iterations.sort_unstable();
        let mut all = Self { iterations, ..Self::default() };
        if !all.iterations.is_empty() {
            curves::for_each_record(run, ["iteration", "test_accuracy", "key"], |row| {
                let iteration: u64 = row.number(0)?;
                if all.iterations.contains(&iteration) {
                    let accuracy = row.number(1)?;
                    all.accuracies.entry(iteration).or_default().insert(row.text(2), accuracy);
                }
                Ok(())
            })?;
        }
        Ok(all)
    }

    /// The iterations, in order.
    pub(crate) fn iterations(&self) -> &[u64] {
        &self.iterations
    }

    /// The accuracy of a training; `None` where it was not evaluated there: one that begins later was not.
    pub(crate) fn accuracy(&self, row: &RoundRow, iteration: u64) -> Option<f64> {
        self.accuracies.get(&iteration)?.get(&row.key).copied()
    }

    /// What stands over its values.
    pub(crate) fn title(iteration: u64) -> String {
        format!("test accuracy at iteration {} (%)", with_thousands(iteration))
    }
}
