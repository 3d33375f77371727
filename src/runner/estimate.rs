//! The estimated cost of a plan, before anything is trained: counts, multiply-adds, disk space and time.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use super::calibration::{Calibration, timings};
use super::cost_model::CostModel;
use super::jobs::JobPlan;
use super::retention::Retention;
use super::store::Store;
use super::time_estimate::{TimeEstimate, estimate_time};
use super::training_graph::Node;
use crate::base::key::ContentHash;
use crate::base::units::Round;
use crate::config::Dtype;
use crate::data::{self, ImageCounts};
use crate::engine::Optimizer;
use crate::lottery::{StartRule, Study, TrainingSpec};
use crate::network::TensorSpec;

/// The estimated cost of a plan. Its JSON is the output of `lth plan --json`; fields may be added, none is renamed.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Estimate {
    /// The experiment's name.
    pub experiment: String,
    /// The hash of the plan.
    pub id: String,
    /// The number of training runs of the plan; those that share a key count once.
    pub trainings: usize,
    /// The number of training runs that are in the store.
    pub stored: usize,
    /// The number of training runs that earlier points of a sweep train.
    pub shared: usize,
    /// The number of stored training runs that are trained again, for weights that are missing.
    pub reruns: usize,
    /// Numbers of images of the splits.
    pub images: ImageCounts,
    /// The reason why the data set cannot be used, with the command that mends it; `None` if it can.
    pub data_problem: Option<String>,
    /// The number of optimizer steps to be taken.
    pub iterations_to_go: u64,
    /// Multiply-adds of these steps, the evaluations among them, and the scores of masks. Counts 3 forward passes per trained image and 1 per
    /// evaluated image, over kept weights for the sparse engine and all weights for the dense one.
    pub macs_to_go: u64,
    /// Bytes of the whole plan in the store, with the weights that `run.keep` keeps; curves are estimated at 400 bytes
    /// an evaluation.
    pub disk_bytes: u64,
    /// The most bytes that progress snapshots take beside them while the run works: two for each network in training, and a third while it is written.
    pub progress_bytes: u64,
    /// The largest number of networks that a trainer trains in lockstep.
    pub lanes: usize,
    /// The estimated duration on this machine; `None` if there is nothing to train.
    pub time: Option<TimeEstimate>,
    /// The training runs by arm and round, in the plan's order.
    pub rounds: Vec<RoundEstimate>,
    /// Warnings about settings that probably do not do what the user expects.
    pub warnings: Vec<String>,
}

/// The training runs of one arm at one round.
#[derive(Clone, Debug, Default, Serialize, schemars::JsonSchema)]
pub struct RoundEstimate {
    /// Index of a mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// The name of the arm.
    pub arm: String,
    /// Kept weights divided by all weights, 0..=1.
    pub weights_remaining: f64,
    /// The number of kept weights.
    pub weights_kept: u64,
    /// The number of all prunable weights.
    pub weights_total: u64,
    /// The engine: `dense` or `sparse`.
    pub engine: String,
    /// The number of kept weights of each layer by its name, where that is known before training (scope `layerwise`).
    pub layers: Option<BTreeMap<String, u64>>,
    /// Multiply-adds of the kept weights for one image, where that is known before training.
    pub macs_remaining: Option<u64>,
    /// The number of training runs: replicates times repeats.
    pub trainings: usize,
    /// The number of training runs that are in the store.
    pub stored: usize,
}

impl Estimate {
    /// Estimates the cost of a study's plan with `workers` workers, less what is in `store`. Reads and verifies the files
    /// of a built-in data set. The time is estimated from `measured`, else from the timings of stored training runs. Training runs
    /// with a key in `trained_before` cost nothing: earlier points of a sweep train them.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub fn new(
        study: &Study,
        store: &Store,
        workers: usize,
        measured: Option<Calibration>,
        trained_before: &BTreeSet<ContentHash>,
    ) -> Result<Self> {
        let jobs = store.jobs_of(study)?;
        let stored = jobs.stored.iter().flatten().count();
        let shared = jobs.to_run().filter(|(spec, _)| trained_before.contains(&spec.key)).count();
        let jobs = jobs.without(trained_before);
        let costs = CostModel::new(study);
        let timings = timings(study, store, costs, measured)?;
        let (iterations_to_go, macs_to_go) = work_to_go(study, &jobs, costs);
        Ok(Self {
            experiment: study.experiment.name.clone(),
            id: study.plan.id().to_string(),
            trainings: jobs.graph.nodes.len(),
            stored,
            shared,
            reruns: jobs.jobs.iter().flatten().filter(|job| job.is_rerun).count(),
            images: study.resolved.images,
            data_problem: data::problem(&study.experiment.data),
            iterations_to_go,
            macs_to_go,
            disk_bytes: disk_bytes(study, &jobs),
            progress_bytes: progress_bytes(study, &jobs, workers),
            lanes: study.resolved.lanes,
            time: estimate_time(&timings, costs, &jobs, workers),
            rounds: rounds(study, &jobs),
            warnings: [study.warnings(), layers_that_stop_shrinking(study)].concat(),
        })
    }
}

/// Returns the bytes that the plan takes in the store when every training run has ended.
fn disk_bytes(study: &Study, jobs: &JobPlan<'_>) -> u64 {
    let train = &study.experiment.train;
    let network = &study.resolved.network;
    // Bit-packed masks, curves, and about 4 kB of files that describe the entry.
    let always = |spec: &TrainingSpec| {
        let evaluations = spec.last_iteration.0.div_ceil(train.evaluate_every) + 1;
        let masks = if spec.updates.is_some() { 3 } else { 1 };
        masks * network.weights_total() / 8 + 400 * evaluations + 4096
    };
    let parameters: u64 = network.parameters().iter().map(|parameter| parameter.len() as u64).sum();
    // The weights, and each moment of the optimizer.
    let arrays_per_snapshot = 1 + Optimizer::new(train).moment_count() as u64;
    let bytes = |(node, retention): (&Node<'_>, &Retention)| {
        let arrays = retention.snapshots_at.len() as u64 * arrays_per_snapshot
            + u64::from(retention.keeps_final_weights())
            + u64::from(node.spec.start == StartRule::Initial);
        always(node.spec) + 4 * parameters * arrays
    };
    jobs.graph.nodes.iter().zip(&jobs.retentions).map(bytes).sum()
}

/// Returns the most bytes that progress snapshots take while `workers` workers train.
fn progress_bytes(study: &Study, jobs: &JobPlan<'_>, workers: usize) -> u64 {
    let train = &study.experiment.train;
    let network = &study.resolved.network;
    let values = |specs: &[TensorSpec]| specs.iter().map(|spec| spec.len() as u64).sum::<u64>();
    let arrays = 1 + Optimizer::new(train).moment_count() as u64;
    let size = if train.dtype == Dtype::Float64 { 8 } else { 4 };
    let state = size * (arrays * values(network.parameters()) + values(network.buffers()));
    let with_job = jobs.retentions.iter().zip(&jobs.jobs).filter(|(_, job)| job.is_some());
    let mut sizes: Vec<u64> = with_job
        .map(|(retention, _)| state + 4 * arrays * values(network.parameters()) * retention.snapshots_at.len() as u64)
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    // Each training run in progress has two, and a third while that is written.
    3 * sizes.iter().take(workers * study.resolved.lanes).sum::<u64>()
}

/// Returns the optimizer steps of all jobs, and the multiply-adds of these steps, their evaluations, and the scores of their
/// masks.
fn work_to_go(study: &Study, jobs: &JobPlan<'_>, costs: CostModel<'_>) -> (u64, u64) {
    let train = &study.experiment.train;
    let mut iterations = 0;
    let mut macs: u64 = 0;
    for (spec, steps) in jobs.to_run() {
        let forward = study.resolved.network.macs(&costs.effective_counts(spec));
        let evaluations = steps.div_ceil(train.evaluate_every) + 1;
        let evaluated = evaluations.saturating_mul(study.resolved.images.evaluated());
        let trained = steps.saturating_mul(u64::from(train.batch_size));
        iterations += steps;
        macs = macs.saturating_add(macs_of_training(forward, trained, evaluated));
        if study.needs_probe(&spec.mask) {
            macs = macs.saturating_add(study.score_macs(&spec.mask));
        }
    }
    (iterations, macs)
}

/// Returns the multiply-adds of a training run: each image trained on costs the forward pass three times (forward,
/// gradient of the inputs, gradient of the weights), each evaluated once.
fn macs_of_training(forward: u64, trained: u64, evaluated: u64) -> u64 {
    forward.saturating_mul(trained.saturating_mul(3).saturating_add(evaluated))
}

/// Returns one estimate for each arm and round, in the plan's order.
fn rounds(study: &Study, jobs: &JobPlan<'_>) -> Vec<RoundEstimate> {
    let network = &study.resolved.network;
    let total = network.weights_total();
    let names = layer_names(study);
    let mut positions = BTreeMap::new();
    let mut rounds: Vec<RoundEstimate> = Vec::new();
    for (spec, &node) in study.plan.trainings.iter().zip(&jobs.graph.node_of_row) {
        let position = *positions.entry((&spec.arm, spec.round)).or_insert(rounds.len());
        if position == rounds.len() {
            let layers = spec.counts.layers.as_ref();
            rounds.push(RoundEstimate {
                round: spec.round.0,
                arm: spec.arm.clone(),
                weights_remaining: spec.counts.kept as f64 / total as f64,
                weights_kept: spec.counts.kept,
                weights_total: total,
                engine: spec.engine.as_str().to_owned(),
                layers: layers.map(|counts| names.iter().cloned().zip(counts.iter().copied()).collect()),
                macs_remaining: layers.map(|counts| network.macs(counts)),
                ..RoundEstimate::default()
            });
        }
        rounds[position].trainings += 1;
        rounds[position].stored += usize::from(jobs.stored[node].is_some());
    }
    rounds
}

fn layer_names(study: &Study) -> Vec<String> {
    study.resolved.network.weights().iter().map(|weight| weight.layer.clone()).collect()
}

/// Returns a warning for each layer that the first pruning shrinks and a later round of a chain does not, because its
/// rate rounds to no weight.
fn layers_that_stop_shrinking(study: &Study) -> Vec<String> {
    let mut by_round: BTreeMap<Round, &Vec<u64>> = BTreeMap::new();
    // Only the rounds of a chain shrink one after the other: the sizes of a grid may be in any order.
    let is_dense_or_chain = |spec: &&TrainingSpec| spec.is_dense() || spec.mask.is_chain();
    for spec in study.plan.trainings.iter().filter(is_dense_or_chain) {
        by_round.extend(spec.counts.layers.as_ref().map(|layers| (spec.round, layers)));
    }
    let rounds: Vec<(&Round, &&Vec<u64>)> = by_round.iter().collect();
    let mut warnings = Vec::new();
    for (layer, name) in layer_names(study).iter().enumerate() {
        let is_unchanged = |pair: &[(&Round, &&Vec<u64>)]| pair[0].1[layer] == pair[1].1[layer];
        let is_pruned = rounds.windows(2).next().is_some_and(|pair| !is_unchanged(pair));
        if let Some(pair) = rounds.windows(2).find(|pair| is_pruned && is_unchanged(pair)) {
            let (round, remaining) = (pair[1].0, pair[1].1[layer]);
            warnings.push(format!(
                "layer `{name}` does not shrink any more from round {round} on: {remaining} weights remain"
            ));
        }
    }
    warnings
}
