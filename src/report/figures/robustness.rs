//! Figure of robustness and calibration against weights remaining.

use super::{MEANS, arm_style, mean_point, weights_remaining_axis};
use crate::artifacts::RobustnessData;
use crate::plot::{Axis, AxisUnit, Figure, Panel, Series};
use crate::report::robustness::{Measure, Robustness};
use crate::report::roles::ArmRole;

/// Returns the figure, with a panel for each measure; without panels if nothing was measured. `note`: a note on the test
/// images, or nothing.
pub(crate) fn robustness_figure(data: &RobustnessData, roles: &[ArmRole], note: &str) -> Figure {
    let robustness = Robustness::new(data);
    let panel = |(index, measure): (usize, &Measure)| Panel {
        note: note.to_owned(),
        ..panel(roles, &robustness, index, measure)
    };
    let panels = robustness.measures.iter().enumerate().map(panel);
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
fn panel(roles: &[ArmRole], robustness: &Robustness<'_>, index: usize, measure: &Measure) -> Panel {
    let series = roles.iter().enumerate().map(|(arm, role)| {
        let places = robustness.arm_rounds().into_iter().filter(|place| place.arm == role.arm);
        let points = places
            .filter_map(|place| mean_point(robustness.weights_remaining(place), &robustness.values(place, index)));
        Series { name: role.arm.clone(), style: arm_style(arm, role), points: points.collect(), ..Series::default() }
    });
    let series: Vec<Series> = series.collect();
    let mut ticks: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
    ticks.sort_by(|a, b| b.total_cmp(a));
    ticks.dedup();
    Panel {
        x: weights_remaining_axis(ticks),
        y: Axis { title: measure.title.clone(), column: "mean", unit: AxisUnit::Percent, ..Axis::default() },
        series,
        ..Panel::default()
    }
}
