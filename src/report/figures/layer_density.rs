//! What each round leaves of each layer.

use std::collections::BTreeMap;

use anyhow::Result;

use super::chart::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use crate::lottery::DENSE;
use crate::report::run::Run;
use crate::system::paths::RunDir;

/// A panel for each arm whose counts no arm before it has.
pub(super) fn figure(run: &Run) -> Result<Figure> {
    let rows = if run.view.file(RunDir::LAYERS).exists() { run.layers()? } else { Vec::new() };
    let (mut arms, mut layers): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut shares: BTreeMap<(&str, &str, u32), Vec<f64>> = BTreeMap::new();
    for row in &rows {
        for (name, known) in [(row.arm.as_str(), &mut arms), (row.layer.as_str(), &mut layers)] {
            if !known.contains(&name) {
                known.push(name);
            }
        }
        shares.entry((&row.arm, &row.layer, row.round)).or_default().push(row.weights_remaining);
    }
    let series = |arm: &str| -> Vec<Series> {
        let points = |layer: &str| {
            let own = shares.iter().filter(|((of, name, _), _)| (*of == arm || *of == DENSE) && *name == layer);
            let points = own.filter_map(|((_, _, round), shares)| ChartPoint::of(f64::from(*round), shares));
            let mut points: Vec<ChartPoint> = points.filter(|point| point.low > 0.0).collect();
            points.sort_by(|a, b| a.x.total_cmp(&b.x));
            points
        };
        let look = |i: usize| SeriesStyle { colour: i + 1, dash: 0, mark: i, marks: MarkerPolicy::Every };
        let layers = layers.iter().enumerate();
        layers
            .map(|(i, layer)| Series { name: (*layer).to_owned(), style: look(i), points: points(layer), start: None })
            .collect()
    };
    let mut panels: Vec<Panel> = Vec::new();
    for arm in arms.into_iter().filter(|arm| *arm != DENSE) {
        let series = series(arm);
        let means = |series: &[Series]| -> Vec<(f64, f64)> {
            series.iter().flat_map(|series| &series.points).map(|point| (point.x, point.mean)).collect()
        };
        if panels.iter().all(|panel| means(&panel.series) != means(&series)) {
            let x = Axis { title: "round".to_owned(), column: "round", unit: AxisUnit::Count, ..Axis::default() };
            let y = Axis {
                title: "weights remaining in the layer (%)".to_owned(),
                column: "weights_remaining",
                unit: AxisUnit::Percent,
                scale: AxisScale::Log,
                ..Axis::default()
            };
            panels.push(Panel { title: arm.to_owned(), x, y, series, ..Panel::default() });
        }
    }
    Ok(Figure {
        name: "density".to_owned(),
        title: "Density by layer and round".to_owned(),
        caption: "Round 0 is the dense network. An arm is shown only where its counts differ from those of the arms \
                  before it."
            .to_owned(),
        panels,
    })
}
