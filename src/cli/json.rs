//! The JSON that commands print with `--json`, where no other layer has a type for it. `lth generate schema --of NAME`
//! prints the schemas.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifacts::{InProgress, RobustnessData, RoundRow};
use crate::data::DatasetSummary;
use crate::report::{BestRound, RunState, Verdict};
use crate::runner::{Check, RunProgress};
use crate::system::clock::UtcTime;
use crate::system::exit::Exit;

/// The result of `lth run --json`: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct RunResult {
    /// Name of the run: the experiment's name and the first 8 digits of its id.
    pub(super) run: String,
    /// Folder of the run.
    pub(super) folder: PathBuf,
    /// State of the run; `incomplete` also if `left_out` training runs belong to other jobs.
    pub(super) state: RunState,
    /// Exit code of the command.
    pub(super) exit_code: u8,
    /// Time at which the command ended: ISO 8601, UTC.
    pub(super) ended: UtcTime,
    /// Number of training runs of the plan.
    pub(super) trainings: usize,
    /// Number of training runs that reached their last iteration.
    pub(super) done: usize,
    /// Number of training runs that diverged.
    pub(super) diverged: usize,
    /// Number of training runs that failed.
    pub(super) failed: usize,
    /// Number of training runs that are not stored and belong to other jobs (`--job`, `--shard`, `--no-training`).
    pub(super) left_out: usize,
    /// Number of training runs that cannot begin, because one they depend on diverged or failed.
    pub(super) blocked: usize,
    /// The verdicts, a sentence for each arm; empty unless the run is finished.
    pub(super) verdicts: Vec<String>,
    /// Path of the report; `null` if none was written.
    pub(super) report: Option<PathBuf>,
    /// Messages about failures.
    pub(super) errors: Vec<String>,
}

impl RunResult {
    /// Returns the result of a run in the folder `dir`, without verdicts and report. `trainings`: number of training
    /// runs of the plan.
    pub(super) fn new(dir: &Path, state: RunState, exit: Exit, trainings: usize, progress: RunProgress) -> Self {
        Self {
            run: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: dir.to_owned(),
            state,
            exit_code: exit.code(),
            ended: UtcTime::now(),
            trainings,
            done: progress.done,
            diverged: progress.diverged,
            failed: progress.failed,
            left_out: progress.left_out,
            blocked: progress.blocked,
            verdicts: Vec::new(),
            report: None,
            errors: Vec::new(),
        }
    }
}

/// The result of a sweep: the last line of `lth run --json`, after a line for each point that was run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct SweepResult {
    /// Folder of the sweep.
    pub(super) folder: PathBuf,
    /// Exit code of the command.
    pub(super) exit_code: u8,
    /// Number of points.
    pub(super) points: usize,
    /// The points that failed, each by its settings.
    pub(super) failed: Vec<String>,
    /// The point with the best validation accuracy; `null` if no training run reached its last iteration.
    pub(super) best: Option<BestPoint>,
    /// Path of the table of the results of all points: a row for each point, arm and round.
    pub(super) table: PathBuf,
    /// Path of the report.
    pub(super) report: PathBuf,
}

/// The point of a sweep with the best validation accuracy.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct BestPoint {
    /// Its settings, such as `train.lr=0.1`.
    pub(super) point: String,
    /// Its arm and round with the best validation accuracy.
    pub(super) best: BestRound,
}

/// The result of a command that measures the trained networks of a run, with `--json`: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct MeasuringResult {
    /// Name of the run.
    pub(super) run: String,
    /// Folder of the run.
    pub(super) folder: PathBuf,
    /// Exit code of the command.
    pub(super) exit_code: u8,
    /// Time at which the command ended: ISO 8601, UTC.
    pub(super) ended: UtcTime,
    /// Number of training runs that were selected.
    pub(super) selected: usize,
    /// Number of these that have been measured; they are in the CSV files of the command.
    pub(super) measured: usize,
    /// Path of the report.
    pub(super) report: PathBuf,
    /// Messages about failures.
    pub(super) errors: Vec<String>,
}

/// The result of `lth evaluate --json` on files: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TicketEvaluationResult {
    /// The files, in the order of the command.
    pub(super) files: Vec<PathBuf>,
    /// Exit code of the command.
    pub(super) exit_code: u8,
    /// Number of tickets that were evaluated: fewer than files if the command was stopped.
    pub(super) measured: usize,
    /// Path of the report; `null` without `--out`.
    pub(super) report: Option<PathBuf>,
    /// The rows of the CSV files.
    #[serde(flatten)]
    pub(super) data: RobustnessData,
}

/// The result of `lth show --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ShowResult<'a> {
    /// Name of the run.
    pub(super) name: String,
    /// Folder of the run.
    pub(super) folder: &'a Path,
    /// State of the run.
    pub(super) state: RunState,
    /// Number of training runs that reached their last iteration.
    pub(super) done: usize,
    /// Number of training runs of the plan; `null` if the run has no manifest.
    pub(super) trainings: Option<usize>,
    /// The training runs in progress, each by its newest progress snapshot.
    pub(super) in_progress: Vec<InProgress>,
    /// Note on the test images, if test accuracies are not measured on the whole test set; else `null`.
    pub(super) test_note: Option<String>,
    /// The verdicts on the tickets of the run; empty if only some of its rows are shown.
    pub(super) verdicts: &'a [Verdict],
    /// The training runs, with the columns of `rounds.csv`.
    pub(super) rounds: &'a [RoundRow],
}

/// The result of `lth report --json`: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ReportResult {
    /// Path of the page.
    pub(super) report: PathBuf,
    /// Folder of the report.
    pub(super) folder: PathBuf,
    /// Names of the runs in it.
    pub(super) runs: Vec<String>,
    /// Messages about runs that could not be read.
    pub(super) skipped: Vec<String>,
}

/// The result of `lth rm --json`: one line.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(super) struct RmResult {
    /// Whether nothing was deleted, because of `--dry-run`.
    pub(super) dry_run: bool,
    /// Folders of the runs that were deleted, or with `--dry-run` would be; empty if the answer to the question was no.
    pub(super) runs: Vec<PathBuf>,
    /// Size of their files that were deleted, or with `--dry-run` of all their files, in bytes.
    pub(super) bytes: u64,
    /// Files and folders in them that stay, because this program did not write them, or not all of them; empty with
    /// `--dry-run`.
    pub(super) foreign: Vec<PathBuf>,
}

/// The result of `lth clean --json`: one line.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(super) struct CleanResult {
    /// Whether nothing was deleted, because of `--dry-run`.
    pub(super) dry_run: bool,
    /// Number of files that were deleted, or with `--dry-run` would be.
    pub(super) files: u64,
    /// Number of training runs that belonged to no run and whose results were deleted, or with `--dry-run` would be.
    pub(super) training_runs: u64,
    /// Size of all of these, in bytes.
    pub(super) bytes: u64,
    /// Number of files that were kept because a run came to need or use them.
    pub(super) kept: u64,
}

/// The result of `lth verify --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct VerifyResult {
    /// Name of the run.
    pub(super) run: String,
    /// Folder of the run.
    pub(super) folder: PathBuf,
    /// Exit code of the command: 1 if something differs.
    pub(super) exit_code: u8,
    /// Whether something differs.
    pub(super) differs: bool,
    /// The checks, in the order of the table.
    pub(super) checks: Vec<Check>,
}

/// The result of `lth init --json`: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct InitResult {
    /// Path of the configuration.
    pub(super) config: PathBuf,
    /// Path of its JSON Schema, which editors read.
    pub(super) schema: PathBuf,
}

/// The result of `lth data show --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct DataShowResult<'a> {
    /// The summary of the data set.
    #[serde(flatten)]
    pub(super) summary: &'a DatasetSummary,
    /// Path of the picture with examples of each class.
    pub(super) sheet: String,
}
