//! Everything against the share of weights that remains (the paper's Figures 1, 4, 5, 7, 8, 12 and 14).

use super::chart::{Axis, AxisUnit, ChartPoint, Figure, Panel, Series};
use super::{look, sizes_axis};
use crate::artifacts::{RoundGroup, RoundRow, last_iteration, start_note};
use crate::lottery::DENSE;
use crate::report::arms::ArmRole;
use crate::report::checkpoints::Checkpoints;
use crate::report::run::Run;

/// A value of a training, where it has one.
type Value<'a> = dyn Fn(&RoundRow) -> Option<f64> + 'a;

/// What a panel measures of a training.
pub(super) struct FigureMetric<'a> {
    pub(super) title: String,
    unit: AxisUnit,
    is_test: bool,
    pub(super) of: Box<Value<'a>>,
}

impl<'a> FigureMetric<'a> {
    fn new(title: &str, unit: AxisUnit, is_test: bool, of: impl Fn(&RoundRow) -> Option<f64> + 'a) -> Self {
        Self { title: title.to_owned(), unit, is_test, of: Box::new(of) }
    }

    /// The axis of its values.
    pub(super) fn axis(&self, window: Option<(f64, f64)>) -> Axis {
        let (title, unit, is_test) = (self.title.clone(), self.unit, self.is_test);
        Axis { title, column: "mean", unit, window, is_test, ..Axis::default() }
    }

    /// Test accuracy after an iteration that the configuration names.
    pub(super) fn checkpoint(checkpoints: &'a Checkpoints, iteration: u64) -> Self {
        let of = move |row: &RoundRow| checkpoints.accuracy(row, iteration);
        Self::new(&Checkpoints::title(iteration), AxisUnit::Percent, true, of)
    }
}

/// What the paper measures of small networks.
///
/// `by_iterations_trained`: early stops are named after the iterations trained, because not all training runs of the figure
/// start at iteration 0. Where they do, that is the same number, and the paper's name is used.
pub(super) fn measures(rows: &[RoundRow], by_iterations_trained: bool) -> [FigureMetric<'static>; 5] {
    let last = last_iteration(rows);
    let early = move |row: &RoundRow| row.iterations_to_early_stop(last).map(|iterations| iterations as f64);
    let title = if by_iterations_trained { "iterations trained until early stop" } else { "early-stop iteration" };
    let percent = AxisUnit::Percent;
    [
        FigureMetric::new(title, AxisUnit::Count, false, early),
        FigureMetric::new("test accuracy at early stop (%)", percent, true, |row| row.early_stop_test_accuracy),
        FigureMetric::new("train accuracy at early stop (%)", percent, false, |row| row.early_stop_train_accuracy),
        FigureMetric::new("test accuracy at the end (%)", percent, true, |row| row.final_test_accuracy),
        FigureMetric::new("train accuracy at the end (%)", percent, false, |row| row.final_train_accuracy),
    ]
}

/// An accuracy axis shows what lies so many times the best gain below the dense network, and at least so much.
const WINDOW_GAINS: f64 = 6.0;
const MIN_WINDOW: f64 = 0.03;

/// Early stop and accuracies; and where the configuration names iterations, the accuracy there.
pub(super) fn figures(run: &Run, arms: &[ArmRole], checkpoints: &Checkpoints) -> [Figure; 2] {
    let named = checkpoints.iterations().iter().map(|&iteration| FigureMetric::checkpoint(checkpoints, iteration));
    let early = Words {
        name: "weights_remaining",
        title: "Early stop and accuracy against weights remaining",
        more: " The early stop is the iteration of minimum validation loss.",
        source: "Figures 1, 4, 5, 12 and 14",
    };
    let fixed = Words {
        name: "checkpoints",
        title: "Accuracy at fixed iterations against weights remaining",
        more: "",
        source: "Figures 7 and 8",
    };
    let measures = measures(&run.rounds, start_note(&run.rounds).is_some());
    [figure(run, arms, &measures, &early), figure(run, arms, &named.collect::<Vec<_>>(), &fixed)]
}

/// What is written about a figure: its name and title, what else must be known, and where the paper has it.
struct Words {
    name: &'static str,
    title: &'static str,
    more: &'static str,
    source: &'static str,
}

fn figure(run: &Run, arms: &[ArmRole], measures: &[FigureMetric<'_>], words: &Words) -> Figure {
    let groups = RoundGroup::all(&run.rounds);
    let ticks = ticks(&groups);
    let panel = |measure: &FigureMetric<'_>| {
        let series: Vec<Series> =
            arms.iter().enumerate().map(|(i, arm)| series(&groups, i, arm, &measure.of)).collect();
        let window = if measure.unit == AxisUnit::Percent { window(&series) } else { None };
        let level = dense(&series).map(|point| point.mean);
        Panel { x: sizes_axis(ticks.clone()), y: measure.axis(window), series, level, ..Panel::default() }
    };
    let panels: Vec<Panel> = measures.iter().map(panel).collect();
    let is_cut = panels.iter().any(|panel| panel.y.window.is_some());
    let cut = if is_cut { " What lies below a panel is in its CSV file." } else { "" };
    let Words { name, title, more, source } = words;
    Figure {
        name: (*name).to_owned(),
        title: (*title).to_owned(),
        caption: format!(
            "Lines are means over trainings, bars run from the minimum to the maximum; the arms' marks are set a little \
             apart. The dotted line is the dense network's mean. Tickets are solid, controls dashed.{more}{cut} (The \
             paper's {source}.)"
        ),
        panels,
    }
}

/// An arm by size. The lines of tickets begin at the dense network, whose first pruning they are.
fn series(groups: &[RoundGroup<'_>], place: usize, part: &ArmRole, of: impl Fn(&RoundRow) -> Option<f64>) -> Series {
    let start = points(groups, DENSE, &of).first().copied().filter(|_| part.is_ticket);
    Series { name: part.arm.clone(), style: look(place, part), points: points(groups, &part.arm, of), start }
}

/// An arm's points, from large to small.
pub(super) fn points(groups: &[RoundGroup<'_>], arm: &str, of: impl Fn(&RoundRow) -> Option<f64>) -> Vec<ChartPoint> {
    let own = groups.iter().filter(|group| group.arm == arm);
    let points = own.filter_map(|group| ChartPoint::of(group.weights_remaining(), &group.values(&of)));
    let mut points: Vec<ChartPoint> = points.filter(|point| point.x > 0.0).collect();
    points.sort_by(|a, b| b.x.total_cmp(&a.x));
    points
}

/// The sizes of the arm with most rounds, from the dense network on.
fn ticks(groups: &[RoundGroup<'_>]) -> Vec<f64> {
    let sizes = |arm: &str| {
        let own = groups.iter().filter(|group| group.arm == arm || group.arm == DENSE);
        let mut sizes: Vec<f64> = own.map(RoundGroup::weights_remaining).filter(|size| *size > 0.0).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        sizes.dedup();
        sizes
    };
    let all = groups.iter().map(|group| sizes(group.arm));
    all.reduce(|most, other| if other.len() > most.len() { other } else { most }).unwrap_or_default()
}

fn dense(series: &[Series]) -> Option<&ChartPoint> {
    series.iter().find(|series| series.name == DENSE)?.points.first()
}

/// What an accuracy axis shows, where bad controls would press everything else into a line.
fn window(series: &[Series]) -> Option<(f64, f64)> {
    let dense = dense(series)?.mean;
    let points = || series.iter().flat_map(|series| &series.points);
    let best = points().map(|point| point.mean).fold(dense, f64::max);
    let least = points().map(|point| point.low).fold(dense, f64::min);
    let low = dense - (WINDOW_GAINS * (best - dense)).max(MIN_WINDOW);
    (least < low).then_some((low, f64::INFINITY))
}
