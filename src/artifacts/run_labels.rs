//! Short labels that tell runs apart, by the keys in which their configurations differ: `lr 1.2e-3, rate 0.4`.

use serde_json::Value;

use super::run_config::{ConfigDifference, ConfigValues, distinguishing_differences};

/// The largest number of characters of a value in a label; a longer one is cut.
const MAX_VALUE: usize = 24;

/// The keys that tell some runs apart, and a label for each run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunLabels {
    /// Every value that distinguishes the numbers of the runs.
    pub differences: Vec<ConfigDifference>,
    /// The label of each run, in the order of the runs; `None` if its configuration is not known or does not differ.
    pub labels: Vec<Option<String>>,
}

impl RunLabels {
    /// Returns the labels of runs with these configurations; `None` stands for a configuration that is not known.
    ///
    /// Of keys whose values change together from run to run, a label has the first only; `seed` and `replicates` give
    /// way to all others.
    pub fn of(configs: &[Option<ConfigValues>]) -> Self {
        let differences = distinguishing_differences(configs);
        let labelled = without_redundant(&differences);
        let names = short_names(&labelled);
        let label = |(index, config): (usize, &Option<ConfigValues>)| {
            let parts = labelled.iter().zip(&names).map(|(difference, name)| part(difference, index, name));
            (config.is_some() && !labelled.is_empty()).then(|| parts.collect::<Vec<_>>().join(", "))
        };
        let labels = configs.iter().enumerate().map(label).collect();
        Self { differences, labels }
    }

    /// Returns the keys whose values the labels show, each with the short name that it has there, such as `lr`.
    pub fn named_keys(&self) -> Vec<(String, &ConfigDifference)> {
        let labelled = without_redundant(&self.differences);
        short_names(&labelled).into_iter().zip(labelled).collect()
    }
}

/// Returns the part of a label that shows the value of run `index`: `lr 0.1`, `no lr` for a missing value, and for an
/// arm that only some runs have `with NAME` or `no NAME`.
fn part(difference: &ConfigDifference, index: usize, name: &str) -> String {
    match &difference.values[index] {
        None => format!("no {name}"),
        Some(Value::Bool(true)) if difference.key.starts_with("arms.") => format!("with {name}"),
        Some(value) => format!("{name} {}", cut(&value_text(value))),
    }
}

/// Returns `differences` without those whose values change together with the values of an earlier one.
fn without_redundant(differences: &[ConfigDifference]) -> Vec<&ConfigDifference> {
    let is_general = |difference: &&ConfigDifference| ["seed", "replicates"].contains(&difference.key.as_str());
    let (general, special): (Vec<_>, Vec<_>) = differences.iter().partition(is_general);
    let mut kept: Vec<&ConfigDifference> = Vec::new();
    for difference in special.into_iter().chain(general) {
        if !kept.iter().any(|other| partition(other) == partition(difference)) {
            kept.push(difference);
        }
    }
    kept
}

/// Returns for each run the index of the first run with the same value: equal for differences whose values change
/// together.
fn partition(difference: &ConfigDifference) -> Vec<Option<usize>> {
    let values = &difference.values;
    values.iter().map(|value| values.iter().position(|other| other == value)).collect()
}

/// Returns the shortest end of each key that no other of the keys has: `lr` for `train.lr`. The rate of a kind of layer
/// is called `rate`, if it is the only one.
fn short_names(differences: &[&ConfigDifference]) -> Vec<String> {
    let keys: Vec<Vec<&str>> =
        differences.iter().map(|difference| difference.key.split('.').collect::<Vec<_>>()).collect();
    let is_rate = |key: &[&str]| key.starts_with(&["prune", "rate"]);
    let rates = keys.iter().filter(|key| is_rate(key)).count();
    let name = |key: &Vec<&str>| {
        if is_rate(key) && key.len() > 2 {
            return if rates == 1 { "rate".to_owned() } else { key[1..].join(".") };
        }
        let is_unique = |suffix: &[&str]| keys.iter().filter(|other| other.ends_with(suffix)).count() == 1;
        let start = (0..key.len()).rev().find(|&start| is_unique(&key[start..])).unwrap_or(0);
        key[start..].join(".")
    };
    keys.iter().map(name).collect()
}

/// Returns a value as text: numbers below 0.01 as `1.2e-3`, texts without quotes, lists in brackets.
pub fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(value_text).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| format!("{key} {}", value_text(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, float_text),
        other => other.to_string(),
    }
}

fn float_text(number: f64) -> String {
    let is_plain = number == 0.0 || (0.01..1e6).contains(&number.abs());
    if is_plain { number.to_string() } else { format!("{number:e}") }
}

/// Returns a text with at most [`MAX_VALUE`] characters; one that is cut ends with `…`.
fn cut(text: &str) -> String {
    if text.chars().count() <= MAX_VALUE {
        return text.to_owned();
    }
    text.chars().take(MAX_VALUE - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configs(values: &[&[(&str, Value)]]) -> Vec<Option<ConfigValues>> {
        let config =
            |values: &&[(&str, Value)]| values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        values.iter().map(|values| Some(config(values))).collect()
    }

    fn labels(values: &[&[(&str, Value)]]) -> Vec<String> {
        RunLabels::of(&configs(values)).labels.into_iter().map(Option::unwrap).collect()
    }

    #[test]
    fn labels_have_short_names_and_only_values_that_differ() {
        let run = |lr: f64, rate: f64| {
            [
                ("seed", json!(1)),
                ("train.lr", json!(lr)),
                ("prune.rate.linear", json!(rate)),
                // Changes together with the rate of linear layers.
                ("prune.rate.output", json!(rate / 2.0)),
            ]
        };
        let runs = [run(0.0012, 0.2), run(0.0012, 0.4), run(0.05, 0.4)];
        let values: Vec<&[(&str, Value)]> = runs.iter().map(|run| &run[..]).collect();
        assert_eq!(labels(&values), ["lr 1.2e-3, rate 0.2", "lr 1.2e-3, rate 0.4", "lr 0.05, rate 0.4"]);
        let labels = RunLabels::of(&configs(&values));
        let keys: Vec<&str> = labels.named_keys().into_iter().map(|(_, difference)| difference.key.as_str()).collect();
        assert_eq!(keys, ["train.lr", "prune.rate.linear"]);
    }

    #[test]
    fn labels_extend_names_that_are_ambiguous() {
        let first = [("arms.a.repeats", json!(1)), ("arms.b.repeats", json!(1))];
        let second = [("arms.a.repeats", json!(2)), ("arms.b.repeats", json!(1))];
        let third = [("arms.a.repeats", json!(2)), ("arms.b.repeats", json!(3))];
        assert_eq!(
            labels(&[&first, &second, &third]),
            ["a.repeats 1, b.repeats 1", "a.repeats 2, b.repeats 1", "a.repeats 2, b.repeats 3"]
        );
        let rates = [
            [("prune.rate.linear", json!(0.1)), ("prune.rate.output", json!(0.1))],
            [("prune.rate.linear", json!(0.1)), ("prune.rate.output", json!(0.3))],
            [("prune.rate.linear", json!(0.2)), ("prune.rate.output", json!(0.3))],
        ];
        assert_eq!(labels(&[&rates[0], &rates[1], &rates[2]])[1], "rate.linear 0.1, rate.output 0.3");
    }

    #[test]
    fn labels_name_arms_and_seeds() {
        let with = [("seed", json!(1)), ("arms.random_mask.mask", json!("dense"))];
        let without = [("seed", json!(2))];
        assert_eq!(labels(&[&with, &without]), ["with random_mask", "no random_mask"], "seeds change together with it");
        assert_eq!(labels(&[&[("seed", json!(1))], &[("seed", json!(2))]]), ["seed 1", "seed 2"]);
        let unknown = RunLabels::of(&[None, Some(vec![("seed".to_owned(), json!(1))])]);
        assert_eq!(unknown.labels, [None, None]);
    }

    #[test]
    fn long_values_are_cut() {
        let layers = |out: u32| [("network.layers", json!([{"conv": {"out": out}}, "relu", "flatten"]))];
        assert_eq!(labels(&[&layers(32), &layers(64)])[0], "layers [conv out 32, relu, fla…");
    }
}
