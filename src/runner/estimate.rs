//! The estimated cost of a plan, before anything is trained: counts, multiply-adds, disk space and, where timings are
//! recorded, time.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::cost_model::CostModel;
use super::jobs::{JobPlan, plan_jobs};
use super::retention::Retention;
use super::store::{Store, StoredTraining};
use super::training_graph::{Node, TrainingGraph};
use crate::artifacts::Timing;
use crate::base::units::Round;
use crate::engine::{EngineKind, Optimizer};
use crate::lottery::{MaskRule, StartRule, Study, TrainingSpec};
use crate::network::even_kernel_warnings;
use crate::system::machine;

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
    /// The number of optimizer steps to be taken.
    pub iterations_to_go: u64,
    /// Multiply-adds of these steps and the evaluations among them. Counts 3 forward passes per trained image and 1 per
    /// evaluated image, over kept weights for the sparse engine and all weights for the dense one.
    pub macs_to_go: u64,
    /// Bytes of the whole plan in the store, with the weights that `run.keep` keeps; curves are estimated at 400 bytes
    /// an evaluation.
    pub disk_bytes: u64,
    /// The largest number of networks that a trainer trains in lockstep.
    pub lanes: usize,
    /// The estimated duration on this machine; `None` if no timings are recorded for it.
    pub time: Option<TimeEstimate>,
    /// The training runs by arm and round, in the plan's order.
    pub rounds: Vec<RoundEstimate>,
    /// Warnings about settings that probably do not do what the user expects.
    pub warnings: Vec<String>,
}

/// The estimated duration of a plan.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct TimeEstimate {
    /// Seconds with `workers` workers.
    pub seconds: f64,
    /// The number of lockstep groups that train at a time.
    pub workers: usize,
    /// The number of recorded timings on this machine that the estimate is made from.
    pub timings: usize,
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
    /// Estimates the cost of a study's plan with `workers` workers, less what is in `store`.
    ///
    /// # Errors
    /// Fails if the store cannot be read.
    pub fn new(study: &Study, store: &Store, workers: usize) -> Result<Self> {
        let keep = study.experiment.run.keep;
        let graph = TrainingGraph::new(&study.plan, study.resolved.lanes);
        let results: Vec<Option<StoredTraining>> =
            graph.nodes.iter().map(|node| store.load(node.spec)).collect::<Result<_>>()?;
        let stored = results.iter().map(|result| result.as_ref().map(|result| result.outcome.clone())).collect();
        let jobs = plan_jobs(graph, keep, stored, store, study.last_iteration());
        let costs = CostModel::new(study);
        let timings = timing_samples(&jobs, &results, costs);
        let (iterations_to_go, macs_to_go) = work_to_go(study, &jobs, costs);
        Ok(Self {
            experiment: study.experiment.name.clone(),
            id: study.plan.id().to_string(),
            trainings: jobs.graph.nodes.len(),
            stored: results.iter().flatten().count(),
            iterations_to_go,
            macs_to_go,
            disk_bytes: disk_bytes(study, &jobs),
            lanes: study.resolved.lanes,
            time: estimate_time(&timings, costs, &jobs, workers),
            rounds: rounds(study, &jobs),
            warnings: [even_kernel_warnings(&study.experiment.network, &study.resolved.network), warnings(study)]
                .concat(),
        })
    }
}

/// Returns the bytes that the plan takes in the store when every training run has ended.
fn disk_bytes(study: &Study, jobs: &JobPlan<'_>) -> u64 {
    let train = &study.experiment.train;
    let network = &study.resolved.network;
    let evaluations = train.iterations.div_ceil(train.evaluate_every) + 1;
    // Bit-packed masks, curves, and about 4 kB of files that describe the entry.
    let always = network.weights_total() / 8 + 400 * evaluations + 4096;
    let parameters: u64 = network.parameters().iter().map(|parameter| parameter.len() as u64).sum();
    // The weights, and each moment of the optimizer.
    let arrays_per_snapshot = 1 + Optimizer::new(train).moment_count() as u64;
    let bytes = |(node, retention): (&Node<'_>, &Retention)| {
        let arrays = retention.snapshots_at.len() as u64 * arrays_per_snapshot
            + u64::from(retention.keeps_final_weights())
            + u64::from(node.spec.start == StartRule::Initial);
        always + 4 * parameters * arrays
    };
    jobs.graph.nodes.iter().zip(&jobs.retentions).map(bytes).sum()
}

/// Returns the optimizer steps of all jobs, and the multiply-adds of these steps and their evaluations.
fn work_to_go(study: &Study, jobs: &JobPlan<'_>, costs: CostModel<'_>) -> (u64, u64) {
    let train = &study.experiment.train;
    let mut iterations = 0;
    let mut macs: u64 = 0;
    for (spec, steps) in jobs.to_run() {
        let forward = study.resolved.network.macs(&costs.effective_counts(spec));
        let evaluations = steps.div_ceil(train.evaluate_every) + 1;
        let evaluated = evaluations.saturating_mul(study.resolved.images_evaluated);
        let trained = steps.saturating_mul(u64::from(train.batch_size));
        iterations += steps;
        macs = macs.saturating_add(macs_of_training(forward, trained, evaluated));
    }
    (iterations, macs)
}

/// Returns the multiply-adds of a training run: each image trained on costs the forward pass three times (forward,
/// gradient of the inputs, gradient of the weights), each evaluated once.
fn macs_of_training(forward: u64, trained: u64, evaluated: u64) -> u64 {
    forward.saturating_mul(trained.saturating_mul(3).saturating_add(evaluated))
}

/// A recorded training run: its measured time divided by its estimated cost.
#[derive(Clone, Copy)]
struct TimingSample {
    engine: EngineKind,
    lanes: usize,
    /// The measured nanoseconds of one iteration in one lane, divided by the estimated ones.
    ratio: f64,
}

/// Returns a sample for each stored training run that was timed on this machine.
fn timing_samples(jobs: &JobPlan<'_>, results: &[Option<StoredTraining>], costs: CostModel<'_>) -> Vec<TimingSample> {
    let host = machine::host();
    let sample = |(node, result): (&Node<'_>, &Option<StoredTraining>)| {
        let timing: &Timing = result.as_ref()?.timing.as_ref().filter(|timing| timing.host == host)?;
        let ratio = 1e9 / timing.iterations_per_second / costs.nanoseconds(node.spec, 1);
        Some(TimingSample { engine: node.spec.engine, lanes: timing.lanes, ratio })
    };
    jobs.graph.nodes.iter().zip(results).filter_map(sample).collect()
}

/// Estimates the duration of the jobs from recorded timings. `None` without samples.
///
/// The estimated cost of each group is multiplied by the median ratio of the samples with its engine and number of
/// lanes; if there are none, of those with its engine; else of all. The duration is that of all groups divided by
/// `workers`, but at least that of the longest dependency path, whose groups run one after the other. A group counts
/// with all its lanes, even if some of them are stored.
fn estimate_time(
    samples: &[TimingSample],
    costs: CostModel<'_>,
    jobs: &JobPlan<'_>,
    workers: usize,
) -> Option<TimeEstimate> {
    let median_of = |is_like: &dyn Fn(&TimingSample) -> bool| {
        median(samples.iter().filter(|sample| is_like(sample)).map(|sample| sample.ratio))
    };
    let overall = median_of(&|_| true)?;
    let mut ratios: BTreeMap<(EngineKind, usize), f64> = BTreeMap::new();
    let mut seconds = vec![0.0; jobs.graph.groups.len()];
    for (group, steps) in jobs.groups_to_run() {
        let lanes = jobs.graph.lanes(group);
        let engine = lanes[0].engine;
        let lane_count = lanes.len();
        let ratio = *ratios.entry((engine, lane_count)).or_insert_with(|| {
            median_of(&|sample| sample.engine == engine && sample.lanes == lane_count)
                .or_else(|| median_of(&|sample| sample.engine == engine))
                .unwrap_or(overall)
        });
        seconds[group] = costs.group_nanoseconds(&lanes, steps) * ratio / 1e9;
    }
    let total: f64 = seconds.iter().sum();
    let seconds = (total / workers as f64).max(jobs.graph.longest_path(|group| seconds[group]));
    Some(TimeEstimate { seconds, workers, timings: samples.len() })
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
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
fn warnings(study: &Study) -> Vec<String> {
    let mut by_round: BTreeMap<Round, &Vec<u64>> = BTreeMap::new();
    // Only the rounds of a chain shrink one after the other: the sizes of a grid may be in any order.
    let is_dense_or_chain = |spec: &&TrainingSpec| spec.mask == MaskRule::Dense || spec.mask.is_chain();
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
                "layer `{name}` does not shrink any more from round {round} on: {remaining} weights left"
            ));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::KeepWeights;
    use crate::lottery::test_support::study;
    use crate::system::paths::RunsDir;

    /// Returns the estimated seconds of three training runs of LeNet-300-100, one after the other: dense, with a tenth
    /// of its weights, and with a hundredth.
    fn seconds(engine: &str, timings: &[TimingSample], workers: usize) -> Option<f64> {
        let sets = [
            "network.architecture=lenet_300_100",
            "train.batch_size=60",
            "prune.rate={linear=0.9,output=0.9}",
            "replicates=1",
            "arms={ticket={mask=\"iterative\",weights=\"rewind\"}}",
            &format!("run.engine={engine}"),
        ];
        let study = study(&sets);
        let graph = TrainingGraph::new(&study.plan, study.resolved.lanes);
        let stored = vec![None; graph.nodes.len()];
        let jobs = plan_jobs(
            graph,
            KeepWeights::Needed,
            stored,
            &Store { runs: RunsDir("nowhere".into()) },
            study.last_iteration(),
        );
        estimate_time(timings, CostModel::new(&study), &jobs, workers).map(|time| time.seconds)
    }

    #[test]
    fn time_estimate_uses_the_samples_of_engine_and_lanes() {
        assert_eq!(seconds("auto", &[], 1), None);
        let sample = |engine, ratio| TimingSample { engine, lanes: 1, ratio };
        let dense = [3.0, 2.0, 1.0].map(|ratio| sample(EngineKind::Dense, ratio));
        let all_dense = seconds("dense", &dense, 1).unwrap();
        let auto = seconds("auto", &dense, 1).unwrap();
        assert!(auto > all_dense / 3.0 && auto < all_dense / 2.0, "{auto} s, {all_dense} s with the dense trainer");
        // Samples of the sparse engine replace those of the dense one for the training runs of the sparse engine.
        let both = |ratio| seconds("auto", &[&dense[..], &[sample(EngineKind::Sparse, ratio)]].concat(), 1).unwrap();
        assert!((both(2.0) - auto).abs() < 1e-9 * auto);
        assert!((both(4.0) - 2.0 * auto + all_dense / 3.0).abs() < 1e-9 * auto, "the dense network is one of three");
        // Samples with another number of lanes are not used where there are samples with the same.
        let group = TimingSample { engine: EngineKind::Dense, lanes: 4, ratio: 100.0 };
        assert_eq!(seconds("dense", &[&dense[..], &[group]].concat(), 1), Some(all_dense));
        // Training runs that depend on one another cannot run at the same time.
        assert_eq!(seconds("auto", &dense, 8), Some(auto));
    }
}
