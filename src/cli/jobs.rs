//! The jobs of an experiment or a sweep for a cluster: the options that choose some of them, and their list.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;

use super::folders;
use super::load::{ExperimentArgs, LoadedExperiment, RunsArgs};
use super::sweep::SweepArgs;
use crate::config::{CountOrAuto, DeviceChoice, Override, UsageError};
use crate::lottery::Study;
use crate::runner::{
    Calibration, ClusterJob, JobCost, JobList, Selection, Store, TimeBasis, cluster_jobs, group_costs,
};
use crate::system::env;

#[derive(Debug, Args)]
pub(super) struct JobArgs {
    /// Train only these jobs of `lth plan --jobs`, and what they need that is not stored: such as `4`, `8-15` or
    /// `0,8-15`. `auto`: the number in `SLURM_ARRAY_TASK_ID`, `HQ_TASK_ID`, `PARALLEL_SEQ` (from 1) or
    /// `JOB_COMPLETION_INDEX`.
    #[arg(long, value_name = "JOBS", conflicts_with_all = ["shard", "no_training", "fresh"])]
    job: Option<String>,
    /// Train only every N-th job, from the I-th on: four processes take `1/4`, `2/4`, `3/4` and `4/4`.
    #[arg(long, value_name = "I/N", conflicts_with_all = ["no_training", "fresh"])]
    shard: Option<String>,
    /// Train nothing: write the files and the report of the run from what is stored.
    #[arg(long, conflicts_with = "fresh")]
    no_training: bool,
}

impl JobArgs {
    /// Returns the part of each study's plan to train.
    ///
    /// # Errors
    /// Fails if the option names no job.
    pub(super) fn selections(&self, studies: &[&Study]) -> Result<Vec<Selection>> {
        if self.no_training {
            return Ok(vec![Selection::Nothing; studies.len()]);
        }
        if self.job.is_none() && self.shard.is_none() {
            return Ok(vec![Selection::Whole; studies.len()]);
        }
        let jobs = cluster_jobs(studies);
        let chosen = match (&self.job, &self.shard) {
            (Some(text), _) => chosen_jobs(text, jobs.len())?,
            (None, text) => {
                let (first, of) = shard(text.as_deref().unwrap_or_default())?;
                (first - 1..jobs.len()).step_by(of).collect()
            }
        };
        let mut groups = vec![BTreeSet::new(); studies.len()];
        for job in chosen {
            groups[jobs[job].study].insert(jobs[job].group);
        }
        Ok(groups.into_iter().map(Selection::Groups).collect())
    }
}

/// Returns the jobs that the text of `--job` names, of `count` jobs.
fn chosen_jobs(text: &str, count: usize) -> Result<BTreeSet<usize>, UsageError> {
    if text == "auto" {
        let number = task_number(&env::task_numbers())?;
        check_number(number, count)?;
        return Ok(BTreeSet::from([number]));
    }
    let wrong = || {
        usage(
            &format!("`--job {text}` is not a list of job numbers"),
            "such as `--job 4`, `--job 8-15` or `--job 0,8-15`",
        )
    };
    let mut jobs = BTreeSet::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return Err(wrong());
        }
        check_number(last, count)?;
        jobs.extend(first..=last);
    }
    Ok(jobs)
}

/// Checks that there is a job with this number.
fn check_number(number: usize, count: usize) -> Result<(), UsageError> {
    if number < count {
        return Ok(());
    }
    let message = format!("there is no job {number}: the plan has the {count} jobs 0 to {}", count.saturating_sub(1));
    Err(usage(&message, "`lth plan CONFIG --jobs` lists them"))
}

/// Returns the number of the job in the variables of cluster engines that are set: the name of each, its value, and the
/// number of the first task.
fn task_number(set: &[(&str, String, usize)]) -> Result<usize, UsageError> {
    match set {
        [(name, value, first)] => {
            value.parse().ok().and_then(|number: usize| number.checked_sub(*first)).ok_or_else(|| {
                usage(&format!("`{name}` is `{value}`, which is not a task number"), "name the job: `--job 4`")
            })
        }
        [] => Err(usage(
            "`--job auto` needs the number of a task in a variable of the environment",
            "Slurm sets SLURM_ARRAY_TASK_ID in job arrays, HyperQueue HQ_TASK_ID, GNU parallel PARALLEL_SEQ, Kubernetes \
             JOB_COMPLETION_INDEX; elsewhere name the job: `--job 4`",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|(name, ..)| *name).collect();
            let message = format!("`--job auto` finds several numbers of tasks: {}", names.join(", "));
            Err(usage(&message, &format!("name the one that is meant: `--job ${}`", names[0])))
        }
    }
}

/// Returns the numbers of a shard: its own from 1, and that of all shards.
fn shard(text: &str) -> Result<(usize, usize), UsageError> {
    let numbers = text.split_once('/').and_then(|(first, of)| Some((first.parse().ok()?, of.parse().ok()?)));
    numbers.filter(|&(first, of)| (1..=of).contains(&first)).ok_or_else(|| {
        usage(&format!("`--shard {text}` is not a shard"), "the first of four is `--shard 1/4`, the last `--shard 4/4`")
    })
}

fn usage(message: &str, hint: &str) -> UsageError {
    UsageError::from_text(&format!("error: {message}\n\nhint: {hint}"))
}

/// What the list of jobs is made of beside the experiments.
pub(super) struct ListOptions {
    /// The most seconds that jobs take together in one row.
    pub(super) per_job: Option<f64>,
    /// The number of nodes of the cluster to simulate.
    pub(super) nodes: Option<usize>,
}

/// Returns the list of the jobs of experiments. `command`: the words of the command line of `lth run` for them.
/// `measure` measures the speed of this machine for an experiment.
///
/// # Errors
/// Fails if the store cannot be read, or `measure` fails.
pub(super) fn job_list(
    experiments: &[LoadedExperiment],
    store: &Store,
    command: &[String],
    options: &ListOptions,
    measure: impl Fn(&Study) -> Result<Option<Calibration>>,
) -> Result<JobList> {
    let studies: Vec<&Study> = experiments.iter().map(|loaded| &loaded.study).collect();
    let jobs: Vec<ClusterJob<'_>> = cluster_jobs(&studies);
    let mut by_study: Vec<Vec<JobCost>> = Vec::new();
    let mut bases = Vec::new();
    for study in &studies {
        let (costs, basis) = group_costs(study, store, measure(study)?)?;
        by_study.push(costs);
        bases.push(basis);
    }
    let costs: Vec<JobCost> = jobs.iter().map(|job| by_study[job.study][job.group]).collect();
    let gpus: Vec<u32> = studies.iter().map(|study| u32::from(study.resolved.gpu.is_some())).collect();
    // The least certain basis is that of the sums.
    let basis = bases.into_iter().max_by_key(|basis| *basis == TimeBasis::Rough).unwrap_or(TimeBasis::Rough);
    let name = studies.first().map_or("", |study| &study.experiment.name);
    let mut list =
        JobList::new(name, &env::quoted_line(command), (&jobs, &costs), (store, &gpus), options.per_job, basis);
    list.cluster = options.nodes.map(|nodes| list.on_cluster(nodes));
    Ok(list)
}

/// Checks that the experiment is not read from standard input, which the jobs cannot read again.
pub(super) fn check_not_stdin(experiment: &ExperimentArgs) -> Result<(), UsageError> {
    if experiment.is_stdin() {
        let message = "jobs cannot read the experiment from standard input";
        return Err(usage(message, "write it to a file, and name that"));
    }
    Ok(())
}

/// Returns the words of the command line of `lth run` with the options of `lth plan` that say what is run, and those that
/// make it the same on every machine: the folders that the environment names, and the device and the lanes of `study`,
/// which decide the numbers of the jobs.
///
/// # Errors
/// Fails if a folder is rejected.
pub(super) fn run_command(
    experiment: &ExperimentArgs,
    sweep: &SweepArgs,
    runs: &RunsArgs,
    study: &Study,
) -> Result<Vec<String>> {
    let mut words = vec![env::program_name(), "run".to_owned(), experiment.config.display().to_string()];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    for change in &experiment.overrides.0 {
        match change {
            Override::Set(text) => option("--set", text),
            Override::Unset(text) => option("--unset", text),
        }
    }
    if study.experiment.run.device == DeviceChoice::Auto {
        option("--set", &format!("run.device={}", study.resolved.device));
    }
    if study.experiment.run.lanes == CountOrAuto::Auto {
        option("--set", &format!("run.lanes={}", study.resolved.lanes));
    }
    sweep.options.iter().for_each(|axis| option("--sweep", axis));
    if experiment.data_dir.is_some() || env::value(env::DATA).is_some() {
        option("--data-dir", &folders::data_folder(experiment.data_dir.as_ref())?.display().to_string());
    }
    if runs.runs.is_some() || env::value(env::RUNS).is_some() {
        option("--runs", &runs.folder()?.0.display().to_string());
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_numbers_and_ranges() {
        let jobs = |text: &str| chosen_jobs(text, 20).map(|jobs| jobs.into_iter().collect::<Vec<_>>());
        assert_eq!(jobs("4").unwrap(), [4]);
        assert_eq!(jobs("8-10,0").unwrap(), [0, 8, 9, 10]);
        for text in ["", "a", "-1", "3-2", "1,", "1-2-3"] {
            assert!(jobs(text).unwrap_err().to_string().contains("is not a list of job numbers"), "{text}");
        }
        assert!(jobs("18-20").unwrap_err().to_string().contains("no job 20: the plan has the 20 jobs 0 to 19"));
    }

    #[test]
    fn auto_takes_the_number_of_the_engine() {
        let number = |set: &[(&str, &str, usize)]| {
            let set: Vec<_> = set.iter().map(|(name, value, first)| (*name, (*value).to_owned(), *first)).collect();
            task_number(&set).map_err(|error| error.to_string())
        };
        assert_eq!(number(&[("SLURM_ARRAY_TASK_ID", "7", 0)]), Ok(7));
        assert_eq!(number(&[("PARALLEL_SEQ", "7", 1)]), Ok(6));
        assert!(number(&[("PARALLEL_SEQ", "0", 1)]).unwrap_err().contains("not a task number"));
        assert!(number(&[]).unwrap_err().contains("needs the number of a task"));
        let both = number(&[("SLURM_ARRAY_TASK_ID", "7", 0), ("PARALLEL_SEQ", "7", 1)]).unwrap_err();
        assert!(both.contains("`--job $SLURM_ARRAY_TASK_ID`"), "{both}");
    }

    #[test]
    fn shards_count_from_one() {
        assert_eq!(shard("1/4").unwrap(), (1, 4));
        assert_eq!(shard("4/4").unwrap(), (4, 4));
        for text in ["0/4", "5/4", "4", "a/b", "1/0"] {
            assert!(shard(text).unwrap_err().to_string().contains("is not a shard"), "{text}");
        }
    }
}
