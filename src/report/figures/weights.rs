//! Figures of weights: initial values of the weights that survive, distances moved, and connections that units keep
//! (the paper's Figures 15–24).

use anyhow::Result;

use super::{FigureData, name_suffix, nearest_rounds, share_label, weights_remaining};
use crate::artifacts::{LayerRow, WeightRow, first_seen};
use crate::lottery::{DENSE, WeightMeasure};
use crate::plot::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};

/// Shares of weights of the rounds that are shown beside the dense network in figures of one measure.
const SHARES: [f64; 3] = [0.411, 0.169, 0.07];
/// Share of weights of the one round that is shown in figures of two measures.
const SINGLE_ROUND_SHARE: f64 = 0.211;
/// Least number of bins of a histogram.
const MIN_BINS: f64 = 5.0;

/// A kind of figure, drawn for each arm with a mask of its own.
struct WeightFigure {
    name: &'static str,
    title: &'static str,
    caption: &'static str,
    /// Measures drawn together, with their names in the legend. A single measure is drawn for several rounds, and the
    /// legend names these.
    measures: &'static [(WeightMeasure, &'static str)],
    /// Title and unit of the x axis.
    x: (&'static str, AxisUnit),
    /// Title and unit of the y axis.
    y: (&'static str, AxisUnit),
    /// Scale of the y axis.
    y_scale: AxisScale,
    /// Whether the dense network is drawn too.
    with_dense: bool,
}

impl WeightFigure {
    /// Returns whether the figure shows a single measure, and then several rounds.
    fn has_one_measure(&self) -> bool {
        self.measures.len() == 1
    }
}

/// The rows of `weights.csv` and `layers.csv`. The latter are empty if the file does not exist.
struct WeightData {
    weights: Vec<WeightRow>,
    layers: Vec<LayerRow>,
}

/// An arm at a round, and its share of weights, 0..=1.
struct ShownRound<'a> {
    arm: &'a str,
    round: u32,
    share: f64,
}

/// The kinds of figures of each arm.
const FIGURES: [WeightFigure; 5] = [
    WeightFigure {
        name: "initial_weights",
        title: "Initial values of the weights that survive",
        caption: "Density of the initial values of the weights that remain; 100% is the whole initialization. (The \
                  paper's Figures 15 and 16.)",
        measures: &[(WeightMeasure::Initial, "")],
        x: ("initial weight", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
        y_scale: AxisScale::Linear,
        with_dense: true,
    },
    WeightFigure {
        name: "distance_moved",
        title: "How far weights move in the dense network",
        caption: "Density of |θₜ − θ₀| of the dense network, for the weights in the ticket and for the others; θ₀ are \
                  the initial weights, θₜ the final ones. (The paper's Figure 19.)",
        measures: &[(WeightMeasure::MovedKept, "in the ticket"), (WeightMeasure::MovedPruned, "not in the ticket")],
        x: ("distance |θₜ − θ₀|", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
        y_scale: AxisScale::Log,
        with_dense: false,
    },
    WeightFigure {
        name: "magnitude_grown",
        title: "How much weights grow in the dense network",
        caption: "Density of |θₜ| − |θ₀| of the dense network, for the weights in the ticket and for the others. (The \
                  paper's Figure 20.)",
        measures: &[(WeightMeasure::GrownKept, "in the ticket"), (WeightMeasure::GrownPruned, "not in the ticket")],
        x: ("growth |θₜ| − |θ₀|", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
        y_scale: AxisScale::Log,
        with_dense: false,
    },
    WeightFigure {
        name: "incoming_connections",
        title: "Incoming connections that each unit keeps",
        caption: "Units of a layer, from the one that keeps the most connections to the one that keeps the fewest. \
                  Units of the dense network keep 100%. (The paper's Figures 21 and 22.)",
        measures: &[(WeightMeasure::Incoming, "")],
        x: ("rank of the unit (% of units)", AxisUnit::Percent),
        y: ("incoming connections kept (%)", AxisUnit::Percent),
        y_scale: AxisScale::Linear,
        with_dense: false,
    },
    WeightFigure {
        name: "outgoing_connections",
        title: "Outgoing connections that each unit keeps",
        caption: "Inputs of a layer, from the one that keeps the most connections to the one that keeps the fewest. \
                  Inputs of the dense network keep 100%. (The paper's Figures 23 and 24.)",
        measures: &[(WeightMeasure::Outgoing, "")],
        x: ("rank of the unit (% of units)", AxisUnit::Percent),
        y: ("outgoing connections kept (%)", AxisUnit::Percent),
        y_scale: AxisScale::Linear,
        with_dense: false,
    },
];

/// Returns the figures of each arm that has a mask of its own.
///
/// # Errors
/// Fails if `weights.csv` or `layers.csv` is damaged.
pub(super) fn figures(data: &FigureData<'_>) -> Result<Vec<Figure>> {
    let weights = data.run.weights()?;
    let rows = WeightData { weights, layers: data.run.layers()? };
    let arms = first_seen(rows.weights.iter().map(|row| row.arm.as_str()).filter(|arm| *arm != DENSE));
    let mut figures = Vec::new();
    for arm in &arms {
        let suffix = name_suffix(arm, arms.len());
        figures.extend(FIGURES.iter().map(|kind| figure(data, &rows, arm, &suffix, kind)));
    }
    Ok(figures)
}

/// Returns a figure of an arm with a panel for each layer; `suffix` ends its name.
fn figure(data: &FigureData<'_>, rows: &WeightData, arm: &str, suffix: &str, kind: &WeightFigure) -> Figure {
    let shown = shown_rounds(data, arm, kind);
    let ticket = shown.first().filter(|_| !kind.has_one_measure());
    let share = ticket.map_or(String::new(), |ticket| format!(", {} of the weights", share_label(ticket.share)));
    let layers = first_seen(rows.weights.iter().map(|row| row.layer.as_str()));
    Figure {
        name: format!("{}{suffix}", kind.name),
        title: format!("{}: {arm}{share}", kind.title),
        caption: kind.caption.to_owned(),
        panels: layers.into_iter().map(|layer| layer_panel(data, rows, layer, &shown, kind)).collect(),
    }
}

/// Returns the rounds that a figure of an arm shows.
fn shown_rounds<'a>(data: &FigureData<'_>, arm: &'a str, kind: &WeightFigure) -> Vec<ShownRound<'a>> {
    let mut shown = Vec::new();
    if kind.with_dense {
        shown.push(ShownRound { arm: DENSE, round: 0, share: weights_remaining(data.run, DENSE, 0).unwrap_or(1.0) });
    }
    let shares: &[f64] = if kind.has_one_measure() { &SHARES } else { &[SINGLE_ROUND_SHARE] };
    let rounds = nearest_rounds(data.run, arm, shares).into_iter();
    shown.extend(rounds.map(|(round, share)| ShownRound { arm, round, share }));
    shown
}

/// Returns the panel of a layer, with a series for each round and measure.
fn layer_panel(
    data: &FigureData<'_>,
    rows: &WeightData,
    layer: &str,
    shown: &[ShownRound<'_>],
    kind: &WeightFigure,
) -> Panel {
    let mut series = Vec::new();
    for (round_index, shown_round) in shown.iter().enumerate() {
        for (measure_index, (measure, name)) in kind.measures.iter().enumerate() {
            let arm_style = SeriesStyle { marks: MarkerPolicy::None, mark: 0, ..data.style(shown_round.arm) };
            let (style, name) = if kind.has_one_measure() {
                // The ends of densities lie close together, so that the legend and not a label names the lines.
                let shade = round_index.saturating_sub(usize::from(kind.with_dense));
                let style = SeriesStyle { shade, dash: shade, ..arm_style };
                let dense = if shown_round.arm == DENSE { "dense " } else { "" };
                (style, format!("{dense}{}", share_label(shown_round.share)))
            } else if measure_index == 0 {
                (arm_style, (*name).to_owned())
            } else {
                (
                    SeriesStyle { dash: 1, ..SeriesStyle { marks: MarkerPolicy::None, ..SeriesStyle::default() } },
                    (*name).to_owned(),
                )
            };
            let points = points(rows, layer, shown_round, *measure);
            series.push(Series { name, style, points, ..Series::default() });
        }
    }
    let axis = |(title, unit): (&str, AxisUnit), column, scale| Axis {
        title: title.to_owned(),
        column,
        unit,
        scale,
        ..Axis::default()
    };
    Panel {
        title: layer.to_owned(),
        x: axis(kind.x, "x", AxisScale::Linear),
        y: axis(kind.y, "y", kind.y_scale),
        series,
        ..Panel::default()
    }
}

/// Returns the points of a measure in a layer at a round, in the order of the rows; of a histogram with about √n bins,
/// where n is the number of its values.
fn points(rows: &WeightData, layer: &str, shown: &ShownRound<'_>, measure: WeightMeasure) -> Vec<ChartPoint> {
    let of_round =
        rows.weights.iter().filter(|row| row.layer == layer && row.arm == shown.arm && row.round == shown.round);
    let points: Vec<ChartPoint> =
        of_round.filter(|row| row.measure.is(measure)).map(|row| ChartPoint::exact(row.x, row.y, row.n)).collect();
    match value_count(rows, layer, shown, measure) {
        Some(n) => merged(&points, libm::ceil(libm::sqrt(n as f64).max(MIN_BINS)) as usize),
        None => points,
    }
}

/// Returns the number of values in the histogram of a measure in a layer at a round; `None` if the measure is no
/// histogram, or the number is not known.
fn value_count(rows: &WeightData, layer: &str, shown: &ShownRound<'_>, measure: WeightMeasure) -> Option<u64> {
    let of_round =
        rows.layers.iter().filter(|row| row.layer == layer && row.arm == shown.arm && row.round == shown.round);
    let counts = of_round.map(|row| match measure {
        WeightMeasure::Initial | WeightMeasure::MovedKept | WeightMeasure::GrownKept => row.weights_kept,
        WeightMeasure::MovedPruned | WeightMeasure::GrownPruned => row.weights_total.saturating_sub(row.weights_kept),
        WeightMeasure::Incoming | WeightMeasure::Outgoing => 0,
    });
    Some(counts.sum::<u64>()).filter(|n| *n > 0)
}

/// Returns the points of a histogram with equal numbers of neighbouring bins merged, so that at most `most` bins
/// remain. The density of a merged bin is the mean of the densities, because all bins have equal widths.
fn merged(points: &[ChartPoint], most: usize) -> Vec<ChartPoint> {
    let size = points.len().div_ceil(most).max(1);
    let mean =
        |bins: &[ChartPoint], value: fn(&ChartPoint) -> f64| bins.iter().map(value).sum::<f64>() / bins.len() as f64;
    points
        .chunks(size)
        .map(|bins| ChartPoint::exact(mean(bins, |bin| bin.x), mean(bins, |bin| bin.mean), bins[0].n))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_bins_keep_their_area() {
        let bins: Vec<ChartPoint> =
            [(0.5, 0.1), (1.5, 0.3), (2.5, 0.5), (3.5, 0.1)].map(|(x, y)| ChartPoint::exact(x, y, 3)).to_vec();
        assert_eq!(merged(&bins, 2), [(1.0, 0.2), (3.0, 0.3)].map(|(x, y)| ChartPoint::exact(x, y, 3)));
        assert_eq!(merged(&bins, 9), bins);
        assert_eq!(merged(&[], 5), []);
    }
}
