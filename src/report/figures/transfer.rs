//! The figure of transferred networks: their advantage over each reference against weights remaining.

use super::{FigureData, MEANS, mean_point, weights_remaining_axis};
use crate::plot::{Axis, AxisUnit, Figure, Panel, Series};
use crate::report::transfer::{Reference, TransferComparison};

/// Returns a figure with a panel for each transferred arm.
pub(super) fn figures(data: &FigureData<'_>) -> Vec<Figure> {
    let mut arms: Vec<&str> = data.measured.transfer.iter().map(|comparison| comparison.arm.as_str()).collect();
    arms.dedup();
    let panels = arms.iter().map(|arm| panel(data, arm)).collect();
    vec![Figure {
        name: "transfer".to_owned(),
        title: "Test accuracy of transferred networks minus that of references".to_owned(),
        caption: format!(
            "Test accuracy at early stop of networks whose mask and weights are from other experiments, minus that of \
             the reference in the same replicate. Above 0, the transferred network is more accurate. {MEANS}"
        ),
        panels,
    }]
}

/// Returns the panel of an arm, with a series for each reference.
fn panel(data: &FigureData<'_>, arm: &str) -> Panel {
    let mut series = Vec::new();
    for reference in Reference::ALL {
        let of_reference: Vec<&TransferComparison> = data
            .measured
            .transfer
            .iter()
            .filter(|comparison| comparison.arm == arm && comparison.reference == reference)
            .collect();
        let points = of_reference
            .iter()
            .filter_map(|comparison| mean_point(comparison.weights_remaining, &comparison.differences))
            .collect();
        if let Some(first) = of_reference.first() {
            let style = data.style(&first.reference_arm);
            series.push(Series { name: reference.as_str().to_owned(), style, points, ..Series::default() });
        }
    }
    let mut ticks: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    ticks.sort_by(|a, b| b.total_cmp(a));
    ticks.dedup();
    let title = format!("test accuracy, {arm} − reference (points)");
    Panel {
        x: weights_remaining_axis(ticks),
        y: Axis { title, column: "mean", unit: AxisUnit::Percent, include: vec![0.0], ..Axis::default() },
        series,
        level: Some(0.0),
        note: data.note(true),
        ..Panel::default()
    }
}
