//! Figures as SVG: complete files, and single panels for a page that includes the style sheet.

use std::fmt::Write as _;

use super::axis::ScaledAxis;
use super::chart::{Figure, Panel, SeriesStyle};
use super::escape::escaped;
use super::heat_map::heat_map_elements;
use super::labels::{end_labels, end_labels_width, frame_arrows};
use super::number::pixels;
use super::series::{SeriesOrder, render_sample, render_series};
use super::ticks::{FONT_SIZE, Tick, text_width, ticks};

/// The style sheet of figures, light and dark. The colours are those of Okabe and Ito with one exchanged, some darker
/// or lighter to suit the background. With each of the three kinds of colour blindness, any two differ by a ΔE
/// of at least 13 (CIE 1976). Drawings refer to colours by class, so that one drawing serves both backgrounds.
pub const STYLE: &str = include_str!("plot.css");

/// Width of a panel, in pixels.
const WIDTH: f64 = 400.0;
/// Height of a panel, in pixels.
const HEIGHT: f64 = 290.0;
/// Margin above the frame of a panel, in pixels. The margin on the left depends on the labels.
const TOP: f64 = 34.0;
/// Margin on the right of the frame, in pixels.
const RIGHT: f64 = 10.0;
/// Margin below the frame, in pixels.
const BOTTOM: f64 = 46.0;

/// Pixels between panels, and around the figure.
const GAP: f64 = 14.0;
/// Largest number of panels side by side.
const MAX_COLUMNS: usize = 3;
/// Height of a line of the legend, in pixels.
const LEGEND_LINE: f64 = 20.0;
/// Width of a sample in the legend with the gap before its text, in pixels.
const SAMPLE: f64 = 34.0;

/// Returns a complete SVG file: all panels, the legend beneath, the style sheet and a background.
pub fn figure(figure: &Figure) -> String {
    let columns = columns(figure.panels.len());
    let rows = figure.panels.len().div_ceil(columns);
    let title_width = text_width(&figure.title, FONT_SIZE + 1.0) + 2.0 * GAP;
    let width = (columns as f64 * (WIDTH + GAP) + GAP).max(title_width.ceil());
    let top = GAP + LEGEND_LINE + 6.0;
    let bottom = top + rows as f64 * (HEIGHT + GAP);
    let (legend, lines) = legend(figure, width, bottom);
    let height = bottom + lines as f64 * LEGEND_LINE + GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" class=\"figure\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"{GAP}\" y=\"{}\">{}</text>\n",
        escaped(&figure.title),
        GAP + 13.0,
        escaped(&figure.title),
    );
    for (index, panel) in figure.panels.iter().enumerate() {
        let x = GAP + (index % columns) as f64 * (WIDTH + GAP);
        let y = top + (index / columns) as f64 * (HEIGHT + GAP);
        let _ = writeln!(text, "<g transform=\"translate({x} {y})\">\n{}</g>", panel_elements(panel));
    }
    text + &legend + "</svg>\n"
}

/// Returns the number of columns that a number of panels is arranged in.
fn columns(panels: usize) -> usize {
    match panels {
        0 => 1,
        1..=MAX_COLUMNS => panels,
        4 => 2,
        _ => MAX_COLUMNS,
    }
}

/// Returns a panel as an `<svg>` element for a page, which scales it and has [`STYLE`].
pub fn panel(panel: &Panel) -> String {
    let parts = [panel.title.as_str(), &panel.y.title, &panel.note].into_iter().filter(|part| !part.is_empty());
    let label = parts.collect::<Vec<_>>().join(": ");
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" class=\"figure\">\n{}</svg>\n",
        escaped(&label),
        panel_elements(panel)
    )
}

/// Returns a sample of a style as an `<svg>` element, for a legend in a page.
pub fn legend_sample(style: SeriesStyle) -> String {
    let width = SAMPLE - 8.0;
    let height = 12.0;
    let sample = render_sample(style, width, height / 2.0);
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" class=\"figure\">{sample}</svg>"
    )
}

/// Returns the legend, wrapped to `width` pixels, and its number of lines; empty if no series has a name. `top`: its
/// upper edge.
fn legend(figure: &Figure, width: f64, top: f64) -> (String, usize) {
    let entries = figure.legend();
    if entries.is_empty() {
        return (String::new(), 0);
    }
    let mut text = String::new();
    let mut x = GAP;
    let mut line = 0;
    for (name, style) in entries {
        let extent = SAMPLE + text_width(name, FONT_SIZE) + 2.0 * GAP;
        if x + extent > width && x > GAP {
            x = GAP;
            line += 1;
        }
        let middle = top + (f64::from(line) + 0.5) * LEGEND_LINE;
        let _ = writeln!(
            text,
            "<g transform=\"translate({} {})\">{}<text x=\"{SAMPLE}\" y=\"4\">{}</text></g>",
            pixels(x),
            pixels(middle),
            render_sample(style, SAMPLE - 8.0, 0.0),
            escaped(name)
        );
        x += extent;
    }
    (text, line as usize + 1)
}

/// The frame of a panel, in pixels from the panel's corner.
struct Frame {
    left: f64,
    width: f64,
    height: f64,
}

/// Returns the elements of a panel: title, note, grid, labels, frame and series.
fn panel_elements(panel: &Panel) -> String {
    let height = HEIGHT - TOP - BOTTOM;
    if let Some(map) = &panel.heat_map {
        return heading(panel) + &heat_map_elements(panel, map, TOP, (WIDTH, height));
    }
    let y_axis = ScaledAxis::vertical(panel, height);
    let y_ticks = ticks(&y_axis);
    let left = y_ticks.iter().map(|tick| text_width(&tick.label, FONT_SIZE)).fold(0.0, f64::max) + 12.0;
    let frame = Frame { left, width: WIDTH - left - RIGHT - end_labels_width(panel), height };
    let x_axis = ScaledAxis::horizontal(panel, frame.width);
    let position = format!(
        "x=\"{}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"",
        pixels(frame.left),
        pixels(frame.width),
        pixels(frame.height)
    );
    let mut text = heading(panel);
    text += &grid_and_labels(panel, &x_axis, &y_axis, &y_ticks, &frame);
    let _ = writeln!(text, "<svg {position}>");
    text += &series_elements(panel, &x_axis, &y_axis, frame.width);
    let size = (frame.width, frame.height);
    text += &frame_arrows(panel, &x_axis, &y_axis, size);
    let _ = writeln!(text, "</svg>\n<rect class=\"frame\" {position}/>");
    let labels = end_labels(panel, &x_axis, &y_axis, size);
    if !labels.is_empty() {
        let _ = writeln!(text, "<g transform=\"translate({} {TOP})\">\n{labels}</g>", pixels(frame.left));
    }
    text
}

/// Returns the heading above the frame: the titles of the panel and of its y axis, which is not beside the axis so that
/// it can be read horizontally, and the note.
fn heading(panel: &Panel) -> String {
    let parts = [panel.title.as_str(), &panel.y.title].into_iter().filter(|part| !part.is_empty());
    let classes = if panel.title.is_empty() { ["title", "soft"] } else { ["title", ""] };
    let spans: Vec<String> = parts
        .enumerate()
        .map(|(index, part)| {
            let gap = if index == 0 { "" } else { " dx=\"8\"" };
            format!("<tspan class=\"{}\"{gap}>{}</tspan>", classes[index], escaped(part))
        })
        .collect();
    let spans = spans.concat();
    if panel.note.is_empty() {
        return format!("<text x=\"0\" y=\"22\">{spans}</text>\n");
    }
    // The note is part of the panel, so that a copy of the panel contains it.
    let note = escaped(&panel.note);
    format!("<text x=\"0\" y=\"15\">{spans}</text>\n<text class=\"soft note\" x=\"0\" y=\"29\">{note}</text>\n")
}

/// Returns the grid lines at the ticks, their labels, and the title of the x axis.
fn grid_and_labels(
    panel: &Panel,
    x_axis: &ScaledAxis<'_>,
    y_axis: &ScaledAxis<'_>,
    y_ticks: &[Tick],
    frame: &Frame,
) -> String {
    let mut grid = String::new();
    let mut labels = String::new();
    for Tick { value, label } in y_ticks {
        let Some(y) = y_axis.position(*value).map(|y| y + TOP) else { continue };
        let _ = write!(grid, "M{} {}h{}", pixels(frame.left), pixels(y), pixels(frame.width));
        let right = pixels(frame.left - 6.0);
        let baseline = pixels(y + 4.0);
        let _ = writeln!(labels, "<text x=\"{right}\" y=\"{baseline}\" text-anchor=\"end\">{label}</text>");
    }
    for Tick { value, label } in ticks(x_axis) {
        let Some(x) = x_axis.position(value).map(|x| x + frame.left) else { continue };
        let _ = write!(grid, "M{} {}v{}", pixels(x), pixels(TOP), pixels(frame.height));
        let baseline = pixels(TOP + frame.height + 17.0);
        let _ = writeln!(labels, "<text x=\"{}\" y=\"{baseline}\" text-anchor=\"middle\">{label}</text>", pixels(x));
    }
    let middle = pixels(frame.left + frame.width / 2.0);
    let baseline = pixels(HEIGHT - 8.0);
    let title = escaped(&panel.x.title);
    let _ = writeln!(labels, "<text x=\"{middle}\" y=\"{baseline}\" text-anchor=\"middle\">{title}</text>");
    format!("<path class=\"grid\" d=\"{grid}\"/>\n{labels}")
}

/// Returns the reference line and the series: the bars of all series, then the lines of all series on top of them.
fn series_elements(panel: &Panel, x_axis: &ScaledAxis<'_>, y_axis: &ScaledAxis<'_>, width: f64) -> String {
    let mut level = String::new();
    if let Some(y) = panel.level.and_then(|value| y_axis.position(value)) {
        let _ = writeln!(level, "<path class=\"level\" d=\"M0 {}h{}\"/>", pixels(y), pixels(width));
    }
    let mut bars = String::new();
    let mut lines = String::new();
    for (index, series) in panel.series.iter().enumerate() {
        let order = SeriesOrder { index, count: panel.series.len() };
        let rendered = render_series(series, order, x_axis, y_axis, width);
        bars += &rendered.bars;
        lines += &rendered.line;
    }
    level + &bars + &lines
}

#[cfg(test)]
mod tests {
    use super::super::chart::{Axis, AxisScale, AxisUnit, ChartPoint, Series};
    use super::*;

    #[test]
    fn figure_with_one_panel() {
        let points = [1.0, 0.5, 0.25].map(|x| ChartPoint {
            x,
            mean: 1.0 - x / 10.0,
            low: 0.9,
            high: 0.99,
            n: 3,
            is_lower_bound: x < 0.3,
        });
        let solid = Series {
            name: "ticket".to_owned(),
            points: points[1..].to_vec(),
            start: Some(points[0]),
            ..Series::default()
        };
        let style = SeriesStyle { colour: 1, dash: 1, mark: 1, ..SeriesStyle::default() };
        let points = points[..2].iter().map(|point| ChartPoint::exact(point.x, 0.93, 1)).collect();
        let label = "50%".to_owned();
        let dashed = Series { name: "a < b".to_owned(), label, points, style, start: None };
        let panel = Panel {
            x: Axis {
                title: "remaining (%)".to_owned(),
                unit: AxisUnit::Percent,
                scale: AxisScale::LogReversed,
                ..Axis::default()
            },
            y: Axis { title: "accuracy (%)".to_owned(), unit: AxisUnit::Percent, ..Axis::default() },
            series: vec![solid, dashed],
            level: Some(0.92),
            note: "a note".to_owned(),
            ..Panel::default()
        };
        let text = figure(&Figure { title: "One panel".to_owned(), panels: vec![panel], ..Figure::default() });
        insta::assert_snapshot!(text.replace(STYLE, "(the style sheet)\n"));
    }
}
