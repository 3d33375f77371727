//! Figures of the networks on the line between two copies of a training run: their errors along the line, and the
//! instability against weights remaining (Frankle et al. 2020, arXiv 1912.05671).

use super::{
    FigureData, MEANS, mean_point, name_suffix, shade, share_label, weights_remaining, weights_remaining_axis,
    with_common_axes,
};
use crate::artifacts::StabilityRow;
use crate::plot::{Axis, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use crate::report::run::Run;
use crate::report::stability::{InterpolationPath, PathGroup, STABLE};

/// The shares of weights of the rounds whose errors along the line are shown; of each the nearest round.
const SHARES: [f64; 4] = [0.513, 0.211, 0.07, 0.019];

/// An error of the networks on a line, on one kind of images.
struct ErrorMetric {
    /// The images that the error is measured on, as a word for titles.
    images: &'static str,
    is_test: bool,
    /// Share of images that are classified wrongly, 0..=1.
    value: fn(&StabilityRow) -> f64,
}

/// The errors shown, each in a panel.
const ERRORS: [ErrorMetric; 2] = [
    ErrorMetric { images: "test", is_test: true, value: |row| row.test_error },
    ErrorMetric { images: "train", is_test: false, value: |row| row.train_error },
];

/// Returns a figure of instabilities, and a figure of errors for each arm with measured rounds, or of the dense network
/// alone if no other arm was measured.
pub(super) fn figures(data: &FigureData<'_>) -> Vec<Figure> {
    let groups = PathGroup::by_arm_and_round(data.measured.stability);
    let is_measured = |arm: &str| groups.iter().any(|group| group.arm == arm && group.round > 0);
    let measured: Vec<&str> = data.arms.iter().map(|role| role.arm.as_str()).filter(|arm| is_measured(arm)).collect();
    let mut figures = vec![instability_figure(data, &groups)];
    if measured.is_empty() {
        figures.push(error_figure(data, &groups, None, ""));
    }
    for arm in &measured {
        figures.push(error_figure(data, &groups, Some(arm), &name_suffix(arm, measured.len())));
    }
    figures
}

/// Returns the figure of instabilities against weights remaining.
fn instability_figure(data: &FigureData<'_>, groups: &[PathGroup<'_>]) -> Figure {
    Figure {
        name: "instability".to_owned(),
        title: "Instability to the order of the data against weights remaining".to_owned(),
        caption: format!(
            "The highest error on the straight line between the final weights of two copies of a training run, which \
             saw their images in different orders, minus the mean error of both. {MEANS} The dotted line is at 2 \
             points: below it, a training run counts as stable."
        ),
        panels: with_common_axes(ERRORS.iter().map(|error| instability_panel(data, groups, error)).collect()),
    }
}

/// Returns the panel of instabilities by one kind of error, with a series for each arm.
fn instability_panel(data: &FigureData<'_>, groups: &[PathGroup<'_>], error: &ErrorMetric) -> Panel {
    let mut series = Vec::new();
    for role in &data.arms {
        let of_arm = groups.iter().filter(|group| group.arm == role.arm);
        let points = of_arm
            .filter_map(|group| mean_point(group.paths[0].weights_remaining(), &group.instabilities(error.value)))
            .collect();
        let style = data.style(&role.arm);
        series.push(Series { name: role.arm.clone(), style, points, ..Series::default() });
    }
    let mut ticks: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    ticks.sort_by(|a, b| b.total_cmp(a));
    ticks.dedup();
    let title = format!("instability, {} (points)", error.images);
    Panel {
        x: weights_remaining_axis(ticks),
        y: Axis { title, column: "mean", unit: AxisUnit::Percent, include: vec![0.0, STABLE], ..Axis::default() },
        series,
        level: Some(STABLE),
        note: data.note(error.is_test),
        ..Panel::default()
    }
}

/// Returns the figure of errors along the lines of the dense network and of some rounds of `arm`; of the dense network
/// alone if `arm` is `None`. `suffix` ends its name.
fn error_figure(data: &FigureData<'_>, groups: &[PathGroup<'_>], arm: Option<&str>, suffix: &str) -> Figure {
    let shown = shown_groups(data.run, groups, arm);
    Figure {
        name: format!("between_copies{suffix}"),
        title: format!("Error between two copies: {}", arm.unwrap_or("dense")),
        caption: format!(
            "Errors of networks whose weights are α times those of the original and 1 − α times those of its copy, a \
             training run that saw its images in a different order. Batch norms have the statistics of training images \
             at each point. Lines are labelled with the weights remaining. {MEANS}"
        ),
        panels: with_common_axes(ERRORS.iter().map(|error| error_panel(data, &shown, error)).collect()),
    }
}

/// Returns the group of the dense network, and those groups of the arm whose shares of weights are nearest to
/// [`SHARES`], each once.
fn shown_groups<'g, 'a>(run: &Run, groups: &'g [PathGroup<'a>], arm: Option<&str>) -> Vec<&'g PathGroup<'a>> {
    let mut shown: Vec<&PathGroup<'_>> = groups.iter().filter(|group| group.round == 0).take(1).collect();
    for share in SHARES {
        let distance = |group: &PathGroup<'_>| {
            let remaining = weights_remaining(run, group.arm, group.round);
            remaining.map_or(f64::INFINITY, |remaining| libm::log(remaining / share).abs())
        };
        let of_arm = groups.iter().filter(|group| Some(group.arm) == arm && group.round > 0);
        let nearest = of_arm.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        let is_new = |nearest: &&PathGroup<'_>| {
            !shown.iter().any(|group| (group.arm, group.round) == (nearest.arm, nearest.round))
        };
        shown.extend(nearest.filter(is_new));
    }
    shown
}

/// Returns the panel of one kind of error along the line, with a series for each group.
fn error_panel(data: &FigureData<'_>, shown: &[&PathGroup<'_>], error: &ErrorMetric) -> Panel {
    let series = |(index, group): (usize, &&PathGroup<'_>)| {
        let remaining = weights_remaining(data.run, group.arm, group.round);
        let shade = shade(index.saturating_sub(1), shown.len().saturating_sub(1));
        Series {
            name: group.arm.to_owned(),
            label: remaining.map_or_else(String::new, share_label),
            style: SeriesStyle { shade, marks: MarkerPolicy::Few, ..data.style(group.arm) },
            points: error_points(&group.paths, error),
            start: None,
        }
    };
    Panel {
        x: Axis {
            title: "share of the original, α".to_owned(),
            column: "alpha",
            unit: AxisUnit::Plain,
            ..Axis::default()
        },
        y: Axis {
            title: format!("{} error (%)", error.images),
            column: "mean",
            unit: AxisUnit::Percent,
            ..Axis::default()
        },
        series: shown.iter().enumerate().map(series).collect(),
        note: data.note(error.is_test),
        ..Panel::default()
    }
}

/// Returns the mean error of several paths at each point of the line.
fn error_points(paths: &[InterpolationPath<'_>], error: &ErrorMetric) -> Vec<ChartPoint> {
    let Some(first) = paths.first() else { return Vec::new() };
    // Paths with another number of points are left out: their points have other values of α.
    let comparable: Vec<_> = paths.iter().filter(|path| path.rows.len() == first.rows.len()).collect();
    let point_at = |index: usize| {
        let values: Vec<f64> = comparable.iter().map(|path| (error.value)(path.rows[index])).collect();
        mean_point(first.rows[index].alpha, &values)
    };
    (0..first.rows.len()).filter_map(point_at).collect()
}
