//! The keys in which compared runs differ, and the arrangement of the runs in panels and colours that follows from
//! them.

use serde_json::Value;

use crate::artifacts::ConfigDifference;
use crate::artifacts::first_seen;

/// Largest number of runs in one panel that differ in one key only.
const MAX_RUNS: usize = 8;
/// Number of runs in each of several panels, if there are more than [`MAX_RUNS`].
const RUNS_PER_PANEL: usize = 6;

/// A key in which runs differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SweptKey {
    /// Its short name, such as `lr`.
    pub(crate) name: String,
    /// Its value in each run, as text.
    pub(crate) values: Vec<String>,
}

/// A place of a run in a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunPlace {
    /// Index of the run.
    pub(crate) run: usize,
    /// Index of the colour, the dashes and the marker.
    pub(crate) style: usize,
    /// Name in the legend.
    pub(crate) name: String,
}

/// The arrangement of runs in panels: the title of each panel, empty if it is the only one, and its runs.
pub(crate) type RunPanels = Vec<(String, Vec<RunPlace>)>;

impl SweptKey {
    /// Returns the keys in which runs differ. Of several keys that change together, it returns the first.
    pub(crate) fn all(differences: &[ConfigDifference]) -> Vec<Self> {
        let partition = |difference: &ConfigDifference| -> Vec<Option<usize>> {
            let values = &difference.values;
            values.iter().map(|value| values.iter().position(|other| other == value)).collect()
        };
        let mut kept: Vec<&ConfigDifference> = Vec::new();
        for difference in differences {
            if kept.iter().all(|other| partition(other) != partition(difference)) {
                kept.push(difference);
            }
        }
        let keys: Vec<&str> = kept.iter().map(|difference| difference.key.as_str()).collect();
        let values =
            |difference: &ConfigDifference| difference.values.iter().map(|value| value_text(value.as_ref())).collect();
        kept.iter()
            .map(|difference| Self { name: short_name(&difference.key, &keys), values: values(difference) })
            .collect()
    }

    /// Returns the values, each once: ascending if all are numbers, else in the order of the runs.
    fn distinct(&self) -> Vec<&str> {
        let mut distinct = first_seen(self.values.iter().map(String::as_str));
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        if distinct.iter().all(|text| number(text).is_finite()) {
            distinct.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        distinct
    }

    /// Returns the rank of a run's value among the distinct values.
    fn rank(&self, run: usize) -> usize {
        self.distinct().iter().position(|value| *value == self.values[run]).unwrap_or_default()
    }

    /// Returns the value of a run with the name of the key, such as `lr 0.1`.
    fn setting(&self, run: usize) -> String {
        format!("{} {}", self.name, self.values[run])
    }
}

/// Returns the label of each run: the values of `keys`, such as `lr 1.2e-3, rate 0.4`. If these do not tell all runs
/// apart, the labels are `names`.
pub(crate) fn run_labels(keys: &[SweptKey], names: &[String]) -> Vec<String> {
    let label = |run: usize| keys.iter().map(|key| key.setting(run)).collect::<Vec<_>>().join(", ");
    let labels: Vec<String> = (0..names.len()).map(label).collect();
    let are_distinct = first_seen(labels.iter()).len() == labels.len();
    if are_distinct && !keys.is_empty() { labels } else { names.to_vec() }
}

/// Returns the panels of `runs`, indices of runs that `labels` name. If several keys differ, the key with the most
/// values gives the colour, and the others the panel. If only one differs, a panel has all runs, or if these are too
/// many, [`RUNS_PER_PANEL`] of them in the order of the values.
pub(crate) fn run_panels(keys: &[SweptKey], labels: &[String], runs: &[usize]) -> RunPanels {
    if let Some(panels) = panels_by_keys(keys, labels, runs) {
        return panels;
    }
    let mut ordered = runs.to_vec();
    ordered.sort_by_key(|&run| keys.iter().map(|key| key.rank(run)).collect::<Vec<_>>());
    let places: Vec<RunPlace> = ordered
        .into_iter()
        .enumerate()
        .map(|(style, run)| RunPlace { run, style, name: labels[run].clone() })
        .collect();
    if places.len() <= MAX_RUNS {
        return vec![(String::new(), places)];
    }
    let title = |places: &[RunPlace]| match places {
        [first, .., last] => format!("{} to {}", first.name, last.name),
        _ => places.iter().map(|place| place.name.clone()).collect(),
    };
    places.chunks(RUNS_PER_PANEL).map(|places| (title(places), places.to_vec())).collect()
}

/// Returns the panels of runs that differ in several keys; `None` if they differ in one only, if keys do not tell them
/// apart, or if the panels would have only one run each.
fn panels_by_keys(keys: &[SweptKey], labels: &[String], runs: &[usize]) -> Option<RunPanels> {
    let (colour_index, colour_key) = keys.iter().enumerate().max_by_key(|(_, key)| key.distinct().len())?;
    let mut others: Vec<&SweptKey> = keys.iter().collect();
    others.remove(colour_index);
    let is_labelled_by_keys = labels.first().is_some_and(|label| label.contains(&keys[0].setting(0)));
    if others.is_empty() || !is_labelled_by_keys || colour_key.distinct().len() > MAX_RUNS {
        return None;
    }
    let mut ordered = runs.to_vec();
    ordered.sort_by_key(|&run| (others.iter().map(|key| key.rank(run)).collect::<Vec<_>>(), colour_key.rank(run)));
    let mut panels: RunPanels = Vec::new();
    for run in ordered {
        let title = others.iter().map(|key| key.setting(run)).collect::<Vec<_>>().join(", ");
        let place = RunPlace { run, style: colour_key.rank(run), name: colour_key.setting(run) };
        match panels.last_mut() {
            Some((last, places)) if *last == title => places.push(place),
            _ => panels.push((title, vec![place])),
        }
    }
    (panels.len() * 2 <= runs.len()).then_some(panels)
}

/// Returns the shortest end of a key that no other of `keys` has, such as `lr` for `train.lr`; `rate` for the pruning
/// rate of a kind of layers, if it is the only one among them.
fn short_name(key: &str, keys: &[&str]) -> String {
    const RATE: &str = "prune.rate.";
    if key.starts_with(RATE) && keys.iter().filter(|other| other.starts_with(RATE)).count() == 1 {
        return "rate".to_owned();
    }
    let starts = key.char_indices().rev().filter(|(_, c)| *c == '.').map(|(dot, _)| dot + 1);
    let is_unique =
        |end: &str| keys.iter().filter(|other| **other == end || other.ends_with(&format!(".{end}"))).count() == 1;
    starts.map(|start| &key[start..]).find(|end| is_unique(end)).unwrap_or(key).to_owned()
}

/// Returns a value as text: a number below 0.01 as `1.2e-3`, a text without quotes, `none` for no value.
fn value_text(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(number) => match number.as_f64() {
            Some(small) if small != 0.0 && small.abs() < 0.01 => format!("{small:e}"),
            _ => number.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn difference(key: &str, values: &[Value]) -> ConfigDifference {
        ConfigDifference { key: key.to_owned(), values: values.iter().cloned().map(Some).collect() }
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|run| format!("run-{run}")).collect()
    }

    #[test]
    fn keys_that_change_together_count_once() {
        let differences = [
            difference("train.lr", &[json!(0.0012), json!(0.1)]),
            difference("train.warmup", &[json!("1ep"), json!("2ep")]),
        ];
        let keys = SweptKey::all(&differences);
        assert_eq!(run_labels(&keys, &names(2)), ["lr 1.2e-3", "lr 0.1"]);
        assert_eq!(run_labels(&[], &names(2)), names(2));
    }

    #[test]
    fn names_are_short_and_distinct() {
        let keys = ["prune.rate.linear", "arms.a.lr", "train.lr", "seed"];
        assert_eq!(keys.map(|key| short_name(key, &keys)), ["rate", "a.lr", "train.lr", "seed"]);
        let rates = ["prune.rate.linear", "prune.rate.output"];
        assert_eq!(rates.map(|key| short_name(key, &rates)), ["linear", "output"]);
    }

    #[test]
    fn two_keys_are_panels_and_colours() {
        // A grid of 3 learning rates and 3 rates, in the order of a nested loop.
        let lr = [0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.05, 0.05, 0.05].map(|lr| json!(lr));
        let rate = [0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6].map(|rate| json!(rate));
        let keys = SweptKey::all(&[difference("train.lr", &lr), difference("prune.rate.linear", &rate)]);
        let labels = run_labels(&keys, &names(9));
        let panels = run_panels(&keys, &labels, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let titles: Vec<&str> = panels.iter().map(|(title, _)| title.as_str()).collect();
        assert_eq!(titles, ["lr 0.05", "lr 0.1", "lr 0.2"], "ascending");
        let places: Vec<_> = panels[0].1.iter().map(|place| (place.run, place.style, place.name.as_str())).collect();
        assert_eq!(places, [(6, 0, "rate 0.2"), (7, 1, "rate 0.4"), (8, 2, "rate 0.6")]);
    }

    #[test]
    fn many_values_of_one_key_are_several_panels_of_one_figure() {
        let values: Vec<Value> = (0..30).map(|seed| json!(seed)).collect();
        let keys = SweptKey::all(&[difference("seed", &values)]);
        let labels = run_labels(&keys, &names(30));
        let panels = run_panels(&keys, &labels, &(0..30).collect::<Vec<_>>());
        assert_eq!((panels.len(), panels[4].0.as_str()), (5, "seed 24 to seed 29"));
        assert_eq!(run_panels(&keys, &labels, &[0, 1]).len(), 1);
    }
}
