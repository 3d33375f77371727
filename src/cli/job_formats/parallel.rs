//! A script that runs the jobs with GNU parallel.

use std::fmt::Write as _;

use super::{Contents, ONE_WORKER, header};

/// Returns the script. Tried with GNU parallel 20221122.
pub(super) fn text(contents: &Contents<'_>) -> String {
    let list = contents.list;
    let mut text = format!("#!/bin/bash\n{}", header(contents, "GNU parallel"));
    let _ = write!(
        text,
        "# Start it in the folder in which `lth plan` was started. Options go to parallel:\n#   bash jobs.sh -j 2    # two jobs \
         at a time, on one core each\n# Ctrl-C stops it, and the same command resumes: jobs that ended well are not started \
         again.\ncommand=({})\nlogs=logs/{}-{}    # the lists of the jobs that ended; delete them to start all jobs \
         again\noptions=(\"$@\")\nfailed=0\n\n# Runs the jobs of a level, which do not need one another: $1 is the level, the others are \
         what `lth run --job` takes.\n# A job that is stopped has a minute to save its progress.\nlevel() {{\n  parallel --quote \
         --joblog \"$logs-level-$1.log\" --resume-failed --termseq TERM,60000,KILL,25 \"${{options[@]}}\" \\\n    \
         \"${{command[@]}}\" {} --job {{}} ::: \"${{@:2}}\"\n  case $? in\n    0) ;;\n    255) exit 75 ;;    \
         # parallel was stopped\n    *) failed=1 ;;     # jobs failed; those that do not need them go on\n  esac\n}}\n\nmkdir \
         -p logs\n",
        contents.command_line(),
        list.experiment,
        list.id(),
        ONE_WORKER.join(" "),
    );
    for (level, jobs) in list.levels_to_run() {
        let _ = writeln!(text, "level {level} {}", jobs.join(" "));
    }
    text + "\"${command[@]}\" --no-training || failed=1    # the tables and the report\nexit $failed\n"
}
