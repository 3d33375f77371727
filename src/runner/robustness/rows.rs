//! The rows of `robustness.csv`, `calibration.csv` and `class_accuracy.csv`, made from what is stored.

use std::path::PathBuf;

use anyhow::Result;

use super::super::store::Store;
use super::super::stored_measurement::StoredMeasurement;
use super::stored::StoredRobustness;
use crate::artifacts::{CalibrationRow, ClassAccuracyRow, RobustnessData, RobustnessRow};
use crate::base::category::Categorical as _;
use crate::lottery::Study;
use crate::train::robustness::{AttackMethod, CleanMeasurement, Condition, ConditionMeasurement};

/// The rows of the measured training runs of a study, in the order of the plan.
#[derive(Clone, Debug, Default)]
pub struct RobustnessRows {
    /// The rows.
    pub data: RobustnessData,
    /// The paths of damaged measurements, which have no rows.
    pub damaged: Vec<PathBuf>,
}

/// Adds the rows of a network. `place`: a row with the columns that say which network it is; `recorded_accuracy`: its
/// accuracy on test images after training.
pub(super) fn add_rows(
    data: &mut RobustnessData,
    place: RobustnessRow,
    recorded_accuracy: f64,
    clean: &CleanMeasurement,
    conditions: &[ConditionMeasurement],
) {
    let row = RobustnessRow {
        condition: "clean".to_owned(),
        images: clean.images(),
        accuracy: clean.accuracy(),
        loss: clean.loss,
        ..place
    };
    data.calibration.push(CalibrationRow {
        experiment: row.experiment.clone(),
        arm: row.arm.clone(),
        replicate: row.replicate,
        repeat: row.repeat,
        round: row.round,
        weights_remaining: row.weights_remaining,
        images: row.images,
        accuracy: row.accuracy,
        recorded_accuracy,
        mean_confidence: clean.confidence.mean_confidence(),
        expected_calibration_error: clean.confidence.expected_calibration_error(),
        key: row.key.clone(),
    });
    data.classes.extend((0..).zip(&clean.classes).map(|(class, count)| ClassAccuracyRow {
        experiment: row.experiment.clone(),
        arm: row.arm.clone(),
        replicate: row.replicate,
        repeat: row.repeat,
        round: row.round,
        weights_remaining: row.weights_remaining,
        class,
        images: count.images,
        correct: count.correct,
        accuracy: (count.images > 0).then(|| count.correct as f64 / count.images as f64),
        key: row.key.clone(),
    }));
    let mut conditions: Vec<&ConditionMeasurement> = conditions.iter().collect();
    conditions.sort_by_key(|measured| measured.condition.rank());
    data.robustness.push(row.clone());
    data.robustness.extend(conditions.into_iter().map(|measured| condition_row(&row, measured)));
}

/// Returns the row of a condition; `clean` is the row of the same training run on the test images as they are.
fn condition_row(clean: &RobustnessRow, measured: &ConditionMeasurement) -> RobustnessRow {
    let row = RobustnessRow {
        images: measured.images,
        accuracy: measured.score.accuracy,
        loss: measured.score.loss,
        ..clean.clone()
    };
    match measured.condition {
        Condition::Corruption { corruption, level, strength, seed } => RobustnessRow {
            condition: corruption.as_str().to_owned(),
            level: Some(level),
            strength,
            seed: corruption.is_random().then_some(seed),
            ..row
        },
        Condition::Attack { attack, .. } => RobustnessRow {
            condition: attack.method.as_str().to_owned(),
            norm: Some(attack.norm.as_str().to_owned()),
            strength: attack.epsilon,
            steps: Some(attack.steps),
            seed: (attack.method == AttackMethod::Pgd).then_some(attack.seed),
            ..row
        },
    }
}

/// Returns the rows of a study's training runs that have been measured, in the order of the plan.
///
/// # Errors
/// Fails if the file of a measurement exists and cannot be read.
pub fn robustness_rows(study: &Study, store: &Store) -> Result<RobustnessRows> {
    let mut rows = RobustnessRows::default();
    for spec in &study.plan.trainings {
        match StoredRobustness::read(store, spec)? {
            StoredMeasurement::Missing => {}
            StoredMeasurement::Damaged(path) => rows.damaged.push(path),
            StoredMeasurement::Measured(stored) => {
                let Some(training) = store.load(spec)? else { continue };
                let recorded = training.curve.last().map_or(f64::NAN, |last| last.test.accuracy);
                let place = RobustnessRow {
                    experiment: study.experiment.name.clone(),
                    arm: spec.arm.clone(),
                    replicate: spec.replicate,
                    repeat: spec.repeat,
                    round: spec.round.0,
                    weights_remaining: spec.counts.kept as f64 / study.resolved.network.weights_total() as f64,
                    key: spec.key.to_string(),
                    ..RobustnessRow::default()
                };
                add_rows(&mut rows.data, place, recorded, &stored.clean, &stored.conditions);
            }
        }
    }
    Ok(rows)
}
