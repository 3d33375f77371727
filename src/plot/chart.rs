//! The model of a figure: panels, axes and series of numbers, apart from how they are drawn.

use anyhow::{Context, Result};

/// A figure: panels with a common legend.
#[derive(Clone, Debug, Default)]
pub struct Figure {
    /// Name of the figure's files, without the ending.
    pub name: String,
    /// The title, above the axes.
    pub title: String,
    /// Caption: how to read the figure.
    pub caption: String,
    /// Panels, in reading order.
    pub panels: Vec<Panel>,
}

/// One pair of axes.
#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// Title; empty if the title of the y axis is enough.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Series, in drawing order: later ones cover earlier ones.
    pub series: Vec<Series>,
    /// A grid of values that is drawn in place of axes and series.
    pub heat_map: Option<HeatMap>,
    /// A value of the y axis at which a dotted reference line is drawn.
    pub level: Option<f64>,
    /// A note between the title and the frame; may be empty.
    pub note: String,
}

/// A grid of values, which are shares of 1: a row for each value of the y axis, from top to bottom, and a column for each
/// value of the x axis, which need not be numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeatMap {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Names of the rows.
    pub rows: Vec<String>,
    /// The values by row and column; `None` where there is none. `x` of a point is not used.
    pub cells: Vec<Vec<Option<ChartPoint>>>,
}

impl HeatMap {
    fn is_empty(&self) -> bool {
        self.cells.iter().flatten().all(Option::is_none)
    }
}

/// An axis. Its values are those of the CSV file; a share (0..=1) may be labelled in percent.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// Title, with the unit.
    pub title: String,
    /// Name of its column in the figure's CSV file.
    pub column: &'static str,
    /// Unit that the labels are written in.
    pub unit: AxisUnit,
    /// Relation between values and positions.
    pub scale: AxisScale,
    /// The interval to draw, if it is smaller than that of the values; an end may be infinite.
    pub window: Option<(f64, f64)>,
    /// Values to label; if empty, round values are chosen.
    pub ticks: Vec<f64>,
    /// Values that the interval contains at least, such as a reference line, or the range of the panels beside it.
    pub include: Vec<f64>,
    /// The least difference between two values, such as the interval between evaluations: labels of a linear axis are
    /// multiples of it. `None` if the values are continuous.
    pub step: Option<f64>,
}

/// The labels of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AxisUnit {
    /// As a decimal number.
    #[default]
    Plain,
    /// As a whole number with commas between thousands.
    Count,
    /// A share of 1, in percent.
    Percent,
}

/// The scale of an axis: the relation between values and positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AxisScale {
    /// Equal differences have equal distances.
    #[default]
    Linear,
    /// Equal ratios have equal distances; values ≤ 0 have no position.
    Log,
    /// Like [`Log`](Self::Log), but from large to small.
    LogReversed,
}

/// A series of points with a name.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Name in the legend, which series with different labels may share; if empty, the legend has no entry.
    pub name: String,
    /// Text at the end of the line, such as the weights remaining; may be empty.
    pub label: String,
    /// Colour, dashes and markers.
    pub style: SeriesStyle,
    /// Points, in the order of the line.
    pub points: Vec<ChartPoint>,
    /// A point of another series at which the line begins, before the points of this series.
    pub start: Option<ChartPoint>,
}

/// The style of a series: colour, dashes and markers each distinguish it from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesStyle {
    /// Index in the palette of 8 colours, modulo 8; 0 is the colour of the text.
    pub colour: usize,
    /// Index of the dash pattern, modulo 5; 0 is a solid line with filled markers.
    pub dash: usize,
    /// Index of the marker shape, modulo 8.
    pub mark: usize,
    /// Lightness of the colour: 0 is the full colour, 4 and above the lightest.
    pub shade: usize,
    /// Which points have markers and bars.
    pub marks: MarkerPolicy,
}

/// Which points of a series have markers. Each of them has a bar from its minimum to its maximum; in a panel of many
/// series, bands replace the bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarkerPolicy {
    /// All points, each shifted a little sideways, so that markers of several series at the same x do not cover each
    /// other.
    #[default]
    Every,
    /// A few points, at positions that differ between the series of a panel.
    Few,
    /// No point.
    None,
}

/// A point of a series: the mean, minimum and maximum of n values at one x.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChartPoint {
    /// Value of the x axis.
    pub x: f64,
    /// The mean of the values.
    pub mean: f64,
    /// The least of the values.
    pub low: f64,
    /// The greatest of the values.
    pub high: f64,
    /// Number of values.
    pub n: usize,
    /// Whether the mean is only a lower bound of the true mean; drawn as an open marker with an upward arrow.
    pub is_lower_bound: bool,
}

impl ChartPoint {
    /// Returns a point without a range, where `value` was made from `n` values.
    pub fn exact(x: f64, value: f64, n: usize) -> Self {
        Self { x, mean: value, low: value, high: value, n, is_lower_bound: false }
    }
}

impl Series {
    /// Returns the name in CSV files: the name in the legend with the label.
    pub fn full_name(&self) -> String {
        let parts = [self.name.as_str(), &self.label].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(" ")
    }
}

impl Figure {
    /// Returns the figure without the panels and series that have no points, or `None` if none remains.
    pub fn non_empty(mut self) -> Option<Self> {
        for panel in &mut self.panels {
            panel.series.retain(|series| !series.points.is_empty());
            panel.heat_map.take_if(|map| map.is_empty());
        }
        self.panels.retain(|panel| !panel.series.is_empty() || panel.heat_map.is_some());
        (!self.panels.is_empty()).then_some(self)
    }

    /// Returns every number of the figure as CSV, including those outside the windows of its axes: one line per point, or per
    /// cell of a heat map, whose row is the series.
    ///
    /// # Errors
    /// Fails if a line cannot be written as CSV.
    pub fn to_csv(&self) -> Result<Vec<u8>> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        let x_column = self.panels.first().map_or("x", |panel| panel.x.column);
        writer.write_record(["panel", "series", x_column, "mean", "minimum", "maximum", "n"])?;
        for panel in &self.panels {
            let title = if panel.title.is_empty() { &panel.y.title } else { &panel.title };
            for series in &panel.series {
                for point in &series.points {
                    let ChartPoint { x, mean, low, high, n, .. } = *point;
                    writer.serialize((title, series.full_name(), x, mean, low, high, n))?;
                }
            }
            let Some(map) = &panel.heat_map else { continue };
            for (row, cells) in map.rows.iter().zip(&map.cells) {
                let present = map.columns.iter().zip(cells).filter_map(|(column, cell)| Some((column, (*cell)?)));
                for (column, ChartPoint { mean, low, high, n, .. }) in present {
                    writer.serialize((title, row, column, mean, low, high, n))?;
                }
            }
        }
        writer.into_inner().context("could not finish a CSV file")
    }

    /// Returns the entries of the legend, name and style of each named series, in the order of the panels. Series of
    /// one name and style share an entry, and so do series with labels that differ in their shades only.
    pub fn legend(&self) -> Vec<(&str, SeriesStyle)> {
        let mut entries: Vec<(&str, SeriesStyle)> = Vec::new();
        let named = self.panels.iter().flat_map(|panel| &panel.series).filter(|series| !series.name.is_empty());
        for series in named {
            // The label tells series of different shades apart.
            let shade = if series.label.is_empty() { series.style.shade } else { 0 };
            let entry = (series.name.as_str(), SeriesStyle { shade, ..series.style });
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_without_points_is_none() {
        let panel = |points| Panel { series: vec![Series { points, ..Series::default() }], ..Panel::default() };
        assert!(Figure { panels: vec![panel(Vec::new())], ..Figure::default() }.non_empty().is_none());
        let panels = vec![panel(Vec::new()), panel(vec![ChartPoint::default()])];
        assert_eq!(Figure { panels, ..Figure::default() }.non_empty().unwrap().panels.len(), 1);
    }

    #[test]
    fn legend_has_one_entry_for_series_that_differ_in_their_labels() {
        let series = |label: &str, colour, shade| Series {
            name: "a".to_owned(),
            label: label.to_owned(),
            style: SeriesStyle { colour, shade, ..SeriesStyle::default() },
            ..Series::default()
        };
        let panels = vec![Panel {
            series: vec![series("50%", 1, 1), series("20%", 1, 2), series("20%", 2, 0), Series::default()],
            ..Panel::default()
        }];
        let figure = Figure { panels, ..Figure::default() };
        let entries: Vec<_> = figure.legend().iter().map(|(name, style)| (*name, style.colour, style.shade)).collect();
        assert_eq!(entries, [("a", 1, 0), ("a", 2, 0)]);
    }

    #[test]
    fn figure_csv_names_the_column_of_the_x_axis() {
        let points = vec![ChartPoint { x: 0.5, mean: 2.0, low: 1.0, high: 3.0, n: 2, is_lower_bound: false }];
        let series = vec![Series { name: "a".to_owned(), label: "c".to_owned(), points, ..Series::default() }];
        let x = Axis { column: "share", ..Axis::default() };
        let panels = vec![Panel { title: "b".to_owned(), x, series, ..Panel::default() }];
        let csv = Figure { panels, ..Figure::default() }.to_csv().unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "panel,series,share,mean,minimum,maximum,n\nb,a c,0.5,2.0,1.0,3.0,2\n"
        );
    }
}
