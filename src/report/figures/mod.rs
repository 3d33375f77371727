//! The figures of a run, as the paper draws them. Only what the run has is drawn.

mod axis;
mod chart;
mod series;
mod layer_density;
mod training_curves;
mod by_sparsity;
mod stability;
mod svg;
mod comparison;
mod weights;

pub(crate) use chart::Figure;
use chart::{Axis, AxisScale, AxisUnit, MarkerPolicy, SeriesStyle};
pub(crate) use comparison::comparison_figures;
pub(crate) use svg::{STYLE, escaped, panel, sample, whole};

use anyhow::Result;

use super::arms::{self, ArmRole};
use super::checkpoints::Checkpoints;
use super::run::Run;
use crate::artifacts::{RoundGroup, StabilityRow};
use crate::config::Experiment;
use crate::lottery::DENSE;

/// The figures of a run, in the order of the page.
///
/// # Errors
/// A file of the run that is damaged.
pub(crate) fn all(
    run: &Run,
    experiment: Option<&Experiment>,
    checkpoints: &Checkpoints,
    stability: &[StabilityRow],
) -> Result<Vec<Figure>> {
    let arms = arms::arm_roles(run, experiment);
    let mut figures = by_sparsity::figures(run, &arms, checkpoints).to_vec();
    figures.extend(training_curves::figures(run, &arms)?);
    figures.extend(stability::figures(run, &arms, stability));
    figures.push(layer_density::figure(run)?);
    figures.extend(weights::figures(run)?);
    let note = run.test_note().unwrap_or_default();
    Ok(figures.into_iter().filter_map(Figure::non_empty).map(|figure| figure.with_note(&note)).collect())
}

/// How an arm looks: tickets solid, controls dashed, each with its own colour and mark.
fn look(place: usize, part: &ArmRole) -> SeriesStyle {
    let is_solid = part.is_ticket || part.arm == DENSE;
    // Colours come again after eight arms, with other marks and dashes then.
    let again = place + place / 8;
    SeriesStyle {
        colour: place,
        dash: if is_solid { 0 } else { 1 + (again + 1) % 4 },
        mark: again,
        marks: MarkerPolicy::Every,
    }
}

/// The share of weights that remains at a round of an arm; `None` where there is no such round, or what was written
/// there is no share.
fn remaining(run: &Run, arm: &str, round: u32) -> Option<f64> {
    let rows = run.rounds.iter().filter(|row| row.arm == arm && row.round == round);
    RoundGroup::all(rows).first().map(RoundGroup::weights_remaining).filter(|share| share.is_finite() && *share > 0.0)
}

/// The rounds of an arm, in order.
fn rounds(run: &Run, arm: &str) -> Vec<u32> {
    let mut rounds: Vec<u32> = run.rounds.iter().filter(|row| row.arm == arm).map(|row| row.round).collect();
    rounds.sort_unstable();
    rounds.dedup();
    rounds
}

/// The rounds of an arm that come nearest to shares of the weights, in the order of these, each once.
fn nearest(run: &Run, arm: &str, shares: &[f64]) -> Vec<(u32, f64)> {
    let known: Vec<(u32, f64)> =
        rounds(run, arm).into_iter().filter_map(|round| Some((round, remaining(run, arm, round)?))).collect();
    let mut found: Vec<(u32, f64)> = Vec::new();
    for share in shares {
        let distance = |candidate: &&(u32, f64)| libm::log(candidate.1 / share).abs();
        let best = known.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
        found.extend(best.filter(|best| !found.contains(best)));
    }
    found
}

/// An axis of weights remaining, large to small.
fn sizes_axis(ticks: Vec<f64>) -> Axis {
    Axis {
        title: "weights remaining (%)".to_owned(),
        column: "weights_remaining",
        unit: AxisUnit::Percent,
        scale: AxisScale::LogReversed,
        ticks,
        ..Axis::default()
    }
}
