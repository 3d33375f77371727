//! One series: its line, its bars from minimum to maximum, its marks.

use std::fmt::Write as _;

use super::axis::ScaledAxis;
use super::chart::{ChartPoint, MarkerPolicy, Series, SeriesStyle};
use super::svg::short;

/// Points of a line: more than a reader can see would only cost bytes. The CSV file has all.
const MAX_POINTS: usize = 200;
/// Marks of a series that carries a few.
const FEW_MARKERS: usize = 7;
/// Between the marks of two series at the same x.
const BESIDE: f64 = 2.2;

/// Bars of a panel that are a crowd.
const CROWDED_BARS: usize = 45;

/// Patterns of lines: the first is for what the experiment is about, the others for its controls.
const DASHES: [&str; 5] = ["", "6 3", "2 2.5", "9 3 2 3", "4 2 1.5 2 1.5 2"];
/// Shapes of marks, about 7 pixels wide. Every other one is hollow.
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

/// A series, drawn in two parts.
pub(super) struct RenderedSeries {
    pub(super) bars: String,
    pub(super) line: String,
}

/// A series in its frame; `place` is which of how many it is.
pub(super) fn render_series(
    series: &Series,
    place: (usize, usize),
    x: &ScaledAxis<'_>,
    y: &ScaledAxis<'_>,
    wide: f64,
) -> RenderedSeries {
    let beside =
        if series.style.marks == MarkerPolicy::Every { place.0 as f64 - (place.1 as f64 - 1.0) / 2.0 } else { 0.0 };
    let at = |point: &ChartPoint| Some((x.at(point.x)? + beside * BESIDE, y.at(point.mean)?));
    let placed = series.points.iter().filter_map(|point| Some((point, at(point)?)));
    let placed: Vec<(&ChartPoint, (f64, f64))> = seen(placed.collect(), wide);
    let start = series.start.as_ref().and_then(|point| Some((x.at(point.x)?, y.at(point.mean)?)));
    let line = path(&thinned(start.into_iter().chain(placed.iter().map(|(_, place)| *place)).collect()));
    let (mut bars, mut marks) = (String::new(), String::new());
    let marked = marked(&placed, series.style.marks, place, wide);
    let is_crowd = marked.len() * place.1 > CROWDED_BARS;
    for (point, (px, py)) in marked {
        if let (Some(low), Some(high)) = (y.at(point.low), y.at(point.high))
            && low - high > 0.05
        {
            let _ = write!(bars, "M{} {}h6m-3 0V{}m-3 0h6", short(px - 3.0), short(low), short(high));
        }
        let _ = write!(marks, "M{} {}{}", short(px), short(py), SHAPES[series.style.mark % SHAPES.len()]);
    }
    let colour = series.style.colour % 8;
    let group =
        |inside: String| if inside.is_empty() { inside } else { format!("<g class=\"c{colour}\">{inside}</g>\n") };
    let part = |class: &str, dash: &str, path: &str| match path {
        "" => String::new(),
        _ => format!("<path class=\"{class}\"{dash} d=\"{path}\"/>"),
    };
    // Many bars would hide what they belong to.
    let class = if is_crowd { "bars crowd" } else { "bars" };
    let line = part("line", &pattern(series.style), &line) + &part(face(series.style), "", &marks);
    RenderedSeries { bars: group(part(class, "", &bars)), line: group(line) }
}

/// A short piece of a series, from x = 0 at height `y`.
pub(super) fn sample(look: SeriesStyle, wide: f64, y: f64) -> String {
    let mark = match look.marks {
        MarkerPolicy::None => String::new(),
        _ => format!(
            "<path class=\"{}\" d=\"M{} {}{}\"/>",
            face(look),
            short(wide / 2.0),
            short(y),
            SHAPES[look.mark % SHAPES.len()]
        ),
    };
    format!(
        "<g class=\"c{}\"><path class=\"line\"{} d=\"M0 {}h{}\"/>{mark}</g>",
        look.colour % 8,
        pattern(look),
        short(y),
        short(wide)
    )
}

fn face(look: SeriesStyle) -> &'static str {
    if look.dash == 0 { "full" } else { "open" }
}

fn pattern(look: SeriesStyle) -> String {
    match DASHES[look.dash % DASHES.len()] {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    }
}

/// The points that carry marks and bars.
fn marked<'a>(
    placed: &[(&'a ChartPoint, (f64, f64))],
    marks: MarkerPolicy,
    (which, of): (usize, usize),
    wide: f64,
) -> Vec<(&'a ChartPoint, (f64, f64))> {
    match marks {
        MarkerPolicy::Every => placed.to_vec(),
        MarkerPolicy::None => Vec::new(),
        MarkerPolicy::Few => {
            let wanted =
                (0..FEW_MARKERS).map(|i| (i as f64 + (which as f64 + 0.5) / of as f64) / FEW_MARKERS as f64 * wide);
            let nearest = |x: f64| {
                let distance = |place: &&(&ChartPoint, (f64, f64))| (place.1.0 - x).abs();
                placed.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).copied()
            };
            let mut chosen: Vec<_> = wanted.filter_map(nearest).collect();
            chosen.dedup_by(|a, b| a.1 == b.1);
            chosen
        }
    }
}

/// The points within the frame, and those next to them, whose lines enter it.
fn seen(placed: Vec<(&ChartPoint, (f64, f64))>, wide: f64) -> Vec<(&ChartPoint, (f64, f64))> {
    let is_inside: Vec<bool> = placed.iter().map(|(_, (x, _))| (0.0..=wide).contains(x)).collect();
    let is_near = |i: usize| (i.saturating_sub(1)..=i + 1).any(|i| is_inside.get(i) == Some(&true));
    placed.into_iter().enumerate().filter(|(i, _)| is_near(*i)).map(|(_, point)| point).collect()
}

/// At most [`MOST_POINTS`] of a line's points, evenly chosen, the first and the last among them.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let stride = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last).map(|(_, point)| point).collect()
}

fn path(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(text, "{}{} {}", if i == 0 { "M" } else { "L" }, short(*x), short(*y));
    }
    // A line of one point is none; its mark stands for it.
    if points.len() < 2 { String::new() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_keeps_its_ends_and_few_points() {
        let thin = thinned((0..501).map(|i| (f64::from(i), 0.0)).collect());
        assert!(thin.len() <= MAX_POINTS + 1, "{}", thin.len());
        assert_eq!((thin[0].0, thin[thin.len() - 1].0), (0.0, 500.0));
        assert_eq!(thinned(vec![(1.0, 2.0)]), [(1.0, 2.0)]);
        assert_eq!(path(&[(1.0, 2.0)]), "");
        assert_eq!(path(&[(1.0, 2.0), (-0.01, 3.25)]), "M1 2L0 3.2");
    }
}
