//! A script that submits the jobs to Slurm.

use std::fmt::Write as _;

use super::header;
use crate::runner::{JobList, JobRow};
use crate::system::env::quoted;

/// Minutes of a job beside twice its estimated time: for the start, the data and the last snapshot.
const SPARE_MINUTES: f64 = 10.0;

/// The functions of the script. Slurm's own variables and options are those of Slurm 22.05 and later.
const FUNCTIONS: &str = r#"
# Submits the jobs of one level as job arrays of at most 1,000 tasks (Slurm's usual MaxArraySize is 1,001), which wait
# for the level before.
submit_level() {
  local ids=()
  while (($#)); do
    local jobs=("${@:1:1000}")
    ids+=("$(sbatch --parsable --job-name="$name" --array="0-$((${#jobs[@]} - 1))%$at_a_time" \
      --output="$logs/%A_%a.log" --open-mode=append --requeue --signal=B:USR2@120 \
      "${after[@]}" "${options[@]}" "$0" task "${jobs[@]}")")
    shift "${#jobs[@]}"
  done
  after=(--dependency="afterany:$(IFS=: && echo "${ids[*]}")")
  echo "submitted: ${ids[*]}"
}

# Runs one task of a job array: the job with its number. A signal before the time limit, or TERM, makes lth save its
# progress and exit with 75; the task is then queued again, and goes on where it stopped.
run_task() {
  local jobs=("$@") stopped='' code=0
  "${command[@]}" --job "${jobs[SLURM_ARRAY_TASK_ID]}" &
  local lth=$!
  trap 'stopped=yes; kill -USR2 "$lth" 2>/dev/null' USR2 TERM
  wait "$lth" || code=$?
  while [[ $stopped ]]; do
    stopped='' code=0
    wait "$lth" || code=$?
  done
  if ((code == 75)); then
    scontrol requeue "$SLURM_JOB_ID"
  fi
  exit "$code"
}

case ${1:-} in
  task) shift; run_task "$@" ;;
  report) exec "${command[@]}" --no-training ;;
esac
options+=("$@")
"#;

/// Returns the script.
pub(super) fn text(list: &JobList, command: &str, folder: &str) -> String {
    let jobs = || list.jobs.iter().filter(|job| !job.is_done);
    let most = |value: fn(&JobRow) -> f64| jobs().map(value).fold(0.0, f64::max);
    let minutes = (2.0 * most(|job| job.seconds) / 60.0 + SPARE_MINUTES).ceil();
    let uses_gpu = jobs().any(|job| job.gpus > 0);
    // The memory of a job on a GPU is that of the GPU; its process needs less.
    let megabytes = if uses_gpu { 4000.0 } else { (most(|job| job.memory_bytes as f64) / 1e6).ceil().max(500.0) };
    let gpu = if uses_gpu { " --gres=gpu:1" } else { "" };
    let mut text = format!("#!/usr/bin/env bash\n{}", header(list, "Slurm"));
    let _ = write!(
        text,
        "# Submit them with `bash FILE`, with more options of sbatch if need be: `bash FILE --partition=long`. To submit what \
         is\n# left later, make the file again, or submit it again: jobs that are done end at once. Jobs of a level do not \
         need one\n# another; a level waits for the one before.\nset -euo \
         pipefail\ncd {}\n\nname={}\nlogs=slurm_logs  # standard output and error of each task\nat_a_time=100     # \
         tasks of a level that run at the same time\n# Of each task; add --partition or --account as your cluster \
         needs. Time and memory are estimates.\noptions=(--time={minutes} --cpus-per-task=1 --mem={megabytes}M{gpu})\n\
         command=({command})\nafter=()\n",
        quoted(folder),
        quoted(&list.experiment),
    );
    text.push_str(FUNCTIONS);
    text.push_str("\nmkdir -p \"$logs\"\n");
    for jobs in list.levels_to_run().values() {
        let jobs: Vec<&str> = jobs.iter().map(|job| job.job.as_str()).collect();
        let _ = writeln!(text, "submit_level {}", jobs.join(" "));
    }
    text.push_str(
        "# The report on what is stored when all tasks have ended, whether they failed or not.\n\
         sbatch --job-name=\"$name-report\" --output=\"$logs/%j.log\" \"${after[@]}\" \"${options[@]}\" \"$0\" report\n",
    );
    text
}
