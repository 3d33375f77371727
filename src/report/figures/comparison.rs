//! Figures of several runs together, one for each arm that they share: for sweeps of a learning rate, a pruning rate, a
//! width.

use super::by_sparsity::{FigureMetric, arm_points};
use super::{weights_remaining_axis, without_empty_panels};
use crate::artifacts::{Metric, RoundGroup, arms, start_note};
use crate::lottery::DENSE;
use crate::plot::{ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use crate::report::checkpoints::Checkpoints;
use crate::report::run::Run;

/// Largest number of runs in one figure: the number of colours and markers.
const MAX_RUNS: usize = 8;

/// A run in a comparison.
#[derive(Clone, Copy)]
pub(crate) struct ComparedRun<'a> {
    /// Name in the legend.
    pub(crate) name: &'a str,
    /// The run.
    pub(crate) run: &'a Run,
    /// Its accuracies at the iterations of `report.checkpoints`.
    pub(crate) checkpoints: &'a Checkpoints,
}

/// Returns a figure for each arm that at least two runs have under the same name. If more than [`MAX_RUNS`] runs have
/// the arm, it has several figures of at most [`MAX_RUNS`] runs each.
pub(crate) fn comparison_figures(runs: &[ComparedRun<'_>]) -> Vec<Figure> {
    let mut figures = Vec::new();
    for arm in arms(runs.iter().flat_map(|compared| &compared.run.rounds)).into_iter().filter(|arm| *arm != DENSE) {
        let has_arm = |compared: &&ComparedRun<'_>| compared.run.rounds.iter().any(|row| row.arm == arm);
        let runs_with_arm: Vec<ComparedRun<'_>> = runs.iter().filter(has_arm).copied().collect();
        if runs_with_arm.len() < 2 {
            continue;
        }
        for (index, chunk) in runs_with_arm.chunks(MAX_RUNS).enumerate() {
            let suffix = if runs_with_arm.len() > MAX_RUNS { format!("_{}", index + 1) } else { String::new() };
            figures.extend(without_empty_panels(figure(chunk, arm, &suffix)));
        }
    }
    figures
}

/// Returns the note on the test images of the runs: once if it is the same for all, else with the name of each run.
fn test_note(runs: &[ComparedRun<'_>]) -> String {
    let notes: Vec<Option<String>> = runs.iter().map(|compared| compared.run.test_note()).collect();
    if notes.windows(2).all(|pair| pair[0] == pair[1]) {
        return notes.into_iter().next().flatten().unwrap_or_default();
    }
    let named = runs.iter().zip(notes).filter_map(|(compared, note)| Some(format!("{}: {}", compared.name, note?)));
    named.collect::<Vec<_>>().join("; ")
}

/// Returns the figure of `arm` in all of `runs`; `suffix` ends its name.
fn figure(runs: &[ComparedRun<'_>], arm: &str, suffix: &str) -> Figure {
    let mut iterations: Vec<u64> =
        runs.iter().flat_map(|compared| compared.checkpoints.iterations()).copied().collect();
    iterations.sort_unstable();
    iterations.dedup();
    let by_iterations_trained = runs.iter().any(|compared| start_note(&compared.run.rounds).is_some());
    let compared_metrics = Metric::all_shown().into_iter().filter(|metric| metric.is_compared);
    let mut panels: Vec<Panel> = compared_metrics
        .map(|metric| {
            panel(runs, arm, |compared| FigureMetric::row(metric, &compared.run.rounds, by_iterations_trained))
        })
        .collect();
    panels.extend(iterations.into_iter().map(|iteration| {
        panel(runs, arm, |compared| FigureMetric::Checkpoint { checkpoints: compared.checkpoints, iteration })
    }));
    Figure {
        name: format!("runs_{arm}{suffix}"),
        title: format!("The runs side by side: {arm}"),
        caption: "Lines are means over trainings, bars run from the minimum to the maximum; the runs' marks are set a \
                  little apart. Each begins at its dense network."
            .to_owned(),
        panels,
    }
}

/// Returns a panel with a series for each run, of the metric that `metric` returns for the run.
fn panel<'a>(runs: &[ComparedRun<'a>], arm: &str, metric: impl Fn(&ComparedRun<'a>) -> FigureMetric<'a>) -> Panel {
    let series: Vec<Series> =
        runs.iter().enumerate().map(|(index, compared)| run_series(compared, index, arm, &metric(compared))).collect();
    let longest = series.iter().max_by_key(|series| series.points.len());
    let ticks = longest.map_or_else(Vec::new, |series| series.points.iter().map(|point| point.x).collect());
    let first = runs.first().map(metric);
    let is_test = first.is_some_and(|metric| metric.is_test());
    Panel {
        x: weights_remaining_axis(ticks),
        y: first.map(|metric| metric.axis(None)).unwrap_or_default(),
        series,
        note: if is_test { test_note(runs) } else { String::new() },
        ..Panel::default()
    }
}

/// Returns the series of a run: its dense network, then the rounds of `arm`. `index`: index of the run in the figure,
/// which determines its style.
fn run_series(compared: &ComparedRun<'_>, index: usize, arm: &str, metric: &FigureMetric<'_>) -> Series {
    let groups = RoundGroup::by_arm_and_round(&compared.run.rounds);
    let points: Vec<ChartPoint> = [DENSE, arm].iter().flat_map(|arm| arm_points(&groups, arm, metric)).collect();
    let style = SeriesStyle { colour: index, dash: index, mark: index, marks: MarkerPolicy::Every };
    Series { name: compared.name.to_owned(), style, points, start: None }
}
