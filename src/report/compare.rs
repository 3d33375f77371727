//! Comparison of runs: the values of their configurations that differ, and their results.

use anyhow::{Context, Result};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::run::Run;
use super::run_difference::{DifferenceRow, RunPair};
use super::run_names::run_names;
use super::table::Cell;
use crate::artifacts::{
    ConfigDifference, ConfigValues, LastEvaluations, METRICS, Metric, RoundGroup, RoundRow, SummaryRow,
    config_differences, config_values, distinguishing_differences, summary,
};
use crate::base::stats::SummaryStats;

/// A comparison of runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunComparison {
    /// Names of the runs: of their folders, or whole paths if two folders have the same name.
    pub runs: Vec<String>,
    /// Short names of the runs, by what distinguishes them.
    pub labels: Vec<String>,
    /// Configuration values that differ between the runs, in the order of the configuration.
    pub config: Vec<ConfigDifference>,
    /// Names of the runs whose configuration is not known, because their `resolved.toml` is missing or damaged.
    pub unknown: Vec<String>,
    /// The runs whose test accuracies are measured on a part of the test set: the name of each, and the note about it.
    pub test_notes: Vec<(String, String)>,
    /// Results, run by run.
    pub results: Vec<ResultRow>,
    /// Differences between two runs; `None` if more runs are compared, or the configuration of one is not known.
    pub differences: Option<RunDifferences>,
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

/// Differences between two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunDifferences {
    /// Whether replicates are paired: the runs have the same seed.
    pub is_paired: bool,
    /// Differences, second run minus first, in the order of the first run.
    pub rows: Vec<DifferenceRow>,
}

/// The results of an arm at a round of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResultRow {
    /// Name of the run.
    pub run: String,
    /// Short name of the run, by what distinguishes it from the others.
    pub label: String,
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
    /// Statistics over the `n` training runs, in the order of [`compared_metrics`]; `None` if no training run has a
    /// value.
    pub(crate) stats: Vec<Option<SummaryStats>>,
    /// The values that distinguish the numbers of the run from those of the others, by key; the same keys in each row.
    pub(crate) settings: Vec<(String, Option<Value>)>,
}

/// The first columns, by their names in CSV and JSON. After them come the means of the metrics, their ranges, and the
/// values of the configuration that distinguish the runs.
const COLUMNS: [&str; 6] = ["run", "arm", "round", "weights_remaining", "n", "without_result"];

/// Returns the metrics that are compared, in the order of their columns.
fn compared_metrics() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.is_compared)
}

impl ResultRow {
    /// Returns the results of a row of the summary of a run; `censored` as in [`censored`](Self::censored).
    fn new(
        (row, censored): (SummaryRow, usize),
        run: &str,
        label: &str,
        settings: Vec<(String, Option<Value>)>,
    ) -> Self {
        let stats = compared_metrics().map(|metric| row.stats(metric)).collect();
        Self {
            run: run.to_owned(),
            label: label.to_owned(),
            arm: row.arm,
            round: row.round,
            weights_remaining: row.weights_remaining,
            n: row.n,
            without_result: row.without_result,
            censored,
            stats,
            settings,
        }
    }

    /// Returns the statistics of a metric; `None` if no training run has a value.
    pub fn stats(&self, metric: &Metric) -> Option<SummaryStats> {
        let index = compared_metrics().position(|compared| compared == metric)?;
        self.stats.get(index).copied().flatten()
    }

    /// Returns the mean of a metric; `None` if no training run has a value.
    pub fn mean(&self, metric: &Metric) -> Option<f64> {
        self.stats(metric).map(|stats| stats.mean)
    }

    /// Returns the numbers of the metrics with the names of their columns: the mean of each, then the smallest and the
    /// largest value of each.
    fn metric_columns(&self) -> Vec<(String, Option<f64>)> {
        let means = compared_metrics().map(|metric| (metric.name.to_owned(), self.mean(metric)));
        let ranges = compared_metrics().flat_map(|metric| {
            let stats = self.stats(metric);
            [
                (format!("{}_minimum", metric.name), stats.map(|stats| stats.min)),
                (format!("{}_maximum", metric.name), stats.map(|stats| stats.max)),
            ]
        });
        means.chain(ranges).collect()
    }

    /// Returns the row with these values of a metric, for tests.
    #[cfg(test)]
    pub(crate) fn with_values(mut self, metric: &Metric, values: &[f64]) -> Self {
        self.stats.resize(compared_metrics().count(), None);
        if let Some(index) = compared_metrics().position(|compared| compared == metric) {
            self.stats[index] = SummaryStats::of(values);
        }
        self
    }
}

/// A row is a JSON object with the columns of the CSV as members.
impl Serialize for ResultRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("run", &self.run)?;
        map.serialize_entry("arm", &self.arm)?;
        map.serialize_entry("round", &self.round)?;
        map.serialize_entry("weights_remaining", &self.weights_remaining)?;
        map.serialize_entry("n", &self.n)?;
        map.serialize_entry("without_result", &self.without_result)?;
        for (name, value) in self.metric_columns() {
            map.serialize_entry(&name, &value)?;
        }
        for (key, value) in &self.settings {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Returns results as CSV, with columns for each compared metric and for each value of the configuration that
/// distinguishes the runs; accuracies are shares of 1.
///
/// # Errors
/// Fails if a row cannot be written as CSV.
pub fn results_to_csv(rows: &[ResultRow]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let metrics = ResultRow::default().metric_columns().into_iter().map(|(name, _)| name);
    let settings = rows.first().into_iter().flat_map(|row| row.settings.iter().map(|(key, _)| key.clone()));
    writer.write_record(COLUMNS.map(str::to_owned).into_iter().chain(metrics).chain(settings))?;
    for row in rows {
        let metrics: Vec<Option<f64>> = row.metric_columns().into_iter().map(|(_, value)| value).collect();
        let settings: Vec<String> = row.settings.iter().map(|(_, value)| csv_value(value.as_ref())).collect();
        let counts = (&row.run, &row.arm, row.round, row.weights_remaining, row.n, row.without_result);
        writer.serialize((counts, metrics, settings))?;
    }
    writer.into_inner().context("could not finish a CSV file")
}

/// Returns a value of a configuration as a cell: empty if there is none, a text without quotes, any other value as
/// JSON.
fn csv_value(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Returns the comparison of runs. Results are those of the rows that `filter` accepts.
pub fn compare(runs: &[Run], filter: impl Fn(&RoundRow) -> bool) -> RunComparison {
    let names = folder_names(runs);
    let configs: Vec<Option<ConfigValues>> = runs.iter().map(|run| config_values(&run.dir)).collect();
    let labels = run_names(&runs.iter().collect::<Vec<_>>(), &configs);
    let distinguishing = distinguishing_differences(&configs);
    let mut comparison = RunComparison {
        config: config_differences(&configs),
        unknown: Vec::new(),
        test_notes: Vec::new(),
        results: Vec::new(),
        differences: None,
        runs: names.clone(),
        labels: labels.clone(),
    };
    for (index, (run, name)) in runs.iter().zip(&names).enumerate() {
        if configs[index].is_none() {
            comparison.unknown.push(name.clone());
        }
        comparison.test_notes.extend(run.test_note().map(|note| (name.clone(), note)));
        let settings: Vec<(String, Option<Value>)> = distinguishing
            .iter()
            .map(|difference| (difference.key.clone(), difference.values[index].clone()))
            .collect();
        let rows: Vec<RoundRow> = run.rounds.iter().filter(|row| filter(row)).cloned().collect();
        // The last iteration is taken from all rows: the dense training runs, which reach it, may be filtered out.
        let end = LastEvaluations::new(&run.rounds, configs[index].as_ref().and_then(evaluate_every));
        let groups = RoundGroup::by_arm_and_round(&rows);
        let censored = groups.iter().map(|group| end.censored_count(group));
        let summary = summary(&rows, end.last_iteration).into_iter().zip(censored);
        let result = |row| ResultRow::new(row, name, &labels[index], settings.clone());
        comparison.results.extend(summary.map(result));
    }
    if let [first, second] = runs {
        let pair = RunPair::new(first, second);
        comparison.differences =
            pair.map(|pair| RunDifferences { is_paired: pair.is_paired(), rows: pair.rows(filter) });
    }
    comparison
}

/// Returns `train.evaluate_every` of a configuration; `None` if it has no such number.
fn evaluate_every(config: &ConfigValues) -> Option<u64> {
    config.iter().find(|(key, _)| key == "train.evaluate_every")?.1.as_u64()
}

/// Returns the names of the runs' folders, or whole paths if two folders have the same name.
fn folder_names(runs: &[Run]) -> Vec<String> {
    let name = |run: &Run| {
        let namesakes = runs.iter().filter(|other| other.name() == run.name()).count();
        if namesakes > 1 { run.dir.0.display().to_string() } else { run.name() }
    };
    runs.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::rows;
    use super::*;
    use crate::artifacts::{EARLY_STOP_ITERATION, FINAL_TEST_ACCURACY};
    use crate::system::files;
    use crate::system::paths::RunDir;

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
        let with_lr = |name: &str, lr: &str| run(folder.path(), name, Some(&format!("[train]\nlr = {lr}")));
        let results = compare(&[with_lr("a", "0.1"), with_lr("b", "0.2")], |row| row.arm == "t").results;
        let csv = String::from_utf8(results_to_csv(&results).unwrap()).unwrap();
        let columns = "run,arm,round,weights_remaining,n,without_result,early_stop_iteration,early_stop_test_accuracy,\
                       final_test_accuracy,iterations_to_early_stop,early_stop_iteration_minimum,\
                       early_stop_iteration_maximum,early_stop_test_accuracy_minimum,early_stop_test_accuracy_maximum,\
                       final_test_accuracy_minimum,final_test_accuracy_maximum,iterations_to_early_stop_minimum,\
                       iterations_to_early_stop_maximum,train.lr";
        let ranges = "100.0,100.0,0.5,0.5,0.5,0.5,100.0,100.0";
        assert_eq!(
            csv.lines().collect::<Vec<_>>(),
            [
                columns,
                &format!("a,t,1,0.5,1,0,100.0,0.5,0.5,100.0,{ranges},0.1"),
                &format!("b,t,1,0.5,1,0,100.0,0.5,0.5,100.0,{ranges},0.2"),
            ]
        );
        let json = serde_json::to_value(&results[0]).unwrap();
        assert!(json.as_object().unwrap().keys().eq(columns.split(',')), "{json}");
    }
}
