//! Charts as SVG: figures of panels with axes, series and a legend. The module imports no other layer: numbers go in,
//! text comes out. The same chart gives the same bytes.
//!
//! `chart` is the model of a figure, `axis` and `ticks` place and label its values, `series` draws its lines, `heat_map` grids of values, `labels`
//! writes beside single points, and `svg` writes the drawing.

mod axis;
mod chart;
mod escape;
mod heat_map;
mod labels;
mod number;
mod series;
mod svg;
mod ticks;

pub use chart::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, HeatMap, MarkerPolicy, Panel, Series, SeriesStyle};
pub use escape::escaped;
pub use number::axis_percent;
pub use svg::{STYLE, figure, legend_sample, panel};
