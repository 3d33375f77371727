//! Robustness and calibration of a run's networks: the measures of each network, and their table.
//!
//! A measure that averages over conditions, such as all corruptions, uses the conditions under which every network was
//! measured that was measured under any of them, so that the means are comparable. The other networks have no value.

use std::collections::{BTreeMap, BTreeSet};

use super::arm_round::ArmRound;
use super::table::{Cell, Table};
use crate::artifacts::{CalibrationRow, RobustnessData, RobustnessRow, first_seen};
use crate::base::format::{accuracy, count_of, mean_and_range, percent, with_thousands};
use crate::base::stats::SummaryStats;

/// The quality that a measure stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quality {
    /// Accuracy on the test images as they are.
    Clean,
    /// Accuracy on changed test images.
    Robust,
    /// Expected calibration error: the lower, the better.
    Calibration,
}

/// A number that each network has, a share of 1.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measure {
    /// The title of its column and of its panel, with the unit.
    pub(crate) title: String,
    /// A name for sentences.
    pub(crate) name: String,
    pub(crate) quality: Quality,
    /// The step between neighbouring values; 0 if they are continuous.
    pub(crate) resolution: f64,
    /// The keys of the conditions that it averages over; empty for measures on the test images as they are.
    conditions: BTreeSet<String>,
}

/// A network and its measures.
struct NetworkMeasures<'a> {
    row: &'a CalibrationRow,
    /// In the order of [`Robustness::measures`].
    values: Vec<f64>,
}

/// The measures of all networks.
pub(crate) struct Robustness<'a> {
    /// The measures, in the order of tables and figures.
    pub(crate) measures: Vec<Measure>,
    networks: Vec<NetworkMeasures<'a>>,
}

/// Returns what tells a condition from all others. Strengths are written with all digits.
fn condition_key(row: &RobustnessRow) -> String {
    let RobustnessRow { condition, norm, level, strength, steps, seed, images, .. } = row;
    format!("{condition} {norm:?} {level:?} {strength} {steps:?} {seed:?} {images}")
}

/// Returns the name of the attack of a row, whose conditions differ in ε only; `None` for other conditions.
fn attack_name(row: &RobustnessRow) -> Option<String> {
    let (norm, steps) = (row.norm.as_ref()?, row.steps?);
    let steps = if row.condition == "fgsm" { String::new() } else { format!(", {steps} steps") };
    let seed = row.seed.filter(|seed| *seed != 1).map_or_else(String::new, |seed| format!(", seed {seed}"));
    Some(format!("{} {norm}{steps}{seed} on {} images", row.condition, with_thousands(row.images)))
}

impl<'a> Robustness<'a> {
    /// Computes the measures of all networks of `data`.
    pub(crate) fn new(data: &'a RobustnessData) -> Self {
        let mut by_network: BTreeMap<&str, BTreeMap<String, &RobustnessRow>> = BTreeMap::new();
        for row in &data.robustness {
            by_network.entry(&row.key).or_default().insert(condition_key(row), row);
        }
        let measures = measures(data, &by_network);
        let network = |row: &'a CalibrationRow| {
            let rows = by_network.get(row.key.as_str());
            let value = |measure: &Measure| match measure.quality {
                Quality::Clean => row.accuracy,
                Quality::Calibration => row.expected_calibration_error,
                Quality::Robust => {
                    let rows = measure.conditions.iter().map(|key| rows?.get(key));
                    let values: Option<Vec<f64>> = rows.map(|row| Some(row?.accuracy)).collect();
                    values.and_then(|values| SummaryStats::of(&values)).map_or(f64::NAN, |stats| stats.mean)
                }
            };
            NetworkMeasures { row, values: measures.iter().map(value).collect() }
        };
        let networks = data.calibration.iter().map(network).collect();
        Self { measures, networks }
    }

    /// Returns the arms at their rounds that have networks, in the order of the rows.
    pub(crate) fn arm_rounds(&self) -> Vec<ArmRound<'a>> {
        first_seen(self.networks.iter().map(|network| ArmRound::new(&network.row.arm, network.row.round)))
    }

    /// Returns the networks of an arm at a round.
    fn networks(&self, place: ArmRound<'_>) -> impl Iterator<Item = &NetworkMeasures<'a>> {
        self.networks
            .iter()
            .filter(move |network| (network.row.arm.as_str(), network.row.round) == (place.arm, place.round))
    }

    /// Returns the mean share of weights remaining of an arm at a round, 0..=1; NaN if it has no networks.
    pub(crate) fn weights_remaining(&self, place: ArmRound<'_>) -> f64 {
        let shares: Vec<f64> = self.networks(place).map(|network| network.row.weights_remaining).collect();
        SummaryStats::of(&shares).map_or(f64::NAN, |stats| stats.mean)
    }

    /// Returns the values of the measure with an index, one for each network of an arm at a round.
    pub(crate) fn values(&self, place: ArmRound<'_>, measure: usize) -> Vec<f64> {
        self.networks(place).map(|network| network.values[measure]).filter(|value| value.is_finite()).collect()
    }

    /// Returns the means of a measure over the repeats of each replicate.
    fn by_replicate(&self, place: ArmRound<'_>, measure: usize) -> BTreeMap<u32, f64> {
        let mut values: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for network in self.networks(place).filter(|network| network.values[measure].is_finite()) {
            values.entry(network.row.replicate).or_default().push(network.values[measure]);
        }
        let means = values.into_iter().map(|(replicate, values)| Some((replicate, SummaryStats::of(&values)?.mean)));
        means.flatten().collect()
    }

    /// Returns `left` − `right` of a measure for each replicate that has both, by ascending replicate.
    pub(crate) fn differences(&self, left: ArmRound<'_>, right: ArmRound<'_>, measure: usize) -> Vec<f64> {
        let right = self.by_replicate(right, measure);
        let difference = |(replicate, value)| Some(value - right.get(&replicate)?);
        self.by_replicate(left, measure).into_iter().filter_map(difference).collect()
    }
}

/// Returns the measures of networks with rows `by_network`, by the key of the network and of the condition.
fn measures(data: &RobustnessData, by_network: &BTreeMap<&str, BTreeMap<String, &RobustnessRow>>) -> Vec<Measure> {
    let images = data.calibration.iter().map(|row| row.images).min().unwrap_or(1).max(1);
    let plain = |title: &str, name: &str, quality, resolution| Measure {
        title: title.to_owned(),
        name: name.to_owned(),
        quality,
        resolution,
        conditions: BTreeSet::new(),
    };
    let mut measures = vec![plain("test accuracy (%)", "test accuracy", Quality::Clean, 1.0 / images as f64)];
    let groups =
        std::iter::once(None).chain(first_seen(data.robustness.iter().filter_map(attack_name)).into_iter().map(Some));
    for attack in groups {
        let is_of_group = |row: &&RobustnessRow| match &attack {
            None => row.level.is_some(),
            Some(name) => row.strength > 0.0 && attack_name(row).as_ref() == Some(name),
        };
        let rows: Vec<&RobustnessRow> = data.robustness.iter().filter(is_of_group).collect();
        measures.extend(condition_measure(attack, &rows, by_network));
    }
    measures.push(plain("calibration error (points)", "expected calibration error", Quality::Calibration, 0.0));
    distinguish_titles(&mut measures);
    measures
}

/// Returns the mean accuracy over conditions of one kind, those of `rows`: the attack with a name, or corruptions. The
/// conditions are those that every network has which has any of this kind; `None` if there are none.
fn condition_measure(
    attack: Option<String>,
    rows: &[&RobustnessRow],
    by_network: &BTreeMap<&str, BTreeMap<String, &RobustnessRow>>,
) -> Option<Measure> {
    let keys: BTreeSet<String> = rows.iter().map(|row| condition_key(row)).collect();
    let measured: Vec<_> = by_network.values().filter(|rows| keys.iter().any(|key| rows.contains_key(key))).collect();
    let is_common = |row: &&&RobustnessRow| measured.iter().all(|rows| rows.contains_key(&condition_key(row)));
    let common: Vec<&RobustnessRow> = rows.iter().filter(is_common).copied().collect();
    let first = common.first()?;
    let conditions: BTreeSet<String> = common.iter().map(|row| condition_key(row)).collect();
    let (title, name) = match attack {
        None => {
            let kinds = first_seen(common.iter().map(|row| row.condition.as_str()));
            let kinds = if kinds.len() > 2 { count_of(kinds.len() as u64, "corruption") } else { kinds.join(" and ") };
            let levels: BTreeSet<Option<u32>> = common.iter().map(|row| row.level).collect();
            let levels = count_of(levels.len() as u64, "level");
            ("accuracy, corrupted (%)".to_owned(), format!("mean accuracy over {kinds} at {levels}"))
        }
        Some(name) => {
            let epsilons = first_seen(common.iter().map(|row| row.strength.to_string())).join(", ");
            let norm = first.norm.as_deref().unwrap_or_default();
            let title = format!("accuracy, {} {norm} (%)", first.condition);
            (title, format!("mean accuracy under {name}, ε = {epsilons}"))
        }
    };
    let resolution = 1.0 / (first.images.max(1) * conditions.len() as u64) as f64;
    Some(Measure { title, name, quality: Quality::Robust, resolution, conditions })
}

/// Replaces titles that several measures have by their names.
fn distinguish_titles(measures: &mut [Measure]) {
    let titles: Vec<String> = measures.iter().map(|measure| measure.title.clone()).collect();
    for measure in measures {
        if titles.iter().filter(|title| **title == measure.title).count() > 1 {
            measure.title = format!("{} (%)", measure.name);
        }
    }
}

/// Returns what the measures on changed images are, as sentences, with the number of conditions that are left out; empty
/// if there are none.
pub fn measures_note(data: &RobustnessData) -> String {
    let robustness = Robustness::new(data);
    let changed = || robustness.measures.iter().filter(|measure| measure.quality == Quality::Robust);
    let names: Vec<String> = changed().map(|measure| measure.name.clone()).collect();
    let used: BTreeSet<&String> = changed().flat_map(|measure| &measure.conditions).collect();
    let is_changed = |row: &&RobustnessRow| row.strength > 0.0 || row.level.is_some();
    let keys: BTreeSet<String> = data.robustness.iter().filter(is_changed).map(condition_key).collect();
    let left_out = keys.iter().filter(|key| !used.contains(key)).count();
    let mut sentences = Vec::new();
    if !names.is_empty() {
        sentences.push(format!("Changed images: {}.", names.join("; ")));
    }
    if left_out > 0 {
        let verb = if left_out == 1 { "is" } else { "are" };
        sentences.push(format!(
            "{} that only some of the networks were measured under {verb} left out; `robustness.csv` has them, and \
             `lth evaluate` with the same options measures the other networks.",
            count_of(left_out as u64, "condition")
        ));
    }
    sentences.join(" ")
}

/// Returns a table of the measures: a row for each arm and round; empty without rows.
pub fn robustness_table(data: &RobustnessData) -> Table {
    let robustness = Robustness::new(data);
    let titles = robustness.measures.iter().map(|measure| measure.title.clone());
    let columns = ["arm", "round", "weights remaining"].into_iter().map(str::to_owned);
    let mut table = Table::new(columns.chain(titles).chain(["n".to_owned()]));
    for place in robustness.arm_rounds() {
        let mut cells = vec![
            Cell::text(place.arm),
            Cell::number(place.round),
            Cell::number(percent(robustness.weights_remaining(place))),
        ];
        let cell = |measure| Cell::number(mean_and_range(&robustness.values(place, measure), accuracy));
        cells.extend((0..robustness.measures.len()).map(cell));
        cells.push(Cell::number(robustness.networks(place).count()));
        table.rows.push(cells);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::robustness_data;
    use super::*;

    #[test]
    fn table_averages_over_conditions_that_every_network_has() {
        let mut data = robustness_data();
        // Measured on one network only: left out of the means.
        let extra = RobustnessRow { strength: 0.9, level: Some(5), accuracy: 0.0, ..data.robustness[1].clone() };
        data.robustness.push(extra);
        let table = robustness_table(&data);
        assert_eq!(table.header[3..5], ["test accuracy (%)", "accuracy, corrupted (%)"]);
        assert_eq!(table.header[5], "accuracy, pgd linf (%)");
        let note = measures_note(&data);
        let measures = "Changed images: mean accuracy over blur at 2 levels; mean accuracy under pgd linf, 10 steps on 100 images, \
                        ε = 0.1. 1 condition that only some";
        assert!(note.starts_with(measures), "{note}");
        let cells: Vec<&str> = table.rows[0].iter().map(Cell::as_str).collect();
        let expected = ["dense", "0", "100%", "90.00 (90.00–90.00)", "75.00 (74.00–76.00)", "40.00 (40.00–40.00)"];
        assert_eq!(cells[..6], expected);
        assert_eq!(cells[6..], ["2.00 (2.00–2.00)", "3"]);
    }

    #[test]
    fn network_without_corruptions_has_no_mean_over_them_and_takes_none_from_others() {
        let mut data = robustness_data();
        data.robustness.retain(|row| row.level.is_none() || row.arm != "reinit");
        let table = robustness_table(&data);
        let cell = |arm: &str| table.rows.iter().find(|row| row[0].as_str() == arm).unwrap()[4].as_str().to_owned();
        assert_eq!((cell("dense").as_str(), cell("reinit").as_str()), ("75.00 (74.00–76.00)", "–"));
        assert!(!measures_note(&data).contains("left out"), "{}", measures_note(&data));
    }

    #[test]
    fn measures_of_one_title_have_their_names_as_titles() {
        let mut data = robustness_data();
        let longer = |row: &RobustnessRow| RobustnessRow { steps: Some(20), ..row.clone() };
        let attacks: Vec<RobustnessRow> = data.robustness.iter().filter(|row| row.norm.is_some()).map(longer).collect();
        data.robustness.extend(attacks);
        let titles = robustness_table(&data).header;
        assert_eq!(titles[5], "mean accuracy under pgd linf, 10 steps on 100 images, ε = 0.1 (%)");
        assert_eq!(titles[6], "mean accuracy under pgd linf, 20 steps on 100 images, ε = 0.1 (%)");
    }

    #[test]
    fn differences_are_paired_by_replicate() {
        let data = robustness_data();
        let robustness = Robustness::new(&data);
        let differences = robustness.differences(ArmRound::new("ticket", 1), ArmRound::new("dense", 0), 1);
        assert_eq!(differences.len(), 3);
        assert!(differences.iter().all(|difference| (difference - 0.05).abs() < 1e-12), "{differences:?}");
    }
}
