//! The estimated cost of a sweep: that of its points, of which each training run costs once.

use std::collections::BTreeSet;

use anyhow::Result;
use schemars::JsonSchema;
use serde::Serialize;

use super::calibration::Calibration;
use super::estimate::Estimate;
use super::store::Store;
use crate::base::key::ContentHash;
use crate::lottery::Study;

/// The estimated cost of a sweep. Its JSON is the output of `lth plan --json` for a sweep.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SweepEstimate {
    /// The points in their order. What an earlier point trains costs nothing in a later one.
    pub points: Vec<PointEstimate>,
    /// The number of different training runs of all points.
    pub trainings: usize,
    /// The number of training runs that are saved because points share them.
    pub shared: usize,
    /// The number of different training runs that are in the store.
    pub stored: usize,
    /// The number of optimizer steps to be taken.
    pub iterations_to_go: u64,
    /// The shortest and the longest estimated duration in seconds, the points one after the other.
    pub seconds: [f64; 2],
}

/// Numbers of training runs of the points of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedTrainings {
    /// The number of different training runs.
    pub trainings: usize,
    /// The number of training runs that are saved because points share them.
    pub shared: usize,
}

impl SharedTrainings {
    /// Counts the training runs of the plans of these studies.
    pub fn of<'a>(studies: impl Iterator<Item = &'a Study>) -> Self {
        let of_points: Vec<BTreeSet<ContentHash>> = studies.map(keys).collect();
        let different: BTreeSet<&ContentHash> = of_points.iter().flatten().collect();
        let all: usize = of_points.iter().map(BTreeSet::len).sum();
        Self { trainings: different.len(), shared: all - different.len() }
    }
}

/// Returns the keys of the training runs of a study's plan.
fn keys(study: &Study) -> BTreeSet<ContentHash> {
    study.plan.trainings.iter().map(|training| training.key).collect()
}

/// The estimated cost of a point of a sweep.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PointEstimate {
    /// The settings of the point, such as `train.lr=0.1`.
    pub point: String,
    /// Its cost.
    pub estimate: Estimate,
}

impl SweepEstimate {
    /// Estimates the cost of points, each with its settings as text, its study and the number of its workers. `measure`
    /// measures the speed of this machine for a study.
    ///
    /// # Errors
    /// Fails if the store cannot be read, or `measure` fails.
    pub fn new(
        points: &[(&str, &Study, usize)],
        store: &Store,
        measure: impl Fn(&Study) -> Result<Option<Calibration>>,
    ) -> Result<Self> {
        let shared = SharedTrainings::of(points.iter().map(|(_, study, _)| *study));
        let mut before: BTreeSet<ContentHash> = BTreeSet::new();
        let mut estimates = Vec::new();
        let mut stored = 0;
        for &(label, study, workers) in points {
            let estimate = Estimate::new(study, store, workers, measure(study)?, &before)?;
            let keys = keys(study);
            let is_stored = |key: &&ContentHash| store.runs.training_dir(key).manifest_file().exists();
            stored += keys.difference(&before).filter(is_stored).count();
            before.extend(keys);
            estimates.push(PointEstimate { point: label.to_owned(), estimate });
        }
        let times = estimates.iter().filter_map(|point| point.estimate.time.as_ref());
        let seconds = times.fold([0.0, 0.0], |sum, time| [sum[0] + time.range[0], sum[1] + time.range[1]]);
        Ok(Self {
            trainings: shared.trainings,
            shared: shared.shared,
            stored,
            iterations_to_go: estimates.iter().map(|point| point.estimate.iterations_to_go).sum(),
            seconds,
            points: estimates,
        })
    }
}
