//! The results of one arm at one round of a run, as `lth compare` shows them: in a table, as CSV and as JSON.

use std::borrow::Cow;

use anyhow::{Context, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::artifacts::{METRICS, Metric, SummaryRow};
use crate::base::formula::without_formulas;
use crate::base::stats::SummaryStats;

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

/// The first columns in CSV and JSON: name, type in JSON, and meaning of each. After them come the means of the metrics,
/// their ranges, and the values of the configuration that distinguish the runs.
const COLUMNS: [(&str, &str, &str); 6] = [
    ("run", "string", "Name of the run."),
    ("arm", "string", "Name of the arm."),
    (
        "round",
        "integer",
        "Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.",
    ),
    ("weights_remaining", "number", "Kept / all weights, mean over the training runs, 0..=1."),
    ("n", "integer", "Number of training runs that reached their last iteration."),
    ("without_result", "integer", "Number of training runs that diverged or failed."),
];

/// Returns the metrics that are compared, in the order of their columns.
fn compared_metrics() -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(|metric| metric.is_compared)
}

impl ResultRow {
    /// Returns the results of a row of the summary of a run; `censored` as in [`censored`](Self::censored).
    pub(super) fn new(
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
        let value = |(name, metric, statistic): (String, &Metric, Statistic)| {
            (name, self.stats(metric).map(|stats| statistic.value(&stats)))
        };
        metric_statistics().map(value).collect()
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

/// A statistic of a metric over training runs.
#[derive(Clone, Copy)]
enum Statistic {
    Mean,
    Minimum,
    Maximum,
}

impl Statistic {
    /// Returns the name of its column for a metric.
    fn column(self, metric: &Metric) -> String {
        match self {
            Self::Mean => metric.name.to_owned(),
            Self::Minimum => format!("{}_minimum", metric.name),
            Self::Maximum => format!("{}_maximum", metric.name),
        }
    }

    /// Returns its name at the beginning of a sentence.
    fn title(self) -> &'static str {
        match self {
            Self::Mean => "Mean",
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
        }
    }

    /// Returns its value.
    fn value(self, stats: &SummaryStats) -> f64 {
        match self {
            Self::Mean => stats.mean,
            Self::Minimum => stats.min,
            Self::Maximum => stats.max,
        }
    }
}

/// Returns the columns of the metrics: the mean of each, then the smallest and the largest value of each.
fn metric_statistics() -> impl Iterator<Item = (String, &'static Metric, Statistic)> {
    let means = compared_metrics().map(|metric| (metric, Statistic::Mean));
    let ranges = compared_metrics().flat_map(|metric| [(metric, Statistic::Minimum), (metric, Statistic::Maximum)]);
    means.chain(ranges).map(|(metric, statistic)| (statistic.column(metric), metric, statistic))
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

impl JsonSchema for ResultRow {
    fn schema_name() -> Cow<'static, str> {
        "ResultRow".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let first =
            COLUMNS.map(|(name, kind, meaning)| (name.to_owned(), json!({ "description": meaning, "type": kind })));
        let metrics = metric_statistics().map(|(name, metric, statistic)| {
            let meaning = format!(
                "{} of `{}` over the n training runs, {}; `None` if none has a value.",
                statistic.title(),
                metric.name,
                metric.unit.in_words()
            );
            (name, json!({ "description": meaning, "type": ["number", "null"] }))
        });
        let properties: Map<String, Value> = first.into_iter().chain(metrics).collect();
        let required: Vec<&String> = properties.keys().collect();
        json_schema!({
            "description": "The results of an arm at a round of a run. The values of the configuration that distinguish \
                the runs follow, by key.",
            "type": "object",
            "required": required,
            "properties": properties,
        })
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
    writer.write_record(COLUMNS.iter().map(|(name, ..)| (*name).to_owned()).chain(metrics).chain(settings))?;
    for row in rows {
        let metrics: Vec<Option<f64>> = row.metric_columns().into_iter().map(|(_, value)| value).collect();
        let settings: Vec<String> = row.settings.iter().map(|(_, value)| csv_value(value.as_ref())).collect();
        let counts = (&row.run, &row.arm, row.round, row.weights_remaining, row.n, row.without_result);
        writer.serialize((counts, metrics, settings))?;
    }
    Ok(without_formulas(writer.into_inner().context("could not finish a CSV file")?))
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

#[cfg(test)]
mod tests {
    use super::super::compare::compare;
    use super::super::run::Run;
    use super::super::test_fixtures::rows;
    use super::*;
    use crate::system::files;
    use crate::system::paths::RunDir;

    /// Returns a run with two arms and this learning rate.
    fn run(folder: &std::path::Path, name: &str, lr: &str) -> Run {
        let dir = RunDir(folder.join(name));
        files::write(&dir.file(RunDir::RESOLVED_CONFIG), format!("[train]\nlr = {lr}").as_bytes()).unwrap();
        let rounds = [rows("dense", 0, &[(100, 0.5), (200, 0.75)]), rows("t", 1, &[(100, 0.5)])].concat();
        Run { dir, rounds, manifest: None }
    }

    #[test]
    fn results_csv_json_and_schema_have_the_same_columns() {
        let folder = tempfile::tempdir().unwrap();
        let with_lr = |name: &str, lr: &str| run(folder.path(), name, lr);
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
        let schema = schemars::schema_for!(ResultRow).to_value();
        let described = schema["properties"].as_object().unwrap().keys().map(String::as_str);
        assert!(described.chain(["train.lr"]).eq(columns.split(',')), "{schema}");
    }
}
