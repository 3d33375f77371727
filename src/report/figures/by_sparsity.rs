//! Early stop and accuracies against the share of weights that remains (the paper's Figures 1, 4, 5, 7, 8, 12 and 14).

use super::{FigureData, MEANS, mean_point, weights_remaining_axis};
use crate::artifacts::{
    EARLY_STOP_ITERATION, EARLY_STOP_TEST_ACCURACY, ITERATIONS_TO_EARLY_STOP, LastEvaluations, Metric, MetricUnit,
    RoundGroup, RoundRow, start_note,
};
use crate::lottery::DENSE;
use crate::plot::{Axis, AxisUnit, ChartPoint, Figure, Panel, Series};
use crate::report::checkpoints::Checkpoints;
use crate::report::roles::ArmRole;

/// An accuracy axis starts this many times the best gain over the dense network below the dense accuracy, and at least
/// [`MIN_WINDOW`] below it.
const WINDOW_GAINS: f64 = 6.0;
/// Least distance from the lower end of a limited accuracy axis to the dense accuracy: a share of 1.
const MIN_WINDOW: f64 = 0.03;

/// The sentence of captions on lower bounds, with a space before it.
pub(super) const LOWER_BOUNDS: &str = " An open marker with an upward arrow is a lower bound (≥): the early stop of some training run is one of its last \
     two evaluations, so that the validation loss may still fall after the end.";

/// The quantity that a panel shows: a number for each training run.
#[derive(Clone, Copy)]
pub(super) enum FigureMetric<'a> {
    /// A metric of the rows of `rounds.csv`.
    Row {
        metric: &'static Metric,
        /// Title of the axis.
        title: &'static str,
        /// The end of the training runs of the run.
        end: LastEvaluations,
        /// The greatest common divisor of the iterations of early stops, for the ticks of the axis.
        step: u64,
    },
    /// Test accuracy at an iteration of `report.checkpoints`.
    Checkpoint { checkpoints: &'a Checkpoints, iteration: u64 },
}

impl FigureMetric<'_> {
    /// Returns a metric of a run with the rows `rows`. `by_iterations_trained`: some training run of the figure starts
    /// after iteration 0, so early stops are labelled by iterations trained. Otherwise iterations trained are equal to
    /// the iteration of the early stop, and the paper's name, early stop, is used.
    /// `end`: the end of the training runs of the run.
    pub(super) fn row(
        metric: &'static Metric,
        rows: &[RoundRow],
        end: LastEvaluations,
        by_iterations_trained: bool,
    ) -> Self {
        let is_papers_name = *metric == ITERATIONS_TO_EARLY_STOP && !by_iterations_trained;
        let title = if is_papers_name { EARLY_STOP_ITERATION.title } else { metric.title };
        let early_stops = rows.iter().filter_map(|row| ITERATIONS_TO_EARLY_STOP.value(row, end.last_iteration));
        let step = early_stops.fold(0, |step, iterations| greatest_common_divisor(step, iterations as u64));
        Self::Row { metric, title, end, step }
    }

    /// Returns whether the mean over the training runs of a group is a lower bound, because some early stop is censored.
    fn is_lower_bound(&self, group: &RoundGroup<'_>) -> bool {
        match self {
            Self::Row { metric, end, .. } => !end.mark(metric, group).is_empty(),
            Self::Checkpoint { .. } => false,
        }
    }

    /// Returns the value of a training run; `None` if it has none.
    pub(super) fn value(&self, row: &RoundRow) -> Option<f64> {
        match self {
            Self::Row { metric, end, .. } => metric.value(row, end.last_iteration),
            Self::Checkpoint { checkpoints, iteration } => checkpoints.accuracy(row, *iteration),
        }
    }

    /// Returns whether the values are measured on test images.
    pub(super) fn is_test(&self) -> bool {
        match self {
            Self::Row { metric, .. } => metric.is_test,
            Self::Checkpoint { .. } => true,
        }
    }

    /// Returns the axis of the values; `window` is the interval to draw.
    pub(super) fn axis(&self, window: Option<(f64, f64)>) -> Axis {
        let title = match self {
            Self::Row { title, .. } => (*title).to_owned(),
            Self::Checkpoint { iteration, .. } => Checkpoints::title(*iteration),
        };
        let step = match self {
            Self::Row { step, .. } if self.unit() == AxisUnit::Count && *step > 0 => Some(*step as f64),
            _ => None,
        };
        Axis { title, column: "mean", unit: self.unit(), window, step, ..Axis::default() }
    }

    /// Returns the unit of the axis of the values.
    fn unit(&self) -> AxisUnit {
        match self {
            Self::Row { metric, .. } => match metric.unit {
                MetricUnit::Iterations | MetricUnit::Count => AxisUnit::Count,
                MetricUnit::Accuracy => AxisUnit::Percent,
                MetricUnit::Loss | MetricUnit::MultiplyAdds | MetricUnit::Share => AxisUnit::Plain,
            },
            Self::Checkpoint { .. } => AxisUnit::Percent,
        }
    }
}

/// Returns the greatest common divisor of two numbers; that of 0 and a number is the number.
fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The name and the texts of a figure.
struct FigureText {
    name: &'static str,
    title: &'static str,
    /// A sentence of the caption, with a space before it; may be empty.
    remark: &'static str,
    /// The figures of the paper that it corresponds to.
    source: &'static str,
}

/// Returns three figures: early stop with test accuracy there; the other accuracies; and accuracies at the iterations
/// of `report.checkpoints`.
pub(super) fn figures(data: &FigureData<'_>) -> Vec<Figure> {
    let rows = &data.run.rounds;
    let by_iterations_trained = start_note(rows).is_some();
    let (main, others): (Vec<&Metric>, Vec<&Metric>) = Metric::all_shown()
        .into_iter()
        .partition(|metric| [ITERATIONS_TO_EARLY_STOP, EARLY_STOP_TEST_ACCURACY].contains(metric));
    let of_rows = |metrics: Vec<&'static Metric>| -> Vec<FigureMetric<'_>> {
        metrics.into_iter().map(|metric| FigureMetric::row(metric, rows, data.end, by_iterations_trained)).collect()
    };
    let checkpoints = data.checkpoints;
    let iterations = checkpoints.iterations().iter();
    let at_checkpoints: Vec<FigureMetric<'_>> =
        iterations.map(|&iteration| FigureMetric::Checkpoint { checkpoints, iteration }).collect();
    let early_stop_text = FigureText {
        name: "weights_remaining",
        title: "Early stop and test accuracy against weights remaining",
        remark: " The early stop is the iteration of minimum validation loss.",
        source: "Figures 1, 4, 5, 12 and 14",
    };
    let other_text = FigureText {
        name: "other_accuracies",
        title: "Accuracy at the end and on training images against weights remaining",
        remark: "",
        source: "Figures 4, 5 and 14",
    };
    let checkpoint_text = FigureText {
        name: "checkpoints",
        title: "Accuracy at fixed iterations against weights remaining",
        remark: "",
        source: "Figures 7 and 8",
    };
    vec![
        figure(data, &of_rows(main), &early_stop_text),
        figure(data, &of_rows(others), &other_text),
        figure(data, &at_checkpoints, &checkpoint_text),
    ]
}

/// Returns a figure with a panel for each of `metrics`.
fn figure(data: &FigureData<'_>, metrics: &[FigureMetric<'_>], text: &FigureText) -> Figure {
    let groups = RoundGroup::by_arm_and_round(&data.run.rounds);
    let ticks = ticks(&groups);
    let panels: Vec<Panel> = metrics.iter().map(|metric| panel(data, &groups, &ticks, metric)).collect();
    let is_cut = panels.iter().any(|panel| panel.y.window.is_some());
    let cut = if is_cut { " An arrow at the frame is a mean outside the panel, with its value." } else { "" };
    let mut points = panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
    let bounds = if points.any(|point| point.is_lower_bound) { LOWER_BOUNDS } else { "" };
    let FigureText { name, title, remark, source } = text;
    Figure {
        name: (*name).to_owned(),
        title: (*title).to_owned(),
        caption: format!(
            "{MEANS} Points are offset horizontally for legibility. The dotted line is the mean of the dense network. \
             Tickets are solid, controls dashed.{remark}{bounds}{cut} (The paper's {source}.)"
        ),
        panels,
    }
}

/// Returns the panel of a metric, with a series for each arm.
fn panel(data: &FigureData<'_>, groups: &[RoundGroup<'_>], ticks: &[f64], metric: &FigureMetric<'_>) -> Panel {
    let roles = data.arms.iter();
    let series: Vec<Series> = roles.map(|role| arm_series(data, groups, role, metric)).collect();
    let window = if metric.unit() == AxisUnit::Percent { accuracy_window(&series) } else { None };
    let level = dense_point(&series).map(|point| point.mean);
    Panel {
        x: weights_remaining_axis(ticks.to_vec()),
        y: metric.axis(window),
        series,
        level,
        note: data.note(metric.is_test()),
        ..Panel::default()
    }
}

/// Returns the series of an arm. The line of a ticket begins at the dense network, which the ticket is pruned from.
fn arm_series(data: &FigureData<'_>, groups: &[RoundGroup<'_>], role: &ArmRole, metric: &FigureMetric<'_>) -> Series {
    let points = |arm: &str| arm_points(groups, arm, metric);
    let start = points(DENSE).first().copied().filter(|_| role.is_ticket);
    let style = data.style(&role.arm);
    Series { name: role.arm.clone(), style, points: points(&role.arm), start, ..Series::default() }
}

/// Returns an arm's points, from large to small shares of weights. A mean of values some of which are lower bounds is a
/// lower bound.
pub(super) fn arm_points(groups: &[RoundGroup<'_>], arm: &str, metric: &FigureMetric<'_>) -> Vec<ChartPoint> {
    let groups_of_arm = groups.iter().filter(|group| group.arm == arm);
    let points = groups_of_arm.filter_map(|group| {
        let point = mean_point(group.weights_remaining(), &group.values(|row| metric.value(row)))?;
        Some(ChartPoint { is_lower_bound: metric.is_lower_bound(group), ..point })
    });
    let mut points: Vec<ChartPoint> = points.filter(|point| point.x > 0.0).collect();
    points.sort_by(|a, b| b.x.total_cmp(&a.x));
    points
}

/// Returns the ticks of the x axis: the shares of weights of the dense network and of the arm with the most rounds,
/// descending.
fn ticks(groups: &[RoundGroup<'_>]) -> Vec<f64> {
    let shares = |arm: &str| {
        let groups_shown = groups.iter().filter(|group| group.arm == arm || group.arm == DENSE);
        let mut shares: Vec<f64> =
            groups_shown.map(RoundGroup::weights_remaining).filter(|share| *share > 0.0).collect();
        shares.sort_by(|a, b| b.total_cmp(a));
        shares.dedup();
        shares
    };
    let by_arm = groups.iter().map(|group| shares(group.arm));
    by_arm.reduce(|most, other| if other.len() > most.len() { other } else { most }).unwrap_or_default()
}

/// Returns the point of the dense network; `None` if no series has one.
fn dense_point(series: &[Series]) -> Option<&ChartPoint> {
    series.iter().find(|series| series.name == DENSE)?.points.first()
}

/// Returns the window that limits an accuracy axis from below, see [`WINDOW_GAINS`]; `None` if every series lies inside
/// it. It contains the dense network and all tickets, whose lines are solid. Without a limit, weak controls would
/// stretch the axis and press all other series into a line; their points outside it are arrows at the frame.
fn accuracy_window(series: &[Series]) -> Option<(f64, f64)> {
    let dense = dense_point(series)?.mean;
    let points = || series.iter().flat_map(|series| &series.points);
    let best = points().map(|point| point.mean).fold(dense, f64::max);
    let least = points().map(|point| point.low).fold(dense, f64::min);
    let of_tickets = series.iter().filter(|series| series.style.dash == 0).flat_map(|series| &series.points);
    let least_of_tickets = of_tickets.map(|point| point.low).fold(dense, f64::min);
    let low = (dense - (WINDOW_GAINS * (best - dense)).max(MIN_WINDOW)).min(least_of_tickets);
    (least < low).then_some((low, f64::INFINITY))
}
