//! Comparison of runs: the values of their configurations that differ, and their results.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::run::Run;
use super::table::Cell;
use crate::artifacts::{METRICS, Metric, RoundGroup, RoundRow, SummaryRow, TrainingEnd, summary};
use crate::config::{ConfigDocument, for_each_leaf};
use crate::system::paths::RunDir;

/// A comparison of runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunComparison {
    /// Names of the runs: of their folders, or whole paths if two folders have the same name.
    pub runs: Vec<String>,
    /// Configuration values that differ between the runs, in the order of the configuration.
    pub config: Vec<ConfigDifference>,
    /// Names of the runs whose configuration is not known, because their `resolved.toml` is missing or damaged.
    pub unknown: Vec<String>,
    /// The runs whose test accuracies are measured on a part of the test set: the name of each, and the note about it.
    pub test_notes: Vec<(String, String)>,
    /// Results, run by run.
    pub results: Vec<ResultRow>,
}

/// A configuration value that differs between runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigDifference {
    /// Its key, such as `train.lr`.
    pub key: String,
    /// Its value in each run, in the order of the runs; `None` if a run has none.
    pub values: Vec<Option<Value>>,
}

impl ConfigDifference {
    /// Returns its value in each run as a cell of a table.
    pub fn cells(&self) -> impl Iterator<Item = Cell> {
        self.values.iter().map(|value| match value {
            None => Cell::Missing,
            Some(Value::String(text)) => Cell::text(text),
            Some(other) => Cell::number(other),
        })
    }
}

/// The results of an arm at a round of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultRow {
    /// Name of the run.
    pub run: String,
    /// Name of the arm.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Training runs that reached their last iteration.
    pub n: usize,
    /// Training runs that diverged or failed.
    pub without_result: usize,
    /// Training runs of the `n` whose early stop is censored.
    pub censored: usize,
    /// Means over the `n` training runs, in the order of [`compared_metrics`]; `None` if no training run has a value.
    pub(crate) means: Vec<Option<f64>>,
}

/// The columns before those of the metrics, by their names in CSV and JSON.
const COLUMNS: [&str; 6] = ["run", "arm", "round", "weights_remaining", "n", "without_result"];

/// Returns the metrics whose means are compared, in the order of their columns.
fn compared_metrics() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.is_compared)
}

impl ResultRow {
    /// Returns the results of a row of the summary of the run `run`; `censored` as in [`censored`](Self::censored).
    fn new(run: &str, row: SummaryRow, censored: usize) -> Self {
        let means = compared_metrics().map(|metric| row.stats(metric).map(|stats| stats.mean)).collect();
        Self {
            run: run.to_owned(),
            arm: row.arm,
            round: row.round,
            weights_remaining: row.weights_remaining,
            n: row.n,
            without_result: row.without_result,
            censored,
            means,
        }
    }

    /// Returns the mean of a metric; `None` if no training run has a value.
    pub fn mean(&self, metric: &Metric) -> Option<f64> {
        let index = compared_metrics().position(|compared| compared == metric)?;
        self.means.get(index).copied().flatten()
    }

    /// Returns the row with the mean of a metric, for tests.
    #[cfg(test)]
    pub(crate) fn with_mean(mut self, metric: &Metric, mean: Option<f64>) -> Self {
        self.means.resize(compared_metrics().count(), None);
        if let Some(index) = compared_metrics().position(|compared| compared == metric) {
            self.means[index] = mean;
        }
        self
    }
}

/// A row is a JSON object: the fixed columns, then a member for each metric.
impl Serialize for ResultRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("run", &self.run)?;
        map.serialize_entry("arm", &self.arm)?;
        map.serialize_entry("round", &self.round)?;
        map.serialize_entry("weights_remaining", &self.weights_remaining)?;
        map.serialize_entry("n", &self.n)?;
        map.serialize_entry("without_result", &self.without_result)?;
        for metric in compared_metrics() {
            map.serialize_entry(metric.name, &self.mean(metric))?;
        }
        map.end()
    }
}

/// Returns results as CSV, with a column for each compared metric; accuracies are shares of 1.
///
/// # Errors
/// Fails if a row cannot be written as CSV.
pub fn results_to_csv(rows: &[ResultRow]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(COLUMNS.into_iter().chain(compared_metrics().map(|metric| metric.name)))?;
    for row in rows {
        let means: Vec<Option<f64>> = compared_metrics().map(|metric| row.mean(metric)).collect();
        writer.serialize((&row.run, &row.arm, row.round, row.weights_remaining, row.n, row.without_result, means))?;
    }
    writer.into_inner().context("could not finish a CSV file")
}

/// Returns the comparison of runs. Results are those of the rows that `filter` accepts.
pub fn compare(runs: &[Run], filter: impl Fn(&RoundRow) -> bool) -> RunComparison {
    let names = names(runs);
    let configs: Vec<Option<Vec<(String, Value)>>> = runs.iter().map(config).collect();
    let mut comparison = RunComparison {
        config: differences(&configs),
        unknown: Vec::new(),
        test_notes: Vec::new(),
        results: Vec::new(),
        runs: names.clone(),
    };
    for ((run, name), config) in runs.iter().zip(names).zip(&configs) {
        if config.is_none() {
            comparison.unknown.push(name.clone());
        }
        comparison.test_notes.extend(run.test_note().map(|note| (name.clone(), note)));
        let rows: Vec<RoundRow> = run.rounds.iter().filter(|row| filter(row)).cloned().collect();
        // The last iteration is taken from all rows: the dense training runs, which reach it, may be filtered out.
        let end = TrainingEnd::new(&run.rounds, config.as_deref().and_then(evaluate_every));
        let groups = RoundGroup::by_arm_and_round(&rows);
        let censored = groups.iter().map(|group| end.censored_count(group));
        let summary = summary(&rows, end.last_iteration).into_iter().zip(censored);
        comparison.results.extend(summary.map(|(row, censored)| ResultRow::new(&name, row, censored)));
    }
    comparison
}

/// Returns `train.evaluate_every` of a configuration; `None` if it has no such number.
fn evaluate_every(config: &[(String, Value)]) -> Option<u64> {
    config.iter().find(|(key, _)| key == "train.evaluate_every")?.1.as_u64()
}

/// Returns the names of the runs: of their folders, or whole paths if two folders have the same name.
fn names(runs: &[Run]) -> Vec<String> {
    let name = |run: &Run| {
        let namesakes = runs.iter().filter(|other| other.name() == run.name()).count();
        if namesakes > 1 { run.dir.0.display().to_string() } else { run.name() }
    };
    runs.iter().map(name).collect()
}

/// Returns the values of a run's configuration with their keys, in order; `None` if `resolved.toml` cannot be read.
/// Values are not interpreted, so that runs of other versions can be compared too.
fn config(run: &Run) -> Option<Vec<(String, Value)>> {
    let text = String::from_utf8(fs::read(run.dir.file(RunDir::RESOLVED_CONFIG)).ok()?).ok()?;
    let document = ConfigDocument::parse(RunDir::RESOLVED_CONFIG, &text, &[]).ok()?;
    let mut values = Vec::new();
    for_each_leaf(&document.root, "", &mut |key, value| values.push((key.to_owned(), value.clone())));
    Some(values)
}

/// Returns the values that differ; `configs` is the configuration of each run, `None` if it is unknown.
fn differences(configs: &[Option<Vec<(String, Value)>>]) -> Vec<ConfigDifference> {
    let mut seen = BTreeSet::new();
    let keys = configs.iter().flatten().flatten().map(|(key, _)| key);
    let keys: Vec<&String> = keys.filter(|key| seen.insert(*key)).collect();
    let value = |config: &Option<Vec<(String, Value)>>, key: &String| {
        config.as_ref()?.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
    };
    let difference = |key: &String| ConfigDifference {
        key: key.clone(),
        values: configs.iter().map(|config| value(config, key)).collect(),
    };
    keys.into_iter().map(difference).filter(|difference| differs(difference, configs)).collect()
}

/// Returns whether a value differs between the runs whose configuration is known.
fn differs(difference: &ConfigDifference, configs: &[Option<Vec<(String, Value)>>]) -> bool {
    let values = difference.values.iter().zip(configs);
    let mut values_of_known = values.filter(|(_, config)| config.is_some()).map(|(value, _)| value);
    values_of_known.next().is_some_and(|first| values_of_known.any(|other| other != first))
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::rows;
    use super::*;
    use crate::artifacts::{EARLY_STOP_ITERATION, FINAL_TEST_ACCURACY};
    use crate::system::files;

    fn run(folder: &std::path::Path, name: &str, resolved: Option<&str>) -> Run {
        let dir = RunDir(folder.join(name));
        if let Some(text) = resolved {
            files::write(&dir.file(RunDir::RESOLVED_CONFIG), text.as_bytes()).unwrap();
        }
        let rounds = [rows("dense", 0, &[(100, 0.5), (200, 0.75)]), rows("t", 1, &[(100, 0.5)])].concat();
        Run { dir, rounds, manifest: None }
    }

    #[test]
    fn comparison_has_only_values_that_differ() {
        let folder = tempfile::tempdir().unwrap();
        let text = "seed = 1\n[train]\nlr = 0.1\nbetas = [0.9, 0.99]\n[arms.t]\nmask = \"iterative\"\n";
        let runs = [
            run(folder.path(), "a", Some(text)),
            run(folder.path(), "b", Some(&text.replace("lr = 0.1", "lr = 0.2").replace("[arms.t]", "[arms.u]"))),
            run(folder.path(), "c", None),
        ];
        let comparison = compare(&runs, |row| row.arm == "dense");
        let keys: Vec<&str> = comparison.config.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["train.lr", "arms.t.mask", "arms.u.mask"]);
        assert_eq!(comparison.config[0].values, [Some(0.1.into()), Some(0.2.into()), None]);
        assert_eq!(comparison.config[1].values, [Some("iterative".into()), None, None]);
        assert_eq!(
            (comparison.unknown, comparison.runs),
            (vec!["c".to_owned()], ["a", "b", "c"].map(str::to_owned).to_vec())
        );
        assert_eq!(comparison.results.len(), 3, "the dense networks of each run");
        let dense = &comparison.results[0];
        assert_eq!(dense.n, 2);
        assert_eq!(dense.mean(&EARLY_STOP_ITERATION), Some(150.0));
        assert_eq!(dense.mean(&FINAL_TEST_ACCURACY), Some(0.625));
        assert_eq!(compare(&runs[..1], |_| true).config, [], "one run does not differ from itself");
    }

    #[test]
    fn comparison_names_namesakes_by_their_paths() {
        let folder = tempfile::tempdir().unwrap();
        let runs = [run(&folder.path().join("x"), "a", None), run(&folder.path().join("y"), "a", None)];
        let labels = compare(&runs, |_| true).runs;
        assert!(labels[0].ends_with("x/a") && labels[1].ends_with("y/a"), "{labels:?}");
    }

    #[test]
    fn results_csv_and_json_have_the_same_columns() {
        let folder = tempfile::tempdir().unwrap();
        let results = compare(&[run(folder.path(), "a", None)], |row| row.arm == "t").results;
        let csv = String::from_utf8(results_to_csv(&results).unwrap()).unwrap();
        let columns = "run,arm,round,weights_remaining,n,without_result,early_stop_iteration,early_stop_test_accuracy,\
                       final_test_accuracy,iterations_to_early_stop";
        assert_eq!(csv, format!("{columns}\na,t,1,0.5,1,0,100.0,0.5,0.5,100.0\n"));
        let json = serde_json::to_value(&results[0]).unwrap();
        assert!(json.as_object().unwrap().keys().eq(columns.split(',')), "{json}");
    }
}
