//! What lies between two copies of a training: the error on the line, and the instability by size (arXiv 1912.05671).

use super::axis::share;
use super::chart::{Axis, AxisUnit, ChartPoint, Figure, MarkerPolicy, Panel, Series, SeriesStyle};
use super::{look, remaining, sizes_axis};
use crate::artifacts::StabilityRow;
use crate::report::arms::ArmRole;
use crate::report::run::Run;
use crate::report::stability::{InterpolationPath, STABLE, by_place};

/// The shares of weights whose lines are shown.
const SHARES: [f64; 4] = [0.513, 0.211, 0.07, 0.019];

/// An error of a network, and what it is called.
type Error = (&'static str, bool, fn(&StabilityRow) -> f64);

/// On which images errors are measured.
const ERRORS: [Error; 2] = [("test", true, |row| row.test_error), ("train", false, |row| row.train_error)];

/// The instability by size, and the lines of each arm.
pub(super) fn figures(run: &Run, arms: &[ArmRole], rows: &[StabilityRow]) -> Vec<Figure> {
    let all = InterpolationPath::all(rows);
    let is_measured = |part: &&ArmRole| all.iter().any(|it| it.place().0 == part.arm && it.place().1 > 0);
    let pruned: Vec<&ArmRole> = arms.iter().filter(is_measured).collect();
    let suffix = |part: &ArmRole| if pruned.len() > 1 { format!("_{}", part.arm) } else { String::new() };
    let mut figures = vec![by_size(arms, &all)];
    if pruned.is_empty() {
        figures.push(lines(run, &all, &[], ""));
    }
    figures.extend(pruned.iter().map(|part| lines(run, &all, &[&part.arm], &suffix(part))));
    figures
}

fn by_size(arms: &[ArmRole], all: &[InterpolationPath<'_>]) -> Figure {
    let places = by_place(all);
    let panel = |(name, is_test, error): Error| {
        let series = |(place, part): (usize, &ArmRole)| {
            let own = places.iter().filter(|((arm, _), _)| *arm == part.arm);
            let points = own.filter_map(|(_, trainings)| {
                let values: Vec<f64> = trainings.iter().map(|it| it.instability(error)).collect();
                ChartPoint::of(trainings[0].weights_remaining(), &values)
            });
            Series { name: part.arm.clone(), style: look(place, part), points: points.collect(), start: None }
        };
        let series: Vec<Series> = arms.iter().enumerate().map(series).collect();
        let mut ticks: Vec<f64> = series.iter().flat_map(|series| &series.points).map(|point| point.x).collect();
        ticks.sort_by(|a, b| b.total_cmp(a));
        ticks.dedup();
        let title = format!("instability, {name} (points)");
        let y = Axis { title, column: "mean", unit: AxisUnit::Percent, is_test, ..Axis::default() };
        Panel { x: sizes_axis(ticks), y, series, level: Some(STABLE), ..Panel::default() }
    };
    Figure {
        name: "instability".to_owned(),
        title: "Instability to the order of the data against weights remaining".to_owned(),
        caption: "The greatest error on the straight line between two copies of a training that saw their images in other \
                  orders, less the mean error of both. Lines are means over trainings, bars run from the minimum to the \
                  maximum. The dotted line is at 2 points: below it a training counts as stable."
            .to_owned(),
        panels: ERRORS.map(panel).to_vec(),
    }
}

/// The errors along the lines of the dense network and of some rounds of an arm.
fn lines(run: &Run, all: &[InterpolationPath<'_>], arms: &[&str], suffix: &str) -> Figure {
    let places = by_place(all);
    let mut shown: Vec<(&str, u32)> =
        places.iter().map(|(place, _)| *place).filter(|(_, round)| *round == 0).take(1).collect();
    for share in SHARES {
        let distance = |place: &(&str, u32)| {
            remaining(run, place.0, place.1).map_or(f64::INFINITY, |there| libm::log(there / share).abs())
        };
        let own = places.iter().map(|(place, _)| *place).filter(|(arm, round)| arms.contains(arm) && *round > 0);
        let nearest = own.min_by(|a, b| distance(a).total_cmp(&distance(b)));
        shown.extend(nearest.filter(|nearest| !shown.contains(nearest)));
    }
    let panel = |(name, is_test, error): Error| {
        let series = |(place, (arm, round)): (usize, &(&str, u32))| {
            let lines = places.iter().find(|(known, _)| known == &(*arm, *round)).map(|(_, lines)| lines.as_slice());
            let look = SeriesStyle { colour: place, dash: 0, mark: place, marks: MarkerPolicy::Few };
            let left = remaining(run, arm, *round).map_or(String::new(), |left| format!(" {} %", share(left)));
            Series {
                name: format!("{arm}{left}"),
                style: look,
                points: along(lines.unwrap_or_default(), error),
                start: None,
            }
        };
        let x = Axis {
            title: "share of the training itself, α".to_owned(),
            column: "alpha",
            unit: AxisUnit::Plain,
            ..Axis::default()
        };
        let y = Axis {
            title: format!("{name} error (%)"),
            column: "mean",
            unit: AxisUnit::Percent,
            is_test,
            ..Axis::default()
        };
        Panel { x, y, series: shown.iter().enumerate().map(series).collect(), ..Panel::default() }
    };
    Figure {
        name: format!("between_copies{suffix}"),
        title: format!("Error between two copies: {}", arms.first().copied().unwrap_or("dense")),
        caption: "Errors of α times the weights of the training itself and 1 − α times those of its copy, which saw its \
                  images in another order; batch norms have their statistics of training images at each point. Lines are \
                  means over trainings, bars run from the minimum to the maximum."
            .to_owned(),
        panels: ERRORS.map(panel).to_vec(),
    }
}

/// The errors of several lines point by point.
fn along(lines: &[&InterpolationPath<'_>], error: impl Fn(&StabilityRow) -> f64) -> Vec<ChartPoint> {
    let Some(first) = lines.first() else { return Vec::new() };
    // Lines that were measured at other points are not averaged with these.
    let same: Vec<_> = lines.iter().filter(|line| line.rows.len() == first.rows.len()).collect();
    let point = |at: usize| {
        let values: Vec<f64> = same.iter().map(|line| error(line.rows[at])).collect();
        ChartPoint::of(first.rows[at].alpha, &values)
    };
    (0..first.rows.len()).filter_map(point).collect()
}
