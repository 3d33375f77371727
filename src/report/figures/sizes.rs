//! Everything against the share of weights that remains (the paper's Figures 1, 4, 5, 12 and 14).

use super::chart::{Axis, Figure, Panel, Point, Series, Unit};
use super::{look, sizes_axis};
use crate::lottery::DENSE;
use crate::record::{Group, RoundRow};
use crate::report::arms::Part;
use crate::report::run::Run;

/// What a panel measures of a training.
pub(super) type Measure = fn(&RoundRow) -> Option<f64>;

/// The panels, as the paper has them.
pub(super) const MEASURES: [(&str, Unit, Measure); 5] = [
    ("early-stop iteration", Unit::Count, |row| row.early_stop_iteration.map(|iteration| iteration as f64)),
    ("test accuracy at early stop (%)", Unit::Percent, |row| row.early_stop_test_accuracy),
    ("train accuracy at early stop (%)", Unit::Percent, |row| row.early_stop_train_accuracy),
    ("test accuracy at the end (%)", Unit::Percent, |row| row.final_test_accuracy),
    ("train accuracy at the end (%)", Unit::Percent, |row| row.final_train_accuracy),
];

/// An accuracy axis shows what lies so many times the best gain below the dense network, and at least so much.
const GAINS: f64 = 6.0;
const LEAST: f64 = 0.03;

pub(super) fn figure(run: &Run, arms: &[Part]) -> Figure {
    let groups = Group::all(&run.rounds);
    let ticks = ticks(&groups);
    let panels = MEASURES.map(|(title, unit, of)| {
        let series: Vec<Series> = arms.iter().enumerate().map(|(i, arm)| series(&groups, i, arm, of)).collect();
        let window = if unit == Unit::Percent { window(&series) } else { None };
        let level = dense(&series).map(|point| point.mean);
        let y = Axis { title: title.to_owned(), column: "mean", unit, window, ..Axis::default() };
        Panel { x: sizes_axis(ticks.clone()), y, series, level, ..Panel::default() }
    });
    let is_cut = panels.iter().any(|panel| panel.y.window.is_some());
    let cut = if is_cut { " What lies below a panel is in its CSV file." } else { "" };
    Figure {
        name: "weights_remaining".to_owned(),
        title: "Early stop and accuracy against weights remaining".to_owned(),
        caption: format!(
            "Lines are means over trainings, bars run from the minimum to the maximum; the arms' marks are set a little \
             apart. The dotted line is the dense network's mean. Tickets are solid, controls dashed. The early stop is the iteration of minimum validation loss.{cut} \
             (The paper's Figures 1, 4, 5, 12 and 14.)"
        ),
        panels: panels.to_vec(),
    }
}

/// An arm by size. The lines of tickets begin at the dense network, whose first pruning they are.
fn series(groups: &[Group<'_>], place: usize, part: &Part, of: Measure) -> Series {
    let start = points(groups, DENSE, of).first().copied().filter(|_| part.is_ticket);
    Series { name: part.arm.clone(), look: look(place, part), points: points(groups, &part.arm, of), start }
}

/// An arm's points, from large to small.
pub(super) fn points(groups: &[Group<'_>], arm: &str, of: Measure) -> Vec<Point> {
    let own = groups.iter().filter(|group| group.arm == arm);
    let points = own.filter_map(|group| Point::of(group.weights_remaining(), &group.values(of)));
    let mut points: Vec<Point> = points.filter(|point| point.x > 0.0).collect();
    points.sort_by(|a, b| b.x.total_cmp(&a.x));
    points
}

/// The sizes of the arm with most rounds, from the dense network on.
fn ticks(groups: &[Group<'_>]) -> Vec<f64> {
    let sizes = |arm: &str| {
        let own = groups.iter().filter(|group| group.arm == arm || group.arm == DENSE);
        let mut sizes: Vec<f64> = own.map(Group::weights_remaining).filter(|size| *size > 0.0).collect();
        sizes.sort_by(|a, b| b.total_cmp(a));
        sizes.dedup();
        sizes
    };
    let all = groups.iter().map(|group| sizes(group.arm));
    all.reduce(|most, other| if other.len() > most.len() { other } else { most }).unwrap_or_default()
}

fn dense(series: &[Series]) -> Option<&Point> {
    series.iter().find(|series| series.name == DENSE)?.points.first()
}

/// What an accuracy axis shows, where bad controls would press everything else into a line.
fn window(series: &[Series]) -> Option<(f64, f64)> {
    let dense = dense(series)?.mean;
    let points = || series.iter().flat_map(|series| &series.points);
    let best = points().map(|point| point.mean).fold(dense, f64::max);
    let least = points().map(|point| point.low).fold(dense, f64::min);
    let low = dense - (GAINS * (best - dense)).max(LEAST);
    (least < low).then_some((low, f64::INFINITY))
}
