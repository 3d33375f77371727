//! A makefile of the jobs: its targets are the files of the store that exist when a training run is done.

use std::fmt::Write as _;

use super::header;
use crate::runner::JobList;

/// Returns the makefile.
pub(super) fn text(list: &JobList, command: &str, folder: &str) -> String {
    let mut text = header(list, "make");
    let _ = write!(
        text,
        "# Run them with `make -j 4 -f FILE`: four at a time. What is stored is not run again. Needs GNU make 4.3.\n\
         SHELL := /bin/bash\nLTH := cd {} && {} --set run.workers=1\n\n.PHONY: report\n",
        escaped_recipe(&crate::system::env::quoted(folder)),
        escaped_recipe(command),
    );
    let targets = |job: usize| {
        let files = list.jobs[job].files.iter().map(|file| target(&file.display().to_string(), folder));
        files.collect::<Vec<_>>().join(" ")
    };
    let all: Vec<String> = (0..list.jobs.len()).map(targets).collect();
    let _ = writeln!(text, "report: {}\n\t$(LTH) --no-training", all.join(" "));
    for job in &list.jobs {
        let after: Vec<&str> = job.dependencies.iter().map(|&job| all[job].as_str()).collect();
        // Only whether a file exists counts, not its age: `|`. One command makes all files of a job: `&:`.
        let after = if after.is_empty() { String::new() } else { format!(" | {}", after.join(" ")) };
        let separator = if job.files.len() > 1 { " &:" } else { ":" };
        let _ = writeln!(text, "\n{}{separator}{after}\n\t$(LTH) --job {}", all[job.index], job.job);
    }
    text
}

/// Returns a file as the name of a target, as an absolute path.
fn target(file: &str, folder: &str) -> String {
    let path = if file.starts_with('/') { file.to_owned() } else { format!("{folder}/{file}") };
    path.chars().fold(String::new(), |text, c| match c {
        '$' => text + "$$",
        ' ' | '#' | ':' | '%' | '\\' => text + "\\" + &c.to_string(),
        _ => text + &c.to_string(),
    })
}

/// Returns a command line as a part of a recipe.
fn escaped_recipe(command: &str) -> String {
    command.replace('$', "$$").replace('#', "\\#")
}
