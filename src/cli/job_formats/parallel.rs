//! A script that runs the jobs with GNU parallel.

use std::fmt::Write as _;

use super::header;
use crate::runner::JobList;
use crate::system::env::quoted;

/// Returns the script.
pub(super) fn text(list: &JobList, command: &str, folder: &str) -> String {
    let mut text = format!("#!/usr/bin/env bash\n{}", header(list, "GNU parallel"));
    let _ = write!(
        text,
        "# Run them with `bash FILE`. The same command later runs the jobs that failed or were stopped, and those that are\n\
         # missing; it goes by the lists of jobs that GNU parallel writes (parallel_logs/*.joblog).\n\
         # Jobs of a level do not need one another; a level waits for the one before.\nset -uo pipefail\ncd {}\n\n\
         at_a_time=$(nproc)  # jobs that run at the same time\nlogs=parallel_logs\ncommand=({command} --set run.workers=1)\n\
         failed=0\n\n\
         # With TERM, parallel sends TERM to the jobs, which save their progress.\nrun_level() {{\n  local level=$1\n  \
         shift\n  parallel --joblog \"$logs/level_$level.joblog\" --resume-failed -j \"$at_a_time\" \\\n    --quote \
         \"${{command[@]}}\" --job {{}} ::: \"$@\" || failed=1\n}}\n\nmkdir -p \"$logs\"\n",
        quoted(folder),
    );
    for (level, jobs) in list.levels_to_run() {
        let jobs: Vec<&str> = jobs.iter().map(|job| job.job.as_str()).collect();
        let _ = writeln!(text, "run_level {level} {}", jobs.join(" "));
    }
    text.push_str("\"${command[@]}\" --no-training || failed=1\nexit \"$failed\"\n");
    text
}
