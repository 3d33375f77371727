//! The text of `lth plan`.

use std::fmt::Write as _;

use super::table::render;
use crate::artifacts::first_seen;
use crate::base::format::{bytes, duration, percent, with_thousands};
use crate::report::{Cell, Table};
use crate::runner::{Estimate, RoundEstimate};

/// Returns the estimated cost of a plan as text: a table by round and layer, a table by arm, and the totals.
pub fn estimate(estimate: &Estimate) -> String {
    let mut text = render(&by_round(estimate));
    text.push('\n');
    text.push_str(&render(&by_arm(estimate)));
    let stored = if estimate.stored > 0 { format!(", {} in the store", estimate.stored) } else { String::new() };
    let _ = writeln!(text, "\ntrainings   {}{stored}", estimate.trainings);
    let _ = writeln!(text, "to go       {} iterations", with_thousands(estimate.iterations_to_go));
    let _ = writeln!(text, "work        {:.1e} multiply-adds", estimate.macs_to_go as f64);
    let _ = writeln!(text, "disk        {} in the end", bytes(estimate.disk_bytes));
    let time = match &estimate.time {
        _ if estimate.iterations_to_go == 0 => "nothing to train".to_owned(),
        Some(time) => {
            let total = duration(time.seconds);
            let n = time.timings;
            let lanes = if estimate.lanes > 1 { format!(" with {} lanes", estimate.lanes) } else { String::new() };
            format!("about {total}, {} at a time{lanes}, going by {n} of its trainings on this machine", time.workers)
        }
        None => "unknown: none of its trainings has run on this machine".to_owned(),
    };
    let _ = writeln!(text, "time        {time}");
    for warning in &estimate.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// Returns a table with a row for each round and mask size. Most arms have the same counts at a round, which are listed
/// once. If an arm has other counts at a round (an arm with a grid), a column names the first arm of each size.
fn by_round(estimate: &Estimate) -> Table {
    let layers: Vec<&String> = estimate
        .rounds
        .iter()
        .find_map(|round| round.layers.as_ref())
        .map(|kept| kept.keys().collect())
        .unwrap_or_default();
    let mut sizes: Vec<&RoundEstimate> = Vec::new();
    for round in &estimate.rounds {
        let is_same_size = |other: &&RoundEstimate| {
            (other.round, other.weights_kept, &other.layers) == (round.round, round.weights_kept, &round.layers)
        };
        if !sizes.iter().any(is_same_size) {
            sizes.push(round);
        }
    }
    let has_grid =
        sizes.iter().enumerate().any(|(index, size)| sizes[..index].iter().any(|other| other.round == size.round));
    let arm_title = has_grid.then_some("arm");
    let titles = arm_title.into_iter().chain(["round", "weights left", "kept", "engine"]);
    let mut table = Table::new(titles.chain(layers.iter().map(|layer| layer.as_str())));
    for size in sizes {
        let mut row = if has_grid { vec![Cell::text(&size.arm)] } else { Vec::new() };
        row.push(Cell::number(size.round));
        row.push(Cell::number(percent(size.weights_remaining)));
        row.push(Cell::number(with_thousands(size.weights_kept)));
        row.push(Cell::text(&size.engine));
        let kept = |layer: &&String| size.layers.as_ref().and_then(|layers| layers.get(*layer).copied());
        row.extend(layers.iter().map(|layer| Cell::number(kept(layer).map_or_else(|| "?".to_owned(), with_thousands))));
        table.rows.push(row);
    }
    table
}

/// Returns a table with a row for each arm: its rounds, and its training runs in the plan and in the store.
fn by_arm(estimate: &Estimate) -> Table {
    let mut table = Table::new(["arm", "rounds", "trainings", "in the store"]);
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
