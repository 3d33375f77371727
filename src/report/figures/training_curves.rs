//! Test accuracy and validation loss over the iterations, for chosen rounds (the paper's Figures 3 and 11).

use anyhow::Result;

use super::{FigureData, MEANS, mean_point, name_suffix, nearest_rounds, shade, share_label, weights_remaining};
use crate::lottery::DENSE;
use crate::plot::{Axis, AxisUnit, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use crate::report::arm_round::ArmRound;
use crate::report::curves::{CurvePoint, Curves};
use crate::report::roles::ArmRole;
use crate::report::run::Run;

/// The shares of weights of the large tickets in the paper's Figure 3.
const LARGE_TICKET_SHARES: [f64; 2] = [0.513, 0.211];
/// The shares of weights of the small tickets in the paper's Figure 3.
const SMALL_TICKET_SHARES: [f64; 4] = [0.211, 0.07, 0.036, 0.019];
/// The x axis ends at this many times the mean iteration of early stop.
const WINDOW_EARLY_STOPS: f64 = 2.0;
/// An accuracy axis starts at least this share of 1 below the lowest end of a curve.
const MIN_ACCURACY_RANGE: f64 = 0.015;
/// A loss axis ends at this many times the least loss. The losses of the first iterations, when the network is
/// untrained, are larger and lie above the axis; later ones fit.
const LOSS_WINDOW: f64 = 3.0;

/// An arm at a round that a panel shows as a series.
#[derive(Clone)]
struct ShownRound<'a> {
    arm_round: ArmRound<'a>,
    /// Share of weights remaining, as the label of the line.
    label: String,
    style: SeriesStyle,
}

/// The title of a panel, and its contents.
type PanelOf<T> = (&'static str, Vec<T>);

/// Returns two figures for every ticket: test accuracy and validation loss.
///
/// # Errors
/// Fails if `curves.csv` is damaged.
pub(super) fn figures(data: &FigureData<'_>) -> Result<Vec<Figure>> {
    let tickets: Vec<&ArmRole> = data.arms.iter().filter(|role| role.is_ticket).collect();
    let panels: Vec<Vec<PanelOf<ShownRound<'_>>>> = tickets.iter().map(|ticket| ticket_panels(data, ticket)).collect();
    let shown = panels.iter().flatten().flat_map(|(_, rounds)| rounds);
    let curves = Curves::read(data.run, &shown.map(|round| round.arm_round).collect::<Vec<_>>())?;
    let mut figures = Vec::new();
    for (ticket, panels) in tickets.iter().zip(&panels) {
        let suffix = name_suffix(&ticket.arm, tickets.len());
        let end = last_iteration_shown(data.run, &ticket.arm);
        let accuracies = series_of_panels(panels, &curves, |evaluation| &evaluation.test_accuracy);
        let losses = series_of_panels(panels, &curves, |evaluation| &evaluation.validation_loss);
        figures.push(accuracy_figure(data, &ticket.arm, &suffix, &accuracies, end));
        figures.push(loss_figure(&ticket.arm, &suffix, &losses, end));
    }
    Ok(figures)
}

/// Returns the contents of a ticket's panels: large tickets; small tickets, if that adds rounds; and large tickets
/// beside their first control.
fn ticket_panels<'a>(data: &'a FigureData<'_>, ticket: &'a ArmRole) -> Vec<PanelOf<ShownRound<'a>>> {
    let large = shown_rounds(data, ticket, &ticket.arm, &LARGE_TICKET_SHARES);
    let small = shown_rounds(data, ticket, &ticket.arm, &SMALL_TICKET_SHARES);
    let is_large = |shown: &ShownRound<'_>| large.iter().any(|other| other.arm_round == shown.arm_round);
    let adds_rounds = !small.iter().all(is_large);
    let mut panels = vec![("Large tickets", with_dense(large))];
    if adds_rounds {
        panels.push(("Small tickets", with_dense(small)));
    }
    let is_control = |role: &&ArmRole| !role.is_ticket && role.mask_of.as_ref() == Some(&ticket.arm);
    if let Some(control) = data.arms.iter().find(is_control) {
        let mut rounds = shown_rounds(data, ticket, &ticket.arm, &LARGE_TICKET_SHARES);
        rounds.extend(shown_rounds(data, ticket, &control.arm, &LARGE_TICKET_SHARES));
        panels.push(("Tickets and their control", with_dense(rounds)));
    }
    panels
}

/// Returns the rounds of `arm` at which the share of weights of `ticket` is nearest to `shares`, in the style of
/// `arm`. A round has the same shade in all panels of the ticket.
fn shown_rounds<'a>(data: &FigureData<'_>, ticket: &ArmRole, arm: &'a str, shares: &[f64]) -> Vec<ShownRound<'a>> {
    let run = data.run;
    let shaded = nearest_rounds(run, &ticket.arm, &[&LARGE_TICKET_SHARES[..], &SMALL_TICKET_SHARES].concat());
    let mut shown = Vec::new();
    for (round, share) in nearest_rounds(run, &ticket.arm, shares) {
        let index = shaded.iter().position(|(other, _)| *other == round);
        if let (Some(index), Some(_)) = (index, weights_remaining(run, arm, round)) {
            let style = SeriesStyle { shade: shade(index, shaded.len()), marks: MarkerPolicy::Few, ..data.style(arm) };
            shown.push(ShownRound { arm_round: ArmRound::new(arm, round), label: share_label(share), style });
        }
    }
    shown
}

/// Returns `rounds` with the dense network before them.
fn with_dense(mut rounds: Vec<ShownRound<'_>>) -> Vec<ShownRound<'_>> {
    let style = SeriesStyle { marks: MarkerPolicy::Few, ..SeriesStyle::default() };
    rounds.insert(0, ShownRound { arm_round: ArmRound::new(DENSE, 0), label: share_label(1.0), style });
    rounds
}

/// Returns the series of each panel; `values` returns the shown values of the training runs at an evaluation.
fn series_of_panels<'a>(
    panels: &[PanelOf<ShownRound<'a>>],
    curves: &Curves<'a>,
    values: impl Fn(&CurvePoint) -> &[f64],
) -> Vec<PanelOf<Series>> {
    let series = |shown: &ShownRound<'a>| {
        let evaluations = curves.points(shown.arm_round);
        let points = evaluations.filter_map(|evaluation| mean_point(evaluation.iteration as f64, values(evaluation)));
        let name = shown.arm_round.arm.to_owned();
        Series { name, label: shown.label.clone(), style: shown.style, points: points.collect(), start: None }
    };
    panels.iter().map(|(title, rounds)| (*title, rounds.iter().map(series).collect())).collect()
}

/// Returns the last iteration shown, well after the early stops of `arm` and the dense network. The curves hardly
/// change after it; the CSV file has all of their points.
fn last_iteration_shown(run: &Run, arm: &str) -> f64 {
    let rows = run.rounds.iter().filter(|row| row.arm == arm || row.arm == DENSE);
    let early_stops: Vec<f64> =
        rows.filter_map(|row| row.early_stop_iteration).map(|iteration| iteration as f64).collect();
    mean_point(0.0, &early_stops).map_or(f64::INFINITY, |stops| WINDOW_EARLY_STOPS * stops.mean.max(1.0))
}

/// Returns the panels: `contents` over the iterations 0..=`end`, each with the y axis `y` and a note.
fn panels(contents: &[PanelOf<Series>], y: &Axis, note: &str, end: f64) -> Vec<Panel> {
    let x = Axis {
        title: "training iteration".to_owned(),
        column: "iteration",
        unit: AxisUnit::Count,
        window: Some((0.0, end)),
        ..Axis::default()
    };
    let panel = |(title, series): &PanelOf<Series>| Panel {
        title: (*title).to_owned(),
        x: x.clone(),
        y: y.clone(),
        series: series.clone(),
        heat_map: None,
        level: None,
        note: note.to_owned(),
    };
    contents.iter().map(panel).collect()
}

/// Returns the figure of test accuracies of the ticket `arm`, over the iterations 0..=`end`.
fn accuracy_figure(data: &FigureData<'_>, arm: &str, suffix: &str, contents: &[PanelOf<Series>], end: f64) -> Figure {
    // The axis covers the ends of all curves and the same distance below them: the rise of the curves, but not their
    // start.
    let last = |series: &Series| series.points.iter().rfind(|point| point.x <= end).map(|point| point.mean);
    let ends: Vec<f64> = contents.iter().flat_map(|(_, series)| series).filter_map(last).collect();
    let low = mean_point(0.0, &ends).map_or(0.0, |ends| ends.low - (ends.high - ends.low).max(MIN_ACCURACY_RANGE));
    let y = Axis {
        title: "test accuracy (%)".to_owned(),
        column: "test_accuracy",
        unit: AxisUnit::Percent,
        window: Some((low, f64::INFINITY)),
        ..Axis::default()
    };
    Figure {
        name: format!("test_accuracy{suffix}"),
        title: format!("Test accuracy during training: {arm}"),
        caption: format!(
            "{MEANS} Lines are labelled with the weights remaining, and fainter if fewer remain. Values outside the \
             plotted range are in the CSV file. (The paper's Figure 3.)"
        ),
        panels: panels(contents, &y, &data.note(true), end),
    }
}

/// Returns the figure of validation losses of the ticket `arm`, over the iterations 0..=`end`.
fn loss_figure(arm: &str, suffix: &str, contents: &[PanelOf<Series>], end: f64) -> Figure {
    let least = |series: &Series| series.points.iter().map(|point| point.mean).reduce(f64::min);
    let last = |series: &Series| series.points.iter().rfind(|point| point.x <= end).map(|point| point.high);
    let all_series = || contents.iter().flat_map(|(_, series)| series);
    let limits = all_series().filter_map(least).map(|least| LOSS_WINDOW * least);
    let high = limits.chain(all_series().filter_map(last)).reduce(f64::max);
    let y = Axis {
        title: "validation loss (nats)".to_owned(),
        column: "validation_loss",
        unit: AxisUnit::Plain,
        window: Some((0.0, high.unwrap_or(f64::INFINITY))),
        ..Axis::default()
    };
    Figure {
        name: format!("validation_loss{suffix}"),
        title: format!("Validation loss during training: {arm}"),
        caption: format!(
            "{MEANS} Lines are labelled with the weights remaining, and fainter if fewer remain. The early stop is the \
             minimum of the loss. Values outside the plotted range are in the CSV file. (The paper's Figure 11.)"
        ),
        panels: panels(contents, &y, "", end),
    }
}
