//! A script that submits the jobs to Slurm. The number of workers is left to `run.workers = "auto"`, which goes by the
//! option `--cpus-per-task`.

use std::fmt::Write as _;

use super::{Contents, header};
use crate::runner::JobRow;

/// Minutes of a job beside twice its estimated time. The signal before the time limit comes up to 3 minutes before it, so
/// a job needs more.
const SPARE_MINUTES: f64 = 10.0;
/// Megabytes of a process whose job works on a GPU, and the least of any.
const GPU_PROCESS_MEGABYTES: f64 = 4000.0;
const LEAST_MEGABYTES: f64 = 500.0;

/// The part of the script that does not depend on the jobs, up to the part that submits them. Tried with Slurm 22.05.
const FUNCTIONS: &str = r#"
# Submits the $2 jobs from number $1 on, which do not need one another: as arrays of at most 1,000 tasks (Slurm's usual
# MaxArraySize is 1,001). They start when those of the level before have ended, even if some failed: a job trains what it
# needs and does not find in the store.
level() {
  local first=$1 left=$2 ids='' id size
  while ((left > 0)); do
    size=$((left < 1000 ? left : 1000))
    id=$(sbatch --parsable "${options[@]}" "${after[@]}" --array=0-$((size - 1))%$at_a_time \
      --output=logs/%A_%a.log "$0" job "$first") || exit
    id=${id%;*}    # Slurm adds the name of the cluster if there are several
    echo "array $id: $size jobs"
    ids+=:$id
    first=$((first + size)) left=$((left - size))
  done
  after=(--dependency="afterany$ids")
}

case ${1:-} in
  job)       # in a task of an array
    command+=(--job "${jobs[$2 + SLURM_ARRAY_TASK_ID]}")
    task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID    # SLURM_JOB_ID of the last task stands for the whole array
    ;;
  report)    # in the last job: the tables and the report, from what is stored
    command+=(--no-training)
    task=$SLURM_JOB_ID
    ;;
  *)         # where the jobs are submitted from
    options=("$@") after=()
    mkdir -p logs
"#;

/// The end of the script.
const END: &str = r#"    id=$(sbatch --parsable "${options[@]}" "${after[@]}" "${report_options[@]}" \
      --output=logs/%j_report.log "$0" report) || exit
    echo "job ${id%;*}: the report"
    exit
    ;;
esac

# USR2 comes before the time limit: lth saves its progress and exits with 75, and the job is queued again. TERM comes with
# scancel, preemption and `scontrol requeue`; Slurm decides what follows.
trap 'signal=yes last=USR2; kill -USR2 "$pid"' USR2
trap 'signal=yes last=TERM; kill -TERM "$pid"' TERM
last=''
"${command[@]}" &
pid=$!
while signal=''; wait "$pid"; code=$?; [[ $signal ]]; do :; done    # a signal ends a wait
if [[ $code == 75 && $last == USR2 ]]; then
  echo "stopped before the time limit; queued again as $task"
  scontrol requeue "$task"
fi
exit $code
"#;

/// Returns the script.
pub(super) fn text(contents: &Contents<'_>) -> String {
    let list = contents.list;
    let most = |value: fn(&JobRow) -> f64| list.to_run().map(value).fold(0.0, f64::max);
    let minutes = (2.0 * most(|job| job.seconds) / 60.0 + SPARE_MINUTES).ceil();
    let uses_gpu = list.to_run().any(|job| job.gpus > 0);
    // The estimate of a job on a GPU is the memory of the GPU.
    let megabytes = if uses_gpu { GPU_PROCESS_MEGABYTES } else { (most(|job| job.memory_bytes as f64) / 1e6).ceil() };
    let gpu = if uses_gpu { "#SBATCH --gres=gpu:1\n" } else { "" };
    let mut text = format!("#!/bin/bash\n{}", header(contents, "Slurm"));
    let _ = write!(
        text,
        "# Submit the jobs in the folder in which `lth plan` was started. Options go to sbatch:\n#   bash jobs.sh \
         --partition=NAME --time=04:00:00\n# The time limit must be above 3 minutes: before it a job saves its progress, and \
         queues itself again. If jobs failed, submit\n# the file again: nothing that is stored is trained again. Time and \
         memory are estimates.\n#SBATCH --job-name={}\n#SBATCH --time={minutes}\n#SBATCH --mem={}M\n#SBATCH \
         --cpus-per-task=1\n{gpu}#SBATCH --signal=B:USR2@120\n#SBATCH --requeue\n#SBATCH --open-mode=append\n\ncommand=({})\n\
         at_a_time=100    # tasks of an array that run at the same time\nreport_options=({})    # options of sbatch for \
         the report alone\n\n# The jobs, as `lth run --job` takes them; a line \
         for each level\njobs=(\n",
        list.experiment,
        megabytes.max(LEAST_MEGABYTES),
        contents.command_line(),
        if uses_gpu { "--gres=none" } else { "" },
    );
    let levels = list.levels_to_run();
    for jobs in levels.values() {
        let _ = writeln!(text, "  {}", jobs.join(" "));
    }
    text.push_str(")\n");
    text.push_str(FUNCTIONS);
    let mut first = 0;
    for jobs in levels.values() {
        let _ = writeln!(text, "    level {first} {}", jobs.len());
        first += jobs.len();
    }
    text + END
}
