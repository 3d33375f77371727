//! A run in one line: how it stands, its best round, and the room it takes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::run::{Run, RunState};
use crate::artifacts::RoundGroup;
use crate::base::stats::SummaryStats;
use crate::system::files;
use crate::system::paths::RunsDir;

/// A run in one line. Its JSON is a member of the list that `lth runs --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct RunOverview {
    /// The folder's name.
    pub name: String,
    /// How it stands.
    pub state: RunState,
    /// Trainings that came to their end.
    pub done: usize,
    /// Trainings of its plan, where that is known.
    pub trainings: Option<usize>,
    /// The arm and round with the best validation accuracy.
    pub best: Option<BestRound>,
    /// Bytes of its files and of its trainings in the store, which other runs may share.
    pub bytes: u64,
    /// Seconds since 1970 when it was last begun or ended.
    pub written: Option<u64>,
}

/// The arm and round with the best validation accuracy at early stop, on average over its trainings; of equals, the one
/// with fewer weights. Test accuracy chooses nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BestRound {
    /// The arm.
    pub arm: String,
    /// Number of prunings.
    pub round: u32,
    /// Kept / all weights.
    pub weights_remaining: f64,
    /// Mean validation accuracy at early stop, 0..=1.
    pub validation_accuracy: f64,
    /// Trainings it is the mean of.
    pub n: usize,
}

impl RunOverview {
    /// The run in one line; `runs` is the folder whose store it was made from.
    pub fn of(run: &Run, runs: &RunsDir) -> Self {
        let keys: BTreeSet<&str> = run.rounds.iter().map(|row| row.key.as_str()).collect();
        let stored: u64 = keys.into_iter().map(|key| files::size(&runs.store().join(key))).sum();
        Self {
            name: run.name(),
            state: run.state(),
            done: run.done(),
            trainings: run.trainings(),
            best: BestRound::of(run),
            bytes: files::size(&run.view.0) + stored,
            written: run.manifest.as_ref().map(|manifest| manifest.written),
        }
    }
}

impl BestRound {
    fn of(run: &Run) -> Option<Self> {
        let best = |group: &RoundGroup<'_>| {
            let spread = SummaryStats::of(&group.values(|row| row.early_stop_validation_accuracy))?;
            Some(Self {
                arm: group.arm.to_owned(),
                round: group.round,
                weights_remaining: group.weights_remaining(),
                validation_accuracy: spread.mean,
                n: spread.n,
            })
        };
        let better = |a: &Self, b: &Self| {
            let by_accuracy = a.validation_accuracy.total_cmp(&b.validation_accuracy);
            by_accuracy.then(b.weights_remaining.total_cmp(&a.weights_remaining))
        };
        RoundGroup::all(&run.rounds).iter().filter_map(best).max_by(better)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::RoundRow;
    use crate::system::paths::RunDir;

    #[test]
    fn the_best_round_is_best_on_average_and_the_smallest_of_equals() {
        let row = |arm: &str, round, weights_remaining, accuracy| RoundRow {
            arm: arm.into(),
            round,
            weights_remaining,
            early_stop_validation_accuracy: Some(accuracy),
            outcome: "done".into(),
            ..RoundRow::default()
        };
        let rounds = vec![
            row("dense", 0, 1.0, 0.75),
            row("a", 1, 0.5, 1.0),
            row("a", 1, 0.5, 0.25),
            row("a", 2, 0.25, 0.75),
            RoundRow { outcome: "diverged".into(), ..row("b", 3, 0.1, 1.0) },
        ];
        let run = Run { view: RunDir("x".into()), rounds, manifest: None };
        let best = BestRound::of(&run).unwrap();
        assert_eq!((best.arm.as_str(), best.round, best.validation_accuracy, best.n), ("a", 2, 0.75, 1));
        assert_eq!(BestRound::of(&Run { rounds: Vec::new(), ..run }), None);
    }
}
