//! The figure of the weights remaining in each layer at each round.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{FigureData, mean_point, shade};
use crate::artifacts::{LayerRow, first_seen};
use crate::lottery::DENSE;
use crate::plot::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, Panel, Series, SeriesStyle};

/// Shares of weights of the training runs of an arm, by arm, layer and round.
type LayerShares<'a> = BTreeMap<(&'a str, &'a str, u32), Vec<f64>>;

/// Returns a figure with a panel for each arm whose mean shares differ from those of every earlier arm: arms that copy
/// a mask, or its counts, would repeat a panel.
///
/// # Errors
/// Fails if `layers.csv` is damaged.
pub(super) fn figure(data: &FigureData<'_>) -> Result<Figure> {
    let run = data.run;
    let rows = run.layers()?;
    let arms = first_seen(rows.iter().map(|row| row.arm.as_str()));
    let layers = first_seen(rows.iter().map(|row| row.layer.as_str()));
    let shares = layer_shares(&rows);
    let mut panels: Vec<Panel> = Vec::new();
    for arm in arms.into_iter().filter(|arm| *arm != DENSE) {
        let series = arm_series(&shares, arm, &layers, data.style(arm));
        if panels.iter().all(|panel| means(&panel.series) != means(&series)) {
            panels.push(panel(arm, series));
        }
    }
    Ok(Figure {
        name: "layers".to_owned(),
        title: "Weights remaining by layer and round".to_owned(),
        caption: "Lines are labelled with their layers; the first layer is the strongest line. Round 0 is the dense \
                  network. An arm is shown only if its counts differ from those of the arms before it."
            .to_owned(),
        panels,
    })
}

/// Returns the shares of weights in all rows of `layers.csv`.
fn layer_shares(rows: &[LayerRow]) -> LayerShares<'_> {
    let mut shares = LayerShares::new();
    for row in rows {
        shares.entry((&row.arm, &row.layer, row.round)).or_default().push(row.weights_remaining);
    }
    shares
}

/// Returns a series for each layer of an arm, from the dense network on. `style`: the style of the arm.
fn arm_series(shares: &LayerShares<'_>, arm: &str, layers: &[&str], style: SeriesStyle) -> Vec<Series> {
    let series = |(index, layer): (usize, &&str)| Series {
        label: (*layer).to_owned(),
        style: SeriesStyle { dash: 0, mark: index, shade: shade(index, layers.len()), ..style },
        points: layer_points(shares, arm, layer),
        ..Series::default()
    };
    layers.iter().enumerate().map(series).collect()
}

/// Returns the points of a layer of an arm by round, with the dense network at round 0.
fn layer_points(shares: &LayerShares<'_>, arm: &str, layer: &str) -> Vec<ChartPoint> {
    let of_layer = shares.iter().filter(|((other, name, _), _)| (*other == arm || *other == DENSE) && *name == layer);
    let points = of_layer.filter_map(|((_, _, round), shares)| mean_point(f64::from(*round), shares));
    let mut points: Vec<ChartPoint> = points.filter(|point| point.low > 0.0).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    points
}

/// Returns the points (x, mean) of all series.
fn means(series: &[Series]) -> Vec<(f64, f64)> {
    series.iter().flat_map(|series| &series.points).map(|point| (point.x, point.mean)).collect()
}

/// Returns the panel of an arm.
fn panel(arm: &str, series: Vec<Series>) -> Panel {
    let x = Axis { title: "round".to_owned(), column: "round", unit: AxisUnit::Count, ..Axis::default() };
    let y = Axis {
        title: "weights remaining (%)".to_owned(),
        column: "weights_remaining",
        unit: AxisUnit::Percent,
        scale: AxisScale::Log,
        ..Axis::default()
    };
    Panel { title: arm.to_owned(), x, y, series, ..Panel::default() }
}
