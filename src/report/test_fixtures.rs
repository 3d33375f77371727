//! Experiments and rows for unit tests.

use crate::artifacts::RoundRow;
use crate::base::outcome::OutcomeKind;
use crate::config::{ConfigDocument, Experiment, read};

/// Returns the experiment of `configs/smoke.toml` with the overrides `sets`: arms `winning_ticket`, `random_reinit` and
/// `random_mask`, evaluated every 20 iterations.
pub(super) fn experiment(sets: &[&str]) -> Experiment {
    let text = include_str!("../../configs/smoke.toml");
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    read(&ConfigDocument::parse("smoke.toml", text, &sets).unwrap()).unwrap()
}

/// Returns the row of a training run of 120 iterations. The last argument: the iteration of its early stop, and its
/// test accuracy both at the early stop and at the end.
pub(super) fn row(arm: &str, round: u32, replicate: u32, (early_stop, accuracy): (u64, f64)) -> RoundRow {
    RoundRow {
        experiment: "smoke".into(),
        arm: arm.into(),
        replicate,
        repeat: 1,
        round,
        weights_remaining: 0.5f64.powi(round as i32),
        early_stop_iteration: Some(early_stop),
        early_stop_test_accuracy: Some(accuracy),
        final_train_accuracy: Some(1.0),
        final_test_accuracy: Some(accuracy),
        iterations: 120,
        outcome: OutcomeKind::Done.into(),
        ..RoundRow::default()
    }
}

/// Returns a [`row`] for each of `values`, with the replicates 1, 2, …
pub(super) fn rows(arm: &str, round: u32, values: &[(u64, f64)]) -> Vec<RoundRow> {
    (1..).zip(values).map(|(replicate, &value)| row(arm, round, replicate, value)).collect()
}

/// Returns rows of training runs of `iterations` iterations, so that early stops far below are not censored.
pub(super) fn of_length(iterations: u64, rows: Vec<RoundRow>) -> Vec<RoundRow> {
    rows.into_iter().map(|row| RoundRow { iterations, ..row }).collect()
}
