//! A job file of `HyperQueue`.

use std::fmt::Write as _;

use super::header;
use crate::runner::JobList;

/// Returns the job file.
pub(super) fn text(list: &JobList, command: &str, folder: &str) -> String {
    let mut text = header(list, "HyperQueue");
    let _ = write!(
        text,
        "# Submit them with `hq job submit-file FILE`. A task begins when those in its `deps` have succeeded; the last one\n\
         # writes the report.\nname = {}\n",
        toml_text(&list.experiment)
    );
    let mut task = |id: usize, command: &str, deps: &[usize], gpus: u32| {
        let gpu = if gpus > 0 { format!(", \"gpus/nvidia\" = \"{gpus}\"") } else { String::new() };
        let _ = write!(
            text,
            "\n[[task]]\nid = {id}\ncommand = [\"bash\", \"-c\", {}]\ncwd = {}\ndeps = {deps:?}\n[[task.request]]\n\
             resources = {{ \"cpus\" = \"1\"{gpu} }}\n",
            toml_text(&format!("exec {command}")),
            toml_text(folder),
        );
    };
    for job in list.jobs.iter().filter(|job| !job.is_done) {
        let deps: Vec<usize> = job.dependencies.iter().copied().filter(|&before| !list.jobs[before].is_done).collect();
        task(job.index, &format!("{command} --set run.workers=1 --job {}", job.job), &deps, job.gpus);
    }
    let all: Vec<usize> = list.jobs.iter().filter(|job| !job.is_done).map(|job| job.index).collect();
    task(list.jobs.len(), &format!("{command} --no-training"), &all, 0);
    text
}

/// Returns a text as a string of TOML.
fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}
