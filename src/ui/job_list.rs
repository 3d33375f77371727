//! The text of `lth plan --jobs`: a table of the jobs, and what a cluster gains.

use std::fmt::Write as _;

use super::table::render;
use crate::base::format::{bytes, count_of, duration, with_thousands};
use crate::report::{Cell, Table};
use crate::runner::{JobList, TimeBasis};

/// Returns the list of jobs as text.
pub fn job_list(list: &JobList) -> String {
    let mut table = Table::new([
        "job",
        "id",
        "level",
        "after",
        "replicate",
        "arm",
        "round",
        "runs",
        "time",
        "memory (rough)",
        "GPUs",
    ]);
    for job in &list.jobs {
        let after: Vec<&str> = job.dependencies.iter().map(|&index| list.jobs[index].job.as_str()).collect();
        let time = if job.is_done { "done".to_owned() } else { duration(job.seconds) };
        table.rows.push(vec![
            Cell::text(&job.job),
            Cell::text(&job.id),
            Cell::number(job.level),
            Cell::text(shortened(&after)),
            Cell::text(span(&job.replicates)),
            Cell::text(shortened(&job.arms)),
            Cell::text(span(&job.rounds)),
            Cell::number(job.trainings),
            Cell::number(time),
            Cell::number(bytes(job.memory_bytes)),
            Cell::number(job.gpus),
        ]);
    }
    let done = list.jobs.len() - list.to_run().count();
    let trainings: usize = list.jobs.iter().map(|job| job.trainings).sum();
    let mut text = render(&table);
    let _ = writeln!(
        text,
        "\n{} with {}, {} of them done",
        count_of(list.jobs.len() as u64, "job"),
        count_of(trainings as u64, "training run"),
        with_thousands(done as u64)
    );
    let basis = match list.basis {
        TimeBasis::Recorded => "recorded training runs of this network on this machine",
        TimeBasis::Measured => "measured now",
        TimeBasis::Rough => "rough: an assumed speed (`--measure` measures it)",
    };
    let _ = writeln!(
        text,
        "total time: {}\ncritical path: {} (no cluster is faster)\nbasis: {basis}",
        duration(list.total_seconds),
        duration(list.critical_path_seconds)
    );
    if let Some(cluster) = list.cluster {
        let limit = if cluster.seconds <= 1.05 * list.critical_path_seconds {
            "the critical path limits it: more nodes gain nothing"
        } else {
            "the number of nodes limits it"
        };
        let _ = writeln!(
            text,
            "on {}, each with one job at a time: {}; {} busy at most; {limit}",
            count_of(cluster.nodes as u64, "node"),
            duration(cluster.seconds),
            count_of(cluster.busiest as u64, "node")
        );
    }
    if let Some(job) = list.jobs.first() {
        let _ = writeln!(text, "run a job with: {}\nwrite the report with: {}", job.command, list.report_command);
    }
    text
}

/// Returns the smallest and the largest of ascending numbers, such as `1–5`.
fn span(numbers: &[u32]) -> String {
    match numbers {
        [] => String::new(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}–{last}"),
    }
}

/// Returns at most two words, and how many more there are.
fn shortened<T: AsRef<str>>(words: &[T]) -> String {
    let first: Vec<&str> = words.iter().take(2).map(AsRef::as_ref).collect();
    let more = if words.len() > 2 { format!(" +{}", words.len() - 2) } else { String::new() };
    first.join(",") + &more
}
