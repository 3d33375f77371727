//! The figures of a run: most of them like those of the paper, and in addition weights remaining by layer,
//! instability and robustness, which the paper does not have. A figure without data is left out.
//!
//! In every figure of a run, hue, dashes and marker stand for the arm. Lines of one arm differ in lightness, which
//! stands for the share of weights remaining, and have labels at their ends.

mod by_sparsity;
mod comparison;
mod cost;
mod equal_iterations;
mod landscape;
mod layer_density;
mod robustness;
mod stability;
mod sweep;
mod sweep_heat_map;
mod training_curves;
mod transfer;
mod weights;

use anyhow::Result;

pub(crate) use self::comparison::{ComparedRun, comparison_figures};
pub(crate) use self::robustness::robustness_figure;
pub(crate) use self::sweep::SweptKey;
pub(crate) use self::sweep_heat_map::sweep_heat_map;
use super::checkpoints::Checkpoints;
use super::equal_iterations::EqualIterations;
use super::roles::{ArmRole, arm_roles, is_dense, reinit_of};
use super::run::Run;
use super::transfer::TransferComparison;
use crate::artifacts::{LandscapeRow, LastEvaluations, RobustnessData, RoundGroup, StabilityRow};
use crate::base::format::capitalize;
use crate::base::stats::SummaryStats;
use crate::config::Experiment;
use crate::lottery::DENSE;
use crate::plot::{Axis, AxisScale, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, SeriesStyle, axis_percent};

/// Number of colours after which [`arm_style`] changes markers and dashes.
const COLOURS: usize = 8;

/// The data of a run that its figures are made from.
pub(crate) struct FigureData<'a> {
    run: &'a Run,
    /// Roles of the arms, the dense network first.
    arms: Vec<ArmRole>,
    /// The controls that have the mask of a ticket and new initial weights.
    reinits: Vec<String>,
    checkpoints: &'a Checkpoints,
    measured: MeasuredRows<'a>,
    /// The end of the training runs.
    end: LastEvaluations,
    /// The note of every panel of test accuracies or errors; empty if all test images are used.
    test_note: String,
}

/// What was measured in a run beside the metrics of its training runs.
#[derive(Clone, Copy)]
pub(crate) struct MeasuredRows<'a> {
    /// Accuracies at equal iterations.
    pub(crate) equal: &'a EqualIterations,
    /// The rows of `landscape.csv`.
    pub(crate) landscape: &'a [LandscapeRow],
    /// The rows of `stability.csv`.
    pub(crate) stability: &'a [StabilityRow],
    /// The comparisons of transferred networks.
    pub(crate) transfer: &'a [TransferComparison],
    /// The rows of the files of `lth evaluate`.
    pub(crate) robustness: &'a RobustnessData,
}

impl<'a> FigureData<'a> {
    /// Collects the data of a run.
    pub(crate) fn new(
        run: &'a Run,
        experiment: Option<&Experiment>,
        checkpoints: &'a Checkpoints,
        measured: MeasuredRows<'a>,
    ) -> Self {
        let arms = arm_roles(run, experiment);
        let tickets = arms.iter().filter(|role| role.is_ticket);
        let reinit = |role: &ArmRole| experiment.and_then(|experiment| reinit_of(&role.arm, experiment));
        let reinits = tickets.filter_map(reinit).map(str::to_owned).collect();
        let end = LastEvaluations::of_experiment(&run.rounds, experiment);
        Self { run, arms, reinits, checkpoints, measured, end, test_note: run.test_note().unwrap_or_default() }
    }

    /// Returns the style of an arm, which is the same in every figure of the run; that of the dense network if the run
    /// has no such arm.
    fn style(&self, arm: &str) -> SeriesStyle {
        let index = self.arms.iter().position(|role| role.arm == arm);
        index.map_or_else(SeriesStyle::default, |index| arm_style(index, &self.arms[index]))
    }

    /// Returns the note of a panel; empty unless `is_test`, that is, the panel shows values measured on test images.
    fn note(&self, is_test: bool) -> String {
        if is_test { self.test_note.clone() } else { String::new() }
    }
}

/// Returns the figures of a run, in the order of the page.
///
/// # Errors
/// Fails if a file of the run is damaged.
pub(crate) fn run_figures(data: &FigureData<'_>) -> Result<Vec<Figure>> {
    let mut figures = by_sparsity::figures(data);
    figures.push(cost::figure(data));
    figures.extend(transfer::figures(data));
    figures.extend(training_curves::figures(data)?);
    figures.push(equal_iterations::figure(data));
    figures.extend(landscape::figures(data)?);
    figures.extend(stability::figures(data));
    figures.push(robustness_figure(data.measured.robustness, &data.arms, &data.note(true)));
    figures.push(layer_density::figure(data)?);
    figures.extend(weights::figures(data)?);
    Ok(figures.into_iter().filter_map(without_empty_panels).collect())
}

/// Returns the figure without empty panels, with the note of its panels at the end of the caption; `None` if no panel
/// remains.
pub(crate) fn without_empty_panels(figure: Figure) -> Option<Figure> {
    let mut figure = figure.non_empty()?;
    if let Some(panel) = figure.panels.iter().find(|panel| !panel.note.is_empty()) {
        figure.caption = format!("{} {}.", figure.caption, capitalize(&panel.note));
    }
    Some(figure)
}

/// Returns the point at `x` with the mean and range of `values`, of which those that are not finite are ignored; `None`
/// if none remains, or `x` is not finite.
fn mean_point(x: f64, values: &[f64]) -> Option<ChartPoint> {
    let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let stats = SummaryStats::of(&finite).filter(|_| x.is_finite())?;
    Some(ChartPoint { x, mean: stats.mean, low: stats.min, high: stats.max, n: stats.n, is_lower_bound: false })
}

/// Returns the style of the arm with an index, counted from 0: tickets and the dense network have solid lines, controls
/// dashed ones, each with its own colour and marker.
fn arm_style(index: usize, role: &ArmRole) -> SeriesStyle {
    let is_solid = role.is_ticket || is_dense(&role.arm);
    // Colours repeat after eight arms; the shift gives the repeated colours other markers and dashes.
    let shifted = index + index / COLOURS;
    SeriesStyle {
        colour: index,
        dash: if is_solid { 0 } else { 1 + (shifted + 1) % 4 },
        mark: shifted,
        shade: 0,
        marks: MarkerPolicy::Every,
    }
}

/// Returns the roles of the dense network, of each ticket, and of the first control of each that has its mask and new
/// initial weights, in the order of the run's arms.
fn ticket_roles<'a>(data: &'a FigureData<'_>) -> Vec<&'a ArmRole> {
    let shown = |role: &&ArmRole| role.is_ticket || role.arm == DENSE || data.reinits.contains(&role.arm);
    data.arms.iter().filter(shown).collect()
}

/// Returns the panels with common intervals on their x axes and on their y axes: those of the values of all panels.
fn with_common_axes(mut panels: Vec<Panel>) -> Vec<Panel> {
    let points = || panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
    let ends = |values: Vec<f64>| {
        let [low, high] = [f64::min as fn(f64, f64) -> f64, f64::max];
        [values.iter().copied().reduce(low), values.iter().copied().reduce(high)]
    };
    let x = ends(points().map(|point| point.x).collect());
    let y = ends(points().flat_map(|point| [point.low, point.high]).collect());
    for panel in &mut panels {
        panel.x.include.extend(x.into_iter().flatten());
        panel.y.include.extend(y.into_iter().flatten());
    }
    panels
}

/// Returns the suffix of the names of an arm's figures; empty if only one arm has such figures. `arms`: number of arms
/// that do.
fn name_suffix(arm: &str, arms: usize) -> String {
    if arms > 1 { format!("_{arm}") } else { String::new() }
}

/// Returns the share of weights that remains at a round of an arm; `None` if the run has no such round, or the share is
/// not > 0.
fn weights_remaining(run: &Run, arm: &str, round: u32) -> Option<f64> {
    let rows = run.rounds.iter().filter(|row| row.arm == arm && row.round == round);
    let groups = RoundGroup::by_arm_and_round(rows);
    groups.first().map(RoundGroup::weights_remaining).filter(|share| share.is_finite() && *share > 0.0)
}

/// Returns, for each of `shares`, the round of an arm whose share of weights is nearest by ratio, with that share. In
/// the order of `shares`, each round once.
fn nearest_rounds(run: &Run, arm: &str, shares: &[f64]) -> Vec<(u32, f64)> {
    let mut rounds: Vec<u32> = run.rounds.iter().filter(|row| row.arm == arm).map(|row| row.round).collect();
    rounds.sort_unstable();
    rounds.dedup();
    let candidates: Vec<(u32, f64)> =
        rounds.into_iter().filter_map(|round| Some((round, weights_remaining(run, arm, round)?))).collect();
    let mut nearest: Vec<(u32, f64)> = Vec::new();
    for share in shares {
        let distance = |candidate: &(u32, f64)| libm::log(candidate.1 / share).abs();
        let best = candidates.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        nearest.extend(best.filter(|best| !nearest.contains(best)));
    }
    nearest
}

/// The sentence of captions on means and ranges.
const MEANS: &str = "Lines are means over training runs; bars, or bands in panels of more than four lines, span \
                     minimum to maximum.";

/// Returns the label of a line: a share of weights remaining in percent, such as `21.1%`.
fn share_label(share: f64) -> String {
    format!("{}%", axis_percent(share))
}

/// Returns the shade of the line with an index, counted from 0 for the largest share of weights, of `count` lines: the
/// fewer weights remain, the fainter is the line.
fn shade(index: usize, count: usize) -> usize {
    const LEVELS: usize = 5;
    if count <= LEVELS { index } else { index * LEVELS / count }
}

/// Returns an axis of weights remaining, from large to small; with round ticks if `ticks` is empty.
fn weights_remaining_axis(ticks: Vec<f64>) -> Axis {
    Axis {
        title: "weights remaining (%)".to_owned(),
        column: "weights_remaining",
        unit: AxisUnit::Percent,
        scale: AxisScale::LogReversed,
        ticks,
        ..Axis::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_weights_are_fainter() {
        assert_eq!([shade(0, 3), shade(2, 3), shade(0, 10), shade(9, 10)], [0, 2, 0, 4]);
        assert_eq!((share_label(1.0), share_label(0.2107)), ("100%".to_owned(), "21.1%".to_owned()));
    }

    #[test]
    fn mean_point_leaves_out_values_that_are_not_finite() {
        let point = mean_point(0.5, &[3.0, f64::NAN, 1.0]).unwrap();
        assert_eq!(point, ChartPoint { x: 0.5, mean: 2.0, low: 1.0, high: 3.0, n: 2, is_lower_bound: false });
        assert_eq!((mean_point(0.5, &[]), mean_point(0.5, &[f64::INFINITY])), (None, None));
        assert_eq!(mean_point(f64::NAN, &[1.0]), None);
    }
}
