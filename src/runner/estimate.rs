//! What a plan will cost, before anything is trained: counts, work, disk and, where timings are known, time.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::cost_model::CostModel;
use super::scheduler::{GroupWork, Scheduler};
use super::store::Store;
use crate::artifacts::Timing;
use crate::config::Experiment;
use crate::engine::{EngineKind, Optimizer};
use crate::lottery::{MaskRule, Plan, ResolvedExperiment, StartRule, TrainingSpec};
use crate::network::even_kernels;
use crate::system::env;

/// What a plan will cost. Its JSON is the output of `lth plan --json`; fields may be added, none is renamed.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The experiment's name.
    pub experiment: String,
    /// Hash of the plan.
    pub id: String,
    /// Trainings of the plan; those that share a key count once.
    pub trainings: usize,
    /// Of these, in the store.
    pub stored: usize,
    /// Optimizer steps to be taken.
    pub iterations_to_go: u64,
    /// Multiply-adds of these steps and their evaluations, forward three times for an image trained on, once for one
    /// evaluated; of the weights that are left where the sparse trainer takes them, else of all.
    pub macs_to_go: u64,
    /// What the whole plan leaves in the store, by `run.keep`; curves are estimated at 400 bytes an evaluation.
    pub disk_bytes: u64,
    /// Networks that a trainer trains in lockstep.
    pub lanes: usize,
    /// How long it takes on this machine, where that can be told.
    pub time: Option<TimeEstimate>,
    /// The trainings by arm and round, in the plan's order.
    pub rounds: Vec<RoundEstimate>,
    /// What one may want to change.
    pub warnings: Vec<String>,
}

/// How long a plan takes.
#[derive(Clone, Debug, Serialize)]
pub struct TimeEstimate {
    /// Seconds, with this many workers.
    pub seconds: f64,
    /// Trainings at a time, or groups in lockstep.
    pub workers: usize,
    /// Recorded trainings of this recipe on this machine that it is told from.
    pub timings: usize,
}

/// The trainings of one arm at one round.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RoundEstimate {
    /// Number of prunings.
    pub round: u32,
    /// The arm.
    pub arm: String,
    /// Kept / all weights.
    pub weights_remaining: f64,
    /// Weights kept.
    pub weights_kept: u64,
    /// All weights.
    pub weights_total: u64,
    /// What trains it: `dense` or `sparse`.
    pub engine: String,
    /// Weights kept by layer, where that is known before training (scope `layerwise`).
    pub layers: Option<BTreeMap<String, u64>>,
    /// Multiply-adds for one image, where that is known before training.
    pub macs_remaining: Option<u64>,
    /// Replicates times repeats.
    pub trainings: usize,
    /// Of these, in the store.
    pub stored: usize,
}

impl Estimate {
    /// Looks at `plan` and at what of it is in `store`.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn new(
        experiment: &Experiment,
        setting: &ResolvedExperiment,
        plan: &Plan,
        store: &Store,
        workers: usize,
    ) -> Result<Self> {
        // Nothing is given out from this board: its order does not matter.
        let board = Scheduler::new(
            plan,
            setting.lanes,
            experiment.run.keep,
            |_| 1.0,
            |training| store.load(training),
            |key, need| store.has(key, need),
        )?;
        let train = &experiment.train;
        let evaluations = train.iterations.div_ceil(train.evaluate_every) + 1;
        let costs = CostModel::new(experiment, setting);
        let host = env::host();
        let parameters: u64 = setting.network.parameters().iter().map(|parameter| parameter.len() as u64).sum();
        // Bit-packed masks, curves, and about 4 kB for the pages that tell what an entry is.
        let always = setting.network.weights_total() / 8 + 400 * evaluations + 4096;
        let (mut trainings, mut stored, mut disk_bytes, mut timings) = (0, 0, 0, Vec::new());
        let with_moments = 1 + Optimizer::new(train).moment_count() as u64;
        for (training, finished, keeping) in board.each() {
            let states = keeping.snapshots_at.len() as u64 * with_moments;
            let copies = states + u64::from(keeping.final_weights) + u64::from(training.start == StartRule::Initial);
            trainings += 1;
            disk_bytes += always + 4 * parameters * copies;
            stored += usize::from(finished.is_some());
            let timing = finished.as_ref().and_then(|finished| finished.timing.as_ref());
            let timing = timing.filter(|timing| timing.host == host);
            let ratio = |timing: &Timing| 1e9 / timing.iterations_per_second / costs.nanoseconds(training, 1);
            timings.extend(timing.map(|timing| TimingSample {
                engine: training.engine,
                lanes: timing.lanes,
                ratio: ratio(timing),
            }));
        }
        let (mut iterations_to_go, mut macs_to_go) = (0, 0_u64);
        for (training, steps) in board.to_run(train.iterations) {
            let forward = setting.network.macs(&costs.effective_counts(training));
            let evaluated = (steps.div_ceil(train.evaluate_every) + 1).saturating_mul(setting.images_evaluated);
            let trained = steps.saturating_mul(u64::from(train.batch_size));
            iterations_to_go += steps;
            macs_to_go = macs_to_go.saturating_add(macs_of_training(forward, trained, evaluated));
        }
        Ok(Self {
            experiment: experiment.name.clone(),
            id: plan.id().to_string(),
            trainings,
            stored,
            iterations_to_go,
            macs_to_go,
            disk_bytes,
            lanes: setting.lanes,
            time: time(&timings, costs, &board, train.iterations, workers),
            rounds: rounds(setting, plan, &board),
            warnings: [even_kernels(&experiment.network, &setting.network), warnings(setting, plan)].concat(),
        })
    }
}

/// Multiply-adds of a training: each image trained on costs the forward pass three times (forward, gradient of the
/// inputs, gradient of the weights), each evaluated once.
fn macs_of_training(forward: u64, trained: u64, evaluated: u64) -> u64 {
    forward.saturating_mul(trained.saturating_mul(3).saturating_add(evaluated))
}

/// How a recorded training did against the estimate of its cost.
#[derive(Clone, Copy)]
struct TimingSample {
    engine: EngineKind,
    lanes: usize,
    ratio: f64,
}

/// From how the recorded trainings did against the estimate of their cost, if any are recorded: the median for each
/// engine with as many lanes; where there is none, of the engine, else of all. A chain cannot be shared among workers. A
/// group takes its time whatever of it is done already.
fn time(
    timings: &[TimingSample],
    costs: CostModel<'_>,
    board: &Scheduler<'_>,
    last: u64,
    workers: usize,
) -> Option<TimeEstimate> {
    let of = |is_like: &dyn Fn(&TimingSample) -> bool| {
        median(timings.iter().filter(|past| is_like(past)).map(|past| past.ratio))
    };
    let all = of(&|_| true)?;
    let ratio = |engine, lanes| {
        let same = of(&|past| past.engine == engine && past.lanes == lanes);
        same.or_else(|| of(&|past| past.engine == engine)).unwrap_or(all)
    };
    let mut ratios = BTreeMap::new();
    for work in board.work(last) {
        let kind = (work.lanes[0].engine, work.lanes.len());
        ratios.entry(kind).or_insert_with(|| ratio(kind.0, kind.1));
    }
    let takes = |work: &GroupWork<'_>| {
        costs.group_cost(&work.lanes, work.steps) * ratios[&(work.lanes[0].engine, work.lanes.len())] / 1e9
    };
    let total: f64 = board.work(last).map(|work| takes(&work)).sum();
    let seconds = (total / workers as f64).max(board.longest_chain(last, takes));
    Some(TimeEstimate { seconds, workers, timings: timings.len() })
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn rounds(setting: &ResolvedExperiment, plan: &Plan, board: &Scheduler<'_>) -> Vec<RoundEstimate> {
    let total = setting.network.weights_total();
    let names: Vec<String> = setting.network.weights().iter().map(|weight| weight.layer.clone()).collect();
    let mut places = BTreeMap::new();
    let mut rounds: Vec<RoundEstimate> = Vec::new();
    for (training, is_stored) in plan.trainings.iter().zip(board.are_stored()) {
        let place = *places.entry((&training.arm, training.round)).or_insert(rounds.len());
        if place == rounds.len() {
            let layers = training.counts.layers.as_ref();
            rounds.push(RoundEstimate {
                round: training.round,
                arm: training.arm.clone(),
                weights_remaining: training.counts.kept as f64 / total as f64,
                weights_kept: training.counts.kept,
                weights_total: total,
                engine: training.engine.as_str().to_owned(),
                layers: layers.map(|counts| names.iter().cloned().zip(counts.iter().copied()).collect()),
                macs_remaining: layers.map(|counts| setting.network.macs(counts)),
                ..RoundEstimate::default()
            });
        }
        rounds[place].trainings += 1;
        rounds[place].stored += usize::from(is_stored);
    }
    rounds
}

/// Layers that a round does not shrink any more, though they are pruned.
fn warnings(setting: &ResolvedExperiment, plan: &Plan) -> Vec<String> {
    let names: Vec<String> = setting.network.weights().iter().map(|weight| weight.layer.clone()).collect();
    let mut by_round: BTreeMap<u32, &Vec<u64>> = BTreeMap::new();
    // Of chains: a grid goes by its own entries, in whatever order.
    let is_link = |training: &&TrainingSpec| training.mask == MaskRule::Dense || training.mask.is_chain();
    for training in plan.trainings.iter().filter(is_link) {
        by_round.extend(training.counts.layers.as_ref().map(|layers| (training.round, layers)));
    }
    let rounds: Vec<(&u32, &&Vec<u64>)> = by_round.iter().collect();
    let mut warnings = Vec::new();
    for (layer, name) in names.iter().enumerate() {
        let stands = |pair: &[(&u32, &&Vec<u64>)]| pair[0].1[layer] == pair[1].1[layer];
        let is_pruned = rounds.windows(2).next().is_some_and(|pair| !stands(pair));
        if let Some(pair) = rounds.windows(2).find(|pair| is_pruned && stands(pair)) {
            let (round, left) = (pair[1].0, pair[1].1[layer]);
            warnings
                .push(format!("layer `{name}` does not shrink any more from round {round} on: {left} weights left"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigDocument, KeepWeights, read};

    /// Seconds of a large network and nine tenths fewer weights twice, by timings against the estimate.
    fn seconds(engine: &str, timings: &[TimingSample], workers: usize) -> Option<f64> {
        let sets = [
            "network.architecture=lenet_300_100",
            "train.batch_size=60",
            "prune.rate={linear=0.9,output=0.9}",
            "replicates=1",
            "arms={ticket={mask=\"iterative\",weights=\"rewind\"}}",
            &format!("run.engine={engine}"),
        ];
        let text = include_str!("../../configs/smoke.toml");
        let experiment = read(&ConfigDocument::parse("smoke.toml", text, &sets.map(str::to_owned)).unwrap()).unwrap();
        let setting = ResolvedExperiment::new(&experiment).unwrap();
        let plan = Plan::build(&experiment, &setting).unwrap();
        let board =
            Scheduler::new(&plan, setting.lanes, KeepWeights::Needed, |_| 1.0, |_| Ok(None), |_, _| true).unwrap();
        let costs = CostModel::new(&experiment, &setting);
        time(timings, costs, &board, experiment.train.iterations, workers).map(|time| time.seconds)
    }

    #[test]
    fn time_follows_the_engine() {
        assert_eq!(seconds("auto", &[], 1), None);
        let past = |engine, ratio| TimingSample { engine, lanes: 1, ratio };
        let dense = [3.0, 2.0, 1.0].map(|ratio| past(EngineKind::Dense, ratio));
        let all_dense = seconds("dense", &dense, 1).unwrap();
        let auto = seconds("auto", &dense, 1).unwrap();
        assert!(auto > all_dense / 3.0 && auto < all_dense / 2.0, "{auto} s, {all_dense} s with the dense trainer");
        // What is known of the sparse trainer counts for its trainings.
        let both = |ratio| seconds("auto", &[&dense[..], &[past(EngineKind::Sparse, ratio)]].concat(), 1).unwrap();
        assert!((both(2.0) - auto).abs() < 1e-9 * auto);
        assert!((both(4.0) - 2.0 * auto + all_dense / 3.0).abs() < 1e-9 * auto, "the dense network is one of three");
        // Groups of other lanes have their own pace.
        let group = TimingSample { engine: EngineKind::Dense, lanes: 4, ratio: 100.0 };
        assert_eq!(seconds("dense", &[&dense[..], &[group]].concat(), 1), Some(all_dense));
        // A chain is not shared among workers.
        assert_eq!(seconds("auto", &dense, 8), Some(auto));
    }
}
