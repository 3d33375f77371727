//! From values to places on the paper, and the values that are labelled there.

use super::chart::{Axis, AxisScale, AxisUnit, ChartPoint, Panel};
use crate::base::format;

/// Size of an axis' labels in pixels, and the width of their letters: that of a wide font, so that labels keep apart
/// whatever the reader's font is.
pub(super) const SIZE: f64 = 12.0;
const LETTER: f64 = 0.62;
/// Between two labels.
const APART: f64 = 9.0;
/// Between the outermost values and the frame: room for the marks of six series beside each other.
const PADDING: f64 = 13.0;

/// The width of a text, estimated.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// An axis of a certain length.
pub(super) struct ScaledAxis<'a> {
    axis: &'a Axis,
    low: f64,
    high: f64,
    length: f64,
    is_up: bool,
}

impl<'a> ScaledAxis<'a> {
    /// The x axis of a panel.
    pub(super) fn x(panel: &'a Panel, length: f64) -> Self {
        Self::new(&panel.x, points(panel).map(|point| (point.x, point.x)), length, false)
    }

    /// The y axis of a panel: of what its x axis shows.
    pub(super) fn y(panel: &'a Panel, length: f64) -> Self {
        let seen = |x: f64| panel.x.window.is_none_or(|(low, high)| (low..=high).contains(&x));
        let shown = points(panel).filter(|point| seen(point.x)).map(|point| (point.low, point.high));
        Self::new(&panel.y, shown, length, true)
    }

    fn new(axis: &'a Axis, values: impl Iterator<Item = (f64, f64)>, length: f64, is_up: bool) -> Self {
        let fits = |value: f64| value.is_finite() && (axis.scale == AxisScale::Linear || value > 0.0);
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for (least, most) in values {
            low = if fits(least) { low.min(least) } else { low };
            high = if fits(most) { high.max(most) } else { high };
        }
        if let Some((least, most)) = axis.window {
            (low, high) = (low.max(least), high.min(most));
        }
        if low > high {
            (low, high) = (1.0, 1.0);
        }
        let mut placed = Self { axis, low: 0.0, high: 0.0, length, is_up };
        (placed.low, placed.high) = (placed.turned(low), placed.turned(high));
        // A single value has its place in the middle.
        if placed.high - placed.low < 1e-12 {
            let room = if axis.scale == AxisScale::Linear { (0.05 * placed.high.abs()).max(1e-3) } else { 0.3 };
            (placed.low, placed.high) = (placed.low - room, placed.high + room);
        }
        placed
    }

    fn turned(&self, value: f64) -> f64 {
        if self.axis.scale == AxisScale::Linear { value } else { libm::log10(value) }
    }

    /// Where a value is, in pixels from the left or from the top; `None` where it has no place.
    pub(super) fn at(&self, value: f64) -> Option<f64> {
        let turned = self.turned(value);
        let share = (turned - self.low) / (self.high - self.low);
        let share = if self.is_up ^ (self.axis.scale == AxisScale::LogReversed) { 1.0 - share } else { share };
        share.is_finite().then_some(PADDING + share * (self.length - 2.0 * PADDING))
    }

    /// The values that are labelled, with their labels; no two overlap.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        let unit = self.axis.unit;
        if !self.axis.ticks.is_empty() {
            let all: Vec<_> = self.axis.ticks.iter().map(|&value| (value, label(unit, value, None))).collect();
            // Every round, else every second, …, so that steps stay even.
            let strides = (1..=all.len()).map(|stride| all.iter().cloned().step_by(stride).collect::<Vec<_>>());
            return strides.into_iter().find(|some| self.keep_apart(some)).unwrap_or_default();
        }
        let candidates: Vec<Vec<(f64, String)>> = if self.axis.scale == AxisScale::Linear {
            let most = if self.is_up { 8 } else { 7 };
            let even = (2..=most).rev().map(|n| self.even(n));
            even.map(|(values, digits)| values.into_iter().map(|x| (x, label(unit, x, Some(digits)))).collect())
                .collect()
        } else {
            let steps = [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]];
            steps.into_iter().map(|steps| self.decades(steps)).collect()
        };
        candidates.into_iter().find(|ticks| self.keep_apart(ticks)).unwrap_or_default()
    }

    fn keep_apart(&self, ticks: &[(f64, String)]) -> bool {
        let extent = |text: &str| if self.is_up { SIZE } else { width(text, SIZE) };
        let place = |(value, text): &(f64, String)| self.at(*value).map(|at| (at, extent(text) / 2.0));
        let mut places: Vec<(f64, f64)> = ticks.iter().filter_map(place).collect();
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
        places.windows(2).all(|pair| pair[1].0 - pair[0].0 >= pair[0].1 + pair[1].1 + APART)
    }

    /// About `n` round values, evenly spaced, and the digits they need.
    fn even(&self, n: usize) -> (Vec<f64>, usize) {
        let factor = if self.axis.unit == AxisUnit::Percent { 100.0 } else { 1.0 };
        let (low, high) = (self.low * factor, self.high * factor);
        let rough = (high - low) / n as f64;
        let power = libm::floor(libm::log10(rough));
        let unit = libm::exp10(power);
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * unit).find(|step| *step >= rough * 0.999);
        let mut step = step.unwrap_or(10.0 * unit);
        if self.axis.unit == AxisUnit::Count {
            step = step.max(1.0);
        }
        let digits = (-libm::floor(libm::log10(step) + 1e-9)).max(0.0) as usize;
        let first = libm::ceil(low / step - 1e-9) as i64;
        let last = libm::floor(high / step + 1e-9) as i64;
        ((first..=last).map(|i| i as f64 * step / factor).collect(), digits)
    }

    /// The multiples `steps` of powers of ten that are shown.
    fn decades(&self, steps: &[f64]) -> Vec<(f64, String)> {
        let powers = libm::floor(self.low) as i32 - 1..=libm::ceil(self.high) as i32;
        let room = 0.02 * (self.high - self.low);
        let is_shown = |value: f64| (self.low - room..=self.high + room).contains(&libm::log10(value));
        let all = powers.flat_map(|power| steps.iter().map(move |step| (power, step * libm::exp10(f64::from(power)))));
        let percent = if self.axis.unit == AxisUnit::Percent { 2 } else { 0 };
        let digits = |power: i32| (-(power + percent)).max(0) as usize;
        let shown = all.filter(|(_, value)| is_shown(*value));
        shown.map(|(power, value)| (value, label(self.axis.unit, value, Some(digits(power))))).collect()
    }
}

fn points(panel: &Panel) -> impl Iterator<Item = &ChartPoint> {
    panel.series.iter().flat_map(|series| &series.points)
}

/// A value as its axis writes it.
fn label(unit: AxisUnit, value: f64, digits: Option<usize>) -> String {
    let text = match (unit, digits) {
        (AxisUnit::Percent, Some(digits)) => format!("{:.digits$}", 100.0 * value),
        (AxisUnit::Percent, None) => share(value),
        (AxisUnit::Count, _) if value >= 0.0 => format::with_thousands(value.round() as u64),
        (_, digits) => format!("{value:.*}", digits.unwrap_or(2)),
    };
    text.replace('-', "\u{2212}")
}

/// 0.5128 as `51.3`, as the paper labels its axes and series.
pub(super) fn share(value: f64) -> String {
    let percent = 100.0 * value;
    match percent {
        _ if (percent - percent.round()).abs() < 1e-9 && percent >= 10.0 => format!("{percent:.0}"),
        _ if percent >= 0.995 => format!("{percent:.1}"),
        _ if percent >= 0.095 => format!("{percent:.2}"),
        _ => format!("{percent:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::Series;
    use super::*;

    fn panel(axis: &Axis, values: &[f64]) -> Panel {
        let points = values.iter().map(|&x| ChartPoint::exact(x, x, 1)).collect();
        Panel { x: axis.clone(), series: vec![Series { points, ..Series::default() }], ..Panel::default() }
    }

    fn labels(axis: &Axis, values: &[f64]) -> String {
        let panel = panel(axis, values);
        let ticks = ScaledAxis::x(&panel, 340.0).ticks();
        ticks.into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rounds_are_labelled_as_in_the_paper_and_never_overlap() {
        let rounds: Vec<f64> = (0..25).map(|round| 0.8_f64.powi(round)).collect();
        let axis =
            Axis { unit: AxisUnit::Percent, scale: AxisScale::LogReversed, ticks: rounds.clone(), ..Axis::default() };
        assert_eq!(labels(&axis, &rounds), "100 51.2 26.2 13.4 6.9 3.5 1.8 0.92 0.47");
        assert_eq!(labels(&Axis { ticks: vec![1.0], ..axis }, &[1.0]), "100");
    }

    #[test]
    fn even_ticks_are_round_numbers_with_the_digits_they_need() {
        let axis = |unit| Axis { unit, ..Axis::default() };
        assert_eq!(labels(&axis(AxisUnit::Count), &[0.0, 50_000.0]), "0 10,000 20,000 30,000 40,000 50,000");
        assert_eq!(labels(&axis(AxisUnit::Percent), &[0.974, 0.983]), "97.4 97.6 97.8 98.0 98.2");
        assert_eq!(labels(&axis(AxisUnit::Plain), &[-0.2, 0.2]), "−0.2 −0.1 0.0 0.1 0.2");
        assert_eq!(labels(&axis(AxisUnit::Count), &[0.0, 2.0]), "0 1 2");
        assert_eq!(labels(&axis(AxisUnit::Plain), &[]), "0.96 0.98 1.00 1.02 1.04", "nothing to show is no crash");
    }

    #[test]
    fn reversed_axes_run_from_large_to_small() {
        let axis = Axis { scale: AxisScale::LogReversed, ..Axis::default() };
        let panel = panel(&axis, &[1.0, 0.1, 0.01]);
        let placed = ScaledAxis::x(&panel, 218.0);
        assert_eq!([1.0, 0.1, 0.01].map(|x| placed.at(x).unwrap().round()), [13.0, 109.0, 205.0]);
        assert_eq!((placed.at(0.0), placed.at(-1.0)), (None, None));
    }
}
