//! Figures of what `lth landscape` measures: quantities against weights remaining, and the training loss between start
//! and end and around the end.

use std::collections::BTreeMap;

use anyhow::Result;

use super::equal_iterations::{arm_series, dense_mean};
use super::{FigureData, MEANS, mean_point, nearest_rounds, shade, share_label, ticket_roles, weights_remaining_axis};
use crate::artifacts::{LandscapeCurve, LandscapeCurveRow};
use crate::lottery::DENSE;
use crate::plot::{Axis, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use crate::report::landscape::{LandscapeByKey, QUANTITIES, Quantity};
use crate::report::roles::ArmRole;

/// The shares of weights of the rounds whose losses are shown; of each the nearest round.
const SHARES: [f64; 2] = [0.411, 0.07];

/// Returns the figure of quantities and that of losses; none if nothing was measured.
///
/// # Errors
/// Fails if `landscape_curves.csv` is damaged.
pub(super) fn figures(data: &FigureData<'_>) -> Result<Vec<Figure>> {
    if data.measured.landscape.is_empty() {
        return Ok(Vec::new());
    }
    let curves = data.run.landscape_curves()?;
    Ok(vec![quantity_figure(data), curve_figure(data, &curves)])
}

/// Returns the figure of quantities against weights remaining, with a panel for each quantity.
fn quantity_figure(data: &FigureData<'_>) -> Figure {
    let measured = LandscapeByKey::new(data.measured.landscape);
    let panel = |quantity: &Quantity| {
        let series = arm_series(data, |row| measured.value(row, quantity));
        Panel {
            x: weights_remaining_axis(Vec::new()),
            y: Axis { title: quantity.title.to_owned(), column: "mean", include: vec![0.0], ..Axis::default() },
            level: dense_mean(&series),
            series,
            ..Panel::default()
        }
    };
    Figure {
        name: "landscape".to_owned(),
        title: "Distance, gradient, sharpness and loss between start and end against weights remaining".to_owned(),
        caption: format!(
            "{MEANS} The dotted line is the mean of the dense network. The section on training accuracy defines each \
             quantity."
        ),
        panels: QUANTITIES.iter().map(panel).collect(),
    }
}

/// The losses of a training run by the position α of their networks, as the bits of α in the order of the file.
type Losses<'a> = Vec<(f64, &'a str, f64)>;

/// Returns the figure of training losses: between start and end, and along random directions from the end.
fn curve_figure(data: &FigureData<'_>, curves: &[LandscapeCurveRow]) -> Figure {
    let line = |curve: LandscapeCurve, row: &LandscapeCurveRow| row.curve.is(curve).then_some(row.train_loss).flatten();
    let panel = |curve: LandscapeCurve, x: &str, y: &str, column: &'static str| Panel {
        x: Axis { title: x.to_owned(), column: "alpha", ..Axis::default() },
        y: Axis { title: y.to_owned(), column, include: vec![0.0], ..Axis::default() },
        series: curve_series(data, curves, |row| line(curve, row)),
        ..Panel::default()
    };
    Figure {
        name: "landscape_curves".to_owned(),
        title: "Training loss between start and end, and around the end".to_owned(),
        caption: format!(
            "Left: networks on the straight line from the starting weights (α = 0) to the final weights (α = 1). Right: \
             final weights plus α times a filter-normalized random direction; the value of a training run is its mean \
             over directions. Lines are labelled with the weights remaining. {MEANS}"
        ),
        panels: vec![
            panel(LandscapeCurve::Line, "position from start to end, α", "training loss (nats)", "train_loss"),
            panel(LandscapeCurve::Direction, "multiple of the direction, α", "training loss (nats)", "train_loss"),
        ],
    }
}

/// Returns a series for the dense network and for some rounds of each ticket and its control. `loss` returns the loss of
/// a network, `None` if it belongs to another curve.
fn curve_series(
    data: &FigureData<'_>,
    curves: &[LandscapeCurveRow],
    loss: impl Fn(&LandscapeCurveRow) -> Option<f64>,
) -> Vec<Series> {
    let mut series = Vec::new();
    for role in ticket_roles(data) {
        let rounds = shown_rounds(data, role);
        for (index, (round, share)) in rounds.iter().enumerate() {
            let of_round = curves.iter().filter(|row| row.arm == role.arm && row.round == *round);
            let losses: Losses<'_> =
                of_round.filter_map(|row| Some((row.alpha, row.key.as_str(), loss(row)?))).collect();
            series.push(Series {
                name: role.arm.clone(),
                label: share_label(*share),
                style: SeriesStyle {
                    shade: shade(index, rounds.len()),
                    marks: MarkerPolicy::Few,
                    ..data.style(&role.arm)
                },
                points: mean_losses(&losses),
                start: None,
            });
        }
    }
    series
}

/// Returns the rounds of an arm that are shown, each with its share of weights.
fn shown_rounds(data: &FigureData<'_>, role: &ArmRole) -> Vec<(u32, f64)> {
    if role.arm == DENSE {
        nearest_rounds(data.run, DENSE, &[1.0])
    } else {
        nearest_rounds(data.run, &role.arm, &SHARES)
    }
}

/// Returns the mean loss of several training runs at each α, after the mean over the directions of each.
fn mean_losses(losses: &Losses<'_>) -> Vec<ChartPoint> {
    let mut alphas: Vec<f64> = losses.iter().map(|(alpha, _, _)| *alpha).collect();
    alphas.sort_by(f64::total_cmp);
    alphas.dedup();
    let point = |alpha: f64| {
        let mut by_training: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (_, key, loss) in losses.iter().filter(|(other, _, _)| *other == alpha) {
            by_training.entry(*key).or_default().push(*loss);
        }
        let means: Vec<f64> =
            by_training.values().map(|losses| losses.iter().sum::<f64>() / losses.len() as f64).collect();
        mean_point(alpha, &means)
    };
    alphas.into_iter().filter_map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_averaged_over_directions_before_training_runs() {
        let losses = vec![(0.5, "a", 1.0), (-0.5, "a", 0.0), (0.5, "a", 3.0), (0.5, "b", 8.0)];
        let points = mean_losses(&losses);
        assert_eq!(
            points.iter().map(|point| (point.x, point.mean, point.n)).collect::<Vec<_>>(),
            [(-0.5, 0.0, 1), (0.5, 5.0, 2)]
        );
        assert_eq!((points[1].low, points[1].high), (2.0, 8.0));
    }
}
