//! A makefile of the jobs: its targets are the files of the store that exist when a training run is done.

use std::fmt::Write as _;
use std::path::Path;

use super::{Contents, ONE_WORKER, header};

/// Returns the makefile. Tried with GNU make 4.3.
pub(super) fn text(contents: &Contents<'_>) -> String {
    let list = contents.list;
    let command = contents.command_line().replace('$', "$$").replace('#', "\\#");
    let mut text = header(contents, "make");
    let _ = write!(
        text,
        "# Start it in the folder in which `lth plan` was started:\n#   make -f jobs.mk -j 2    # two jobs at a time, on one core \
         each; with -k it goes on after a failure\n# Ctrl-C stops it, and the same command resumes. Needs GNU make 4.3 or \
         later.\nSHELL := /bin/bash\ncommand := {command}\n\n# The file that each training run of a job writes last\n",
    );
    for job in &list.jobs {
        let files: Vec<String> = job.files.iter().map(|file| target(file)).collect();
        let _ = writeln!(text, "job_{} := {}", job.index, files.join(" "));
    }
    let all: Vec<String> = list.jobs.iter().map(|job| format!("$(job_{})", job.index)).collect();
    let _ = write!(
        text,
        "jobs := {}\n\n# The tables and the report\n.PHONY: report\nreport: $(jobs)\n\t$(command) --no-training\n\n# An \
         interrupted make must not delete results.\n.PRECIOUS: $(jobs)\n",
        all.join(" ")
    );
    let mut level = None;
    for job in &list.jobs {
        if level != Some(job.level) {
            level = Some(job.level);
            let _ = writeln!(text, "\n# Level {}", job.level);
        }
        // Only whether a file exists counts, not its age: `|`. One command makes all files of a job: `&:`.
        let needed: String = job.dependencies.iter().map(|job| format!(" $(job_{job})")).collect();
        let needed = if needed.is_empty() { needed } else { format!(" |{needed}") };
        let separator = if job.files.len() > 1 { " &:" } else { ":" };
        let worker = ONE_WORKER.join(" ");
        let _ = writeln!(text, "$(job_{}){separator}{needed}\n\t$(command) {worker} --job {}", job.index, job.job);
    }
    text
}

/// Returns a file as the name of a target.
fn target(file: &Path) -> String {
    file.display().to_string().chars().fold(String::new(), |text, c| match c {
        '$' => text + "$$",
        ' ' | '#' | ':' | '%' | '\\' => text + "\\" + &c.to_string(),
        _ => text + &c.to_string(),
    })
}
