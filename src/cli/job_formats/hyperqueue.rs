//! A job file of `HyperQueue`.

use std::fmt::Write as _;

use super::{Contents, ONE_WORKER, header};
use crate::runner::JobRow;

/// Returns the job file. Tried with the server and the worker of `HyperQueue` 0.27.
pub(super) fn text(contents: &Contents<'_>) -> String {
    let list = contents.list;
    let mut text = header(contents, "HyperQueue");
    let _ = write!(
        text,
        "# Submit it in the folder in which `lth plan` was started:\n#   hq job submit-file jobs.toml\n# A task begins when those \
         in its `deps` have ended well. If tasks failed, or a worker was stopped, submit it again:\n# nothing that is stored is \
         trained again, and other training runs resume. The last task writes the report;\n# if a task cannot \
         succeed, write it with the option `--no-training` by hand.\nname = {}\n",
        toml_text(&list.experiment)
    );
    let jobs: Vec<&JobRow> = list.to_run().collect();
    // HyperQueue numbers tasks from 0 without gaps.
    let id = |index: usize| jobs.iter().position(|job| job.index == index);
    let mut task = |id: usize, deps: &[usize], options: &[&str], gpus: u32| {
        let words = contents.command.iter().map(String::as_str).chain(options.iter().copied());
        let words: Vec<String> = words.map(toml_text).collect();
        let gpu = if gpus > 0 { format!(", \"gpus/nvidia\" = {gpus}") } else { String::new() };
        let deps = if deps.is_empty() { String::new() } else { format!("deps = {deps:?}\n") };
        let _ = write!(
            text,
            "\n[[task]]\nid = {id}\n{deps}command = [{}]\nrequest = [{{ resources = {{ cpus = 1{gpu} }} }}]\n",
            words.join(", "),
        );
    };
    for (position, job) in jobs.iter().enumerate() {
        let deps: Vec<usize> = job.dependencies.iter().filter_map(|&before| id(before)).collect();
        task(position, &deps, &[&ONE_WORKER[..], &["--job", &job.job]].concat(), job.gpus);
    }
    let all: Vec<usize> = (0..jobs.len()).collect();
    task(jobs.len(), &all, &["--no-training"], 0);
    text
}

/// Returns a text as a string of TOML.
fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}
