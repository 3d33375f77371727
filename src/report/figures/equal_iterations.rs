//! Training and test accuracy at equal iterations against the share of weights that remains.

use super::{FigureData, MEANS, mean_point, ticket_roles, weights_remaining_axis, with_common_axes};
use crate::artifacts::{RoundGroup, RoundRow};
use crate::base::format::capitalize;
use crate::plot::{Axis, AxisUnit, ChartPoint, Figure, Panel, Series};
use crate::report::equal_iterations::EqualIteration;

/// Returns the figure: a row of panels for training accuracy, and one for test accuracy, with a panel for each
/// iteration. It has no panels if the run has no ticket.
pub(super) fn figure(data: &FigureData<'_>) -> Figure {
    let equal = data.measured.equal;
    let train = equal.iterations.iter().map(|time| panel(data, time, "train", |row| equal.train(row, time)));
    let test = equal.iterations.iter().map(|time| panel(data, time, "test", |row| equal.test(row, time)));
    let has_ticket = data.arms.iter().any(|role| role.is_ticket);
    let panels = with_common_axes(train.collect()).into_iter().chain(with_common_axes(test.collect()));
    Figure {
        name: "equal_iterations".to_owned(),
        title: "Training and test accuracy at equal iterations against weights remaining".to_owned(),
        caption: format!(
            "{MEANS} The dotted line is the mean of the dense network at the same iteration. The dense early stop is, in \
             each replicate, that of its dense network."
        ),
        panels: panels.filter(|_| has_ticket).collect(),
    }
}

/// Returns the panel of accuracies on `images` at an iteration, with a series for the dense network, each ticket and
/// its control with new initial weights.
fn panel(
    data: &FigureData<'_>,
    time: &EqualIteration,
    images: &str,
    value: impl Fn(&RoundRow) -> Option<f64>,
) -> Panel {
    let series = arm_series(data, value);
    Panel {
        title: capitalize(&time.name()),
        x: weights_remaining_axis(Vec::new()),
        y: Axis { title: format!("{images} accuracy (%)"), column: "mean", unit: AxisUnit::Percent, ..Axis::default() },
        level: dense_mean(&series),
        series,
        note: data.note(images == "test"),
        ..Panel::default()
    }
}

/// Returns a series of a number of training runs, against weights remaining, for the dense network, each ticket and its
/// control with new initial weights. The line of a ticket begins at the dense network.
pub(super) fn arm_series(data: &FigureData<'_>, value: impl Fn(&RoundRow) -> Option<f64>) -> Vec<Series> {
    let groups = RoundGroup::by_arm_and_round(&data.run.rounds);
    let points = |arm: &str| -> Vec<ChartPoint> {
        let of_arm = groups.iter().filter(|group| group.arm == arm);
        let mut points: Vec<ChartPoint> =
            of_arm.filter_map(|group| mean_point(group.weights_remaining(), &group.values(&value))).collect();
        points.sort_by(|a, b| b.x.total_cmp(&a.x));
        points
    };
    let dense = points(crate::lottery::DENSE).first().copied();
    let series = ticket_roles(data).into_iter().map(|role| Series {
        name: role.arm.clone(),
        style: data.style(&role.arm),
        points: points(&role.arm),
        start: dense.filter(|_| role.is_ticket),
        ..Series::default()
    });
    series.collect()
}

/// Returns the mean of the dense network; `None` if it has no point.
pub(super) fn dense_mean(series: &[Series]) -> Option<f64> {
    let dense = series.iter().find(|series| series.name == crate::lottery::DENSE)?;
    dense.points.first().map(|point| point.mean)
}
