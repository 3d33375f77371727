//! Output of `lth plan`.

use std::fmt::Write as _;

use super::table::align;
use crate::base::format::{bytes, duration, percent, with_thousands};
use crate::runner::{Estimate, RoundEstimate};

/// Returns the estimate as text: the rounds with the weights kept per layer, the arms, and the totals.
pub fn forecast(forecast: &Estimate) -> String {
    let mut text = align(&by_round(forecast));
    text.push('\n');
    text.push_str(&align(&by_arm(forecast)));
    let stored = if forecast.stored > 0 { format!(", {} in the store", forecast.stored) } else { String::new() };
    let _ = writeln!(text, "\ntrainings   {}{stored}", forecast.trainings);
    let _ = writeln!(text, "to go       {} iterations", with_thousands(forecast.iterations_to_go));
    let _ = writeln!(text, "work        {:.1e} multiply-adds", forecast.macs_to_go as f64);
    let _ = writeln!(text, "disk        {} in the end", bytes(forecast.disk_bytes));
    let time = match &forecast.time {
        _ if forecast.iterations_to_go == 0 => "nothing to train".to_owned(),
        Some(time) => {
            let total = duration(time.seconds);
            let n = time.timings;
            let lanes = if forecast.lanes > 1 { format!(" with {} lanes", forecast.lanes) } else { String::new() };
            format!("about {total}, {} at a time{lanes}, going by {n} of its trainings on this machine", time.workers)
        }
        None => "unknown: none of its trainings has run on this machine".to_owned(),
    };
    let _ = writeln!(text, "time        {time}");
    for warning in &forecast.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// Returns one row per round and number of weights kept: most arms keep the same numbers at a round. If an arm keeps
/// others, such as an arm with a grid of its own, a column names the first arm of each row.
fn by_round(forecast: &Estimate) -> Vec<Vec<String>> {
    let layers: Vec<&String> =
        forecast.rounds.iter().find_map(|round| round.layers.as_ref()).map(|l| l.keys().collect()).unwrap_or_default();
    let mut sizes: Vec<&RoundEstimate> = Vec::new();
    for round in &forecast.rounds {
        let is_same = |other: &&RoundEstimate| {
            (other.round, other.weights_kept, &other.layers) == (round.round, round.weights_kept, &round.layers)
        };
        if !sizes.iter().any(is_same) {
            sizes.push(round);
        }
    }
    let has_grid = sizes.iter().enumerate().any(|(i, size)| sizes[..i].iter().any(|other| other.round == size.round));
    let mut header = if has_grid { vec!["arm".to_owned()] } else { Vec::new() };
    header.extend(["round", "weights left", "kept", "engine"].map(str::to_owned));
    header.extend(layers.iter().map(|&layer| layer.clone()));
    let mut rows = vec![header];
    for size in sizes {
        let mut row = if has_grid { vec![size.arm.clone()] } else { Vec::new() };
        row.extend([size.round.to_string(), percent(size.weights_remaining), with_thousands(size.weights_kept)]);
        row.push(size.engine.clone());
        let kept = |layer: &&String| size.layers.as_ref().and_then(|kept| kept.get(*layer).copied());
        row.extend(layers.iter().map(|layer| kept(layer).map_or_else(|| "?".to_owned(), with_thousands)));
        rows.push(row);
    }
    rows
}

/// Returns one row per arm with its rounds and trainings.
fn by_arm(forecast: &Estimate) -> Vec<Vec<String>> {
    let mut rows = vec![["arm", "rounds", "trainings", "in the store"].map(str::to_owned).to_vec()];
    let mut arms: Vec<&str> = Vec::new();
    for round in &forecast.rounds {
        if !arms.contains(&round.arm.as_str()) {
            arms.push(&round.arm);
        }
    }
    for arm in arms {
        let of_arm: Vec<_> = forecast.rounds.iter().filter(|round| round.arm == arm).collect();
        let first = of_arm[0].round;
        let last = of_arm[of_arm.len() - 1].round;
        let rounds = if first == last { first.to_string() } else { format!("{first}–{last}") };
        let sum =
            |count: fn(&RoundEstimate) -> usize| of_arm.iter().map(|round| count(round)).sum::<usize>().to_string();
        rows.push(vec![arm.to_owned(), rounds, sum(|round| round.trainings), sum(|round| round.stored)]);
    }
    rows
}
