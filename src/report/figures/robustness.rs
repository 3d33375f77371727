//! Figure of robustness and calibration against weights remaining.

use super::{FigureData, MEANS, mean_point, weights_remaining_axis};
use crate::plot::{Axis, AxisUnit, Figure, Panel, Series};
use crate::report::robustness::{Measure, Robustness};

/// Returns the figure, with a panel for each measure; without panels if nothing was measured.
pub(super) fn figure(data: &FigureData<'_>) -> Figure {
    let robustness = Robustness::new(data.measured.robustness);
    let panels =
        robustness.measures.iter().enumerate().map(|(index, measure)| panel(data, &robustness, index, measure));
    Figure {
        name: "robustness".to_owned(),
        title: "Robustness and calibration against weights remaining".to_owned(),
        caption: format!(
            "Final weights on test images as they are, corrupted, and attacked; means over corruptions and levels, or over \
             ε. The calibration error is the expected calibration error with 15 bins. {MEANS}"
        ),
        panels: panels.collect(),
    }
}

/// Returns the panel of the measure with an index, with a series for each arm.
fn panel(data: &FigureData<'_>, robustness: &Robustness<'_>, index: usize, measure: &Measure) -> Panel {
    let series = data.arms.iter().map(|role| {
        let places = robustness.arm_rounds().into_iter().filter(|place| place.arm == role.arm);
        let points = places
            .filter_map(|place| mean_point(robustness.weights_remaining(place), &robustness.values(place, index)));
        Series { name: role.arm.clone(), style: data.style(&role.arm), points: points.collect(), ..Series::default() }
    });
    let series: Vec<Series> = series.collect();
    let mut ticks: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    ticks.sort_by(|a, b| b.total_cmp(a));
    ticks.dedup();
    Panel {
        x: weights_remaining_axis(ticks),
        y: Axis { title: measure.title.clone(), column: "mean", unit: AxisUnit::Percent, ..Axis::default() },
        series,
        note: data.note(true),
        ..Panel::default()
    }
}
