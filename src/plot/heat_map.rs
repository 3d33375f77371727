//! Heat maps: a grid of cells, each with its number, darker where the value is higher.

use std::fmt::Write as _;

use super::chart::{HeatMap, Panel};
use super::escape::escaped;
use super::number::pixels;
use super::ticks::{FONT_SIZE, text_width};

/// Opacity of the cells with the lowest and with the highest value.
const OPACITIES: [f64; 2] = [0.06, 0.7];

/// Returns the elements of a heat map below the heading of its panel, in an area of this size whose top is at `top`: the
/// cells, the names of columns and rows, and the title of the columns.
pub(super) fn heat_map_elements(panel: &Panel, map: &HeatMap, top: f64, (width, height): (f64, f64)) -> String {
    let left = map.rows.iter().map(|row| text_width(row, FONT_SIZE)).fold(0.0, f64::max) + 10.0;
    let cell_width = (width - left - 4.0) / map.columns.len() as f64;
    let cell_height = height / map.rows.len() as f64;
    let means = || map.cells.iter().flatten().flatten().map(|point| point.mean);
    let (lowest, highest) = (means().fold(f64::INFINITY, f64::min), means().fold(f64::NEG_INFINITY, f64::max));
    let opacity = |mean: f64| {
        let share = if highest > lowest { (mean - lowest) / (highest - lowest) } else { 0.5 };
        OPACITIES[0] + share * (OPACITIES[1] - OPACITIES[0])
    };
    // Values that are close together need another digit to differ.
    let digits = if highest - lowest < 0.01 { 2 } else { 1 };
    let percent = |share: f64| format!("{:.digits$}", 100.0 * share);
    let mut text = String::new();
    for (row, (name, cells)) in map.rows.iter().zip(&map.cells).enumerate() {
        let y = top + row as f64 * cell_height;
        let middle = pixels(y + cell_height / 2.0 + 4.0);
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
            pixels(left - 6.0),
            escaped(name)
        );
        for (column, point) in cells.iter().enumerate() {
            let x = left + column as f64 * cell_width;
            let Some(point) = point else { continue };
            let is_best = if point.mean == highest { " best" } else { "" };
            let _ = writeln!(
                text,
                "<rect class=\"cell c1{is_best}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill-opacity=\"{:.2}\"/>\n\
                 <text class=\"value c0\" x=\"{}\" y=\"{middle}\" text-anchor=\"middle\">{}</text>",
                pixels(x + 1.0),
                pixels(y + 1.0),
                pixels(cell_width - 2.0),
                pixels(cell_height - 2.0),
                opacity(point.mean),
                pixels(x + cell_width / 2.0),
                percent(point.mean),
            );
        }
    }
    for (column, name) in map.columns.iter().enumerate() {
        let x = pixels(left + (column as f64 + 0.5) * cell_width);
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            pixels(top + height + 16.0),
            escaped(name)
        );
    }
    let middle = pixels(left + (width - left) / 2.0);
    let _ = writeln!(
        text,
        "<text class=\"soft\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
        pixels(top + height + 36.0),
        escaped(&panel.x.title)
    );
    text
}
