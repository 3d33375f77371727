//! Experiments and rows for unit tests.

use crate::artifacts::{CalibrationRow, RobustnessData, RobustnessRow, RoundRow};
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

/// Returns measurements of 3 replicates of `dense`, `ticket` and `reinit` (round 1) on 1000 images, with two corruptions and
/// one attack. Accuracy as they are: 0.9; corrupted: the mean 0.75 and for the ticket 0.8, differing by replicate;
/// attacked: 0.4, for the control 0.3, 0.4 and 0.5.
pub(super) fn robustness_data() -> RobustnessData {
    let mut data = RobustnessData::default();
    for (arm, round, corrupted) in [("dense", 0, 0.75), ("ticket", 1, 0.8), ("reinit", 1, 0.75)] {
        for replicate in 1..=3 {
            let offset = 0.01 * (f64::from(replicate) - 2.0);
            let attacked = if arm == "reinit" { 0.4 + 10.0 * offset } else { 0.4 };
            let key = format!("{arm}{replicate}");
            let weights_remaining = 0.5_f64.powi(round as i32);
            let row = |condition: &str, strength, accuracy| RobustnessRow {
                arm: arm.into(),
                round,
                replicate,
                weights_remaining,
                condition: condition.into(),
                strength,
                accuracy,
                images: 1000,
                key: key.clone(),
                ..RobustnessRow::default()
            };
            let level = |level, row| RobustnessRow { level: Some(level), ..row };
            let attack =
                |row| RobustnessRow { norm: Some("linf".into()), steps: Some(10), seed: Some(1), images: 100, ..row };
            data.robustness.extend([
                row("clean", 0.0, 0.9),
                level(1, row("blur", 0.5, corrupted + offset + 0.1)),
                level(2, row("blur", 1.0, corrupted + offset - 0.1)),
                attack(row("pgd", 0.0, 0.9)),
                attack(row("pgd", 0.1, attacked)),
            ]);
            data.calibration.push(CalibrationRow {
                arm: arm.into(),
                round,
                replicate,
                weights_remaining,
                images: 1000,
                accuracy: 0.9,
                recorded_accuracy: 0.9,
                expected_calibration_error: 0.02,
                key: key.clone(),
                ..CalibrationRow::default()
            });
        }
    }
    data
}
