//! Texts of single points: labels at the ends of lines, and the values of points outside the frame.

use std::fmt::Write as _;

use super::axis::ScaledAxis;
use super::chart::{AxisUnit, MarkerPolicy, Panel, Series};
use super::escape::escaped;
use super::number::{axis_percent, count, pixels};
use super::ticks::text_width;

/// Font size of these texts, in pixels.
const FONT_SIZE: f64 = 11.0;
/// Least distance between the middles of two labels at the ends of lines, in pixels.
const LINE_HEIGHT: f64 = 11.5;
/// Pixels between the frame and a label at the end of a line, for the line that connects both.
const LEADER: f64 = 10.0;
/// Height of a row of arrows, in pixels.
const ARROW_ROW: f64 = 13.0;
/// A marker whose middle is closer to the frame than this, in pixels, is drawn as an arrow.
const MARKER_RADIUS: f64 = 4.0;

/// A label at the end of a line.
#[derive(Clone, Debug)]
struct EndLabel<'a> {
    series: &'a Series,
    /// The end of the line, in pixels from the left and from the top of the frame.
    end: (f64, f64),
    /// Middle of the label, in pixels from the top of the frame.
    y: f64,
}

/// Returns the width that labels at the ends of lines need on the right of the frame, in pixels; 0 without labels.
pub(super) fn end_labels_width(panel: &Panel) -> f64 {
    let widths = panel.series.iter().map(|series| text_width(&series.label, FONT_SIZE));
    let widest = widths.fold(0.0, f64::max);
    if widest > 0.0 { widest + LEADER } else { 0.0 }
}

/// Draws the labels at the ends of the lines, outside a frame of `width` times `height` pixels. Labels of ends that are
/// close together are moved apart, in the order of the ends.
pub(super) fn end_labels(
    panel: &Panel,
    x_axis: &ScaledAxis<'_>,
    y_axis: &ScaledAxis<'_>,
    (width, height): (f64, f64),
) -> String {
    let mut labels: Vec<EndLabel<'_>> = panel
        .series
        .iter()
        .filter(|series| !series.label.is_empty())
        .filter_map(|series| {
            let positions = series
                .points
                .iter()
                .filter_map(|point| Some((x_axis.position(point.x)?, y_axis.position(point.mean)?)));
            let (x, y) = positions.rev().find(|(x, _)| (0.0..=width).contains(x))?;
            let y = y.clamp(0.0, height);
            Some(EndLabel { series, end: (x, y), y })
        })
        .collect();
    labels.sort_by(|a, b| a.y.total_cmp(&b.y));
    let spread = spread(&labels.iter().map(|label| label.y).collect::<Vec<_>>(), height);
    let mut text = String::new();
    for (label, y) in labels.iter().zip(spread) {
        let colour = label.series.style.colour % 8;
        let (left, baseline) = (pixels(width + LEADER), pixels(y + 4.0));
        let _ = writeln!(
            text,
            "<g class=\"c{colour}\"><path class=\"leader\" d=\"M{} {}L{} {}\"/>\
             <text class=\"value\" x=\"{left}\" y=\"{baseline}\">{}</text></g>",
            pixels(label.end.0),
            pixels(label.end.1),
            pixels(width + LEADER - 3.0),
            pixels(y),
            escaped(&label.series.label)
        );
    }
    text
}

/// Returns positions, in the order of the ascending `wanted`, that are at least [`LINE_HEIGHT`] apart and close to
/// those wanted, inside 0..=`height` if there is room for all.
fn spread(wanted: &[f64], height: f64) -> Vec<f64> {
    let mut positions = wanted.to_vec();
    // Downwards from the first, then back upwards from the lower edge.
    for index in 1..positions.len() {
        positions[index] = positions[index].max(positions[index - 1] + LINE_HEIGHT);
    }
    let mut limit = height - LINE_HEIGHT / 2.0;
    for position in positions.iter_mut().rev() {
        *position = position.min(limit);
        limit = *position - LINE_HEIGHT;
    }
    positions
}

/// Draws an arrow, and the value where there is room, for each point with a marker that lies above or below the frame
/// of `width` times `height` pixels, so that no series leaves a panel without a mark. Each series has a row of its own.
pub(super) fn frame_arrows(
    panel: &Panel,
    x_axis: &ScaledAxis<'_>,
    y_axis: &ScaledAxis<'_>,
    (width, height): (f64, f64),
) -> String {
    let mut text = String::new();
    let mut rows = [0.0; 2];
    for series in panel.series.iter().filter(|series| series.style.marks == MarkerPolicy::Every) {
        for (is_below, row) in [false, true].into_iter().zip(&mut rows) {
            let is_outside = |y: f64| if is_below { y > height - MARKER_RADIUS } else { y < MARKER_RADIUS };
            let outside: Vec<(f64, f64)> = series
                .points
                .iter()
                .filter(|point| y_axis.position(point.mean).is_some_and(is_outside))
                .filter_map(|point| Some((x_axis.position(point.x)?, point.mean)))
                .filter(|(x, _)| (0.0..=width).contains(x))
                .collect();
            if outside.is_empty() {
                continue;
            }
            let y = if is_below { height - 6.0 - *row } else { 6.0 + *row };
            *row += ARROW_ROW;
            text += &arrow_row(&outside, (y, is_below), panel.y.unit, series.style.colour, width);
        }
    }
    text
}

/// Draws a row of arrows with values, at height `y` and pointing down or up. Values are written from the last to the
/// first, those that would cover another are left out.
fn arrow_row(points: &[(f64, f64)], (y, is_below): (f64, bool), unit: AxisUnit, colour: usize, width: f64) -> String {
    let shape = if is_below { "m-3.6-3h7.2l-3.6 6z" } else { "m-3.6 3h7.2l-3.6-6z" };
    let mut arrows = String::new();
    let mut values = String::new();
    // The left end of the text that was written last.
    let mut free = width;
    for (x, value) in points.iter().rev() {
        let _ = write!(arrows, "M{} {}{shape}", pixels(*x), pixels(y));
        let label = value_label(unit, *value);
        let extent = text_width(&label, FONT_SIZE);
        // Beside the arrow on the right, or on the left if there is no room.
        let sides = [x + 5.0, x - 5.0 - extent];
        let Some(left) = sides.into_iter().find(|left| *left >= 0.0 && left + extent <= free) else {
            free = free.min(x - 5.0);
            continue;
        };
        free = left.min(x - 5.0);
        let _ = write!(values, "<text class=\"value\" x=\"{}\" y=\"{}\">{label}</text>", pixels(left), pixels(y + 4.0));
    }
    format!("<g class=\"c{}\"><path class=\"full\" d=\"{arrows}\"/>{values}</g>\n", colour % 8)
}

/// Returns a value as a label: three significant digits in percent, a whole number of iterations.
fn value_label(unit: AxisUnit, value: f64) -> String {
    match unit {
        AxisUnit::Percent if value >= 0.0 => axis_percent(value),
        AxisUnit::Percent => format!("{:.1}", 100.0 * value),
        AxisUnit::Count => count(value),
        AxisUnit::Plain => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::chart::{Axis, ChartPoint};
    use super::*;

    #[test]
    fn spread_labels_are_apart_and_inside() {
        assert_eq!(spread(&[10.0, 100.0], 200.0), [10.0, 100.0]);
        assert_eq!(spread(&[10.0, 10.0], 200.0), [10.0, 21.5]);
        assert_eq!(spread(&[199.0, 200.0], 200.0), [182.75, 194.25]);
    }

    #[test]
    fn points_below_the_frame_have_arrows_with_values() {
        let points = [(1.0, 0.9), (2.0, 0.5)].map(|(x, y)| ChartPoint::exact(x, y, 1)).to_vec();
        let y = Axis { unit: AxisUnit::Percent, window: Some((0.8, f64::INFINITY)), ..Axis::default() };
        let panel = Panel { y, series: vec![Series { points, ..Series::default() }], ..Panel::default() };
        let axes = (ScaledAxis::horizontal(&panel, 300.0), ScaledAxis::vertical(&panel, 200.0));
        let text = frame_arrows(&panel, &axes.0, &axes.1, (300.0, 200.0));
        assert_eq!(text.matches("<text").count(), 1, "{text}");
        assert!(text.contains("M287 194m-3.6-3") && text.contains(">50</text>"), "{text}");
    }
}
