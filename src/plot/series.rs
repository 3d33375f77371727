//! Drawing of one series: its line, its bars from minimum to maximum, and its markers.

use std::fmt::Write as _;

use super::axis::ScaledAxis;
use super::chart::{ChartPoint, MarkerPolicy, Series, SeriesStyle};
use super::number::pixels;

/// Largest number of points of a line: more would be invisible, and only cost bytes. The CSV file has all of them.
const MAX_POINTS: usize = 100;
/// Number of markers of a series with [`MarkerPolicy::Few`].
const FEW_MARKERS: usize = 7;
/// Pixels between the markers of two series at the same x.
const MARKER_OFFSET: f64 = 2.2;
/// In a panel with more bars than this, bars are drawn thinner, because many bars hide the lines.
const CROWDED_BARS: usize = 45;
/// In a panel with more series than this, bands replace the bars.
const MAX_SERIES_WITH_BARS: usize = 4;
/// Bars shorter than this, in pixels, are not drawn.
const MIN_BAR: f64 = 0.05;

/// Dash patterns; the first is solid.
const DASHES: [&str; 5] = ["", "6 3", "2 2.5", "9 3 2 3", "4 2 1.5 2 1.5 2"];
/// The largest shade.
const LIGHTEST: usize = 4;
/// Paths of the markers, about 7 pixels wide: circle, square, triangle, diamond, triangle downwards, and the first
/// three again.
const SHAPES: [&str; 8] = [
    "m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0",
    "m-3.1-3.1h6.2v6.2h-6.2z",
    "m0-4l3.8 6.6h-7.6z",
    "m0-4.4l4.4 4.4l-4.4 4.4l-4.4-4.4z",
    "m0 4l3.8-6.6h-7.6z",
    "m-3.4 0a3.4 3.4 0 1 0 6.8 0a3.4 3.4 0 1 0-6.8 0",
    "m-3.1-3.1h6.2v6.2h-6.2z",
    "m0-4l3.8 6.6h-7.6z",
];

/// Path of the arrow above the marker of a lower bound.
const UP_ARROW: &str = "v-11m-2.6 3l2.6-3.4l2.6 3.4";

/// The SVG elements of a series, in two parts, so that the bars of all series can be drawn beneath all lines.
pub(super) struct RenderedSeries {
    /// The bars, or the band, from minimum to maximum.
    pub(super) bars: String,
    /// The line and its markers.
    pub(super) line: String,
}

/// The rank of a series among the series of its panel.
#[derive(Clone, Copy)]
pub(super) struct SeriesOrder {
    /// Index of the series, from 0.
    pub(super) index: usize,
    /// Number of series in the panel.
    pub(super) count: usize,
}

impl SeriesOrder {
    /// Returns the horizontal shift of the series' markers, in pixels.
    fn offset(self, marks: MarkerPolicy) -> f64 {
        match marks {
            MarkerPolicy::Every if self.has_bands() => 0.0,
            MarkerPolicy::Every => (self.index as f64 - (self.count as f64 - 1.0) / 2.0) * MARKER_OFFSET,
            MarkerPolicy::Few | MarkerPolicy::None => 0.0,
        }
    }

    /// Returns whether the panel has so many series that bands replace their bars.
    fn has_bands(self) -> bool {
        self.count > MAX_SERIES_WITH_BARS
    }
}

/// A point with its position in the frame, in pixels.
#[derive(Clone, Copy)]
struct PlacedPoint<'a> {
    point: &'a ChartPoint,
    /// Pixels from the left.
    x: f64,
    /// Pixels from the top, of the mean.
    y: f64,
}

/// Draws a series in a frame that is `width` pixels wide.
pub(super) fn render_series(
    series: &Series,
    order: SeriesOrder,
    x_axis: &ScaledAxis<'_>,
    y_axis: &ScaledAxis<'_>,
    width: f64,
) -> RenderedSeries {
    let style = series.style;
    let offset = order.offset(style.marks);
    let placed = series.points.iter().filter_map(|point| {
        Some(PlacedPoint { point, x: x_axis.position(point.x)? + offset, y: y_axis.position(point.mean)? })
    });
    let visible = visible_points(placed.collect(), width);
    let start = series.start.as_ref().and_then(|point| Some((x_axis.position(point.x)?, y_axis.position(point.mean)?)));
    let positions = start.into_iter().chain(visible.iter().map(|placed| (placed.x, placed.y)));
    let line = line_path(&thinned(positions.collect()));
    let marked = points_with_markers(&visible, style.marks, order, width);
    let markers = |is_lower_bound: bool| -> String {
        let points = marked.iter().filter(|placed| placed.point.is_lower_bound == is_lower_bound);
        points.map(|placed| marker(style, placed.x, placed.y)).collect()
    };
    let arrows = arrows_path(&marked);
    let is_crowded = marked.len() * order.count > CROWDED_BARS;
    let bars = match style.marks {
        MarkerPolicy::None => String::new(),
        _ if order.has_bands() => path_element("band", "", &band_path(&visible, y_axis)),
        _ => path_element(if is_crowded { "bars crowd" } else { "bars" }, "", &bars_path(&marked, y_axis)),
    };
    let line = path_element("line", &dash_attribute(style), &line)
        + &path_element("arrows", "", &arrows)
        + &path_element(marker_class(style), "", &markers(false))
        + &path_element("open", "", &markers(true));
    RenderedSeries { bars: coloured(style, &bars), line: coloured(style, &line) }
}

/// Draws a sample of a style for a legend: `width` pixels from x = 0 at height `y`.
pub(super) fn render_sample(style: SeriesStyle, width: f64, y: f64) -> String {
    let marker = match style.marks {
        MarkerPolicy::None => String::new(),
        MarkerPolicy::Every | MarkerPolicy::Few => {
            format!("<path class=\"{}\" d=\"{}\"/>", marker_class(style), marker(style, width / 2.0, y))
        }
    };
    format!(
        "<g class=\"{}\"><path class=\"line\"{} d=\"M0 {}h{}\"/>{marker}</g>",
        colour_class(style),
        dash_attribute(style),
        pixels(y),
        pixels(width)
    )
}

/// Returns the path of the marker of a style, centred at (`x`, `y`).
fn marker(style: SeriesStyle, x: f64, y: f64) -> String {
    format!("M{} {}{}", pixels(x), pixels(y), SHAPES[style.mark % SHAPES.len()])
}

/// Returns the CSS class of markers: those of solid lines are filled, those of dashed lines hollow.
fn marker_class(style: SeriesStyle) -> &'static str {
    if style.dash == 0 { "full" } else { "open" }
}

/// Returns the SVG attribute of a style's dash pattern, with a space before it; empty for a solid line.
fn dash_attribute(style: SeriesStyle) -> String {
    match DASHES[style.dash % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

/// Returns a `<path>` element; empty if the path is.
fn path_element(class: &str, attributes: &str, path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("<path class=\"{class}\"{attributes} d=\"{path}\"/>") }
}

/// Returns `elements` in the colour of a style.
fn coloured(style: SeriesStyle, elements: &str) -> String {
    if elements.is_empty() {
        return String::new();
    }
    format!("<g class=\"{}\">{elements}</g>\n", colour_class(style))
}

/// Returns the CSS classes of the colour of a style, with its shade.
fn colour_class(style: SeriesStyle) -> String {
    let shade = if style.shade == 0 { String::new() } else { format!(" s{}", style.shade.min(LIGHTEST)) };
    format!("c{}{shade}", style.colour % 8)
}

/// Returns the path of the arrows above the markers of lower bounds.
fn arrows_path(points: &[PlacedPoint<'_>]) -> String {
    let mut path = String::new();
    for placed in points.iter().filter(|placed| placed.point.is_lower_bound) {
        let _ = write!(path, "M{} {}{UP_ARROW}", pixels(placed.x), pixels(placed.y));
    }
    path
}

/// Returns the path of the band between the minima and the maxima of `points`; empty if it has no area.
fn band_path(points: &[PlacedPoint<'_>], y_axis: &ScaledAxis<'_>) -> String {
    let edge = |value: fn(&ChartPoint) -> f64| -> Vec<(f64, f64)> {
        points.iter().filter_map(|placed| Some((placed.x, y_axis.position(value(placed.point))?))).collect()
    };
    let high = edge(|point| point.high);
    let mut low = edge(|point| point.low);
    if points.iter().all(|placed| placed.point.low >= placed.point.high) || high.len() < 2 || low.len() < 2 {
        return String::new();
    }
    low.reverse();
    format!("{}z", line_path(&[thinned(high), thinned(low)].concat()))
}

/// Returns the path of the bars of `points`, each with a short line at both ends.
fn bars_path(points: &[PlacedPoint<'_>], y_axis: &ScaledAxis<'_>) -> String {
    let mut path = String::new();
    for placed in points {
        if let (Some(low), Some(high)) = (y_axis.position(placed.point.low), y_axis.position(placed.point.high))
            && low - high > MIN_BAR
        {
            let left = pixels(placed.x - 3.0);
            let _ = write!(path, "M{left} {}h6m-3 0V{}m-3 0h6", pixels(low), pixels(high));
        }
    }
    path
}

/// Returns the points that have markers and bars. [`MarkerPolicy::Few`] takes those nearest to evenly spaced positions,
/// which differ between the series of a panel.
fn points_with_markers<'a>(
    points: &[PlacedPoint<'a>],
    marks: MarkerPolicy,
    order: SeriesOrder,
    width: f64,
) -> Vec<PlacedPoint<'a>> {
    match marks {
        MarkerPolicy::Every => points.to_vec(),
        MarkerPolicy::None => Vec::new(),
        MarkerPolicy::Few => {
            let shift = (order.index as f64 + 0.5) / order.count as f64;
            let positions = (0..FEW_MARKERS).map(|marker| (marker as f64 + shift) / FEW_MARKERS as f64 * width);
            let mut nearest: Vec<PlacedPoint<'_>> = positions.filter_map(|x| nearest_point(points, x)).collect();
            nearest.dedup_by(|a, b| (a.x, a.y) == (b.x, b.y));
            nearest
        }
    }
}

/// Returns the point nearest to `x`; `None` if there are no points.
fn nearest_point<'a>(points: &[PlacedPoint<'a>], x: f64) -> Option<PlacedPoint<'a>> {
    let distance = |placed: &PlacedPoint<'_>| (placed.x - x).abs();
    points.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied()
}

/// Returns the points inside the frame, and the point before and after them: the lines to these points are partly
/// inside.
fn visible_points(points: Vec<PlacedPoint<'_>>, width: f64) -> Vec<PlacedPoint<'_>> {
    let is_inside: Vec<bool> = points.iter().map(|placed| (0.0..=width).contains(&placed.x)).collect();
    let is_kept =
        |index: usize| (index.saturating_sub(1)..=index + 1).any(|neighbour| is_inside.get(neighbour) == Some(&true));
    points.into_iter().enumerate().filter(|(index, _)| is_kept(*index)).map(|(_, placed)| placed).collect()
}

/// Returns at most [`MAX_POINTS`] of a line's points, evenly chosen, and the last one.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let is_kept = |index: usize| index.is_multiple_of(stride) || index == last;
    points.into_iter().enumerate().filter(|(index, _)| is_kept(*index)).map(|(_, point)| point).collect()
}

/// Returns the path through points; empty for a single point, which only its marker shows.
fn line_path(points: &[(f64, f64)]) -> String {
    if points.len() < 2 {
        return String::new();
    }
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { "M" } else { "L" };
        let _ = write!(path, "{command}{} {}", pixels(*x), pixels(*y));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinned_line_keeps_its_ends_and_few_points() {
        let thin = thinned((0..501).map(|index| (f64::from(index), 0.0)).collect());
        assert!(thin.len() <= MAX_POINTS + 1, "{}", thin.len());
        assert_eq!((thin[0].0, thin[thin.len() - 1].0), (0.0, 500.0));
        assert_eq!(thinned(vec![(1.0, 2.0)]), [(1.0, 2.0)]);
    }

    #[test]
    fn lower_bound_is_an_open_marker_with_an_arrow() {
        let points = vec![ChartPoint { is_lower_bound: true, ..ChartPoint::exact(1.0, 1.0, 3) }];
        let series = Series { points, ..Series::default() };
        let panel = super::super::chart::Panel { series: vec![series], ..Default::default() };
        let axes = (ScaledAxis::horizontal(&panel, 100.0), ScaledAxis::vertical(&panel, 100.0));
        let order = SeriesOrder { index: 0, count: 1 };
        let line = render_series(&panel.series[0], order, &axes.0, &axes.1, 100.0).line;
        assert!(line.contains("class=\"open\"") && line.contains(UP_ARROW) && !line.contains("full"), "{line}");
    }

    #[test]
    fn more_than_four_series_have_bands() {
        let points = vec![
            ChartPoint { x: 0.0, mean: 1.0, low: 0.0, high: 2.0, n: 3, is_lower_bound: false },
            ChartPoint { x: 1.0, mean: 1.0, low: 0.5, high: 1.5, n: 3, is_lower_bound: false },
        ];
        let panel =
            super::super::chart::Panel { series: vec![Series { points, ..Series::default() }], ..Default::default() };
        let axes = (ScaledAxis::horizontal(&panel, 100.0), ScaledAxis::vertical(&panel, 100.0));
        let bars =
            |count| render_series(&panel.series[0], SeriesOrder { index: 0, count }, &axes.0, &axes.1, 100.0).bars;
        assert!(bars(4).contains("class=\"bars\"") && !bars(4).contains("band"), "{}", bars(4));
        assert!(bars(5).contains("class=\"band\" d=\"M13 13L87 31.5L87 68.5L13 87z\""), "{}", bars(5));
    }

    #[test]
    fn line_path_needs_two_points() {
        assert_eq!(line_path(&[(1.0, 2.0)]), "");
        assert_eq!(line_path(&[(1.0, 2.0), (-0.01, 3.25)]), "M1 2L0 3.2");
    }
}
