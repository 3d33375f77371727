//! Instability analysis (Frankle et al., "Linear Mode Connectivity and the Lottery Ticket Hypothesis", arXiv 1912.05671):
//! what lies between a training and its copy that saw the images in another order.

mod interpolation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow};
use serde::{Deserialize, Serialize};

use super::run::{TrainerFactory, lock};
use super::store::Store;
use crate::artifacts::StabilityRow;
use crate::base::key::ContentHash;
use crate::base::outcome::Outcome;
use crate::data::Dataset;
use crate::lottery::{Dependency, Plan, ResolvedExperiment, TrainingSpec};
use crate::system::cancel::CancelToken;
use crate::system::files;
use crate::system::paths::TrainingDir;
use interpolation::Interpolator;

/// Version of [`Known`]'s file.
const FORMAT: u32 = 1;

/// A training and its copy.
#[derive(Clone, Debug)]
pub struct CopyPair {
    /// The training itself.
    pub training: TrainingSpec,
    /// Its copy.
    pub copy: TrainingSpec,
}

/// The instability analysis of a run.
#[derive(Clone, Copy)]
pub struct InstabilityAnalysis<'a> {
    /// The run's network and data.
    pub setting: &'a ResolvedExperiment,
    /// Its plan.
    pub plan: &'a Plan,
    /// Where its trainings are.
    pub store: &'a Store,
    /// Networks on a line, both ends among them.
    pub points: usize,
}

/// `stability.json`: what was measured, and of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Measured {
    format: u32,
    /// SHA-256 of the final weights of the training and of its copy.
    between: [String; 2],
    points: Vec<InterpolationPoint>,
}

/// A network on the line.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct InterpolationPoint {
    alpha: f64,
    train_error: f64,
    test_error: f64,
}

impl InstabilityAnalysis<'_> {
    /// The trainings with these keys, each once, with their copies.
    pub fn pairs(&self, keys: &BTreeSet<ContentHash>) -> Vec<CopyPair> {
        let mut left = keys.clone();
        let wanted = self.plan.trainings.iter().filter(|training| left.remove(&training.key));
        wanted.map(|training| CopyPair { training: training.clone(), copy: training.with_other_data_order() }).collect()
    }

    /// Whether the line between a pair is known with as many points as are wanted.
    pub fn is_known(&self, pair: &CopyPair) -> bool {
        self.known(pair).is_some_and(|known| known.points.len() == self.points)
    }

    fn known(&self, pair: &CopyPair) -> Option<Measured> {
        let path = self.store.runs.training_dir(&pair.copy.key).file(TrainingDir::STABILITY);
        let known: Measured = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        (known.format == FORMAT && Some(&known.between) == self.ends(pair).as_ref()).then_some(known)
    }

    /// The sums of the final weights of both; `None` where one has not come to its end.
    fn ends(&self, pair: &CopyPair) -> Option<[String; 2]> {
        let sum = |training: &TrainingSpec| self.store.final_weights_checksum(&training.key);
        Some([sum(&pair.training)?, sum(&pair.copy)?])
    }

    /// What is to be run so that the final weights of both of each pair are there: copies that are not trained, and
    /// trainings whose weights were not kept, with those that these need.
    pub fn to_run(&self, pairs: &[CopyPair]) -> Plan {
        let mut needs: BTreeMap<ContentHash, Vec<Dependency>> = BTreeMap::new();
        let need = |needs: &mut BTreeMap<ContentHash, Vec<Dependency>>, training: &TrainingSpec| {
            for (key, need) in training.dependencies() {
                needs.entry(*key).or_default().push(need);
            }
        };
        let has = |training: &TrainingSpec, need: Dependency| {
            self.store.is_done(training) && self.store.has(&training.key, need)
        };
        let mut copies = Vec::new();
        for pair in pairs {
            needs.entry(pair.training.key).or_default().push(Dependency::FinalWeights);
            if !has(&pair.copy, Dependency::FinalWeights) {
                need(&mut needs, &pair.copy);
                copies.push(pair.copy.clone());
            }
        }
        let mut trainings = Vec::new();
        // Who needs others stands behind them.
        for training in self.plan.trainings.iter().rev() {
            let wanted = needs.remove(&training.key).unwrap_or_default();
            if wanted.into_iter().any(|need| !has(training, need)) {
                need(&mut needs, training);
                trainings.push(training.clone());
            }
        }
        trainings.reverse();
        trainings.extend(copies);
        Plan { trainings }
    }

    /// Measures the lines of `pairs`, whose final weights are there, and tells of each when it is known. A wish to stop
    /// ends it early; what was measured stays.
    ///
    /// # Errors
    /// Weights that cannot be read, a trainer that breaks, and a file that cannot be written.
    pub fn measure(
        &self,
        pairs: &[CopyPair],
        dataset: &Arc<Dataset>,
        build: &TrainerFactory<'_>,
        workers: usize,
        stop: &CancelToken,
        tell: &(dyn Fn(usize, &CopyPair) + Sync),
    ) -> Result<()> {
        let (next, ended, broken) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            let mut line = Interpolator::new(self.setting, self.store, dataset, build, stop);
            while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let measured = self.measure_one(pair, &mut line);
                match measured {
                    Ok(true) => tell(ended.fetch_add(1, Ordering::Relaxed) + 1, pair),
                    Ok(false) => return,
                    Err(error) => {
                        next.store(pairs.len(), Ordering::Relaxed);
                        *lock(&broken) = Some(error);
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..workers.min(pairs.len()) {
                scope.spawn(work);
            }
        });
        let broken = lock(&broken).take();
        broken.map_or(Ok(()), Err)
    }

    /// Measures a line; `false` where it was stopped.
    fn measure_one(&self, pair: &CopyPair, line: &mut Interpolator<'_>) -> Result<bool> {
        let between = self.ends(pair).ok_or_else(|| anyhow!("`{}` has not come to its end", pair.copy.key.short()))?;
        let last = self.points.max(2) - 1;
        let alphas = (0..=last).map(|point| point as f64 / last as f64);
        let Some(points) = line.measure(pair, alphas)? else { return Ok(false) };
        let known = Measured { format: FORMAT, between, points };
        let path = self.store.runs.training_dir(&pair.copy.key).file(TrainingDir::STABILITY);
        files::write(&path, &serde_json::to_vec_pretty(&known)?)?;
        Ok(true)
    }

    /// Whether the final weights of both are there.
    pub fn is_ready(&self, pair: &CopyPair) -> bool {
        [&pair.training, &pair.copy]
            .into_iter()
            .all(|it| self.store.is_done(it) && self.store.has(&it.key, Dependency::FinalWeights))
    }

    /// Whether one of both has diverged.
    pub fn has_diverged(&self, pair: &CopyPair) -> bool {
        let outcome =
            |training: &TrainingSpec| self.store.load(training).ok().flatten().map(|finished| finished.outcome);
        [&pair.training, &pair.copy].into_iter().any(|it| outcome(it).is_some_and(|outcome| outcome != Outcome::Done))
    }

    /// The rows of `stability.csv`: of every training of the plan whose line is known.
    pub fn rows(&self, experiment: &str) -> Vec<StabilityRow> {
        let total = self.setting.network.weights_total() as f64;
        let of_training = |training: &TrainingSpec| {
            let pair = CopyPair { training: training.clone(), copy: training.with_other_data_order() };
            let points = self.known(&pair).map_or_else(Vec::new, |known| known.points);
            let row = move |point: InterpolationPoint| StabilityRow {
                experiment: experiment.to_owned(),
                arm: pair.training.arm.clone(),
                replicate: pair.training.replicate,
                repeat: pair.training.repeat,
                round: pair.training.round,
                weights_remaining: pair.training.counts.kept as f64 / total,
                alpha: point.alpha,
                train_error: point.train_error,
                test_error: point.test_error,
                key: pair.training.key.to_string(),
                copy_key: pair.copy.key.to_string(),
            };
            points.into_iter().map(row)
        };
        self.plan.trainings.iter().flat_map(of_training).collect()
    }
}
