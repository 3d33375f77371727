//! The keys in which compared runs differ, and the arrangement of the runs in panels and colours that follows from
//! them.

use serde_json::Value;

use crate::artifacts::{ConfigDifference, RunLabels, first_seen, value_text};

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
    /// Returns the keys whose values the labels of runs show; a run that lacks a value has `none`.
    pub(crate) fn all(labels: &RunLabels) -> Vec<Self> {
        let text = |value: &Option<Value>| value.as_ref().map_or_else(|| "none".to_owned(), value_text);
        let key = |(name, difference): (String, &ConfigDifference)| Self {
            name,
            values: difference.values.iter().map(text).collect(),
        };
        labels.named_keys().into_iter().map(key).collect()
    }

    /// Returns the values, each once: ascending if all are numbers, else in the order of the runs.
    pub(super) fn distinct(&self) -> Vec<&str> {
        let mut distinct = first_seen(self.values.iter().map(String::as_str));
        let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        if distinct.iter().all(|text| number(text).is_finite()) {
            distinct.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        distinct
    }

    /// Returns the rank of a run's value among the distinct values.
    pub(super) fn rank(&self, run: usize) -> usize {
        self.distinct().iter().position(|value| *value == self.values[run]).unwrap_or_default()
    }

    /// Returns the value of a run with the name of the key, such as `lr 0.1`.
    fn setting(&self, run: usize) -> String {
        format!("{} {}", self.name, self.values[run])
    }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::artifacts::ConfigValues;

    /// Returns the keys of runs with these values, and the labels of the runs.
    fn swept(values: &[(&str, &[Value])]) -> (Vec<SweptKey>, Vec<String>) {
        let run =
            |run: usize| Some(values.iter().map(|(key, values)| ((*key).to_owned(), values[run].clone())).collect());
        let configs: Vec<Option<ConfigValues>> = (0..values[0].1.len()).map(run).collect();
        let labels = RunLabels::of(&configs);
        (SweptKey::all(&labels), labels.labels.into_iter().flatten().collect())
    }

    #[test]
    fn keys_have_the_names_and_values_of_labels() {
        let (keys, labels) = swept(&[("train.lr", &[json!(0.0012), json!(0.1)])]);
        assert_eq!(keys, [SweptKey { name: "lr".to_owned(), values: vec!["1.2e-3".to_owned(), "0.1".to_owned()] }]);
        assert_eq!(labels, [keys[0].setting(0), keys[0].setting(1)]);
    }

    #[test]
    fn two_keys_are_panels_and_colours() {
        // A grid of 3 learning rates and 3 rates, in the order of a nested loop.
        let lr = [0.1, 0.1, 0.1, 0.2, 0.2, 0.2, 0.05, 0.05, 0.05].map(|lr| json!(lr));
        let rate = [0.2, 0.4, 0.6, 0.2, 0.4, 0.6, 0.2, 0.4, 0.6].map(|rate| json!(rate));
        let (keys, labels) = swept(&[("train.lr", &lr), ("prune.rate.linear", &rate)]);
        let panels = run_panels(&keys, &labels, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let titles: Vec<&str> = panels.iter().map(|(title, _)| title.as_str()).collect();
        assert_eq!(titles, ["lr 0.05", "lr 0.1", "lr 0.2"], "ascending");
        let places: Vec<_> = panels[0].1.iter().map(|place| (place.run, place.style, place.name.as_str())).collect();
        assert_eq!(places, [(6, 0, "rate 0.2"), (7, 1, "rate 0.4"), (8, 2, "rate 0.6")]);
    }

    #[test]
    fn many_values_of_one_key_are_several_panels_of_one_figure() {
        let values: Vec<Value> = (0..30).map(|seed| json!(seed)).collect();
        let (keys, labels) = swept(&[("seed", &values)]);
        let panels = run_panels(&keys, &labels, &(0..30).collect::<Vec<_>>());
        assert_eq!((panels.len(), panels[4].0.as_str()), (5, "seed 24 to seed 29"));
        assert_eq!(run_panels(&keys, &labels, &[0, 1]).len(), 1);
    }
}
