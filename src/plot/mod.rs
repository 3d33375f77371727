//! Charts as SVG: figures of panels with axes, series and a legend. Knows no type of the other layers: numbers in, text
//! out. The same chart gives the same bytes.
//!
//! `chart` is the model of a figure, `axis` and `ticks` place and label its values, `series` draws its lines, and `svg`
//! writes the drawing.

mod axis;
mod chart;
mod number;
mod series;
mod svg;
mod ticks;

pub use chart::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
pub use number::percent;
pub use svg::{STYLE, escaped, figure, legend_sample, panel};
