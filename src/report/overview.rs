//! Overview of a run: its state, its best round, and its size on disk.

use std::collections::BTreeSet;

use serde::Serialize;

use super::run::{Run, RunState};
use crate::artifacts::RoundGroup;
use crate::base::stats::SummaryStats;
use crate::system::files;
use crate::system::paths::RunsDir;

/// Overview of a run. Its JSON is an element of the list that `lth runs --json` prints.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct RunOverview {
    /// Name of the run's folder.
    pub name: String,
    /// State of the run.
    pub state: RunState,
    /// Training runs that reached their last iteration.
    pub done: usize,
    /// Training runs of its plan; `None` if there is no manifest.
    pub trainings: Option<usize>,
    /// The arm and round with the best validation accuracy; `None` if no training run reached its
    /// last iteration.
    pub best: Option<BestRound>,
    /// Bytes of its files and of its store entries, which other runs may share.
    pub bytes: u64,
    /// Time at which the run last began or ended, in seconds since 1970; `None` if there is no manifest.
    pub written: Option<u64>,
}

/// The arm and round with the best validation accuracy at early stop, as the mean over its training runs; among equals,
/// the one with the fewest weights. Test accuracy plays no part.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct BestRound {
    /// Name of the arm.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Mean validation accuracy at early stop, 0..=1.
    pub validation_accuracy: f64,
    /// Number of training runs in the mean.
    pub n: usize,
}

impl RunOverview {
    /// Returns the overview of a run; `runs` is the folder of all runs, with the store of its training runs.
    pub fn of(run: &Run, runs: &RunsDir) -> Self {
        let keys: BTreeSet<&str> = run.rounds.iter().map(|row| row.key.as_str()).collect();
        let stored: u64 = keys.into_iter().map(|key| files::size(&runs.store().join(key))).sum();
        Self {
            name: run.name(),
            state: run.state(),
            done: run.done(),
            trainings: run.trainings(),
            best: BestRound::of(run),
            bytes: files::size(&run.dir.0) + stored,
            written: run.manifest.as_ref().map(|manifest| manifest.written),
        }
    }
}

impl BestRound {
    /// Returns the best round of a run; `None` if no training run reached its last iteration.
    fn of(run: &Run) -> Option<Self> {
        let candidate = |group: &RoundGroup<'_>| {
            let stats = SummaryStats::of(&group.values(|row| row.early_stop_validation_accuracy))?;
            Some(Self {
                arm: group.arm.to_owned(),
                round: group.round,
                weights_remaining: group.weights_remaining(),
                validation_accuracy: stats.mean,
                n: stats.n,
            })
        };
        let compare = |a: &Self, b: &Self| {
            let by_accuracy = a.validation_accuracy.total_cmp(&b.validation_accuracy);
            by_accuracy.then(b.weights_remaining.total_cmp(&a.weights_remaining))
        };
        RoundGroup::by_arm_and_round(&run.rounds).iter().filter_map(candidate).max_by(compare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::RoundRow;
    use crate::base::outcome::OutcomeKind;
    use crate::system::paths::RunDir;

    #[test]
    fn best_round_has_the_best_mean_and_the_fewest_weights_among_equals() {
        let row = |arm: &str, round, weights_remaining, accuracy| RoundRow {
            arm: arm.into(),
            round,
            weights_remaining,
            early_stop_validation_accuracy: Some(accuracy),
            outcome: OutcomeKind::Done.into(),
            ..RoundRow::default()
        };
        let rounds = vec![
            row("dense", 0, 1.0, 0.75),
            row("a", 1, 0.5, 1.0),
            row("a", 1, 0.5, 0.25),
            row("a", 2, 0.25, 0.75),
            RoundRow { outcome: OutcomeKind::Diverged.into(), ..row("b", 3, 0.1, 1.0) },
        ];
        let run = Run { dir: RunDir("x".into()), rounds, manifest: None };
        let best = BestRound::of(&run).unwrap();
        assert_eq!((best.arm.as_str(), best.round, best.validation_accuracy, best.n), ("a", 2, 0.75, 1));
        assert_eq!(BestRound::of(&Run { rounds: Vec::new(), ..run }), None);
    }
}
