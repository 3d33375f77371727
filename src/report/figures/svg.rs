//! Figures as SVG: whole ones that stand alone, and single panels for a page that brings the style sheet.

use std::fmt::Write as _;

use super::axis::{self, SIZE, ScaledAxis};
use super::chart::{Figure, Panel, SeriesStyle};
use super::series;

/// The colours, light and dark: those of Okabe and Ito with one exchanged, some darker or lighter for the paper beneath.
/// Seen with any of the three kinds of colour blindness they stay at least 13 apart (CIE 1976). Classes, so that one
/// drawing serves both.
pub(crate) const STYLE: &str = include_str!("figures.css");

/// Size of a panel, in pixels.
const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 290.0;
/// Around the frame; the left depends on the labels.
const TOP: f64 = 34.0;
const RIGHT: f64 = 10.0;
const BOTTOM: f64 = 46.0;

/// Between panels, and around the whole.
const GAP: f64 = 14.0;
/// Panels side by side.
const ACROSS: usize = 3;
/// A line of the legend, and the sample before its text.
const LINE: f64 = 20.0;
const SAMPLE: f64 = 34.0;

/// A figure that stands alone: all panels, the legend beneath, its own style sheet and background.
pub(crate) fn whole(figure: &Figure) -> String {
    let across = match figure.panels.len() {
        n @ 0..=ACROSS => n.max(1),
        4 => 2,
        _ => ACROSS,
    };
    let wide = across as f64 * (WIDTH + GAP) + GAP;
    let down = figure.panels.len().div_ceil(across) as f64;
    let top = GAP + LINE + 6.0;
    let (legend, lines) = legend(figure, wide, top + down * (HEIGHT + GAP));
    let high = top + down * (HEIGHT + GAP) + lines as f64 * LINE + GAP;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" height=\"{high}\" \
         role=\"img\" class=\"figure\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"paper\" width=\"{wide}\" height=\"{high}\"/>\n\
         <text class=\"title\" x=\"{GAP}\" y=\"{}\">{}</text>\n",
        escaped(&figure.title),
        GAP + 13.0,
        escaped(&figure.title),
    );
    for (i, panel) in figure.panels.iter().enumerate() {
        let (column, row) = ((i % across) as f64, (i / across) as f64);
        let (x, y) = (GAP + column * (WIDTH + GAP), top + row * (HEIGHT + GAP));
        let _ = writeln!(text, "<g transform=\"translate({x} {y})\">\n{}</g>", inside(panel));
    }
    text + &legend + "</svg>\n"
}

/// A panel for a page, which scales it.
pub(crate) fn panel(panel: &Panel) -> String {
    let name = [panel.title.as_str(), &panel.y.title, &panel.note].into_iter().filter(|part| !part.is_empty());
    let name = name.collect::<Vec<_>>().join(": ");
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" class=\"figure\">\n{}</svg>\n",
        escaped(&name),
        inside(panel)
    )
}

/// How a series looks, for a legend in a page.
pub(crate) fn sample(look: SeriesStyle) -> String {
    let (wide, high) = (SAMPLE - 8.0, 12.0);
    let drawn = series::sample(look, wide, high / 2.0);
    format!("<svg viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" height=\"{high}\" class=\"figure\">{drawn}</svg>")
}

/// Text that is no markup.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A length with the tenth of a pixel that anybody can see.
pub(super) fn short(length: f64) -> String {
    let text = format!("{length:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The legend, wrapped to a width, and its number of lines.
fn legend(figure: &Figure, wide: f64, top: f64) -> (String, usize) {
    let entries = figure.legend();
    if entries.iter().all(|(name, _)| name.is_empty()) {
        return (String::new(), 0);
    }
    let (mut text, mut x, mut line) = (String::new(), GAP, 0);
    for (name, look) in entries {
        let extent = SAMPLE + axis::width(name, SIZE) + 2.0 * GAP;
        if x + extent > wide && x > GAP {
            (x, line) = (GAP, line + 1);
        }
        let middle = top + (f64::from(line) + 0.5) * LINE;
        let drawn = series::sample(look, SAMPLE - 8.0, 0.0);
        let _ = writeln!(
            text,
            "<g transform=\"translate({} {})\">{drawn}<text x=\"{SAMPLE}\" y=\"4\">{}</text></g>",
            short(x),
            short(middle),
            escaped(name)
        );
        x += extent;
    }
    (text, line as usize + 1)
}

/// Titles, frame, labels and series.
fn inside(panel: &Panel) -> String {
    let high = HEIGHT - TOP - BOTTOM;
    let up = ScaledAxis::y(panel, high);
    let labels = up.ticks();
    let left = labels.iter().map(|(_, label)| axis::width(label, SIZE)).fold(0.0, f64::max) + 12.0;
    let wide = WIDTH - left - RIGHT;
    let across = ScaledAxis::x(panel, wide);
    let mut text = String::new();
    // What is up stands above, where it can be read without turning the head.
    let parts = [panel.title.as_str(), &panel.y.title].into_iter().filter(|part| !part.is_empty());
    let classes = if panel.title.is_empty() { ["title", "soft"] } else { ["title", ""] };
    let spans = parts.enumerate().map(|(i, part)| {
        let gap = if i == 0 { "" } else { " dx=\"8\"" };
        format!("<tspan class=\"{}\"{gap}>{}</tspan>", classes[i], escaped(part))
    });
    // A note stands between the title and the frame, so that it goes wherever the panel goes.
    let foot = if panel.note.is_empty() { 22 } else { 15 };
    let _ = writeln!(text, "<text x=\"0\" y=\"{foot}\">{}</text>", spans.collect::<String>());
    if !panel.note.is_empty() {
        let _ = writeln!(text, "<text class=\"soft note\" x=\"0\" y=\"29\">{}</text>", escaped(&panel.note));
    }
    let (mut grid, mut written) = (String::new(), String::new());
    for (value, label) in &labels {
        let Some(y) = up.at(*value).map(|y| y + TOP) else { continue };
        let _ = write!(grid, "M{} {}h{}", short(left), short(y), short(wide));
        let at = (short(left - 6.0), short(y + 4.0));
        let _ = writeln!(written, "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{label}</text>", at.0, at.1);
    }
    for (value, label) in across.ticks() {
        let Some(x) = across.at(value).map(|x| x + left) else { continue };
        let _ = write!(grid, "M{} {}v{}", short(x), short(TOP), short(high));
        let at = (short(x), short(TOP + high + 17.0));
        let _ = writeln!(written, "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{label}</text>", at.0, at.1);
    }
    let (middle, foot) = (short(left + wide / 2.0), short(HEIGHT - 8.0));
    let title = escaped(&panel.x.title);
    let _ = writeln!(written, "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{title}</text>");
    let frame = format!("x=\"{}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"", short(left), short(wide), short(high));
    let _ = writeln!(text, "<path class=\"grid\" d=\"{grid}\"/>\n{written}<svg {frame}>");
    if let Some(y) = panel.level.and_then(|level| up.at(level)) {
        let _ = writeln!(text, "<path class=\"level\" d=\"M0 {}h{}\"/>", short(y), short(wide));
    }
    let (mut bars, mut lines) = (String::new(), String::new());
    for (i, series) in panel.series.iter().enumerate() {
        let drawn = series::render_series(series, (i, panel.series.len()), &across, &up, wide);
        bars += &drawn.bars;
        lines += &drawn.line;
    }
    // Bars stand behind all lines.
    let _ = write!(text, "{bars}{lines}");
    let _ = writeln!(text, "</svg>\n<rect class=\"frame\" {frame}/>");
    text
}
