//! What a figure shows, apart from how it is drawn: panels, axes and series of numbers.

use anyhow::Result;
use serde::Serialize;

use crate::artifacts::to_csv;
use crate::base::format::capitalize;
use crate::base::stats::SummaryStats;

/// A figure: panels with one legend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure {
    /// The stem of its files' names.
    pub(crate) name: String,
    /// What it shows, in a few words.
    pub(crate) title: String,
    /// What must be known to read it.
    pub(crate) caption: String,
    /// Its panels.
    pub(crate) panels: Vec<Panel>,
}

/// One pair of axes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panel {
    /// What tells it from its neighbours; empty where the axes do.
    pub(crate) title: String,
    /// Across.
    pub(crate) x: Axis,
    /// Up.
    pub(crate) y: Axis,
    /// What is drawn, the first undermost.
    pub(crate) series: Vec<Series>,
    /// A height to compare with.
    pub(crate) level: Option<f64>,
    /// What must be said wherever it is shown; empty where nothing must.
    pub(crate) note: String,
}

/// An axis. Values are those of the files (shares are 0..=1); what is shown may be per cent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Axis {
    /// What it measures, with its unit.
    pub(crate) title: String,
    /// The name of its column in the figure's CSV file.
    pub(crate) column: &'static str,
    /// How values are written.
    pub(crate) unit: AxisUnit,
    /// How they are placed.
    pub(crate) scale: AxisScale,
    /// What is shown, where that is less than there is.
    pub(crate) window: Option<(f64, f64)>,
    /// Values to label, where they are not for the axis to choose.
    pub(crate) ticks: Vec<f64>,
    /// Whether it measures test images.
    pub(crate) is_test: bool,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AxisUnit {
    /// As it is.
    #[default]
    Plain,
    /// A whole number.
    Count,
    /// A share, as per cent.
    Percent,
}

/// How values are placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AxisScale {
    /// Evenly.
    #[default]
    Linear,
    /// By their logarithm.
    Log,
    /// By their logarithm, from large to small.
    LogReversed,
}

/// A series of points under one name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: String,
    /// How it looks.
    pub(crate) style: SeriesStyle,
    /// Its points, by x.
    pub(crate) points: Vec<ChartPoint>,
    /// Where its line begins, if that is a point of another series.
    pub(crate) start: Option<ChartPoint>,
}

/// How a series looks: colour, dashes and marks each tell it from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesStyle {
    /// Its place in the palette; 0 is the colour of the text.
    pub(crate) colour: usize,
    /// Its pattern: 0 is a solid line.
    pub(crate) dash: usize,
    /// The shape of its marks.
    pub(crate) mark: usize,
    /// Which points carry marks and bars.
    pub(crate) marks: MarkerPolicy,
}

/// Which points carry marks and bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MarkerPolicy {
    /// Each, set a little beside those of other series.
    #[default]
    Every,
    /// A few, at other places than those of other series.
    Few,
    /// None.
    None,
}

/// Mean, minimum and maximum of n values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ChartPoint {
    /// Where.
    pub(crate) x: f64,
    /// Mean.
    pub(crate) mean: f64,
    /// Minimum.
    pub(crate) low: f64,
    /// Maximum.
    pub(crate) high: f64,
    /// How many values.
    pub(crate) n: usize,
}

impl ChartPoint {
    /// The point of some values; what is no finite number counts as missing.
    pub(crate) fn of(x: f64, values: &[f64]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let SummaryStats { n, mean, min: minimum, max: maximum, .. } =
            SummaryStats::of(&values).filter(|_| x.is_finite())?;
        Some(Self { x, mean, low: minimum, high: maximum, n })
    }

    /// A point that is one number.
    pub(crate) fn exact(x: f64, value: f64, n: usize) -> Self {
        Self { x, mean: value, low: value, high: value, n }
    }
}

#[derive(Default, Serialize)]
struct Row<'a> {
    panel: &'a str,
    series: &'a str,
    x: f64,
    mean: f64,
    minimum: f64,
    maximum: f64,
    n: usize,
}

impl Figure {
    /// The figure, where it has anything to show: panels and series without points are left out.
    pub(crate) fn non_empty(mut self) -> Option<Self> {
        for panel in &mut self.panels {
            panel.series.retain(|series| !series.points.is_empty());
        }
        self.panels.retain(|panel| !panel.series.is_empty());
        (!self.panels.is_empty()).then_some(self)
    }

    /// The figure with `note` said in every panel of test images, and in the caption if there is one.
    #[must_use]
    pub(crate) fn with_note(mut self, note: &str) -> Self {
        let of_test = self.panels.iter_mut().filter(|panel| panel.y.is_test);
        let panels = of_test.map(|panel| note.clone_into(&mut panel.note)).count();
        if panels > 0 && !note.is_empty() {
            self.caption = format!("{} {}.", self.caption, capitalize(note));
        }
        self
    }

    /// Every number of the figure, those outside of its windows included.
    pub(crate) fn to_csv(&self) -> Result<Vec<u8>> {
        let mut rows = Vec::new();
        for panel in &self.panels {
            let name = if panel.title.is_empty() { &panel.y.title } else { &panel.title };
            for series in &panel.series {
                rows.extend(series.points.iter().map(|point| Row {
                    panel: name,
                    series: &series.name,
                    x: point.x,
                    mean: point.mean,
                    minimum: point.low,
                    maximum: point.high,
                    n: point.n,
                }));
            }
        }
        let bytes = to_csv(&rows)?;
        let column = self.panels.first().map_or("x", |panel| panel.x.column);
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.replacen(",x,", &format!(",{column},"), 1).into_bytes())
    }

    /// What the legend names, in the order of the panels.
    pub(crate) fn legend(&self) -> Vec<(&str, SeriesStyle)> {
        let mut entries: Vec<(&str, SeriesStyle)> = Vec::new();
        for series in self.panels.iter().flat_map(|panel| &panel.series) {
            if !entries.contains(&(&series.name, series.style)) {
                entries.push((&series.name, series.style));
            }
        }
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_leave_out_what_is_no_number() {
        let point = ChartPoint::of(0.5, &[3.0, f64::NAN, 1.0]).unwrap();
        assert_eq!(point, ChartPoint { x: 0.5, mean: 2.0, low: 1.0, high: 3.0, n: 2 });
        assert_eq!((ChartPoint::of(0.5, &[]), ChartPoint::of(0.5, &[f64::INFINITY])), (None, None));
        assert_eq!(ChartPoint::of(f64::NAN, &[1.0]), None);
    }

    #[test]
    fn a_figure_without_points_is_none() {
        let panel = |points| Panel { series: vec![Series { points, ..Series::default() }], ..Panel::default() };
        assert!(Figure { panels: vec![panel(Vec::new())], ..Figure::default() }.non_empty().is_none());
        let one = Figure { panels: vec![panel(Vec::new()), panel(vec![ChartPoint::default()])], ..Figure::default() };
        assert_eq!(one.non_empty().unwrap().panels.len(), 1);
    }
}
