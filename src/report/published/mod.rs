//! Published numbers beside those of a run: the sets that `report.reference` names, as CSV files with their sources.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::run::Run;
use super::table::{Cell, Table};
use crate::artifacts::{FINAL_TEST_ACCURACY, RoundGroup, from_csv};
use crate::base::format::{accuracy, percent};
use crate::base::stats::SummaryStats;
use crate::config::{Experiment, PublishedSet};

/// Largest relative difference between shares of weights that are compared.
const SHARE_TOLERANCE: f64 = 0.02;

/// A row of a set: the test accuracy of an arm at one size, over `n` training runs if that is known.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct PublishedRow {
    architecture: String,
    dataset: String,
    arm: String,
    weights_remaining: f64,
    n: Option<usize>,
    mean: f64,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

/// The mean of a run, relative to the published minimum and maximum. Where these are not published: the minimum and maximum
/// of the run, relative to the published mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BandPlace {
    /// The range has the mean.
    Inside,
    /// The run is above.
    Above,
    /// The run is below.
    Below,
}

impl BandPlace {
    /// Returns the place in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Above => "above",
            Self::Below => "below",
        }
    }
}

/// Mean, minimum and maximum of test accuracies, shares of 1, over `n` training runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AccuracyBand {
    /// Number of training runs.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub minimum: f64,
    /// The largest.
    pub maximum: f64,
}

impl AccuracyBand {
    /// Returns the numbers in percent as `mean (minimum–maximum)`.
    pub fn text(&self) -> String {
        let [mean, minimum, maximum] = [self.mean, self.minimum, self.maximum].map(accuracy);
        format!("{mean} ({minimum}–{maximum})")
    }
}

/// Published mean, minimum and maximum of test accuracies, shares of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PublishedAccuracy {
    /// Number of training runs; `null` if it is not published.
    pub n: Option<usize>,
    /// Their mean.
    pub mean: f64,
    /// The smallest; `null` if it is not published.
    pub minimum: Option<f64>,
    /// The largest; `null` if it is not published.
    pub maximum: Option<f64>,
}

impl PublishedAccuracy {
    /// Returns the numbers in percent as `mean (minimum–maximum)`, or the mean alone.
    pub fn text(&self) -> String {
        match (self.minimum, self.maximum) {
            (Some(minimum), Some(maximum)) => {
                format!("{} ({}–{})", accuracy(self.mean), accuracy(minimum), accuracy(maximum))
            }
            _ => accuracy(self.mean),
        }
    }

    /// Returns where a run is, relative to the published numbers.
    fn place_of(&self, here: &AccuracyBand) -> BandPlace {
        let (is_above, is_below) = match (self.minimum, self.maximum) {
            (Some(minimum), Some(maximum)) => (here.mean > maximum, here.mean < minimum),
            _ => (here.minimum > self.mean, here.maximum < self.mean),
        };
        match (is_above, is_below) {
            (true, _) => BandPlace::Above,
            (_, true) => BandPlace::Below,
            _ => BandPlace::Inside,
        }
    }
}

/// Published test accuracies beside those of a run, of an arm at one size.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PublishedComparison {
    /// The name of the run.
    pub run: String,
    /// The arm, of the same name in both.
    pub arm: String,
    /// The round of the run.
    pub round: u32,
    /// Its share of weights.
    pub weights_remaining: f64,
    /// The published numbers.
    pub published: PublishedAccuracy,
    /// Those of the run, after the last iteration.
    pub here: AccuracyBand,
    /// The run, relative to the published numbers.
    pub place: BandPlace,
}

/// Returns the source of a set and what its numbers are.
pub(super) fn source(set: PublishedSet) -> &'static str {
    match set {
        PublishedSet::Tanaka2020 => {
            "Tanaka et al. 2020 (arXiv 2006.05467), from the authors' result files (github.com/ganguli-lab/Synaptic-Flow): \
             three runs of each method; the numbers are the highest test accuracy over all epochs, so that the accuracy at \
             the end is a little lower"
        }
        PublishedSet::Renda2020 => {
            "Renda et al. 2020 (arXiv 2003.02389), from the authors' result files (github.com/lottery-ticket/\
             rewinding-iclr20-public): iterative pruning, three runs; fine-tuning with 50 epochs. Which layers their runs \
             pruned is not known, which may shift accuracies by 0.3 points"
        }
        PublishedSet::Evci2020 => {
            "Evci et al. 2020 (arXiv 1911.11134), as the authors list the numbers of their Figure 4 \
             (github.com/google-research/rigl, issue 8): means without a number of training runs and without a range, so that \
             `inside` means that the published mean lies between the minimum and the maximum here"
        }
    }
}

/// Returns the table of comparisons.
pub fn published_table(comparisons: &[PublishedComparison]) -> Table {
    let mut table =
        Table::new(["arm", "weights remaining", "published test %", "n", "test % @ end", "n", "the mean here is"]);
    let row = |comparison: &PublishedComparison| {
        vec![
            Cell::text(&comparison.arm),
            Cell::number(percent(comparison.weights_remaining)),
            Cell::number(comparison.published.text()),
            Cell::optional(comparison.published.n),
            Cell::number(comparison.here.text()),
            Cell::number(comparison.here.n),
            Cell::text(comparison.place.as_str()),
        ]
    };
    table.rows = comparisons.iter().map(row).collect();
    table
}

/// Returns the comparisons of a run with the set that its experiment names, in the order of the set; empty if it names none,
/// or if the set has no number for its network, data set, arms and sizes.
pub(super) fn published_comparisons(run: &Run, experiment: &Experiment) -> Vec<PublishedComparison> {
    let Some(set) = experiment.report.reference else { return Vec::new() };
    let groups = RoundGroup::by_arm_and_round(&run.rounds);
    let compare = |row: PublishedRow| {
        let is_near = |group: &&RoundGroup<'_>| {
            group.arm == row.arm && (group.weights_remaining() / row.weights_remaining - 1.0).abs() < SHARE_TOLERANCE
        };
        let group = groups.iter().find(is_near)?;
        let stats = SummaryStats::of(&group.metric(&FINAL_TEST_ACCURACY, experiment.train.iterations))?;
        let here = AccuracyBand { n: stats.n, mean: stats.mean, minimum: stats.min, maximum: stats.max };
        let published = PublishedAccuracy { n: row.n, mean: row.mean, minimum: row.minimum, maximum: row.maximum };
        Some(PublishedComparison {
            run: run.name(),
            arm: row.arm,
            round: group.round,
            weights_remaining: group.weights_remaining(),
            published,
            here,
            place: published.place_of(&here),
        })
    };
    rows_of_setting(set, experiment).into_iter().filter_map(compare).collect()
}

/// Returns a warning if the set that an experiment names has no numbers for its network, data set and arms.
pub fn published_warning(experiment: &Experiment) -> Option<String> {
    let set = experiment.report.reference?;
    let is_of_an_arm = |row: &PublishedRow| experiment.arms.0.iter().any(|(name, _)| *name == row.arm);
    let of_setting: Vec<PublishedRow> = rows_of_setting(set, experiment);
    if of_setting.iter().any(is_of_an_arm) {
        return None;
    }
    let arms: BTreeSet<&str> = of_setting.iter().map(|row| row.arm.as_str()).collect();
    Some(if arms.is_empty() {
        "`report.reference` has no numbers for this network and this data set: none are shown".to_owned()
    } else {
        let arms = arms.into_iter().collect::<Vec<_>>().join(", ");
        format!("`report.reference` has numbers for arms of these names only, and there is none: {arms}")
    })
}

/// Returns the rows of a set for the network and the data set of an experiment.
fn rows_of_setting(set: PublishedSet, experiment: &Experiment) -> Vec<PublishedRow> {
    let architecture = name_of(&serde_json::to_value(&experiment.network).unwrap_or_default()["architecture"]);
    let dataset = name_of(&serde_json::to_value(&experiment.data.dataset).unwrap_or_default());
    let mut rows = rows(set);
    rows.retain(|row| row.architecture == architecture && row.dataset == dataset);
    rows
}

/// Returns the name of a network or a data set in a set, such as `vgg16` or `wide_resnet_22_2`; empty for values without one.
fn name_of(value: &Value) -> String {
    match value {
        Value::String(name) => name.clone(),
        Value::Object(table) if table.len() == 1 => {
            let (name, sizes) = table.iter().next().map(|(name, sizes)| (name.clone(), sizes)).unwrap_or_default();
            let sizes = sizes.as_object().into_iter().flat_map(|sizes| sizes.values()).map(ToString::to_string);
            std::iter::once(name).chain(sizes).collect::<Vec<_>>().join("_")
        }
        _ => String::new(),
    }
}

/// Returns the rows of a set.
fn rows(set: PublishedSet) -> Vec<PublishedRow> {
    let text = match set {
        PublishedSet::Tanaka2020 => include_str!("tanaka2020.csv"),
        PublishedSet::Renda2020 => include_str!("renda2020.csv"),
        PublishedSet::Evci2020 => include_str!("evci2020.csv"),
    };
    from_csv(text.as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::{experiment, row};
    use super::*;
    use crate::artifacts::RoundRow;
    use crate::system::paths::RunDir;

    #[test]
    fn sets_have_the_numbers_of_the_papers() {
        let of = |set, architecture: &str, arm: &str, share: f64| {
            let rows = rows(set);
            let is_row = |row: &&PublishedRow| {
                row.architecture == architecture
                    && row.dataset == "cifar10"
                    && row.arm == arm
                    && row.weights_remaining == share
            };
            rows.iter().find(is_row).map(|row| (row.mean, row.minimum, row.maximum)).unwrap()
        };
        assert_eq!(of(PublishedSet::Tanaka2020, "vgg16", "synflow", 0.1), (0.932_633, Some(0.9316), Some(0.9339)));
        assert_eq!(
            of(PublishedSet::Renda2020, "resnet20", "learning_rate_rewinding", 0.2097),
            (0.919, Some(0.91725), Some(0.92088))
        );
        assert_eq!(of(PublishedSet::Evci2020, "wide_resnet_22_2", "rigl", 0.1), (0.929, None, None));
        let sets = [PublishedSet::Tanaka2020, PublishedSet::Renda2020, PublishedSet::Evci2020];
        assert_eq!(sets.map(|set| rows(set).len()), [260, 40, 20]);
    }

    #[test]
    fn means_without_a_published_range_are_compared_with_that_of_the_run() {
        let published = PublishedAccuracy { n: None, mean: 0.93, minimum: None, maximum: None };
        let place = |minimum, maximum| published.place_of(&AccuracyBand { n: 3, mean: 0.9, minimum, maximum });
        assert_eq!(
            [place(0.92, 0.94), place(0.931, 0.94), place(0.92, 0.929)],
            [BandPlace::Inside, BandPlace::Above, BandPlace::Below]
        );
        assert_eq!(published.text(), "93.00");
        let sizes = serde_json::json!({ "wide_resnet": { "depth": 22, "width": 2 } });
        assert_eq!([name_of(&sizes), name_of(&serde_json::json!("vgg16"))], ["wide_resnet_22_2", "vgg16"]);
    }

    #[test]
    fn means_are_inside_above_or_below_the_published_band() {
        let set = |more: &str| {
            experiment(&[
                "network={architecture='vgg16'}",
                "data={dataset='cifar10'}",
                "arms={synflow={mask={at_init={method='synflow',cut=[0.9]}},weights='rewind'}}",
                "prune={scope='global'}",
                more,
            ])
        };
        let run = |accuracies: &[f64]| {
            let of = |(replicate, &accuracy): (u32, &f64)| RoundRow {
                weights_remaining: 0.1,
                final_test_accuracy: Some(accuracy),
                ..row("synflow", 1, replicate, (100, accuracy))
            };
            let rounds = (1..).zip(accuracies).map(of).collect();
            Run { dir: RunDir("x".into()), rounds, manifest: None }
        };
        let named = set("report={reference='tanaka2020'}");
        let place = |accuracies: &[f64]| published_comparisons(&run(accuracies), &named)[0].place;
        assert_eq!(place(&[0.93, 0.935]), BandPlace::Inside);
        assert_eq!((place(&[0.94]), place(&[0.93])), (BandPlace::Above, BandPlace::Below));
        assert_eq!(published_comparisons(&run(&[0.93]), &set("report={margin=0.1}")), []);
        assert_eq!(published_comparisons(&run(&[0.93]), &set("report={reference='renda2020'}")), [], "another network");
        assert_eq!(published_warning(&named), None);
        let other = published_warning(&set("report={reference='renda2020'}")).unwrap();
        assert!(other.contains("no numbers for this network"), "{other}");
        let mut renamed = named.clone();
        renamed.arms.0[0].0 = "syn".to_owned();
        let said = published_warning(&renamed).unwrap();
        assert!(said.ends_with("grasp, magnitude, random, snip, synflow"), "{said}");
    }
}
