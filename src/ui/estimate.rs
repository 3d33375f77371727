//! The text of `lth plan`.

use std::fmt::Write as _;

use super::table::render;
use crate::artifacts::first_seen;
use crate::base::format::{bytes, count_of, duration, percent, with_thousands};
use crate::report::{Cell, Table};
use crate::runner::{Estimate, PointEstimate, RoundEstimate, SweepEstimate, TimeBasis, TimeEstimate};

/// Width of the table by round, in characters. A wider one is shortened.
const WIDTH: usize = 80;

/// Returns the estimated cost of a plan as text: a table by round and layer, a table by arm, and the totals.
pub fn estimate(estimate: &Estimate) -> String {
    let mut text = by_round(estimate);
    text.push('\n');
    text.push_str(&render(&by_arm(estimate)));
    let _ = writeln!(text, "\nimages: {}", estimate.images);
    if let Some(problem) = &estimate.data_problem {
        let _ = writeln!(text, "data: {problem}");
    }
    let _ = writeln!(text, "training runs: {}", training_runs(estimate));
    let _ = writeln!(text, "work: {}", work(estimate));
    let _ = writeln!(text, "disk: {}", disk(estimate));
    match &estimate.time {
        None => text.push_str("time: nothing to train\n"),
        Some(time) => {
            let lanes = if estimate.lanes > 1 { format!(", {} lanes", estimate.lanes) } else { String::new() };
            let workers = count_of(time.workers as u64, "worker");
            let _ = writeln!(text, "time: {} ({workers}{lanes})\nbasis: {}", time_range(time), basis(time));
        }
    }
    for warning in &estimate.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// Returns the estimated cost of a sweep as text: a table by point, and the totals.
pub fn sweep_estimate(sweep: &SweepEstimate) -> String {
    let mut table =
        Table::new(["point", "training runs", "in the store", "shared with earlier points", "iterations", "time"]);
    for PointEstimate { point, estimate } in &sweep.points {
        table.rows.push(vec![
            Cell::text(point),
            Cell::number(with_thousands(estimate.trainings as u64)),
            Cell::number(with_thousands(estimate.stored as u64)),
            Cell::number(with_thousands(estimate.shared as u64)),
            Cell::number(with_thousands(estimate.iterations_to_go)),
            Cell::number(estimate.time.as_ref().map_or_else(|| "–".to_owned(), time_range)),
        ]);
    }
    let mut text = render(&table);
    let _ = writeln!(
        text,
        "\n{}: {}, {} of them in the store; {} more shared by points and trained once",
        count_of(sweep.points.len() as u64, "point"),
        count_of(sweep.trainings as u64, "training run"),
        with_thousands(sweep.stored as u64),
        with_thousands(sweep.shared as u64)
    );
    let _ = writeln!(text, "work: {} iterations", with_thousands(sweep.iterations_to_go));
    let estimates = sweep.points.iter().map(|point| &point.estimate);
    match estimates.clone().find_map(|estimate| estimate.time.as_ref()) {
        None => text.push_str("time: nothing to train\n"),
        Some(time) => {
            let _ = writeln!(text, "time: {}\nbasis: {}", duration_range(sweep.seconds), basis(time));
        }
    }
    for problem in first_seen(estimates.clone().filter_map(|estimate| estimate.data_problem.as_deref())) {
        let _ = writeln!(text, "data: {problem}");
    }
    for warning in first_seen(estimates.flat_map(|estimate| estimate.warnings.iter().map(String::as_str))) {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// Returns the number of training runs, with those that are stored and those that are trained again.
fn training_runs(estimate: &Estimate) -> String {
    let mut text = with_thousands(estimate.trainings as u64);
    if estimate.stored > 0 {
        let _ = write!(text, ", {} of them in the store", with_thousands(estimate.stored as u64));
    }
    if estimate.reruns > 0 {
        let _ = write!(text, ", {} trained again for their weights", with_thousands(estimate.reruns as u64));
    }
    text
}

/// Returns the iterations and multiply-adds that remain to be done.
fn work(estimate: &Estimate) -> String {
    if estimate.iterations_to_go == 0 {
        return "none".to_owned();
    }
    format!(
        "{} iterations, {:.1e} multiply-adds",
        with_thousands(estimate.iterations_to_go),
        estimate.macs_to_go as f64
    )
}

/// Returns the space that the run takes: when it is finished, and while it works.
fn disk(estimate: &Estimate) -> String {
    let finished = format!("{} when finished", bytes(estimate.disk_bytes));
    match estimate.progress_bytes {
        0 => finished,
        progress => format!("{finished}, and at most {} more for progress snapshots", bytes(progress)),
    }
}

/// Returns the estimated duration, or its range.
fn time_range(time: &TimeEstimate) -> String {
    duration_range(time.range)
}

/// Returns the shortest and the longest duration in seconds as text.
fn duration_range(seconds: [f64; 2]) -> String {
    match seconds.map(duration) {
        [shortest, longest] if shortest == longest => format!("about {shortest}"),
        [shortest, longest] => format!("{shortest} to {longest}"),
    }
}

/// Returns the basis of the estimated duration.
fn basis(time: &TimeEstimate) -> String {
    match time.basis {
        TimeBasis::Recorded => {
            format!("{} of this network on this machine", count_of(time.timings as u64, "recorded training run"))
        }
        TimeBasis::Measured => format!("measured now, in {:.1} s", time.measured_in.unwrap_or_default()),
        TimeBasis::Rough => {
            format!("rough: {} assumed (`--measure` measures it)", time.assumed_speed())
        }
    }
}

/// Returns a table with a row for each round and mask size. Most arms have the same counts at a round, which are listed
/// once. If an arm has other counts at a round (an arm with a grid), a column names the first arm of each size.
///
/// The weights of the layers are in columns of the table, or in a second table where the first would be wider than
/// [`WIDTH`]. They are left out, and a line says so, where training decides all of them, or where the second table would be
/// too wide too.
fn by_round(estimate: &Estimate) -> String {
    let mut sizes: Vec<&RoundEstimate> = Vec::new();
    for round in &estimate.rounds {
        let is_same_size = |other: &&RoundEstimate| {
            (other.round, other.weights_kept, &other.layers) == (round.round, round.weights_kept, &round.layers)
        };
        if !sizes.iter().any(is_same_size) {
            sizes.push(round);
        }
    }
    let layers: Vec<&str> = sizes
        .iter()
        .find_map(|round| round.layers.as_ref())
        .map(|kept| kept.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let mut pruned = sizes.iter().filter(|size| size.weights_kept < size.weights_total).peekable();
    if pruned.peek().is_some() && pruned.all(|size| size.layers.is_none()) {
        let reason = "weights of each layer: decided by the scores\n";
        return render(&size_table(&sizes, &[])) + reason;
    }
    let fits = |text: &str| text.lines().all(|line| line.chars().count() <= WIDTH);
    let is_partial = sizes.iter().any(|round| round.layers.is_none());
    let note = if is_partial { "weights of the other layers: decided by the scores\n" } else { "" };
    let one_table = render(&size_table(&sizes, &layers));
    if fits(&one_table) {
        return one_table + note;
    }
    let layer_table = render(&layer_table(&sizes, &layers));
    let layer_table = if fits(&layer_table) {
        format!("\n{layer_table}{note}")
    } else {
        format!("{} layers: too wide for this table; `--json` has the weights of each\n", layers.len())
    };
    render(&size_table(&sizes, &[])) + &layer_table
}

/// Returns the table of the weights of `layers`, with a row for each of the mask sizes `sizes`.
fn layer_table(sizes: &[&RoundEstimate], layers: &[&str]) -> Table {
    let mut table = Table::new(["arm", "round"].into_iter().chain(layers.iter().copied()));
    let row = |size: &&RoundEstimate| {
        let cells = vec![Cell::text(&size.arm), Cell::number(size.round)];
        cells.into_iter().chain(layer_cells(size, layers)).collect()
    };
    table.rows = sizes.iter().map(row).collect();
    table
}

/// Returns a cell with the number of weights of each of `layers`.
fn layer_cells<'a>(size: &'a RoundEstimate, layers: &'a [&str]) -> impl Iterator<Item = Cell> + 'a {
    let kept = |layer: &&str| size.layers.as_ref().and_then(|layers| layers.get(*layer).copied());
    layers.iter().map(move |layer| Cell::optional(kept(layer).map(with_thousands)))
}

/// Returns the table of the mask sizes `sizes`, with columns for these layers.
fn size_table(sizes: &[&RoundEstimate], layers: &[&str]) -> Table {
    let has_grid =
        sizes.iter().enumerate().any(|(index, size)| sizes[..index].iter().any(|other| other.round == size.round));
    let arm_title = has_grid.then_some("arm");
    let titles = arm_title.into_iter().chain(["round", "weights remaining", "weights", "engine"]);
    let mut table = Table::new(titles.chain(layers.iter().copied()));
    for size in sizes {
        let mut row = if has_grid { vec![Cell::text(&size.arm)] } else { Vec::new() };
        row.push(Cell::number(size.round));
        row.push(Cell::number(percent(size.weights_remaining)));
        row.push(Cell::number(with_thousands(size.weights_kept)));
        row.push(Cell::text(&size.engine));
        row.extend(layer_cells(size, layers));
        table.rows.push(row);
    }
    table
}

/// Returns a table with a row for each arm: its rounds, and its training runs in the plan and in the store.
fn by_arm(estimate: &Estimate) -> Table {
    let mut table = Table::new(["arm", "rounds", "training runs", "in the store"]);
    for arm in first_seen(estimate.rounds.iter().map(|round| round.arm.as_str())) {
        let of_arm: Vec<&RoundEstimate> = estimate.rounds.iter().filter(|round| round.arm == arm).collect();
        let first = of_arm[0].round;
        let last = of_arm[of_arm.len() - 1].round;
        let rounds = if first == last { first.to_string() } else { format!("{first}–{last}") };
        let trainings: usize = of_arm.iter().map(|round| round.trainings).sum();
        let stored: usize = of_arm.iter().map(|round| round.stored).sum();
        table.rows.push(vec![Cell::text(arm), Cell::number(rounds), Cell::number(trainings), Cell::number(stored)]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(basis: TimeBasis, range: [f64; 2]) -> TimeEstimate {
        TimeEstimate {
            seconds: range[0],
            range,
            workers: 2,
            basis,
            timings: 575,
            measured_in: (basis == TimeBasis::Measured).then_some(1.94),
            on_gpu: false,
        }
    }

    #[test]
    fn time_has_its_basis() {
        let text = |basis, range| {
            let time = time(basis, range);
            (time_range(&time), super::basis(&time))
        };
        assert_eq!(
            text(TimeBasis::Recorded, [61.0, 61.0]),
            ("about 2 min".into(), "575 recorded training runs of this network on this machine".into())
        );
        assert_eq!(text(TimeBasis::Measured, [9.0, 9.0]), ("about 9 s".into(), "measured now, in 1.9 s".into()));
        let (range, basis) = text(TimeBasis::Rough, [9.0, 90.0]);
        assert_eq!(range, "9 s to 2 min");
        assert!(basis.starts_with("rough: 20 to 200 GFLOP/s per worker assumed"), "{basis}");
    }
}
