//! Axes: conversion of values to positions in pixels.

use super::chart::{Axis, AxisScale, AxisUnit, ChartPoint, Panel};

/// Pixels between the frame and the outermost values: enough for the markers of six series side by side.
const PADDING: f64 = 13.0;
/// Intervals smaller than this, on the scaled axis, count as a single value.
const SINGLE_VALUE: f64 = 1e-12;

/// An axis with the interval that it shows and its length in pixels.
pub(super) struct ScaledAxis<'a> {
    /// The axis as the figure describes it.
    pub(super) axis: &'a Axis,
    /// Lower end on the scaled axis: of the value, or of its log10 on a logarithmic axis.
    pub(super) low: f64,
    /// Upper end on the scaled axis.
    pub(super) high: f64,
    /// Length of the frame along the axis, in pixels.
    length: f64,
    /// Whether this is a y axis, whose positions are counted from the top.
    pub(super) is_vertical: bool,
}

impl<'a> ScaledAxis<'a> {
    /// Returns the x axis of a panel, `length` pixels long.
    pub(super) fn horizontal(panel: &'a Panel, length: f64) -> Self {
        Self::new(&panel.x, points(panel).map(|point| (point.x, point.x)), length, false)
    }

    /// Returns the y axis of a panel, `length` pixels long. Only points inside the window of the x axis determine its
    /// interval.
    pub(super) fn vertical(panel: &'a Panel, length: f64) -> Self {
        let is_in_window = |x: f64| panel.x.window.is_none_or(|(low, high)| (low..=high).contains(&x));
        let visible = points(panel).filter(|point| is_in_window(point.x));
        Self::new(&panel.y, visible.map(|point| (point.low, point.high)), length, true)
    }

    /// Returns the axis that shows all values in `ranges`, the minimum and maximum of each point.
    fn new(axis: &'a Axis, ranges: impl Iterator<Item = (f64, f64)>, length: f64, is_vertical: bool) -> Self {
        let (low, high) = value_interval(axis, ranges);
        let mut scaled = Self { axis, low: 0.0, high: 0.0, length, is_vertical };
        scaled.low = scaled.scaled(low);
        scaled.high = scaled.scaled(high);
        // A single value is drawn in the middle.
        if scaled.high - scaled.low < SINGLE_VALUE {
            let margin = if axis.scale == AxisScale::Linear { (0.05 * scaled.high.abs()).max(1e-3) } else { 0.3 };
            scaled.low -= margin;
            scaled.high += margin;
            // A share of all stays one: no accuracy is above 100%.
            if axis.unit == AxisUnit::Percent && axis.scale == AxisScale::Linear && (0.0..=1.0).contains(&low) {
                scaled.low = scaled.low.max(0.0);
                scaled.high = scaled.high.min(1.0);
            }
        }
        scaled
    }

    /// Returns a value on the scaled axis: the value itself, or its decimal logarithm on a logarithmic axis.
    fn scaled(&self, value: f64) -> f64 {
        if self.axis.scale == AxisScale::Linear { value } else { libm::log10(value) }
    }

    /// Returns the position of a value, in pixels from the left or from the top; `None` if the scale has no position
    /// for it, such as for 0 on a logarithmic axis.
    pub(super) fn position(&self, value: f64) -> Option<f64> {
        let share = (self.scaled(value) - self.low) / (self.high - self.low);
        let is_reversed = self.is_vertical ^ (self.axis.scale == AxisScale::LogReversed);
        let share = if is_reversed { 1.0 - share } else { share };
        share.is_finite().then_some(PADDING + share * (self.length - 2.0 * PADDING))
    }
}

/// Returns the interval of the values, and of those that the axis includes, that have a position on the scale, cut to
/// the axis' window; (1, 1) if there is no such value.
fn value_interval(axis: &Axis, ranges: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    let has_position = |value: f64| value.is_finite() && (axis.scale == AxisScale::Linear || value > 0.0);
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for (minimum, maximum) in ranges.chain(axis.include.iter().map(|&value| (value, value))) {
        if has_position(minimum) {
            low = low.min(minimum);
        }
        if has_position(maximum) {
            high = high.max(maximum);
        }
    }
    if let Some((first, last)) = axis.window {
        low = low.max(first);
        high = high.min(last);
    }
    if low > high { (1.0, 1.0) } else { (low, high) }
}

/// Returns the points of all series.
fn points(panel: &Panel) -> impl Iterator<Item = &ChartPoint> {
    panel.series.iter().flat_map(|series| &series.points)
}

#[cfg(test)]
mod tests {
    use super::super::chart::Series;
    use super::*;

    #[test]
    fn reversed_axis_runs_from_large_to_small() {
        let axis = Axis { scale: AxisScale::LogReversed, ..Axis::default() };
        let points = [1.0, 0.1, 0.01].map(|x| ChartPoint::exact(x, x, 1)).to_vec();
        let panel = Panel { x: axis, series: vec![Series { points, ..Series::default() }], ..Panel::default() };
        let scaled = ScaledAxis::horizontal(&panel, 218.0);
        assert_eq!([1.0, 0.1, 0.01].map(|x| scaled.position(x).unwrap().round()), [13.0, 109.0, 205.0]);
        assert_eq!((scaled.position(0.0), scaled.position(-1.0)), (None, None));
    }

    #[test]
    fn axis_of_a_single_share_ends_at_100_percent() {
        let ends = |value: f64, unit: AxisUnit| {
            let axis = Axis { unit, ..Axis::default() };
            let scaled = ScaledAxis::new(&axis, [(value, value)].into_iter(), 100.0, true);
            (scaled.low, scaled.high)
        };
        assert_eq!(ends(1.0, AxisUnit::Percent), (0.95, 1.0));
        assert_eq!(ends(0.0, AxisUnit::Percent), (0.0, 1e-3));
        assert_eq!(ends(1.0, AxisUnit::Plain), (0.95, 1.05));
    }

    #[test]
    fn interval_contains_included_values() {
        let axis = Axis { include: vec![0.0, 0.02], ..Axis::default() };
        assert_eq!(value_interval(&axis, [(0.01, 0.01)].into_iter()), (0.0, 0.02));
    }
}
