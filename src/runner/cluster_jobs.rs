//! The jobs of a cluster: the lockstep groups of one or several plans, in an order in which each comes after those it
//! depends on. The order depends on the plans only, so that every process numbers the jobs alike.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use anyhow::Result;

use super::calibration::{Calibration, timings};
use super::cost_model::CostModel;
use super::memory_estimate::memory_bytes;
use super::store::Store;
use super::time_estimate::{TimeBasis, estimate_groups};
use crate::base::key::ContentHash;
use crate::lottery::{LockstepGroup, Study, TrainingSpec, lockstep_groups};

/// A job: a lockstep group of the plan of one of several studies. With one lane, that is one training run.
#[derive(Clone, Debug)]
pub struct ClusterJob<'a> {
    /// The index of the study.
    pub study: usize,
    /// The index of the group among the lockstep groups of its plan.
    pub group: usize,
    /// The length of the longest dependency path to the job. Jobs of one level do not depend on one another.
    pub level: usize,
    /// Its training runs, by lane.
    pub trainings: Vec<&'a TrainingSpec>,
    /// The indices of the jobs that it depends on, ascending; all are less than its own.
    pub dependencies: Vec<usize>,
}

/// Returns the jobs of the plans of `studies`, by level, then in the order of the studies and of their plans. A group
/// whose training runs all belong to earlier jobs is left out.
pub fn cluster_jobs<'a>(studies: &[&'a Study]) -> Vec<ClusterJob<'a>> {
    let groups_of = |(study, of): (usize, &&'a Study)| {
        let groups = lockstep_groups(&of.plan, of.resolved.lanes).into_iter().enumerate();
        let job = move |(group, LockstepGroup { depth, trainings })| ClusterJob {
            study,
            group,
            level: depth,
            trainings,
            dependencies: Vec::new(),
        };
        groups.map(job).collect::<Vec<_>>()
    };
    let mut all: Vec<ClusterJob<'a>> = studies.iter().enumerate().flat_map(groups_of).collect();
    all.sort_by_key(|job| job.level);
    let mut job_of: BTreeMap<&ContentHash, usize> = BTreeMap::new();
    let mut jobs: Vec<ClusterJob<'a>> = Vec::new();
    for mut job in all {
        if job.trainings.iter().all(|training| job_of.contains_key(&training.key)) {
            continue;
        }
        // What a job depends on has a lower level, and so is in the map.
        let dependencies = job.trainings.iter().flat_map(|training| training.dependencies());
        let dependencies: BTreeSet<usize> = dependencies.filter_map(|(key, _)| job_of.get(key).copied()).collect();
        job.dependencies = dependencies.into_iter().collect();
        for training in &job.trainings {
            job_of.entry(&training.key).or_insert(jobs.len());
        }
        jobs.push(job);
    }
    jobs
}

/// The estimated cost of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobCost {
    /// The seconds that it will take in one worker of this machine; 0 if it is done.
    pub seconds: f64,
    /// The peak of its memory, in bytes: of the GPU on a GPU, else of the process.
    pub memory_bytes: u64,
}

/// Returns the cost of each lockstep group of a study, by index, and what the seconds are estimated from.
///
/// # Errors
/// Fails if the store cannot be read.
pub fn group_costs(study: &Study, store: &Store, measured: Option<Calibration>) -> Result<(Vec<JobCost>, TimeBasis)> {
    let jobs = store.jobs_of(study)?;
    let costs = CostModel::new(study);
    let timings = timings(study, store, costs, measured)?;
    let (seconds, basis) = estimate_groups(&timings, costs, &jobs);
    let cost = |(group, seconds): (usize, f64)| JobCost {
        seconds,
        memory_bytes: memory_bytes(study, jobs.graph.groups[group].members.len()),
    };
    Ok((seconds.into_iter().enumerate().map(cost).collect(), basis))
}

/// A simulated run of all jobs on a cluster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Simulation {
    /// The seconds from the start of the first job to the end of the last.
    pub(super) seconds: f64,
    /// The seconds of the longest dependency path: no cluster is faster.
    pub(super) critical_path_seconds: f64,
    /// The seconds of all jobs together.
    pub(super) total_seconds: f64,
    /// The largest number of jobs that ran at a time.
    pub(super) busiest: usize,
}

/// Simulates `nodes` workers of one kind, each with one job at a time. A free worker takes the job, among those whose
/// dependencies have ended, from which the longest dependency path begins, and starts it at once.
///
/// `dependencies`: for each job the indices of the jobs before it that it depends on; `seconds`: those that each takes.
pub(super) fn simulate(dependencies: &[&[usize]], seconds: &[f64], nodes: usize) -> Simulation {
    let jobs = dependencies.len();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); jobs];
    for (index, before) in dependencies.iter().enumerate() {
        before.iter().for_each(|&before| dependents[before].push(index));
    }
    // The longest path that begins with each job.
    let mut path = vec![0.0_f64; jobs];
    for index in (0..jobs).rev() {
        path[index] = seconds[index] + dependents[index].iter().map(|&after| path[after]).fold(0.0, f64::max);
    }
    let mut missing: Vec<usize> = dependencies.iter().map(|before| before.len()).collect();
    let mut ready: BinaryHeap<Ranked> =
        (0..jobs).filter(|&job| missing[job] == 0).map(|job| Ranked { rank: path[job], job }).collect();
    // The end of each running job; negated, so that the first end is the largest.
    let mut running: BinaryHeap<Ranked> = BinaryHeap::new();
    let (mut now, mut busiest) = (0.0, 0);
    loop {
        while running.len() < nodes
            && let Some(Ranked { job, .. }) = ready.pop()
        {
            running.push(Ranked { rank: -(now + seconds[job]), job });
        }
        busiest = busiest.max(running.len());
        let Some(Ranked { rank, job }) = running.pop() else { break };
        now = -rank;
        for &after in &dependents[job] {
            missing[after] -= 1;
            if missing[after] == 0 {
                ready.push(Ranked { rank: path[after], job: after });
            }
        }
    }
    let critical_path_seconds = path.into_iter().fold(0.0, f64::max);
    Simulation { seconds: now, critical_path_seconds, total_seconds: seconds.iter().sum(), busiest }
}

/// A job in a heap: the largest rank first, and of equal ones the smallest index.
#[derive(PartialEq)]
struct Ranked {
    rank: f64,
    job: usize,
}

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.total_cmp(&other.rank).then(other.job.cmp(&self.job))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lottery::test_support::study;

    const ARMS: &str = "arms={ticket={mask='iterative',weights='rewind'},reinit={mask={of='ticket'},weights='reinit'}}";

    fn described(jobs: &[ClusterJob<'_>]) -> Vec<String> {
        let name = |t: &&TrainingSpec| format!("{} {}/{}", t.arm, t.round, t.replicate);
        let names = |job: &ClusterJob<'_>| job.trainings.iter().map(name).collect::<Vec<_>>().join(", ");
        jobs.iter().map(|job| format!("{}: {} after {:?}", job.level, names(job), job.dependencies)).collect()
    }

    #[test]
    fn jobs_come_after_those_they_depend_on() {
        let study = study(&["replicates=2", "rounds=1", ARMS, "run.lanes=1"]);
        let expected = [
            "0: dense 0/1 after []",
            "0: dense 0/2 after []",
            "1: ticket 1/1 after [0]",
            "1: ticket 1/2 after [1]",
            "2: reinit 1/1 after [2]",
            "2: reinit 1/2 after [3]",
        ];
        assert_eq!(described(&cluster_jobs(&[&study])), expected);
    }

    #[test]
    fn training_runs_that_studies_share_are_one_job() {
        let one = |rate| study(&["replicates=1", "rounds=1", "arms={t={mask='iterative',weights='rewind'}}", rate]);
        let (a, b) = (one("prune.rate.linear=0.2"), one("prune.rate.linear=0.4"));
        let jobs = cluster_jobs(&[&a, &b]);
        assert_eq!(described(&jobs), ["0: dense 0/1 after []", "1: t 1/1 after [0]", "1: t 1/1 after [0]"]);
        assert_eq!(jobs.iter().map(|job| (job.study, job.group)).collect::<Vec<_>>(), [(0, 0), (0, 1), (1, 1)]);
    }

    #[test]
    fn simulation_by_hand() {
        // Two chains of three jobs: 3 + 2 + 1 and 1 + 1 + 1 seconds.
        let dependencies: [&[usize]; 6] = [&[], &[], &[0], &[1], &[2], &[3]];
        let seconds = [3.0, 1.0, 2.0, 1.0, 1.0, 1.0];
        let run = |nodes| simulate(&dependencies, &seconds, nodes);
        assert_eq!((run(1).seconds, run(1).busiest), (9.0, 1));
        assert_eq!(run(100), Simulation { seconds: 6.0, critical_path_seconds: 6.0, total_seconds: 9.0, busiest: 2 });
        assert_eq!(simulate(&[], &[], 3).seconds, 0.0);
    }
}
