//! Curves over the iterations for chosen rounds (the paper's Figures 3 and 11).

use anyhow::Result;

use super::axis::share;
use super::chart::{Axis, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use super::{nearest, remaining};
use crate::lottery::DENSE;
use crate::report::arms::ArmRole;
use crate::report::curves::{ArmRound, CurvePoint, Curves};
use crate::report::run::Run;

/// The shares of weights that the paper's panels show.
const LARGE: [f64; 2] = [0.513, 0.211];
const SMALL: [f64; 4] = [0.211, 0.07, 0.036, 0.019];

/// An arm at a round, as a panel shows it.
#[derive(Clone)]
struct Shown {
    place: ArmRound,
    name: String,
    look: SeriesStyle,
}

/// What a panel holds, under its title.
type Titled<T> = (&'static str, Vec<T>);

/// Two figures for every ticket: test accuracy, and validation loss.
pub(super) fn figures(run: &Run, arms: &[ArmRole]) -> Result<Vec<Figure>> {
    let tickets: Vec<&ArmRole> = arms.iter().filter(|part| part.is_ticket).collect();
    let all: Vec<Vec<Titled<Shown>>> = tickets.iter().map(|ticket| panels(run, arms, ticket)).collect();
    let shown = all.iter().flatten().flat_map(|(_, shown)| shown);
    let curves = Curves::read(run, &shown.map(|shown| shown.place.clone()).collect::<Vec<_>>())?;
    let mut figures = Vec::new();
    for (ticket, panels) in tickets.iter().zip(&all) {
        let suffix = if tickets.len() > 1 { format!("_{}", ticket.arm) } else { String::new() };
        let end = window(run, &ticket.arm);
        figures.push(accuracy(&ticket.arm, &suffix, &drawn(panels, &curves, |e| &e.test_accuracy), end));
        figures.push(loss(&ticket.arm, &suffix, &drawn(panels, &curves, |e| &e.validation_loss), end));
    }
    Ok(figures)
}

/// Large tickets, small tickets, and large tickets beside a control.
fn panels(run: &Run, arms: &[ArmRole], ticket: &ArmRole) -> Vec<Titled<Shown>> {
    let dense = || {
        let look = SeriesStyle { marks: MarkerPolicy::Few, ..SeriesStyle::default() };
        Shown { place: (DENSE.to_owned(), 0), name: "dense 100 %".to_owned(), look }
    };
    let chosen = nearest(run, &ticket.arm, &[&LARGE[..], &SMALL].concat());
    let show = |arm: &str, shares: &[f64], dash: usize| {
        let rounds = nearest(run, &ticket.arm, shares).into_iter().filter_map(|(round, size)| {
            let place = chosen.iter().position(|(other, _)| *other == round)? + 1;
            remaining(run, arm, round)?;
            let look = SeriesStyle { colour: place, mark: place, dash, marks: MarkerPolicy::Few };
            Some(Shown { place: (arm.to_owned(), round), name: format!("{arm} {} %", share(size)), look })
        });
        rounds.collect::<Vec<_>>()
    };
    let with_dense = |mut shown: Vec<Shown>| {
        shown.insert(0, dense());
        shown
    };
    let mut panels = vec![
        ("Large tickets", with_dense(show(&ticket.arm, &LARGE, 0))),
        ("Small tickets", with_dense(show(&ticket.arm, &SMALL, 0))),
    ];
    let controls = arms.iter().filter(|part| !part.is_ticket && part.of.as_ref() == Some(&ticket.arm));
    for (i, control) in controls.take(1).enumerate() {
        let mut shown = show(&ticket.arm, &LARGE, 0);
        shown.extend(show(&control.arm, &LARGE, i + 1));
        panels.push(("Tickets and their control", with_dense(shown)));
    }
    panels
}

/// The series of each panel.
fn drawn(panels: &[Titled<Shown>], curves: &Curves, of: impl Fn(&CurvePoint) -> &[f64]) -> Vec<Titled<Series>> {
    let series = |shown: &Shown| {
        let evaluations = curves.at(&shown.place.0, shown.place.1);
        let points = evaluations.filter_map(|e| ChartPoint::of(e.iteration as f64, of(e))).collect();
        Series { name: shown.name.clone(), style: shown.look, points, start: None }
    };
    panels.iter().map(|(title, shown)| (*title, shown.iter().map(series).collect())).collect()
}

/// The last iteration that is shown: well beyond the early stops, since nothing happens after them that the CSV file
/// does not tell as well.
fn window(run: &Run, arm: &str) -> f64 {
    let own = run.rounds.iter().filter(|row| row.arm == arm || row.arm == DENSE);
    let stops: Vec<f64> = own.filter_map(|row| row.early_stop_iteration).map(|iteration| iteration as f64).collect();
    ChartPoint::of(0.0, &stops).map_or(f64::INFINITY, |stops| 2.0 * stops.mean.max(1.0))
}

fn panel(title: &str, series: Vec<Series>, y: Axis, end: f64) -> Panel {
    let x = Axis {
        title: "training iteration".to_owned(),
        column: "iteration",
        unit: AxisUnit::Count,
        window: Some((0.0, end)),
        ..Axis::default()
    };
    Panel { title: title.to_owned(), x, y, series, ..Panel::default() }
}

fn accuracy(arm: &str, suffix: &str, panels: &[Titled<Series>], end: f64) -> Figure {
    // From where the worst of the series ends to the best, and as much below: the rise is seen, the start is not.
    let last = |series: &Series| series.points.iter().rfind(|point| point.x <= end).map(|point| point.mean);
    let ends: Vec<f64> = panels.iter().flat_map(|(_, series)| series).filter_map(last).collect();
    let low = ChartPoint::of(0.0, &ends).map_or(0.0, |ends| ends.low - (ends.high - ends.low).max(0.015));
    let y = Axis {
        title: "test accuracy (%)".to_owned(),
        column: "test_accuracy",
        unit: AxisUnit::Percent,
        is_test: true,
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
        panels: panels.iter().map(|(title, series)| panel(title, series.clone(), y.clone(), end)).collect(),
    }
}

fn loss(arm: &str, suffix: &str, panels: &[Titled<Series>], end: f64) -> Figure {
    // The first losses are those of an untrained network: three times the least is room enough for what comes after.
    let least = |series: &Series| series.points.iter().map(|point| point.mean).reduce(f64::min);
    let last = |series: &Series| series.points.iter().rfind(|point| point.x <= end).map(|point| point.high);
    let all = || panels.iter().flat_map(|(_, series)| series);
    let high = all().filter_map(least).map(|least| 3.0 * least).chain(all().filter_map(last)).reduce(f64::max);
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
        panels: panels.iter().map(|(title, series)| panel(title, series.clone(), y.clone(), end)).collect(),
    }
}
