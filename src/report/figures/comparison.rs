//! Figures of several runs together, one for each arm that they share: for sweeps of a learning rate, a pruning rate, a
//! width.

use super::by_sparsity::{FigureMetric, LOWER_BOUNDS, arm_points};
use super::sweep::{RunPanels, RunPlace, SweptKey, run_panels};
use super::{MEANS, weights_remaining_axis, with_common_axes, without_empty_panels};
use crate::artifacts::{LastEvaluations, Metric, RoundGroup, arms, start_note};
use crate::lottery::DENSE;
use crate::plot::{ChartPoint, Figure, Panel, Series, SeriesStyle};
use crate::report::checkpoints::Checkpoints;
use crate::report::run::Run;

/// Number of colours of runs.
const COLOURS: usize = 7;

/// A run in a comparison.
#[derive(Clone, Copy)]
pub(crate) struct ComparedRun<'a> {
    /// Its label, which tells it apart from the other runs.
    pub(crate) label: &'a str,
    /// The run.
    pub(crate) run: &'a Run,
    /// Its accuracies at the iterations of `report.checkpoints`.
    pub(crate) checkpoints: &'a Checkpoints,
    /// The end of its training runs.
    pub(crate) end: LastEvaluations,
}

/// Returns figures for each arm that at least two runs have under the same name, with all these runs: one figure with a
/// panel for each metric if the runs fit into one panel, else a figure for each metric. `keys`: the keys in which the
/// runs differ.
pub(crate) fn comparison_figures(runs: &[ComparedRun<'_>], keys: &[SweptKey]) -> Vec<Figure> {
    let labels: Vec<String> = runs.iter().map(|compared| compared.label.to_owned()).collect();
    let mut figures = Vec::new();
    for arm in arms(runs.iter().flat_map(|compared| &compared.run.rounds)).into_iter().filter(|arm| *arm != DENSE) {
        let has_arm = |index: &usize| runs[*index].run.rounds.iter().any(|row| row.arm == arm);
        let runs_with_arm: Vec<usize> = (0..runs.len()).filter(has_arm).collect();
        if runs_with_arm.len() < 2 {
            continue;
        }
        let panels = run_panels(keys, &labels, &runs_with_arm);
        figures.extend(arm_figures(runs, arm, &panels).into_iter().filter_map(without_empty_panels));
    }
    figures
}

/// Returns the note on the test images of the runs: once if it is the same for all, else with the label of each run.
fn test_note(runs: &[ComparedRun<'_>]) -> String {
    let notes: Vec<Option<String>> = runs.iter().map(|compared| compared.run.test_note()).collect();
    if notes.windows(2).all(|pair| pair[0] == pair[1]) {
        return notes.into_iter().next().flatten().unwrap_or_default();
    }
    let named = runs.iter().zip(notes).filter_map(|(compared, note)| Some(format!("{}: {}", compared.label, note?)));
    named.collect::<Vec<_>>().join("; ")
}

/// A metric of compared runs: its name in files, its title, and the metric of each run.
struct ComparedMetric<'a> {
    name: String,
    title: String,
    by_run: Vec<FigureMetric<'a>>,
}

/// Returns the metrics of the figures of `runs`.
fn compared_metrics<'a>(runs: &[ComparedRun<'a>]) -> Vec<ComparedMetric<'a>> {
    let mut iterations: Vec<u64> =
        runs.iter().flat_map(|compared| compared.checkpoints.iterations()).copied().collect();
    iterations.sort_unstable();
    iterations.dedup();
    let by_iterations_trained = runs.iter().any(|compared| start_note(&compared.run.rounds).is_some());
    let of_rows = Metric::all_shown().into_iter().filter(|metric| metric.is_compared).map(|metric| {
        let by_run = runs.iter().map(|run| FigureMetric::row(metric, &run.run.rounds, run.end, by_iterations_trained));
        ComparedMetric { name: metric.name.to_owned(), title: String::new(), by_run: by_run.collect() }
    });
    let at_checkpoints = iterations.into_iter().map(|iteration| {
        let by_run = runs.iter().map(|run| FigureMetric::Checkpoint { checkpoints: run.checkpoints, iteration });
        ComparedMetric { name: format!("iteration_{iteration}"), title: String::new(), by_run: by_run.collect() }
    });
    let mut metrics: Vec<ComparedMetric<'a>> = of_rows.chain(at_checkpoints).collect();
    for metric in &mut metrics {
        metric.title = metric.by_run.first().map(|first| first.axis(None).title).unwrap_or_default();
    }
    metrics
}

/// Returns the figures of `arm`, whose runs are arranged in `panels`.
fn arm_figures(runs: &[ComparedRun<'_>], arm: &str, panels: &RunPanels) -> Vec<Figure> {
    let metrics = compared_metrics(runs);
    let caption = |panels: &[Panel], axes: &str| {
        let mut points = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
        let bounds = if points.any(|point| point.is_lower_bound) { LOWER_BOUNDS } else { "" };
        format!("{MEANS} Each line begins at the dense network of its run.{axes}{bounds}")
    };
    if let [(_, places)] = &panels[..] {
        let panels: Vec<Panel> = metrics.iter().map(|metric| panel(runs, arm, places, metric)).collect();
        let title = format!("Runs compared: {arm}");
        return vec![Figure { name: format!("runs_{arm}"), title, caption: caption(&panels, ""), panels }];
    }
    let figure = |metric: &ComparedMetric<'_>| {
        let titled = |(title, places): &(String, Vec<RunPlace>)| Panel {
            title: title.clone(),
            ..panel(runs, arm, places, metric)
        };
        let panels = with_common_axes(panels.iter().map(titled).collect());
        Figure {
            name: format!("runs_{arm}_{}", metric.name),
            title: format!("Runs compared by {}: {arm}", metric.title.trim_end_matches(" (%)")),
            caption: caption(&panels, " All panels have the same axes."),
            panels,
        }
    };
    metrics.iter().map(figure).collect()
}

/// Returns a panel with a series for each of `places`.
fn panel(runs: &[ComparedRun<'_>], arm: &str, places: &[RunPlace], metric: &ComparedMetric<'_>) -> Panel {
    let series =
        places.iter().map(|place| run_series(&runs[place.run], place, arm, &metric.by_run[place.run])).collect();
    let first = places.first().map(|place| &metric.by_run[place.run]);
    let is_test = first.is_some_and(FigureMetric::is_test);
    Panel {
        x: weights_remaining_axis(Vec::new()),
        y: first.map(|metric| metric.axis(None)).unwrap_or_default(),
        series,
        note: if is_test { test_note(runs) } else { String::new() },
        ..Panel::default()
    }
}

/// Returns the series of a run: its dense network, then the rounds of `arm`.
fn run_series(compared: &ComparedRun<'_>, place: &RunPlace, arm: &str, metric: &FigureMetric<'_>) -> Series {
    let groups = RoundGroup::by_arm_and_round(&compared.run.rounds);
    let arm_points = |arm: &&str| arm_points(&groups, arm, metric);
    let points: Vec<ChartPoint> = [DENSE, arm].iter().flat_map(arm_points).collect();
    // Colours repeat after 7 runs, with other dashes and markers; colour 0 is that of dense networks elsewhere.
    let repeat = place.style / COLOURS;
    let style = SeriesStyle {
        colour: 1 + place.style % COLOURS,
        dash: place.style + repeat,
        mark: place.style + repeat,
        ..SeriesStyle::default()
    };
    Series { name: place.name.clone(), style, points, ..Series::default() }
}
