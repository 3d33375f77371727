//! Comparison of runs: the values of their configurations that differ, and their results.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::published::{PublishedComparison, published_comparisons};
use super::result_row::ResultRow;
use super::run::{Run, experiment_of};
use super::run_difference::{DifferenceRow, RunPair};
use super::run_names::run_names;
use super::table::Cell;
use crate::artifacts::{
    ConfigDifference, ConfigValues, LastEvaluations, RoundGroup, RoundRow, config_differences, config_values,
    distinguishing_differences, summary,
};

/// A comparison of runs. Its JSON is the output of `lth compare --json`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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
    /// Results, run by run. Each also has the values of the configuration that distinguish the runs, by key, such as
    /// `train.lr`.
    pub results: Vec<ResultRow>,
    /// Differences between two runs; `None` if more runs are compared, or the configuration of one is not known.
    pub differences: Option<RunDifferences>,
    /// Published numbers beside those of the runs that name them in `report.reference`, run by run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub published: Vec<PublishedComparison>,
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
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RunDifferences {
    /// Whether replicates are paired: the runs have the same seed.
    pub is_paired: bool,
    /// Differences, second run minus first, in the order of the first run.
    pub rows: Vec<DifferenceRow>,
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
        published: Vec::new(),
        runs: names.clone(),
        labels: labels.clone(),
    };
    for (index, (run, name)) in runs.iter().zip(&names).enumerate() {
        if configs[index].is_none() {
            comparison.unknown.push(name.clone());
        }
        if let Ok(Some(experiment)) = experiment_of(&run.dir) {
            comparison.published.extend(published_comparisons(run, &experiment));
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
}
