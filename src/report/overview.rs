//! Overviews of runs: state, best round, size on disk, what tells runs of one experiment apart, and which of them a
//! newer one contains.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::run::{Run, RunState};
use super::run_names::{Distinction, distinctions};
use crate::artifacts::{InProgress, RoundGroup, RunManifest, config_values, experiment_name, in_progress, plan_keys};
use crate::base::stats::SummaryStats;
use crate::system::clock::UtcTime;
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
    /// The training runs in progress, each by its newest progress snapshot.
    pub in_progress: Vec<InProgress>,
    /// The arm and round with the best validation accuracy; `None` if no training run reached its
    /// last iteration.
    pub best: Option<BestRound>,
    /// Bytes of its files and of its store entries, which other runs may share.
    pub bytes: u64,
    /// Time at which the run last began or ended: ISO 8601, UTC; `None` if there is no manifest.
    pub written: Option<UtcTime>,
    /// Time at which the run was begun: ISO 8601, UTC; `None` if there is no manifest.
    pub started: Option<UtcTime>,
    /// The values in which the listed runs of its experiment differ, by key; a key that the run does not have is
    /// missing.
    pub settings: Map<String, Value>,
    /// These values as a short text, such as `lr 1.2e-3, rate 0.4`; `None` if it is the only listed run of its
    /// experiment.
    pub label: Option<String>,
    /// The name of a newer finished run of the same experiment that has all its training runs.
    pub superseded_by: Option<String>,
    /// Whether `--fresh` has archived the run.
    pub archived: bool,
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

/// The runs that `lth runs` lists, and the number of those that it leaves out.
#[derive(Clone, Debug)]
pub struct RunList {
    /// Overviews of the listed runs, the newest last.
    pub listed: Vec<RunOverview>,
    /// Number of superseded runs that are left out.
    pub superseded: usize,
    /// Number of archived runs that are left out.
    pub archived: usize,
}

impl RunList {
    /// Returns the list of `runs`; `runs_dir` is their folder, with the store of their training runs. Without `all`,
    /// superseded and archived runs are left out.
    pub fn of(mut runs: Vec<Run>, runs_dir: &RunsDir, all: bool) -> Self {
        sort_by_age(&mut runs);
        let superseding = superseding_runs(&runs);
        let count_left_out = |is_counted: &dyn Fn(usize) -> bool| {
            if all { 0 } else { (0..runs.len()).filter(|&index| is_counted(index)).count() }
        };
        let archived = count_left_out(&|index| runs[index].dir.is_archived());
        let superseded = count_left_out(&|index| superseding[index].is_some());
        let is_listed = |index: &usize| all || superseding[*index].is_none() && !runs[*index].dir.is_archived();
        let listed: Vec<usize> = (0..runs.len()).filter(is_listed).collect();
        let listed_runs: Vec<&Run> = listed.iter().map(|&index| &runs[index]).collect();
        let overview = |(&index, distinction): (&usize, Distinction)| RunOverview {
            superseded_by: superseding[index].map(|newer| runs[newer].name()),
            label: distinction.label,
            settings: distinction.settings,
            ..RunOverview::new(&runs[index], runs_dir)
        };
        let configs: Vec<_> = listed_runs.iter().map(|run| config_values(&run.dir)).collect();
        let listed = listed.iter().zip(distinctions(&listed_runs, &configs)).map(overview).collect();
        Self { listed, superseded, archived }
    }
}

/// Sorts runs by the time at which they were begun, the newest last; runs without a manifest come first.
fn sort_by_age(runs: &mut [Run]) {
    runs.sort_by_cached_key(|run| (run.manifest.as_ref().map(RunManifest::started), run.name()));
}

/// Returns the runs that no newer run of the same experiment supersedes, the newest last, and the names of the others.
pub fn without_superseded(mut runs: Vec<Run>) -> (Vec<Run>, Vec<String>) {
    sort_by_age(&mut runs);
    let superseding = superseding_runs(&runs);
    let (kept, superseded): (Vec<_>, Vec<_>) =
        runs.into_iter().zip(superseding).partition(|(_, newer)| newer.is_none());
    let names = superseded.into_iter().map(|(run, _)| run.name()).collect();
    (kept.into_iter().map(|(run, _)| run).collect(), names)
}

/// Returns for each of `runs`, the newest last, the index of the newest finished run of the same experiment that is
/// newer and has all its training runs; `None` if there is none. Running and archived runs are never superseded.
fn superseding_runs(runs: &[Run]) -> Vec<Option<usize>> {
    let keys: Vec<Option<BTreeSet<String>>> = runs.iter().map(|run| plan_keys(&run.dir).ok()).collect();
    let names: Vec<String> = runs.iter().map(|run| experiment_name(&run.dir)).collect();
    let states: Vec<RunState> = runs.iter().map(Run::state).collect();
    let contains = |newer: usize, older: usize| {
        let (Some(newer), Some(older)) = (&keys[newer], &keys[older]) else { return false };
        !older.is_empty() && older.is_subset(newer)
    };
    let superseding = |older: usize| {
        if states[older] == RunState::Running || runs[older].dir.is_archived() {
            return None;
        }
        let newer = (older + 1..runs.len()).rev().filter(|&newer| !runs[newer].dir.is_archived());
        newer
            .filter(|&newer| names[newer] == names[older] && states[newer] == RunState::Finished)
            .find(|&newer| contains(newer, older))
    };
    (0..runs.len()).map(superseding).collect()
}

impl RunOverview {
    /// Returns the overview of a run on its own; `runs` is the folder of all runs, with the store of its training runs.
    fn new(run: &Run, runs: &RunsDir) -> Self {
        let keys: BTreeSet<&str> = run.rounds.iter().map(|row| row.key.as_str()).collect();
        let stored: u64 = keys.into_iter().map(|key| files::size(&runs.store().join(key))).sum();
        Self {
            name: run.name(),
            state: run.state(),
            done: run.done(),
            trainings: run.trainings(),
            in_progress: in_progress(&run.dir),
            best: BestRound::of(run),
            bytes: files::size(&run.dir.0) + stored,
            written: run.manifest.as_ref().map(|manifest| manifest.written),
            started: run.manifest.as_ref().map(RunManifest::started),
            settings: Map::new(),
            label: None,
            superseded_by: None,
            archived: run.dir.is_archived(),
        }
    }
}

impl BestRound {
    /// Returns the index of the run with the best validation accuracy, and its best round; among equals, the one with the
    /// fewest weights, then the first. `None` if no training run reached its last iteration.
    pub fn of_runs<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Option<(usize, Self)> {
        let best = runs.into_iter().enumerate().filter_map(|(index, run)| Some((index, Self::of(run)?)));
        best.reduce(|best, other| if other.1.compare(&best.1).is_gt() { other } else { best })
    }

    /// Returns the best round of a run; `None` if no training run reached its last iteration.
    pub fn of(run: &Run) -> Option<Self> {
        Self::of_rows(run, |_| true)
    }

    /// Returns the best round of an arm of a run; `None` if none of its training runs reached its last iteration.
    pub(super) fn of_arm(run: &Run, arm: &str) -> Option<Self> {
        Self::of_rows(run, |group| group.arm == arm)
    }

    fn of_rows(run: &Run, filter: impl Fn(&RoundGroup<'_>) -> bool) -> Option<Self> {
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
        let groups = RoundGroup::by_arm_and_round(&run.rounds);
        groups.iter().filter(|group| filter(group)).filter_map(candidate).max_by(Self::compare)
    }

    /// Orders rounds by validation accuracy; of equal ones the one with fewer weights is greater.
    fn compare(&self, other: &Self) -> Ordering {
        let by_accuracy = self.validation_accuracy.total_cmp(&other.validation_accuracy);
        by_accuracy.then(other.weights_remaining.total_cmp(&self.weights_remaining))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{RoundRow, to_csv};
    use crate::base::outcome::OutcomeKind;
    use crate::system::paths::RunDir;

    /// Returns a run of the experiment `e` with training runs of these keys, begun at `started`, whose plan has
    /// `planned` training runs.
    fn run(folder: &std::path::Path, id: &str, started: u64, planned: usize, keys: &[&str]) -> Run {
        let row =
            |key: &&str| RoundRow { key: (*key).to_owned(), outcome: OutcomeKind::Done.into(), ..RoundRow::default() };
        let rounds: Vec<RoundRow> = keys.iter().map(row).collect();
        let dir = RunDir(folder.join(format!("e-{id}")));
        files::write(&dir.file(RunDir::ROUNDS), &to_csv(&rounds).unwrap()).unwrap();
        let manifest = serde_json::json!({
            "experiment": "e", "id": id, "commands": [{"command": "lth", "started": started, "finished": null}],
            "trainings": planned, "versions": {"lth": "0", "tch": "0", "libtorch": "0"}, "device": "cpu",
            "engine": "dense", "processor": "p", "host": "h", "workers": 1, "run": {}, "runs": "runs",
            "data_dir": "data", "written": started, "notes": [], "audit": {"passed": 1, "broken": []}, "failures": [],
            "blocked": []
        });
        files::write(&dir.file(RunDir::MANIFEST), manifest.to_string().as_bytes()).unwrap();
        Run::open(dir).unwrap()
    }

    #[test]
    fn run_is_superseded_by_a_newer_finished_run_with_all_its_training_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let runs = vec![
            run(path, "44444444", 400, 5, &["a", "b", "c"]),
            run(path, "11111111", 100, 2, &["a", "b"]),
            run(path, "22222222", 200, 2, &["a", "d"]),
            run(path, "33333333", 300, 3, &["a", "b", "c"]),
        ];
        let list = |all| RunList::of(runs.clone(), &RunsDir(path.to_owned()), all);
        let names = |list: &RunList| list.listed.iter().map(|run| run.name.clone()).collect::<Vec<_>>();
        // The fourth run is not finished, so it supersedes none.
        assert_eq!(names(&list(false)), ["e-22222222", "e-33333333", "e-44444444"]);
        assert_eq!((list(false).superseded, list(true).superseded), (1, 0));
        assert_eq!(list(true).listed[0].superseded_by.as_deref(), Some("e-33333333"));
        let (kept, superseded) = without_superseded(runs.clone());
        assert_eq!((kept.len(), superseded), (3, vec!["e-11111111".to_owned()]));
    }

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
