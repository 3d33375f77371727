//! Runs beside each other: the values of their configurations that differ, and their results.

use std::collections::BTreeSet;
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run::Run;
use crate::artifacts::{RoundGroup, RoundRow, SummaryRow, last_iteration, summary};
use crate::base::stats::SummaryStats;
use crate::config::{ConfigDocument, flatten};
use crate::system::paths::RunDir;

/// Runs beside each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunComparison {
    /// What each run is called: its folder's name, or the whole folder where two have the same name.
    pub runs: Vec<String>,
    /// The values that are not the same in all runs, in the order of the configuration.
    pub config: Vec<ConfigDifference>,
    /// Runs whose configuration is not known: their `resolved.toml` is missing or damaged.
    pub unknown: Vec<String>,
    /// Runs whose test accuracies are not those of the whole test set, and what they are.
    pub test_notes: Vec<(String, String)>,
    /// Their results, run by run.
    pub results: Vec<ResultRow>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigDifference {
    /// Its place, such as `train.lr`.
    pub key: String,
    /// Its value in each run, in their order; `None` where a run has none.
    pub values: Vec<Option<Value>>,
}

impl ConfigDifference {
    /// Its value in each run as a person reads it.
    pub fn words(&self) -> impl Iterator<Item = String> {
        self.values.iter().map(|value| match value {
            None => "–".to_owned(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        })
    }
}

/// The results of an arm at a round of a run: means over its `n` trainings that came to their end.
#[expect(missing_docs, reason = "the README explains the columns; their names are their documentation")]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    pub run: String,
    pub arm: String,
    pub round: u32,
    pub weights_remaining: f64,
    pub n: usize,
    pub without_result: usize,
    pub early_stop_iteration: Option<f64>,
    pub early_stop_test_accuracy: Option<f64>,
    pub final_test_accuracy: Option<f64>,
    pub iterations_to_early_stop: Option<f64>,
}

/// Puts runs beside each other, with the trainings that `takes` chooses.
pub fn compare(runs: &[Run], takes: impl Fn(&RoundRow) -> bool) -> RunComparison {
    let labels = labels(runs);
    let configs: Vec<_> = runs.iter().map(config).collect();
    let unknown = labels.iter().zip(&configs).filter(|(_, config)| config.is_none()).map(|(label, _)| label.clone());
    let noted = |(run, label): (&Run, &String)| Some((label.clone(), run.test_note()?));
    let test_notes = runs.iter().zip(&labels).filter_map(noted).collect();
    let results = runs.iter().zip(&labels).flat_map(|(run, label)| {
        let chosen: Vec<RoundRow> = run.rounds.iter().filter(|row| takes(row)).cloned().collect();
        let last = last_iteration(&run.rounds);
        let groups = RoundGroup::all(&chosen)
            .into_iter()
            .map(|group| group.values(|row| row.iterations_to_early_stop(last).map(|iterations| iterations as f64)));
        let stops: Vec<Option<f64>> = groups.map(|stops| SummaryStats::of(&stops).map(|spread| spread.mean)).collect();
        summary(&chosen).into_iter().zip(stops).map(|(row, stop)| ResultRow::new(label, row, stop)).collect::<Vec<_>>()
    });
    RunComparison {
        unknown: unknown.collect(),
        test_notes,
        results: results.collect(),
        config: differences(&configs),
        runs: labels,
    }
}

impl ResultRow {
    fn new(run: &str, row: SummaryRow, iterations_to_early_stop: Option<f64>) -> Self {
        Self {
            run: run.to_owned(),
            arm: row.arm,
            round: row.round,
            weights_remaining: row.weights_remaining,
            n: row.n,
            without_result: row.without_result,
            early_stop_iteration: row.early_stop_iteration_mean,
            early_stop_test_accuracy: row.early_stop_test_accuracy_mean,
            final_test_accuracy: row.final_test_accuracy_mean,
            iterations_to_early_stop,
        }
    }
}

fn labels(runs: &[Run]) -> Vec<String> {
    let label = |run: &Run| {
        let namesakes = runs.iter().filter(|other| other.name() == run.name()).count();
        if namesakes > 1 { run.view.0.display().to_string() } else { run.name() }
    };
    runs.iter().map(label).collect()
}

/// The values of a run's configuration by their places, in order. Read as they stand there, so that a run of another
/// version can be compared too.
fn config(run: &Run) -> Option<Vec<(String, Value)>> {
    let text = String::from_utf8(fs::read(run.view.file(RunDir::RESOLVED_CONFIG)).ok()?).ok()?;
    let document = ConfigDocument::parse(RunDir::RESOLVED_CONFIG, &text, &[]).ok()?;
    let mut all = Vec::new();
    flatten(&document.root, "", &mut |key, value| all.push((key.to_owned(), value.clone())));
    Some(all)
}

fn differences(configs: &[Option<Vec<(String, Value)>>]) -> Vec<ConfigDifference> {
    let known = configs.iter().flatten();
    let mut seen = BTreeSet::new();
    let keys: Vec<&String> = known.flatten().map(|(key, _)| key).filter(|key| seen.insert(*key)).collect();
    let value = |config: &Option<Vec<(String, Value)>>, key: &String| {
        config.as_ref()?.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
    };
    let difference = |key: &String| ConfigDifference {
        key: key.clone(),
        values: configs.iter().map(|config| value(config, key)).collect(),
    };
    // A run whose configuration is not known differs in nothing that is known.
    let differs = |difference: &ConfigDifference| {
        let mut known = difference.values.iter().zip(configs).filter(|(_, config)| config.is_some()).map(|(v, _)| v);
        known.next().is_some_and(|first| known.any(|other| other != first))
    };
    keys.into_iter().map(difference).filter(differs).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::rows;
    use super::*;
    use crate::system::files;

    fn run(folder: &std::path::Path, name: &str, resolved: Option<&str>) -> Run {
        let view = RunDir(folder.join(name));
        if let Some(text) = resolved {
            files::write(&view.file(RunDir::RESOLVED_CONFIG), text.as_bytes()).unwrap();
        }
        let rounds = [rows("dense", 0, &[(100, 0.5), (200, 0.75)]), rows("t", 1, &[(100, 0.5)])].concat();
        Run { view, rounds, manifest: None }
    }

    #[test]
    fn only_what_differs_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let text = "seed = 1\n[train]\nlr = 0.1\nbetas = [0.9, 0.99]\n[arms.t]\nmask = \"iterative\"\n";
        let runs = [
            run(folder.path(), "a", Some(text)),
            run(folder.path(), "b", Some(&text.replace("lr = 0.1", "lr = 0.2").replace("[arms.t]", "[arms.u]"))),
            run(folder.path(), "c", None),
        ];
        let all = compare(&runs, |row| row.arm == "dense");
        let keys: Vec<&str> = all.config.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["train.lr", "arms.t.mask", "arms.u.mask"]);
        assert_eq!(all.config[0].values, [Some(0.1.into()), Some(0.2.into()), None]);
        assert_eq!(all.config[1].values, [Some("iterative".into()), None, None]);
        assert_eq!((all.unknown, all.runs), (vec!["c".to_owned()], vec!["a".into(), "b".into(), "c".to_owned()]));
        assert_eq!(all.results.len(), 3, "the dense networks of each run");
        let dense = &all.results[0];
        assert_eq!((dense.n, dense.early_stop_iteration, dense.final_test_accuracy), (2, Some(150.0), Some(0.625)));
        assert_eq!(compare(&runs[..1], |_| true).config, [], "one run does not differ from itself");
    }

    #[test]
    fn namesakes_are_told_apart_by_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let runs = [run(&folder.path().join("x"), "a", None), run(&folder.path().join("y"), "a", None)];
        let labels = compare(&runs, |_| true).runs;
        assert!(labels[0].ends_with("x/a") && labels[1].ends_with("y/a"), "{labels:?}");
    }
}
