//! `lth plan` as a person reads it.

use std::fmt::Write as _;

use super::table::align;
use crate::base::words::{bytes, count, duration, percent};
use crate::lab::Forecast;

/// The forecast as text: rounds by layer, arms, and what it all comes to.
pub fn forecast(forecast: &Forecast) -> String {
    let mut text = align(&by_round(forecast));
    text.push('\n');
    text.push_str(&align(&by_arm(forecast)));
    let stored = if forecast.stored > 0 { format!(", {} in the store", forecast.stored) } else { String::new() };
    let _ = writeln!(text, "\ntrainings   {}{stored}", forecast.trainings);
    let _ = writeln!(text, "to go       {} iterations", count(forecast.iterations_to_go));
    let _ = writeln!(text, "work        {:.1e} multiply-adds", forecast.macs_to_go as f64);
    let _ = writeln!(text, "disk        {} in the end", bytes(forecast.disk_bytes));
    let time = match &forecast.time {
        _ if forecast.iterations_to_go == 0 => "nothing to train".to_owned(),
        Some(time) => {
            let (each, n) = (duration(time.seconds), time.timings);
            format!("about {each}, {} at a time, going by {n} of its trainings on this machine", time.workers)
        }
        None => "unknown: none of its trainings has run on this machine".to_owned(),
    };
    let _ = writeln!(text, "time        {time}");
    for warning in &forecast.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// One row per round: the counts are the same in every arm.
fn by_round(forecast: &Forecast) -> Vec<Vec<String>> {
    let layers: Vec<&String> =
        forecast.rounds.iter().find_map(|round| round.layers.as_ref()).map(|l| l.keys().collect()).unwrap_or_default();
    let mut header = vec!["round".to_owned(), "weights left".to_owned(), "kept".to_owned()];
    header.extend(layers.iter().map(|&layer| layer.clone()));
    let mut rows = vec![header];
    let mut seen = Vec::new();
    for round in &forecast.rounds {
        if seen.contains(&round.round) {
            continue;
        }
        seen.push(round.round);
        let mut row = vec![round.round.to_string(), percent(round.weights_remaining), count(round.weights_kept)];
        let kept = |layer: &&String| round.layers.as_ref().and_then(|all| all.get(*layer).copied());
        row.extend(layers.iter().map(|layer| kept(layer).map_or_else(|| "?".to_owned(), count)));
        rows.push(row);
    }
    rows
}

fn by_arm(forecast: &Forecast) -> Vec<Vec<String>> {
    let mut rows = vec![["arm", "rounds", "trainings", "in the store"].map(str::to_owned).to_vec()];
    let mut arms: Vec<&str> = Vec::new();
    for round in &forecast.rounds {
        if !arms.contains(&round.arm.as_str()) {
            arms.push(&round.arm);
        }
    }
    for arm in arms {
        let own: Vec<_> = forecast.rounds.iter().filter(|round| round.arm == arm).collect();
        let (first, last) = (own[0].round, own[own.len() - 1].round);
        let rounds = if first == last { first.to_string() } else { format!("{first}–{last}") };
        let sum = |of: fn(&crate::lab::Round) -> usize| own.iter().map(|round| of(round)).sum::<usize>().to_string();
        rows.push(vec![arm.to_owned(), rounds, sum(|round| round.trainings), sum(|round| round.stored)]);
    }
    rows
}
