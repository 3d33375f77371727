//! The section on training accuracy at equal iterations: whether it rises as weights are removed, and which measured
//! quantities change together with it.

use super::super::analysis::RunAnalysis;
use super::landscape::landscape;
use super::ticket_results::TicketResults;
use super::{PageElement, test_note};
use crate::artifacts::RoundRow;
use crate::base::format::{accuracy, mean_and_range, percent};
use crate::config::Experiment;
use crate::report::accuracy_rise::{AccuracyRise, RoundDifference, accuracy_rises};
use crate::report::equal_iterations::{EqualIteration, EqualIterations};
use crate::report::paired::PairedResults;
use crate::report::roles::{is_ticket, reinit_of};
use crate::report::table::{Cell, Table};

/// The title of the section.
const TITLE: &str = "Training accuracy as weights are removed";

/// Returns the section under a heading of `level`; empty if the run has no ticket with a result.
pub(super) fn section(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let Some(experiment) = &analysis.experiment else { return Vec::new() };
    let results = PairedResults::new(&analysis.run.rounds, experiment);
    let tickets = shown_tickets(experiment, &results);
    if tickets.is_empty() || analysis.equal.iterations.is_empty() {
        return Vec::new();
    }
    let mut elements =
        vec![PageElement::Heading(level, TITLE.to_owned()), PageElement::Text(explanation(&analysis.equal))];
    for ticket in &tickets {
        if tickets.len() > 1 {
            elements.push(PageElement::Heading(level + 1, (*ticket).to_owned()));
        }
        let reinit = reinit_of(ticket, experiment);
        let shown = TicketResults { analysis, results: &results, ticket, reinit };
        elements.extend(accuracy_elements(&shown));
        elements.extend(landscape(&shown, level + 1));
    }
    elements
}

/// Returns the tickets of an experiment that have results.
fn shown_tickets<'a>(experiment: &'a Experiment, results: &PairedResults<'_>) -> Vec<&'a str> {
    let tickets = experiment.arms.0.iter().filter(|(_, arm)| is_ticket(arm, experiment));
    tickets.map(|(name, _)| name.as_str()).filter(|name| !results.rounds(name).is_empty()).collect()
}

/// Returns a paragraph on the iterations and the statements of the section.
fn explanation(equal: &EqualIterations) -> String {
    let time = |time: &EqualIteration| {
        let name = time.name();
        if !time.is_dense_stop {
            return name;
        }
        format!("{name} (in each replicate the early stop of its dense network: {})", time.range())
    };
    let times: Vec<String> = equal.iterations.iter().map(time).collect();
    format!(
        "All training runs are compared at equal iterations: {}. Training accuracy is measured on the first training \
         images, as many as there are validation images, without augmentation and dropout. The first table tests whether \
         it is higher than that of the dense network at some round: differences are taken within each replicate, after \
         the mean over repeats. That it is higher at some round is `held` if the lower bound of some round is above 0, with \
         Bonferroni's correction over the rounds; `not held` if the 95% upper bounds of all rounds are below 0; else \
         `inconclusive`. The largest mean difference is that of any round, decided or not, with uncorrected bounds.",
        times.join(", ")
    )
}

/// Returns the statement on each arm, and the tables of accuracies.
fn accuracy_elements(shown: &TicketResults<'_>) -> Vec<PageElement> {
    let analysis = shown.analysis;
    let rises: Vec<AccuracyRise<'_>> = shown
        .arms()
        .flat_map(|arm| accuracy_rises(shown.results, &analysis.equal, &analysis.run.rounds, arm))
        .collect();
    let main = analysis.equal.main();
    let sentences: Vec<String> = rises.iter().filter(|rise| Some(rise.time) == main).map(sentence).collect();
    let equal = &analysis.equal;
    let tables = "Mean (minimum–maximum) over n training runs, the replicates times the repeats of the arm. Training \
                  accuracy, then test accuracy.";
    vec![
        PageElement::Text(sentences.join(" ")),
        PageElement::Table(rise_table(&rises)),
        PageElement::Text(format!("{tables}{}", test_note(analysis))),
        PageElement::Table(accuracy_table(shown, "train", |row, time| equal.train(row, time))),
        PageElement::Table(accuracy_table(shown, "test", |row, time| equal.test(row, time))),
    ]
}

/// Returns the statement on an arm at one iteration.
fn sentence(rise: &AccuracyRise<'_>) -> String {
    let count = |is_shown: fn(&RoundDifference) -> bool| rise.rounds.iter().filter(|round| is_shown(round)).count();
    format!(
        "At {}, the training accuracy of {} is higher than that of the dense network at {} of {} rounds, lower at {}, and \
         not distinguished at the others (corrected bounds); that it is higher at some round: {}.",
        rise.time.name(),
        rise.arm,
        count(RoundDifference::is_above),
        rise.rounds.len(),
        count(RoundDifference::is_below),
        rise.status.as_str()
    )
}

/// Returns a table with a row for each arm and iteration.
fn rise_table(rises: &[AccuracyRise<'_>]) -> Table {
    let mut table = Table::new([
        "arm",
        "training accuracy at",
        "higher than dense at some round",
        "rounds above",
        "rounds below",
        "largest mean difference of any round (points)",
        "of the round at",
        "n",
    ]);
    for rise in rises {
        let shares = |is_shown: fn(&RoundDifference) -> bool| {
            let shown = rise.rounds.iter().filter(|round| is_shown(round));
            let shares = shown.map(|round| round.weights_remaining).filter(|share| share.is_finite());
            let shares: Vec<String> = shares.map(percent).collect();
            if shares.is_empty() { Cell::text("none") } else { Cell::text(shares.join(", ")) }
        };
        let largest = rise.largest();
        let bounds = largest.and_then(|round| round.plain);
        let points = |difference: f64| format!("{:+.2}", 100.0 * difference).replace('-', "\u{2212}");
        table.rows.push(vec![
            Cell::text(rise.arm),
            Cell::text(rise.time.name()),
            Cell::Status(rise.status),
            shares(RoundDifference::is_above),
            shares(RoundDifference::is_below),
            Cell::optional(
                bounds.map(|bounds| {
                    format!("{} ({} to {})", points(bounds.mean), points(bounds.low), points(bounds.high))
                }),
            ),
            Cell::optional(largest.map(|round| round.weights_remaining).filter(|share| share.is_finite()).map(percent)),
            Cell::optional(rise.rounds.iter().map(|round| round.n).min()),
        ]);
    }
    table
}

/// Returns the table of accuracies on `images`, with a row for each arm and round and a column for each iteration.
fn accuracy_table(
    shown: &TicketResults<'_>,
    images: &str,
    value: impl Fn(&RoundRow, &EqualIteration) -> Option<f64>,
) -> Table {
    let times = &shown.analysis.equal.iterations;
    let titles = ["arm", "round", "weights remaining", "n"].map(str::to_owned).into_iter();
    let mut table =
        Table::new(titles.chain(times.iter().map(|time| format!("{images} accuracy at {} (%)", time.name()))));
    for group in shown.groups() {
        let mut cells = vec![
            Cell::text(group.arm),
            Cell::number(group.round),
            // A file edited by hand may contain `NaN`.
            Cell::optional(Some(group.weights_remaining()).filter(|share| share.is_finite()).map(percent)),
            Cell::number(group.done().count()),
        ];
        cells.extend(times.iter().map(|time| {
            let values = group.values(|row| value(row, time));
            Cell::optional((!values.is_empty()).then(|| mean_and_range(&values, accuracy)))
        }));
        table.rows.push(cells);
    }
    table
}
