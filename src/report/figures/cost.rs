//! Test accuracy against the whole cost of a network: of finding its mask, and of its own training.

use super::{FigureData, MEANS, mean_point};
use crate::artifacts::{FINAL_TEST_ACCURACY, Metric, RoundGroup, TOTAL_MACS};
use crate::plot::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, Panel, Series};
use crate::report::roles::{ArmRole, is_dense};

/// Points further below the dense network than this share of 1 are arrows at the frame.
const WINDOW: f64 = 0.1;

/// Returns the figure, with a line for each arm; without panels if the rows have no costs.
pub(super) fn figure(data: &FigureData<'_>) -> Figure {
    let groups = RoundGroup::by_arm_and_round(&data.run.rounds);
    let largest = groups.iter().flat_map(|group| values(data, group, &TOTAL_MACS)).fold(0.0, f64::max);
    let unit = unit(largest);
    let points = |arm: &str| -> Vec<ChartPoint> {
        let of_arm = groups.iter().filter(|group| group.arm == arm);
        let point = |group: &RoundGroup<'_>| {
            let costs = values(data, group, &TOTAL_MACS);
            let cost = costs.iter().sum::<f64>() / costs.len() as f64 / unit;
            mean_point(cost, &values(data, group, &FINAL_TEST_ACCURACY))
        };
        // Networks that are neither pruned by training nor trained have no cost, and no place on a logarithmic axis.
        of_arm.filter_map(point).filter(|point| point.x > 0.0).collect()
    };
    let series = |role: &ArmRole| Series {
        name: role.arm.clone(),
        style: data.style(&role.arm),
        points: points(&role.arm),
        ..Series::default()
    };
    let series: Vec<Series> = data.arms.iter().map(series).filter(|series| !series.points.is_empty()).collect();
    let points = || series.iter().flat_map(|series| &series.points);
    let dense = series.iter().find(|series| is_dense(&series.name)).and_then(|series| series.points.first());
    let floor = dense.map_or(0.0, |dense| dense.mean - WINDOW);
    let lowest_inside = points().map(|point| point.low).filter(|low| *low >= floor).fold(f64::INFINITY, f64::min);
    let is_cut = points().any(|point| point.low < floor);
    let cut = if is_cut { " Arrows point to values more than 10 points below the dense network." } else { "" };
    let panel = Panel {
        x: Axis {
            title: format!("multiply-adds to the end of training (10^{})", unit.log10().round()),
            column: "total_macs",
            scale: AxisScale::Log,
            ..Axis::default()
        },
        y: Axis {
            title: FINAL_TEST_ACCURACY.title.to_owned(),
            column: "mean",
            unit: AxisUnit::Percent,
            window: is_cut.then_some((lowest_inside, f64::INFINITY)),
            ..Axis::default()
        },
        series,
        note: data.note(true),
        ..Panel::default()
    };
    Figure {
        name: "accuracy_by_cost".to_owned(),
        title: "Test accuracy against the cost of finding the mask and training".to_owned(),
        caption: format!(
            "{MEANS} Costs count the training of the networks that the mask was found by, scores, and the network's own \
             training, with the weights that each mask keeps. A line joins the rounds of an arm in their order.{cut}"
        ),
        panels: if largest > 0.0 { vec![panel] } else { Vec::new() },
    }
}

/// Returns the values of a metric of the training runs of a group.
fn values(data: &FigureData<'_>, group: &RoundGroup<'_>, metric: &Metric) -> Vec<f64> {
    group.metric(metric, data.end.last_iteration)
}

/// Returns the largest power of 1,000 that is at most `value`, and at least 1.
fn unit(value: f64) -> f64 {
    let mut unit = 1.0;
    while unit * 1000.0 <= value {
        unit *= 1000.0;
    }
    unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_is_the_power_of_1000_below() {
        assert_eq!([0.0, 999.0, 1000.0, 2.5e13].map(unit), [1.0, 1.0, 1e3, 1e12]);
    }
}
