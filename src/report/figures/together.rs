//! Several runs in one figure for each arm that they share: sweeps of a learning rate, a pruning rate, a width.

use super::chart::{Axis, Figure, Look, Marks, Panel, Point, Series};
use super::sizes::{MEASURES, Measure, points};
use super::sizes_axis;
use crate::lottery::DENSE;
use crate::record::Group;
use crate::report::run::Run;

/// The measures shown, by their places.
const SHOWN: [usize; 3] = [0, 1, 3];
/// Runs in one figure: colours and marks tell no more apart.
const MOST: usize = 8;

/// A figure for each arm of more than one run, these by their names; of many runs, several.
pub(crate) fn together(runs: &[(&str, &Run)]) -> Vec<Figure> {
    let mut arms: Vec<&str> = Vec::new();
    for row in runs.iter().flat_map(|(_, run)| &run.rounds).filter(|row| row.arm != DENSE) {
        if !arms.contains(&row.arm.as_str()) {
            arms.push(&row.arm);
        }
    }
    let has = |run: &Run, arm: &str| run.rounds.iter().any(|row| row.arm == arm);
    let mut figures = Vec::new();
    for arm in arms {
        let own: Vec<(&str, &Run)> = runs.iter().copied().filter(|(_, run)| has(run, arm)).collect();
        for (i, some) in own.chunks(MOST).enumerate().filter(|_| own.len() > 1) {
            let suffix = if own.len() > MOST { format!("_{}", i + 1) } else { String::new() };
            figures.extend(figure(some, arm, &suffix).shown());
        }
    }
    figures
}

fn figure(runs: &[(&str, &Run)], arm: &str, suffix: &str) -> Figure {
    let panel = |place: usize| {
        let (title, unit, of) = MEASURES[place];
        let series: Vec<Series> = runs.iter().enumerate().map(|(i, run)| series(*run, i, arm, of)).collect();
        let longest = series.iter().max_by_key(|series| series.points.len());
        let ticks = longest.map_or_else(Vec::new, |series| series.points.iter().map(|point| point.x).collect());
        let y = Axis { title: title.to_owned(), column: "mean", unit, ..Axis::default() };
        Panel { x: sizes_axis(ticks), y, series, ..Panel::default() }
    };
    Figure {
        name: format!("runs_{arm}{suffix}"),
        title: format!("The runs side by side: {arm}"),
        caption: "Lines are means over trainings, bars run from the minimum to the maximum; the runs' marks are set a \
                  little apart. Each begins at its dense network."
            .to_owned(),
        panels: SHOWN.map(panel).to_vec(),
    }
}

fn series((name, run): (&str, &Run), place: usize, arm: &str, of: Measure) -> Series {
    let groups = Group::all(&run.rounds);
    let all: Vec<Point> = [DENSE, arm].iter().flat_map(|arm| points(&groups, arm, of)).collect();
    let look = Look { colour: place, dash: place, mark: place, marks: Marks::Every };
    Series { name: name.to_owned(), look, points: all, start: None }
}
