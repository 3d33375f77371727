//! Figures of weights: initial values of the weights that survive, distances moved, and connections that units keep
//! (the paper's Figures 15–24).

use anyhow::Result;

use super::{name_suffix, nearest_rounds, weights_remaining};
use crate::artifacts::{WeightRow, first_seen};
use crate::lottery::{DENSE, WeightMeasure};
use crate::plot::{Axis, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle, axis_percent};
use crate::report::run::Run;

/// Shares of weights of the rounds that are shown beside the dense network in figures of one measure.
const SHARES: [f64; 3] = [0.411, 0.169, 0.07];
/// Share of weights of the one round that is shown in figures of two measures.
const SINGLE_ROUND_SHARE: f64 = 0.211;

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
}

impl WeightFigure {
    /// Returns whether the figure shows a single measure, and then several rounds.
    fn has_one_measure(&self) -> bool {
        self.measures.len() == 1
    }
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
        caption: "Density of the initial values; percentages are weights remaining, 100 % is the whole initialisation. \
                  (The paper's Figures 15 and 16.)",
        measures: &[(WeightMeasure::Initial, "")],
        x: ("initial weight", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
    },
    WeightFigure {
        name: "distance_moved",
        title: "How far weights move in the dense network",
        caption: "Density of |θT − θ0| in the dense training, of the weights in the ticket and of the others. (The \
                  paper's Figure 19.)",
        measures: &[(WeightMeasure::MovedKept, "in the ticket"), (WeightMeasure::MovedPruned, "not in the ticket")],
        x: ("distance |θT − θ0|", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
    },
    WeightFigure {
        name: "magnitude_grown",
        title: "How much weights grow in the dense network",
        caption: "Density of |θT| − |θ0| in the dense training, of the weights in the ticket and of the others. (The \
                  paper's Figure 20.)",
        measures: &[(WeightMeasure::GrownKept, "in the ticket"), (WeightMeasure::GrownPruned, "not in the ticket")],
        x: ("growth |θT| − |θ0|", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
    },
    WeightFigure {
        name: "incoming_connections",
        title: "Incoming connections that each unit keeps",
        caption: "Units of a layer from the one that keeps most to the one that keeps least. (The paper's Figures 21 \
                  and 22.)",
        measures: &[(WeightMeasure::Incoming, "")],
        x: ("rank of the unit (% of units)", AxisUnit::Percent),
        y: ("incoming connections kept (%)", AxisUnit::Percent),
    },
    WeightFigure {
        name: "outgoing_connections",
        title: "Outgoing connections that each unit keeps",
        caption: "Inputs of a layer from the one that keeps most to the one that keeps least. (The paper's Figures 23 \
                  and 24.)",
        measures: &[(WeightMeasure::Outgoing, "")],
        x: ("rank of the unit (% of units)", AxisUnit::Percent),
        y: ("outgoing connections kept (%)", AxisUnit::Percent),
    },
];

/// Returns the figures of each arm that has a mask of its own.
///
/// # Errors
/// Fails if `weights.csv` is damaged.
pub(super) fn figures(run: &Run) -> Result<Vec<Figure>> {
    let rows = run.weights()?;
    let arms = first_seen(rows.iter().map(|row| row.arm.as_str()).filter(|arm| *arm != DENSE));
    let mut figures = Vec::new();
    for arm in &arms {
        let suffix = name_suffix(arm, arms.len());
        figures.extend(FIGURES.iter().map(|kind| figure(run, &rows, arm, &suffix, kind)));
    }
    Ok(figures)
}

/// Returns a figure of an arm with a panel for each layer; `suffix` ends its name.
fn figure(run: &Run, rows: &[WeightRow], arm: &str, suffix: &str, kind: &WeightFigure) -> Figure {
    let shown = shown_rounds(run, arm, kind);
    let ticket = shown.first().filter(|_| !kind.has_one_measure());
    let share = ticket.map_or(String::new(), |ticket| format!(", {} % of the weights", axis_percent(ticket.share)));
    let layers = first_seen(rows.iter().map(|row| row.layer.as_str()));
    Figure {
        name: format!("{}{suffix}", kind.name),
        title: format!("{}: {arm}{share}", kind.title),
        caption: kind.caption.to_owned(),
        panels: layers.into_iter().map(|layer| layer_panel(rows, layer, &shown, kind)).collect(),
    }
}

/// Returns the rounds that a figure of an arm shows.
fn shown_rounds<'a>(run: &Run, arm: &'a str, kind: &WeightFigure) -> Vec<ShownRound<'a>> {
    let mut shown = Vec::new();
    if kind.has_one_measure() {
        shown.push(ShownRound { arm: DENSE, round: 0, share: weights_remaining(run, DENSE, 0).unwrap_or(1.0) });
    }
    let shares: &[f64] = if kind.has_one_measure() { &SHARES } else { &[SINGLE_ROUND_SHARE] };
    let rounds = nearest_rounds(run, arm, shares).into_iter();
    shown.extend(rounds.map(|(round, share)| ShownRound { arm, round, share }));
    shown
}

/// Returns the panel of a layer, with a series for each round and measure.
fn layer_panel(rows: &[WeightRow], layer: &str, shown: &[ShownRound<'_>], kind: &WeightFigure) -> Panel {
    let mut series = Vec::new();
    for (round_index, shown) in shown.iter().enumerate() {
        for (measure_index, (measure, name)) in kind.measures.iter().enumerate() {
            let (colour, dash, name) = if kind.has_one_measure() {
                (round_index, round_index, format!("{} % remaining", axis_percent(shown.share)))
            } else {
                (measure_index + 1, measure_index, (*name).to_owned())
            };
            let style = SeriesStyle { colour, dash, mark: 0, marks: MarkerPolicy::None };
            series.push(Series { name, style, points: points(rows, layer, shown, *measure), start: None });
        }
    }
    let axis =
        |(title, unit): (&str, AxisUnit), column| Axis { title: title.to_owned(), column, unit, ..Axis::default() };
    Panel { title: layer.to_owned(), x: axis(kind.x, "x"), y: axis(kind.y, "y"), series, ..Panel::default() }
}

/// Returns the points of a measure in a layer at a round, in the order of the rows.
fn points(rows: &[WeightRow], layer: &str, shown: &ShownRound<'_>, measure: WeightMeasure) -> Vec<ChartPoint> {
    let of_round = rows.iter().filter(|row| row.layer == layer && row.arm == shown.arm && row.round == shown.round);
    of_round.filter(|row| row.measure.is(measure)).map(|row| ChartPoint::exact(row.x, row.y, row.n)).collect()
}
