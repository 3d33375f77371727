//! Ticks: the values of an axis that are labelled.

use super::axis::ScaledAxis;
use super::chart::{AxisScale, AxisUnit};
use super::number;

/// Font size of labels, in pixels.
pub(super) const FONT_SIZE: f64 = 12.0;
/// Width of a letter divided by the font size: that of a wide font, so that labels do not overlap in any font.
const LETTER_WIDTH: f64 = 0.62;
/// Least distance between two labels, in pixels.
const MIN_DISTANCE: f64 = 9.0;
/// Largest number of intervals between ticks of a linear y axis.
const MAX_INTERVALS_VERTICAL: usize = 8;
/// Largest number of intervals between ticks of a linear x axis.
const MAX_INTERVALS_HORIZONTAL: usize = 7;

/// A logarithmic axis with fewer decades than this has more labels in a decade than 1, 2 and 5.
const SHORT: f64 = 0.75;
/// Labels of a logarithmic axis in each decade, from many to few.
const MULTIPLES: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
/// Like [`MULTIPLES`], of a [`SHORT`] axis.
const SHORT_MULTIPLES: [&[f64]; 4] =
    [&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], &[1.0, 2.0, 3.0, 5.0, 7.0], &[1.0, 2.0, 5.0], &[1.0]];

/// A labelled value.
#[derive(Clone, Debug)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// Returns the estimated width of a text, in pixels.
pub(super) fn text_width(text: &str, font_size: f64) -> f64 {
    text.chars().count() as f64 * font_size * LETTER_WIDTH
}

/// Returns the ticks of an axis: of several sets, from many ticks to few, the first whose labels do not overlap.
pub(super) fn ticks(axis: &ScaledAxis<'_>) -> Vec<Tick> {
    let candidates: Vec<Vec<Tick>> = if !axis.axis.ticks.is_empty() {
        subsets_of_given(axis)
    } else if axis.axis.scale == AxisScale::Linear {
        let max_intervals = if axis.is_vertical { MAX_INTERVALS_VERTICAL } else { MAX_INTERVALS_HORIZONTAL };
        (2..=max_intervals).rev().map(|intervals| even_ticks(axis, intervals)).collect()
    } else {
        let multiples: &[&[f64]] = if axis.high - axis.low < SHORT { &SHORT_MULTIPLES } else { &MULTIPLES };
        multiples.iter().map(|multiples| decade_ticks(axis, multiples)).collect()
    };
    candidates.into_iter().find(|ticks| labels_are_apart(axis, ticks)).unwrap_or_default()
}

/// Returns subsets of the ticks that the figure gives: all of them, every second, every third, …, so that their steps
/// stay even.
fn subsets_of_given(axis: &ScaledAxis<'_>) -> Vec<Vec<Tick>> {
    let unit = axis.axis.unit;
    let given: Vec<Tick> =
        axis.axis.ticks.iter().map(|&value| Tick { value, label: label(unit, value, None) }).collect();
    (1..=given.len()).map(|stride| given.iter().step_by(stride).cloned().collect()).collect()
}

/// Returns whether there are at least [`MIN_DISTANCE`] pixels between any two labels.
fn labels_are_apart(axis: &ScaledAxis<'_>, ticks: &[Tick]) -> bool {
    let extent = |text: &str| if axis.is_vertical { FONT_SIZE } else { text_width(text, FONT_SIZE) };
    // The position of each label's middle and half its extent along the axis, in pixels.
    let mut labels: Vec<(f64, f64)> = ticks
        .iter()
        .filter_map(|tick| axis.position(tick.value).map(|position| (position, extent(&tick.label) / 2.0)))
        .collect();
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    labels.windows(2).all(|pair| pair[1].0 - pair[0].0 >= pair[0].1 + pair[1].1 + MIN_DISTANCE)
}

/// Returns evenly spaced round values that divide the axis into about `intervals` intervals, with the digits that they
/// need.
fn even_ticks(axis: &ScaledAxis<'_>, intervals: usize) -> Vec<Tick> {
    let unit = axis.axis.unit;
    let factor = if unit == AxisUnit::Percent { 100.0 } else { 1.0 };
    let low = axis.low * factor;
    let high = axis.high * factor;
    let least = axis.axis.step.map(|step| step * factor).or((unit == AxisUnit::Count).then_some(1.0));
    let step = round_step((high - low) / intervals as f64, least.filter(|least| *least > 0.0));
    let digits = (-libm::floor(libm::log10(step) + 1e-9)).max(0.0) as usize;
    let first = libm::ceil(low / step - 1e-9) as i64;
    let last = libm::floor(high / step + 1e-9) as i64;
    let values = (first..=last).map(|index| index as f64 * step / factor);
    values.map(|value| Tick { value, label: label(unit, value, Some(digits)) }).collect()
}

/// Returns the least of 1, 2, 5 or 10 times a power of ten that is no smaller than `rough`; with `least`, the least
/// such multiple of `least`.
fn round_step(rough: f64, least: Option<f64>) -> f64 {
    let unit = least.unwrap_or(1.0);
    let rough = rough / unit;
    let rough = if least.is_some() { rough.max(1.0) } else { rough };
    let power = libm::exp10(libm::floor(libm::log10(rough)));
    let steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|multiple| multiple * power);
    unit * steps.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(10.0 * power)
}

/// Returns each power of ten times each of `multiples`, inside the interval of a logarithmic axis.
fn decade_ticks(axis: &ScaledAxis<'_>, multiples: &[f64]) -> Vec<Tick> {
    let unit = axis.axis.unit;
    let powers = libm::floor(axis.low) as i32 - 1..=libm::ceil(axis.high) as i32;
    let margin = 0.02 * (axis.high - axis.low);
    let interval = axis.low - margin..=axis.high + margin;
    let percent_digits = if unit == AxisUnit::Percent { 2 } else { 0 };
    let mut ticks = Vec::new();
    for power in powers {
        let digits = (-(power + percent_digits)).max(0) as usize;
        for multiple in multiples {
            let value = multiple * libm::exp10(f64::from(power));
            if interval.contains(&libm::log10(value)) {
                ticks.push(Tick { value, label: label(unit, value, Some(digits)) });
            }
        }
    }
    ticks
}

/// Returns the label of a value. `digits`: decimals, in the unit of the label; `None` for the usual number.
fn label(unit: AxisUnit, value: f64, digits: Option<usize>) -> String {
    let text = match (unit, digits) {
        (AxisUnit::Percent, Some(digits)) => format!("{:.digits$}", 100.0 * value),
        (AxisUnit::Percent, None) => number::axis_percent(value),
        (AxisUnit::Count, _) if value >= 0.0 => number::count(value),
        (_, digits) => format!("{value:.*}", digits.unwrap_or(2)),
    };
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::super::chart::{Axis, ChartPoint, Panel, Series};
    use super::*;

    fn labels(axis: &Axis, values: &[f64]) -> String {
        let points = values.iter().map(|&x| ChartPoint::exact(x, x, 1)).collect();
        let panel = Panel { x: axis.clone(), series: vec![Series { points, ..Series::default() }], ..Panel::default() };
        let ticks = ticks(&ScaledAxis::horizontal(&panel, 340.0));
        ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn given_ticks_never_overlap() {
        let rounds: Vec<f64> = (0..25).map(|round| 0.8_f64.powi(round)).collect();
        let axis =
            Axis { unit: AxisUnit::Percent, scale: AxisScale::LogReversed, ticks: rounds.clone(), ..Axis::default() };
        assert_eq!(labels(&axis, &rounds), "100 41.0 16.8 6.87 2.81 1.15 0.472");
        assert_eq!(labels(&Axis { ticks: vec![1.0], ..axis }, &[1.0]), "100");
    }

    #[test]
    fn log_ticks_are_round_and_at_least_three() {
        let axis = Axis { unit: AxisUnit::Percent, scale: AxisScale::LogReversed, ..Axis::default() };
        assert_eq!(labels(&axis, &[1.0, 0.009]), "1 2 5 10 20 50 100");
        assert_eq!(labels(&axis, &[1.0, 0.36]), "40 50 60 70 80 90 100");
    }

    #[test]
    fn even_ticks_are_round_numbers_with_the_digits_they_need() {
        let axis = |unit| Axis { unit, ..Axis::default() };
        assert_eq!(labels(&axis(AxisUnit::Count), &[0.0, 50_000.0]), "0 10,000 20,000 30,000 40,000 50,000");
        assert_eq!(labels(&axis(AxisUnit::Percent), &[0.974, 0.983]), "97.4 97.6 97.8 98.0 98.2");
        assert_eq!(labels(&axis(AxisUnit::Plain), &[-0.2, 0.2]), "−0.2 −0.1 0.0 0.1 0.2");
        assert_eq!(labels(&axis(AxisUnit::Count), &[0.0, 2.0]), "0 1 2");
        let evaluations = Axis { step: Some(100.0), ..axis(AxisUnit::Count) };
        assert_eq!(labels(&evaluations, &[767.0, 1000.0]), "800 900 1,000", "multiples of the evaluation interval");
        let evaluations = Axis { step: Some(30.0), ..evaluations };
        assert_eq!(labels(&evaluations, &[60.0, 300.0]), "60 120 180 240 300");
        assert_eq!(labels(&axis(AxisUnit::Plain), &[]), "0.96 0.98 1.00 1.02 1.04", "an axis without values");
    }
}
