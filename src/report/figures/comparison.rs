//! Several runs in one figure for each arm that they share: sweeps of a learning rate, a pruning rate, a width.

use super::super::analysis::RunAnalysis;
use super::by_sparsity::{FigureMetric, measures, points};
use super::chart::{ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use super::sizes_axis;
use crate::artifacts::{RoundGroup, start_note};
use crate::lottery::DENSE;

/// The measures shown, by their places.
const SHOWN: [usize; 3] = [0, 1, 3];
/// Runs in one figure: colours and marks tell no more apart.
const MAX_RUNS: usize = 8;

/// A figure for each arm of more than one run, these by their names; of many runs, several.
pub(crate) fn comparison_figures(runs: &[(&str, &RunAnalysis)]) -> Vec<Figure> {
    let mut arms: Vec<&str> = Vec::new();
    for row in runs.iter().flat_map(|(_, finding)| &finding.run.rounds).filter(|row| row.arm != DENSE) {
        if !arms.contains(&row.arm.as_str()) {
            arms.push(&row.arm);
        }
    }
    let has = |finding: &RunAnalysis, arm: &str| finding.run.rounds.iter().any(|row| row.arm == arm);
    let mut figures = Vec::new();
    for arm in arms {
        let own: Vec<(&str, &RunAnalysis)> = runs.iter().copied().filter(|(_, finding)| has(finding, arm)).collect();
        for (i, some) in own.chunks(MAX_RUNS).enumerate().filter(|_| own.len() > 1) {
            let suffix = if own.len() > MAX_RUNS { format!("_{}", i + 1) } else { String::new() };
            figures.extend(figure(some, arm, &suffix).non_empty().map(|figure| figure.with_note(&note(some))));
        }
    }
    figures
}

/// What must be said of the test images of the runs: once where it is the same of all, else run by run.
fn note(runs: &[(&str, &RunAnalysis)]) -> String {
    let notes: Vec<Option<String>> = runs.iter().map(|(_, finding)| finding.run.test_note()).collect();
    if notes.windows(2).all(|pair| pair[0] == pair[1]) {
        return notes.into_iter().next().flatten().unwrap_or_default();
    }
    let said = runs.iter().zip(notes).filter_map(|((name, _), note)| Some(format!("{name}: {}", note?)));
    said.collect::<Vec<_>>().join("; ")
}

fn figure(runs: &[(&str, &RunAnalysis)], arm: &str, suffix: &str) -> Figure {
    let mut iterations: Vec<u64> =
        runs.iter().flat_map(|(_, finding)| finding.checkpoints.iterations()).copied().collect();
    iterations.sort_unstable();
    iterations.dedup();
    let is_late = runs.iter().any(|(_, finding)| start_note(&finding.run.rounds).is_some());
    let usual =
        SHOWN.map(|place| panel(runs, arm, |finding| measures(&finding.run.rounds, is_late).into_iter().nth(place)));
    let fixed =
        iterations.into_iter().map(|at| panel(runs, arm, |it| Some(FigureMetric::checkpoint(&it.checkpoints, at))));
    Figure {
        name: format!("runs_{arm}{suffix}"),
        title: format!("The runs side by side: {arm}"),
        caption: "Lines are means over trainings, bars run from the minimum to the maximum; the runs' marks are set a \
                  little apart. Each begins at its dense network."
            .to_owned(),
        panels: usual.into_iter().chain(fixed).collect(),
    }
}

/// A panel of what `measure` is in each run.
fn panel<'a>(
    runs: &[(&str, &'a RunAnalysis)],
    arm: &str,
    measure: impl Fn(&'a RunAnalysis) -> Option<FigureMetric<'a>>,
) -> Panel {
    let all: Vec<(&str, &RunAnalysis, FigureMetric<'_>)> =
        runs.iter().filter_map(|&(name, finding)| Some((name, finding, measure(finding)?))).collect();
    let series: Vec<Series> = all.iter().enumerate().map(|(i, run)| series(run, i, arm)).collect();
    let longest = series.iter().max_by_key(|series| series.points.len());
    let ticks = longest.map_or_else(Vec::new, |series| series.points.iter().map(|point| point.x).collect());
    let y = all.first().map(|(_, _, measure)| measure.axis(None)).unwrap_or_default();
    Panel { x: sizes_axis(ticks), y, series, ..Panel::default() }
}

fn series((name, finding, measure): &(&str, &RunAnalysis, FigureMetric<'_>), place: usize, arm: &str) -> Series {
    let groups = RoundGroup::all(&finding.run.rounds);
    let all: Vec<ChartPoint> = [DENSE, arm].iter().flat_map(|arm| points(&groups, arm, &measure.of)).collect();
    let look = SeriesStyle { colour: place, dash: place, mark: place, marks: MarkerPolicy::Every };
    Series { name: (*name).to_owned(), style: look, points: all, start: None }
}
