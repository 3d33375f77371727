//! The list of a cluster's jobs, as `lth plan --jobs` prints it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::cluster_jobs::{ClusterJob, JobCost, Simulation, simulate};
use super::store::Store;
use super::time_estimate::TimeBasis;
use crate::base::key::ContentHash;

/// The jobs of an experiment, or of all points of a sweep. Its JSON is the output of `lth plan --jobs --json`; fields may
/// be added, none is renamed.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct JobList {
    /// The experiment's name.
    pub experiment: String,
    /// The jobs, each after those it depends on.
    pub jobs: Vec<JobRow>,
    /// The command that trains nothing, and writes the files and the report of the run from what is stored.
    pub report_command: String,
    /// What the seconds are estimated from.
    pub basis: TimeBasis,
    /// The seconds of all jobs together, in one worker of this machine each.
    pub total_seconds: f64,
    /// The seconds of the longest dependency path: no number of nodes is faster.
    pub critical_path_seconds: f64,
    /// The simulated run on the nodes of `--nodes`; `None` without the option.
    pub cluster: Option<ClusterEstimate>,
}

/// A simulated run of the jobs on equal nodes, each with one job at a time.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct ClusterEstimate {
    /// The number of nodes.
    pub nodes: usize,
    /// The seconds from the first start to the last end.
    pub seconds: f64,
    /// The largest number of nodes that were busy at a time.
    pub busiest: usize,
}

/// A job: training runs that one process trains, of one level of the dependency graph.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct JobRow {
    /// Its index in this list, from 0.
    pub index: usize,
    /// The numbers of its jobs, as `lth run --job` takes them, such as `4` or `8-15`. They do not depend on `--per-job`.
    pub job: String,
    /// The first 8 digits of the key of its first training run.
    pub id: String,
    /// The command that runs it.
    pub command: String,
    /// Indices in this list of the jobs that must have ended before.
    pub dependencies: Vec<usize>,
    /// The length of the longest dependency path to it. Jobs of one level can run at the same time.
    pub level: usize,
    /// The replicates of its training runs.
    pub replicates: Vec<u32>,
    /// The arms of its training runs.
    pub arms: Vec<String>,
    /// The rounds of its training runs.
    pub rounds: Vec<u32>,
    /// The number of its training runs.
    pub trainings: usize,
    /// Whether all of them are stored.
    pub is_done: bool,
    /// Estimated seconds in one worker of this machine; 0 if it is done.
    pub seconds: f64,
    /// Estimated peak of its memory in bytes: of the GPU if `gpus` is not 0, else of the process.
    pub memory_bytes: u64,
    /// The number of GPUs that it uses.
    pub gpus: u32,
    /// The file of each training run that exists when it is done.
    pub files: Vec<PathBuf>,
}

impl JobList {
    /// Returns the list of `jobs`, whose costs are `costs`. With `per_job`, jobs of one level that follow one another are
    /// one row as long as they take no more than these seconds together. `command` is the command line of `lth run`
    /// without the option `--job`; `gpus`: the number of GPUs of each study.
    pub fn new(
        experiment: &str,
        command: &str,
        (jobs, costs): (&[ClusterJob<'_>], &[JobCost]),
        (store, gpus): (&Store, &[u32]),
        per_job: Option<f64>,
        basis: TimeBasis,
    ) -> Self {
        let seconds: Vec<f64> = costs.iter().map(|cost| cost.seconds).collect();
        let packs = packs(jobs, &seconds, per_job);
        let pack_of: BTreeMap<usize, usize> =
            packs.iter().enumerate().flat_map(|(pack, range)| range.clone().map(move |job| (job, pack))).collect();
        let row = |(index, range): (usize, &Range<usize>)| {
            let members = &jobs[range.clone()];
            let costs = &costs[range.clone()];
            let trainings = || members.iter().flat_map(|job| &job.trainings);
            let files: Vec<PathBuf> =
                trainings().map(|training| store.runs.training_dir(&training.key).manifest_file()).collect();
            let before = members.iter().flat_map(|job| &job.dependencies).filter_map(|job| pack_of.get(job).copied());
            let job =
                if range.len() == 1 { range.start.to_string() } else { format!("{}-{}", range.start, range.end - 1) };
            JobRow {
                index,
                command: format!("{command} --job {job}"),
                job,
                id: trainings().next().map(|training| training.key.short()).unwrap_or_default(),
                dependencies: distinct(before),
                level: members[0].level,
                replicates: distinct(trainings().map(|training| training.replicate)),
                arms: distinct(trainings().map(|training| training.arm.clone())),
                rounds: distinct(trainings().map(|training| training.round.0)),
                trainings: trainings().count(),
                is_done: files.iter().all(|file| file.exists()),
                seconds: costs.iter().map(|cost| cost.seconds).sum(),
                memory_bytes: costs.iter().map(|cost| cost.memory_bytes).max().unwrap_or(0),
                gpus: members.iter().map(|job| gpus[job.study]).max().unwrap_or(0),
                files,
            }
        };
        let rows: Vec<JobRow> = packs.iter().enumerate().map(row).collect();
        let whole = simulate_rows(&rows, rows.len().max(1));
        Self {
            experiment: experiment.to_owned(),
            jobs: rows,
            report_command: format!("{command} --no-training"),
            basis,
            total_seconds: whole.total_seconds,
            critical_path_seconds: whole.critical_path_seconds,
            cluster: None,
        }
    }

    /// Simulates the jobs on so many nodes.
    pub fn on_cluster(&self, nodes: usize) -> ClusterEstimate {
        let Simulation { seconds, busiest, .. } = simulate_rows(&self.jobs, nodes);
        ClusterEstimate { nodes, seconds, busiest }
    }

    /// Returns a short hash of the jobs that are not done, and of the folder of their store.
    pub fn id(&self) -> String {
        let jobs: Vec<String> = self.to_run().map(|job| format!("{} {:?}", job.job, job.files)).collect();
        ContentHash::of_json_text(&jobs.join(" ")).short()
    }

    /// Returns the jobs that are not done.
    pub fn to_run(&self) -> impl Iterator<Item = &JobRow> {
        self.jobs.iter().filter(|job| !job.is_done)
    }

    /// Returns the levels that have a job that is not done: the number of each, and the numbers of these jobs, as
    /// `lth run --job` takes them.
    pub fn levels_to_run(&self) -> BTreeMap<usize, Vec<&str>> {
        let mut levels: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for job in self.to_run() {
            levels.entry(job.level).or_default().push(&job.job);
        }
        levels
    }
}

fn simulate_rows(rows: &[JobRow], nodes: usize) -> Simulation {
    let dependencies: Vec<&[usize]> = rows.iter().map(|row| row.dependencies.as_slice()).collect();
    let seconds: Vec<f64> = rows.iter().map(|row| row.seconds).collect();
    simulate(&dependencies, &seconds, nodes)
}

/// Returns the ranges of jobs that are one row of the list each.
fn packs(jobs: &[ClusterJob<'_>], seconds: &[f64], per_job: Option<f64>) -> Vec<Range<usize>> {
    let mut packs: Vec<Range<usize>> = Vec::new();
    let mut sum = 0.0;
    for (index, job) in jobs.iter().enumerate() {
        match (packs.last_mut(), per_job) {
            (Some(last), Some(most)) if jobs[last.start].level == job.level && sum + seconds[index] <= most => {
                last.end = index + 1;
                sum += seconds[index];
            }
            _ => {
                packs.push(index..index + 1);
                sum = seconds[index];
            }
        }
    }
    packs
}

/// Returns the values, each once, ascending.
fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<BTreeSet<T>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::cluster_jobs::cluster_jobs;
    use super::*;
    use crate::lottery::test_support::study;
    use crate::system::paths::RunsDir;

    #[test]
    fn rows_are_jobs_of_one_level_up_to_the_seconds() {
        let study = study(&["replicates=3", "rounds=1", "run.lanes=1", "arms={t={mask='iterative',weights='rewind'}}"]);
        let jobs = cluster_jobs(&[&study]);
        let costs = vec![JobCost { seconds: 10.0, memory_bytes: 5 }; 6];
        let store = Store { runs: RunsDir("nowhere".into()) };
        let list = |per_job| {
            let list = JobList::new("a", "lth run a.toml", (&jobs, &costs), (&store, &[0]), per_job, TimeBasis::Rough);
            let row = |row: &JobRow| format!("{} {} after {:?}: {}", row.index, row.job, row.dependencies, row.seconds);
            list.jobs.iter().map(row).collect::<Vec<_>>()
        };
        assert_eq!(list(None)[..2], ["0 0 after []: 10", "1 1 after []: 10"]);
        assert_eq!(
            list(Some(25.0)),
            ["0 0-1 after []: 20", "1 2 after []: 10", "2 3-4 after [0]: 20", "3 5 after [1]: 10"]
        );
        assert_eq!(list(Some(1000.0)), ["0 0-2 after []: 30", "1 3-5 after [0]: 30"]);
        assert_eq!(list(Some(1.0)).len(), 6, "a job that takes longer is a row of its own");
    }
}
