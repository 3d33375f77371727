//! The estimated duration of the jobs of a plan, from timings or, without any, from an assumed speed.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cost_model::CostModel;
use super::jobs::JobPlan;
use crate::engine::EngineKind;

/// Assumed speeds of a worker on the CPU, in multiply-adds per second: 20 and 200 GFLOP/s, as the small networks of this
/// program reach on one core of processors with and without AVX-512.
const CPU_SPEEDS: [f64; 2] = [10e9, 100e9];
/// Assumed speeds of a GPU, in multiply-adds per second: 0.2 and 20 TFLOP/s. Small networks leave most of it idle.
const GPU_SPEEDS: [f64; 2] = [0.1e12, 10e12];

/// The estimated duration of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TimeEstimate {
    /// Seconds with `workers` workers; with the basis `rough`, the geometric mean of `range`.
    pub seconds: f64,
    /// Shortest and longest duration in seconds; both equal `seconds` unless the basis is `rough`.
    pub range: [f64; 2],
    /// The number of lockstep groups that train at a time.
    pub workers: usize,
    /// The basis of the estimate.
    pub basis: TimeBasis,
    /// The number of timings that the estimate is made from.
    pub timings: usize,
    /// The seconds that the measurement took, with the basis `measured`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured_in: Option<f64>,
    /// Whether a GPU trains the networks.
    #[serde(skip)]
    pub on_gpu: bool,
}

impl TimeEstimate {
    /// Returns the range of speeds that the basis `rough` assumes, as text. A multiply-add is two floating-point
    /// operations.
    pub fn assumed_speed(&self) -> String {
        let [low, high] = speeds(self.on_gpu).map(|speed| 2.0 * speed);
        if self.on_gpu {
            format!("{} to {} TFLOP/s", low / 1e12, high / 1e12)
        } else {
            format!("{} to {} GFLOP/s per worker", low / 1e9, high / 1e9)
        }
    }
}

/// Returns the lowest and the highest assumed speed, in multiply-adds per second.
fn speeds(on_gpu: bool) -> [f64; 2] {
    if on_gpu { GPU_SPEEDS } else { CPU_SPEEDS }
}

/// The basis of an estimated duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeBasis {
    /// Training runs of the same network in the store, timed on this machine.
    Recorded,
    /// Steps and evaluations taken for the estimate.
    Measured,
    /// Assumed multiply-adds per second.
    Rough,
}

/// A timing: the measured time of a training run divided by its estimated cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimingSample {
    pub(super) engine: EngineKind,
    pub(super) lanes: usize,
    /// The measured nanoseconds of one iteration in one lane, divided by the estimated ones.
    pub(super) ratio: f64,
}

/// The timings that an estimate is made from.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Timings {
    pub(super) samples: Vec<TimingSample>,
    /// The seconds that the measurement took; `None` for recorded timings.
    pub(super) measured_in: Option<f64>,
}

impl Timings {
    /// Returns the basis of an estimate from the samples.
    fn basis(&self) -> TimeBasis {
        if self.measured_in.is_some() { TimeBasis::Measured } else { TimeBasis::Recorded }
    }
}

/// Estimates the duration of the jobs with `workers` workers; `None` if there are no jobs.
///
/// The duration is that of all groups divided by `workers`, but at least that of the longest dependency path, whose
/// groups run one after the other. A group counts with all its lanes, even if some of them are stored.
pub(super) fn estimate_time(
    timings: &Timings,
    costs: CostModel<'_>,
    jobs: &JobPlan<'_>,
    workers: usize,
) -> Option<TimeEstimate> {
    jobs.groups_to_run().next()?;
    let total = |seconds: Vec<f64>| {
        let sum: f64 = seconds.iter().sum();
        (sum / workers as f64).max(jobs.graph.longest_path(|group| seconds[group]))
    };
    let estimate = |basis, [low, high]: [f64; 2], timings: &Timings| TimeEstimate {
        seconds: (low * high).sqrt(),
        range: [low, high],
        workers,
        basis,
        timings: timings.samples.len(),
        measured_in: timings.measured_in,
        on_gpu: costs.is_on_gpu(),
    };
    if let Some(seconds) = timed_groups(&timings.samples, costs, jobs) {
        let seconds = total(seconds);
        return Some(TimeEstimate { seconds, ..estimate(timings.basis(), [seconds; 2], timings) });
    }
    let [longest, shortest] = speeds(costs.is_on_gpu()).map(|speed| {
        total(group_seconds(jobs, |group, steps| costs.group_macs(&jobs.graph.lanes(group), steps) / speed))
    });
    Some(estimate(TimeBasis::Rough, [shortest, longest], timings))
}

/// Returns the estimated seconds of each group in one worker, by index, and what they are estimated from; without
/// samples, the geometric means of the ranges.
pub(super) fn estimate_groups(timings: &Timings, costs: CostModel<'_>, jobs: &JobPlan<'_>) -> (Vec<f64>, TimeBasis) {
    if let Some(seconds) = timed_groups(&timings.samples, costs, jobs) {
        return (seconds, timings.basis());
    }
    let [slow, fast] = speeds(costs.is_on_gpu());
    let speed = (slow * fast).sqrt();
    let seconds = |group, steps| costs.group_macs(&jobs.graph.lanes(group), steps) / speed;
    (group_seconds(jobs, seconds), TimeBasis::Rough)
}

/// Returns the estimated seconds of each group; `None` without samples.
///
/// The estimated cost of a group is multiplied by the median ratio of the samples with its engine and number of lanes;
/// if there are none, of those with its engine; else of all.
fn timed_groups(samples: &[TimingSample], costs: CostModel<'_>, jobs: &JobPlan<'_>) -> Option<Vec<f64>> {
    let median_of = |is_like: &dyn Fn(&TimingSample) -> bool| {
        median(samples.iter().filter(|sample| is_like(sample)).map(|sample| sample.ratio))
    };
    let overall = median_of(&|_| true)?;
    let mut ratios: BTreeMap<(EngineKind, usize), f64> = BTreeMap::new();
    Some(group_seconds(jobs, |group, steps| {
        let lanes = jobs.graph.lanes(group);
        let engine = lanes[0].engine;
        let lane_count = lanes.len();
        let ratio = *ratios.entry((engine, lane_count)).or_insert_with(|| {
            median_of(&|sample| sample.engine == engine && sample.lanes == lane_count)
                .or_else(|| median_of(&|sample| sample.engine == engine))
                .unwrap_or(overall)
        });
        costs.group_nanoseconds(&lanes, steps) * ratio / 1e9
    }))
}

/// Returns the seconds of each group by index: `seconds` of the group and its steps, and 0 for a group without a job.
fn group_seconds(jobs: &JobPlan<'_>, mut seconds: impl FnMut(usize, u64) -> f64) -> Vec<f64> {
    let mut by_group = vec![0.0; jobs.graph.groups.len()];
    for (group, steps) in jobs.groups_to_run() {
        by_group[group] = seconds(group, steps);
    }
    by_group
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::super::jobs::plan_jobs;
    use super::super::store::Store;
    use super::super::training_graph::TrainingGraph;
    use super::*;
    use crate::config::KeepWeights;
    use crate::lottery::test_support::study;
    use crate::system::paths::RunsDir;

    /// Returns the estimated time of three training runs of LeNet-300-100, one after the other: dense, with a tenth of
    /// its weights, and with a hundredth.
    fn time(engine: &str, samples: &[TimingSample], workers: usize) -> TimeEstimate {
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
        let jobs = plan_jobs(graph, KeepWeights::Needed, stored, &Store { runs: RunsDir("nowhere".into()) });
        let timings = Timings { samples: samples.to_vec(), measured_in: None };
        estimate_time(&timings, CostModel::new(&study), &jobs, workers).unwrap()
    }

    fn seconds(engine: &str, samples: &[TimingSample], workers: usize) -> f64 {
        time(engine, samples, workers).seconds
    }

    #[test]
    fn time_estimate_uses_the_samples_of_engine_and_lanes() {
        let sample = |engine, ratio| TimingSample { engine, lanes: 1, ratio };
        let dense = [3.0, 2.0, 1.0].map(|ratio| sample(EngineKind::Dense, ratio));
        let all_dense = seconds("dense", &dense, 1);
        let auto = seconds("auto", &dense, 1);
        assert!(auto > all_dense / 3.0 && auto < all_dense / 2.0, "{auto} s, {all_dense} s with the dense trainer");
        // Samples of the sparse engine replace those of the dense one for the training runs of the sparse engine.
        let both = |ratio| seconds("auto", &[&dense[..], &[sample(EngineKind::Sparse, ratio)]].concat(), 1);
        assert!((both(2.0) - auto).abs() < 1e-9 * auto);
        assert!((both(4.0) - 2.0 * auto + all_dense / 3.0).abs() < 1e-9 * auto, "the dense network is one of three");
        // Samples with another number of lanes are not used where there are samples with the same.
        let group = TimingSample { engine: EngineKind::Dense, lanes: 4, ratio: 100.0 };
        assert_eq!(seconds("dense", &[&dense[..], &[group]].concat(), 1), all_dense);
        // Training runs that depend on one another cannot run at the same time.
        assert_eq!(seconds("auto", &dense, 8), auto);
        let recorded = time("auto", &dense, 1);
        assert_eq!((recorded.basis, recorded.timings, recorded.range), (TimeBasis::Recorded, 3, [auto; 2]));
    }

    #[test]
    fn time_estimate_without_samples_is_a_range() {
        let rough = time("dense", &[], 1);
        // Three training runs of 120 steps with 60 images, 3 passes each; 7 evaluations of 2 · 300 + 300 images (the
        // cost model spreads them over the steps: one in 20).
        let macs = 266_200.0 * 3.0 * 120.0 * (3.0 * 60.0 + 900.0 / 20.0);
        let expected = [macs / 100e9, macs / 10e9];
        assert!(rough.range.iter().zip(expected).all(|(seconds, expected)| (seconds / expected - 1.0).abs() < 1e-9));
        assert_eq!((rough.basis, rough.timings), (TimeBasis::Rough, 0));
        assert!(((rough.seconds / rough.range[0]).powi(2) - 10.0).abs() < 1e-9, "the geometric mean");
    }
}
