//! The weights themselves: where survivors began, how far weights moved, what units keep (the paper's Figures 15–24).

use anyhow::Result;

use super::axis::share;
use super::chart::{Axis, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use super::{nearest, remaining};
use crate::artifacts::WeightRow;
use crate::lottery::DENSE;
use crate::report::run::Run;

/// Shares of weights whose rounds are shown beside the dense network, and the one whose ticket is looked into.
const SHARES: [f64; 3] = [0.411, 0.169, 0.07];
const TICKET: f64 = 0.211;

/// A kind of figure: what it shows and how.
struct WeightFigure {
    name: &'static str,
    title: &'static str,
    caption: &'static str,
    /// The measures drawn together; two are told apart by their names, one by rounds.
    measures: &'static [(&'static str, &'static str)],
    x: (&'static str, AxisUnit),
    y: (&'static str, AxisUnit),
}

const KINDS: [WeightFigure; 5] = [
    WeightFigure {
        name: "initial_weights",
        title: "Initial values of the weights that survive",
        caption: "Density of the initial values; percentages are weights remaining, 100 % is the whole initialisation. \
                  (The paper's Figures 15 and 16.)",
        measures: &[("initial", "")],
        x: ("initial weight", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
    },
    WeightFigure {
        name: "distance_moved",
        title: "How far weights move in the dense network",
        caption: "Density of |θT − θ0| in the dense training, of the weights in the ticket and of the others. (The \
                  paper's Figure 19.)",
        measures: &[("moved_kept", "in the ticket"), ("moved_pruned", "not in the ticket")],
        x: ("distance |θT − θ0|", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
    },
    WeightFigure {
        name: "magnitude_grown",
        title: "How much weights grow in the dense network",
        caption: "Density of |θT| − |θ0| in the dense training, of the weights in the ticket and of the others. (The \
                  paper's Figure 20.)",
        measures: &[("grown_kept", "in the ticket"), ("grown_pruned", "not in the ticket")],
        x: ("growth |θT| − |θ0|", AxisUnit::Plain),
        y: ("density (per unit)", AxisUnit::Plain),
    },
    WeightFigure {
        name: "incoming_connections",
        title: "Incoming connections that each unit keeps",
        caption: "Units of a layer from the one that keeps most to the one that keeps least. (The paper's Figures 21 \
                  and 22.)",
        measures: &[("incoming", "")],
        x: ("rank of the unit (% of units)", AxisUnit::Percent),
        y: ("incoming connections kept (%)", AxisUnit::Percent),
    },
    WeightFigure {
        name: "outgoing_connections",
        title: "Outgoing connections that each unit keeps",
        caption: "Inputs of a layer from the one that keeps most to the one that keeps least. (The paper's Figures 23 \
                  and 24.)",
        measures: &[("outgoing", "")],
        x: ("rank of the unit (% of units)", AxisUnit::Percent),
        y: ("outgoing connections kept (%)", AxisUnit::Percent),
    },
];

/// The figures of each arm that has a mask of its own.
pub(super) fn figures(run: &Run) -> Result<Vec<Figure>> {
    let rows = run.weights()?;
    let mut arms: Vec<&str> = Vec::new();
    for row in rows.iter().filter(|row| row.arm != DENSE) {
        if !arms.contains(&row.arm.as_str()) {
            arms.push(&row.arm);
        }
    }
    let suffix = |arm: &str| if arms.len() > 1 { format!("_{arm}") } else { String::new() };
    Ok(arms.iter().flat_map(|arm| KINDS.iter().map(|kind| figure(run, &rows, arm, &suffix(arm), kind))).collect())
}

fn figure(run: &Run, rows: &[WeightRow], arm: &str, suffix: &str, kind: &WeightFigure) -> Figure {
    let rounds = if kind.measures.len() > 1 { nearest(run, arm, &[TICKET]) } else { nearest(run, arm, &SHARES) };
    let mut layers: Vec<&str> = Vec::new();
    for row in rows {
        if !layers.contains(&row.layer.as_str()) {
            layers.push(&row.layer);
        }
    }
    let panel = |layer: &&str| {
        let points = |arm: &str, round: u32, measure: &str| -> Vec<ChartPoint> {
            let own = rows.iter().filter(|row| row.layer == *layer && row.arm == arm && row.round == round);
            own.filter(|row| row.measure == measure).map(|row| ChartPoint::exact(row.x, row.y, row.n)).collect()
        };
        let look = |colour: usize, dash: usize| SeriesStyle { colour, dash, mark: 0, marks: MarkerPolicy::None };
        let dense = (DENSE, 0, remaining(run, DENSE, 0).unwrap_or(1.0));
        let shown = rounds.iter().map(|(round, size)| (arm, *round, *size));
        let shown: Vec<(&str, u32, f64)> = match kind.measures {
            [_] => std::iter::once(dense).chain(shown).collect(),
            _ => shown.collect(),
        };
        let mut series = Vec::new();
        for (i, (of, round, size)) in shown.into_iter().enumerate() {
            for (j, (measure, name)) in kind.measures.iter().enumerate() {
                let name = if name.is_empty() { format!("{} % remaining", share(size)) } else { (*name).to_owned() };
                let look = if kind.measures.len() > 1 { look(j + 1, j) } else { look(i, i) };
                series.push(Series { name, style: look, points: points(of, round, measure), start: None });
            }
        }
        let axis =
            |(title, unit): (&str, AxisUnit), column| Axis { title: title.to_owned(), column, unit, ..Axis::default() };
        Panel { title: (*layer).to_owned(), x: axis(kind.x, "x"), y: axis(kind.y, "y"), series, ..Panel::default() }
    };
    let size = rounds.first().map_or(String::new(), |(_, size)| format!(", {} % of the weights", share(*size)));
    let which = if kind.measures.len() > 1 { size } else { String::new() };
    Figure {
        name: format!("{}{suffix}", kind.name),
        title: format!("{}: {arm}{which}", kind.title),
        caption: kind.caption.to_owned(),
        panels: layers.iter().map(panel).collect(),
    }
}
