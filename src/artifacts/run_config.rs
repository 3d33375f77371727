//! The configurations of runs as values, and the values in which they differ. Values are not interpreted, so that runs
//! of other versions can be compared too.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::first_seen::first_seen;
use super::run_checksums::read_run_file;
use crate::config::{ConfigDocument, for_each_leaf};
use crate::system::paths::RunDir;

/// The values of a configuration with their keys, such as `train.lr`, in the order of the configuration.
pub type ConfigValues = Vec<(String, Value)>;

/// A configuration value that differs between runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ConfigDifference {
    /// Its key, such as `train.lr`.
    pub key: String,
    /// Its value in each run, in the order of the runs; `None` if a run has none.
    pub values: Vec<Option<Value>>,
}

/// Returns the values of a run's configuration; `None` if its `resolved.toml` is missing or damaged.
pub fn config_values(run_dir: &RunDir) -> Option<ConfigValues> {
    let text = String::from_utf8(read_run_file(run_dir, RunDir::RESOLVED_CONFIG).ok()??).ok()?;
    let document = ConfigDocument::parse(RunDir::RESOLVED_CONFIG, &text, &[]).ok()?;
    let mut values = Vec::new();
    for_each_leaf(&document.root, "", &mut |key, value| values.push((key.to_owned(), value.clone())));
    Some(values)
}

/// Returns the values that differ between the runs whose configuration is known, in the order of the configurations.
/// `configs`: the configuration of each run, `None` if it is not known.
pub fn config_differences(configs: &[Option<ConfigValues>]) -> Vec<ConfigDifference> {
    let keys = first_seen(configs.iter().flatten().flatten().map(|(key, _)| key.as_str()));
    let value = |config: &Option<ConfigValues>, key: &str| {
        config.as_ref()?.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
    };
    let difference = |key: &str| ConfigDifference {
        key: key.to_owned(),
        values: configs.iter().map(|config| value(config, key)).collect(),
    };
    keys.into_iter().map(difference).filter(|difference| differs(difference, configs)).collect()
}

/// Returns whether a value differs between the runs whose configuration is known.
fn differs(difference: &ConfigDifference, configs: &[Option<ConfigValues>]) -> bool {
    let values = difference.values.iter().zip(configs);
    let mut values_of_known = values.filter(|(_, config)| config.is_some()).map(|(value, _)| value);
    values_of_known.next().is_some_and(|first| values_of_known.any(|other| other != first))
}

/// Like [`config_differences`], but only what distinguishes the numbers of the runs: without their names, the settings
/// of the report and the folders of data. An arm that only some of the runs have counts as one key, `arms.NAME`, with
/// the value `true`.
pub fn distinguishing_differences(configs: &[Option<ConfigValues>]) -> Vec<ConfigDifference> {
    let arms_of = |config: &ConfigValues| -> BTreeSet<String> {
        config.iter().filter_map(|(key, _)| arm_key(key)).map(str::to_owned).collect()
    };
    let arms: Vec<BTreeSet<String>> = configs.iter().flatten().map(arms_of).collect();
    let is_shared = |arm: &str| arms.iter().all(|arms| arms.contains(arm));
    let reduce = |config: &ConfigValues| -> ConfigValues {
        let mut reduced = ConfigValues::new();
        for (key, value) in config.iter().filter(|(key, _)| distinguishes(key)) {
            match arm_key(key).filter(|arm| !is_shared(arm)) {
                None => reduced.push((key.clone(), value.clone())),
                Some(arm) if reduced.last().is_some_and(|(last, _)| last == arm) => {}
                Some(arm) => reduced.push((arm.to_owned(), Value::Bool(true))),
            }
        }
        reduced
    };
    let reduced: Vec<Option<ConfigValues>> = configs.iter().map(|config| config.as_ref().map(reduce)).collect();
    config_differences(&reduced)
}

/// Returns whether the value of a key distinguishes the numbers of runs.
fn distinguishes(key: &str) -> bool {
    let is_folder = key.starts_with("data.") && key.rsplit('.').next() == Some("dir");
    key != "name" && !key.starts_with("report.") && !is_folder
}

/// Returns the key of the arm that `key` belongs to, such as `arms.winning_ticket`; `None` if it belongs to none.
fn arm_key(key: &str) -> Option<&str> {
    let rest = key.strip_prefix("arms.")?;
    let name_length = rest.find('.').unwrap_or(rest.len());
    Some(&key[.."arms.".len() + name_length])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the values of a configuration in TOML.
    fn config(text: &str) -> Option<ConfigValues> {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = RunDir(folder.path().to_owned());
        crate::system::files::write(&run_dir.file(RunDir::RESOLVED_CONFIG), text.as_bytes()).unwrap();
        config_values(&run_dir)
    }

    #[test]
    fn differences_ignore_runs_without_configuration() {
        let configs = [config("seed = 1\n[train]\nlr = 0.1"), None, config("seed = 1\n[train]\nlr = 0.2")];
        let differences = config_differences(&configs);
        assert_eq!(differences.len(), 1);
        assert_eq!(differences[0].key, "train.lr");
        assert_eq!(differences[0].values, [Some(0.1.into()), None, Some(0.2.into())]);
        assert_eq!(config_differences(&configs[..2]), [], "one known configuration does not differ from itself");
    }

    #[test]
    fn distinguishing_differences_leave_out_what_changes_no_number() {
        let configs = [
            config("name = \"a\"\n[data.dataset.idx]\ndir = \"x\"\n[report]\nmargin = 1.0\n[arms.t]\nmask = \"dense\""),
            config(
                "name = \"b\"\n[data.dataset.idx]\ndir = \"y\"\n[report]\nmargin = 2.0\n[arms.t]\nmask = \"dense\"\n\
                 [arms.u]\nmask = \"dense\"\nrepeats = 2",
            ),
        ];
        let differences = distinguishing_differences(&configs);
        assert_eq!(differences.len(), 1, "{differences:?}");
        assert_eq!((differences[0].key.as_str(), &differences[0].values), ("arms.u", &vec![None, Some(true.into())]));
    }
}
