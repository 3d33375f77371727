//! Test accuracy and validation loss over the iterations, for chosen rounds (the paper's Figures 3 and 11).

use anyhow::Result;

use super::{FigureData, name_suffix, nearest_rounds, point, weights_remaining};
use crate::lottery::DENSE;
use crate::plot::{Axis, AxisUnit, Figure, MarkerPolicy, Panel, Series, SeriesStyle, percent};
use crate::report::curves::{ArmRound, CurvePoint, Curves};
use crate::report::roles::ArmRole;
use crate::report::run::Run;

/// The shares of weights of the paper's panels.
const LARGE: [f64; 2] = [0.513, 0.211];
const SMALL: [f64; 4] = [0.211, 0.07, 0.036, 0.019];
/// The x axis ends at this many times the mean early stop.
const WINDOW_EARLY_STOPS: f64 = 2.0;
/// Least difference between the top of an accuracy axis and the worst curve's end.
const MIN_ACCURACY_RANGE: f64 = 0.015;
/// A loss axis ends at this many times the least loss: the first losses are those of an untrained network, and this is enough for
/// those after them.
const LOSS_WINDOW: f64 = 3.0;

/// An arm at a round, as a series.
#[derive(Clone)]
struct ShownRound {
    arm_round: ArmRound,
    name: String,
    style: SeriesStyle,
}

/// The contents of a panel, under its title.
type Titled<T> = (&'static str, Vec<T>);

/// Returns two figures for every ticket: test accuracy and validation loss.
///
/// # Errors
/// Fails where `curves.csv` is damaged.
pub(super) fn figures(data: &FigureData<'_>) -> Result<Vec<Figure>> {
    let tickets: Vec<&ArmRole> = data.arms.iter().filter(|role| role.is_ticket).collect();
    let panels: Vec<Vec<Titled<ShownRound>>> = tickets.iter().map(|ticket| ticket_panels(data, ticket)).collect();
    let shown = panels.iter().flatten().flat_map(|(_, rounds)| rounds);
    let curves = Curves::read(data.run, &shown.map(|round| round.arm_round.clone()).collect::<Vec<_>>())?;
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

/// Large tickets, small tickets, and large tickets beside their first control.
fn ticket_panels(data: &FigureData<'_>, ticket: &ArmRole) -> Vec<Titled<ShownRound>> {
    let mut panels = vec![
        ("Large tickets", with_dense(shown_rounds(data.run, ticket, &ticket.arm, &LARGE, 0))),
        ("Small tickets", with_dense(shown_rounds(data.run, ticket, &ticket.arm, &SMALL, 0))),
    ];
    let is_control = |role: &&ArmRole| !role.is_ticket && role.mask_of.as_ref() == Some(&ticket.arm);
    if let Some(control) = data.arms.iter().find(is_control) {
        let mut rounds = shown_rounds(data.run, ticket, &ticket.arm, &LARGE, 0);
        rounds.extend(shown_rounds(data.run, ticket, &control.arm, &LARGE, 1));
        panels.push(("Tickets and their control", with_dense(rounds)));
    }
    panels
}

/// The rounds of an arm at which `ticket` is nearest to `shares`. A round has the same colour in all panels of the ticket.
fn shown_rounds(run: &Run, ticket: &ArmRole, arm: &str, shares: &[f64], dash: usize) -> Vec<ShownRound> {
    let coloured = nearest_rounds(run, &ticket.arm, &[&LARGE[..], &SMALL].concat());
    let mut shown = Vec::new();
    for (round, share) in nearest_rounds(run, &ticket.arm, shares) {
        let index = coloured.iter().position(|(other, _)| *other == round);
        if let (Some(index), Some(_)) = (index, weights_remaining(run, arm, round)) {
            let style = SeriesStyle { colour: index + 1, mark: index + 1, dash, marks: MarkerPolicy::Few };
            let name = format!("{arm} {} %", percent(share));
            shown.push(ShownRound { arm_round: (arm.to_owned(), round), name, style });
        }
    }
    shown
}

fn with_dense(mut rounds: Vec<ShownRound>) -> Vec<ShownRound> {
    let style = SeriesStyle { marks: MarkerPolicy::Few, ..SeriesStyle::default() };
    rounds.insert(0, ShownRound { arm_round: (DENSE.to_owned(), 0), name: "dense 100 %".to_owned(), style });
    rounds
}

/// The series of each panel; `values` are those of the trainings at an evaluation.
fn series_of_panels(
    panels: &[Titled<ShownRound>],
    curves: &Curves,
    values: impl Fn(&CurvePoint) -> &[f64],
) -> Vec<Titled<Series>> {
    let series = |shown: &ShownRound| {
        let evaluations = curves.points(&shown.arm_round.0, shown.arm_round.1);
        let points = evaluations.filter_map(|evaluation| point(evaluation.iteration as f64, values(evaluation)));
        Series { name: shown.name.clone(), style: shown.style, points: points.collect(), start: None }
    };
    panels.iter().map(|(title, rounds)| (*title, rounds.iter().map(series).collect())).collect()
}

/// The last iteration shown, well beyond the early stops: the curves hardly change after it, and the CSV file has all of them.
fn last_iteration_shown(run: &Run, arm: &str) -> f64 {
    let rows = run.rounds.iter().filter(|row| row.arm == arm || row.arm == DENSE);
    let early_stops: Vec<f64> =
        rows.filter_map(|row| row.early_stop_iteration).map(|iteration| iteration as f64).collect();
    point(0.0, &early_stops).map_or(f64::INFINITY, |stops| WINDOW_EARLY_STOPS * stops.mean.max(1.0))
}

fn panels(titled: &[Titled<Series>], y: &Axis, note: &str, end: f64) -> Vec<Panel> {
    let x = Axis {
        title: "training iteration".to_owned(),
        column: "iteration",
        unit: AxisUnit::Count,
        window: Some((0.0, end)),
        ..Axis::default()
    };
    let panel = |(title, series): &Titled<Series>| Panel {
        title: (*title).to_owned(),
        x: x.clone(),
        y: y.clone(),
        series: series.clone(),
        level: None,
        note: note.to_owned(),
    };
    titled.iter().map(panel).collect()
}

fn accuracy_figure(data: &FigureData<'_>, arm: &str, suffix: &str, titled: &[Titled<Series>], end: f64) -> Figure {
    // The axis covers the ends of all curves and as much below, which shows the rise but not the start.
    let last = |series: &Series| series.points.iter().rfind(|point| point.x <= end).map(|point| point.mean);
    let ends: Vec<f64> = titled.iter().flat_map(|(_, series)| series).filter_map(last).collect();
    let low = point(0.0, &ends).map_or(0.0, |ends| ends.low - (ends.high - ends.low).max(MIN_ACCURACY_RANGE));
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
        caption: "Lines are means over trainings, bars run from the minimum to the maximum. Percentages are weights \
                  remaining. The beginning of training and what follows long after the early stops are in the CSV file \
                  only. (The paper's Figure 3.)"
            .to_owned(),
        panels: panels(titled, &y, &data.note(true), end),
    }
}

fn loss_figure(arm: &str, suffix: &str, titled: &[Titled<Series>], end: f64) -> Figure {
    let least = |series: &Series| series.points.iter().map(|point| point.mean).reduce(f64::min);
    let last = |series: &Series| series.points.iter().rfind(|point| point.x <= end).map(|point| point.high);
    let all_series = || titled.iter().flat_map(|(_, series)| series);
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
        caption:
            "Lines are means over trainings, bars run from the minimum to the maximum. The early stop is where the \
                  loss is least. Losses of the beginning lie above the panels, and are in the CSV file. (The paper's \
                  Figure 11.)"
                .to_owned(),
        panels: panels(titled, &y, "", end),
    }
}
