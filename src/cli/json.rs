//! The JSON that commands print with `--json`, where no other layer has a type for it. `lth generate schema --of NAME`
//! prints the schemas.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifacts::{
    InProgress, InferenceTiming, RoundRow, Ticket, TicketCheck, TicketLayer, TicketOrigin, TicketScore, TicketSizes,
    VerifiedScore,
};
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

/// The result of `lth ticket show --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TicketResult {
    /// The file.
    pub(super) file: PathBuf,
    /// Size of the file in bytes.
    pub(super) bytes: u64,
    /// Whether units without effect were removed.
    pub(super) is_compact: bool,
    /// Shape of an image: channels, height, width.
    pub(super) input: [usize; 3],
    /// Number of classes.
    pub(super) classes: usize,
    /// Number of conv and linear weights that the mask of the file keeps.
    pub(super) weights_kept: u64,
    /// Number of conv and linear weights in the file.
    pub(super) weights_total: u64,
    /// The layers with weights, in the order of the network.
    pub(super) layers: Vec<TicketLayer>,
    /// Loss and accuracy of the trained network on each split.
    pub(super) scores: Vec<TicketScore>,
    /// The training run.
    pub(super) training: TicketOrigin,
    /// Checks of the file.
    pub(super) checks: Vec<TicketCheck>,
}

impl TicketResult {
    /// Returns the description of the ticket in a file.
    pub(super) fn new(file: &Path, ticket: &Ticket) -> Self {
        Self {
            file: file.to_owned(),
            bytes: file.metadata().map_or(0, |metadata| metadata.len()),
            is_compact: ticket.info.is_compact,
            input: ticket.network.input,
            classes: ticket.network.classes,
            weights_kept: ticket.mask.kept_total(),
            weights_total: ticket.mask.total(),
            layers: ticket.layers(),
            scores: ticket.info.scores.clone(),
            training: ticket.info.training.clone(),
            checks: ticket.checks(),
        }
    }
}

/// The result of `lth ticket export --json`: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TicketExportResult {
    /// The files, in the order of the plan.
    pub(super) files: Vec<ExportedTicket>,
    /// Exit code of the command.
    pub(super) exit_code: u8,
    /// Messages about training runs that were to be trained again for their weights and failed.
    pub(super) errors: Vec<String>,
}

/// An exported ticket.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct ExportedTicket {
    /// The file.
    pub(super) file: PathBuf,
    /// The arm's name.
    pub(super) arm: String,
    /// The replicate, from 1.
    pub(super) replicate: u32,
    /// The repeat, from 1.
    pub(super) repeat: u32,
    /// The round, from 0.
    pub(super) round: u32,
    /// SHA-256 of the file.
    pub(super) sha256: String,
}

/// The result of `lth ticket verify --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TicketVerifyResult {
    /// The file.
    pub(super) file: PathBuf,
    /// Whether all scores agree and all checks pass.
    pub(super) agrees: bool,
    /// The score on each split.
    pub(super) scores: Vec<VerifiedScore>,
    /// Checks of the file.
    pub(super) checks: Vec<TicketCheck>,
}

/// The result of `lth ticket compact --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TicketCompactResult {
    /// The file that was written.
    pub(super) file: PathBuf,
    /// The sizes before and after.
    pub(super) sizes: TicketSizes,
}

/// The result of `lth ticket bench --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct TicketBenchResult {
    /// The file.
    pub(super) file: PathBuf,
    /// Name of the processor, of which one thread is used.
    pub(super) processor: String,
    /// Version of libtorch.
    pub(super) libtorch: &'static str,
    /// Number of measurements of each form and batch.
    pub(super) samples: usize,
    /// The timings, by batch and form.
    pub(super) timings: Vec<InferenceTiming>,
    /// For each batch, a sentence: whether the kept weights alone are faster than the dense network.
    pub(super) conclusions: Vec<String>,
}

/// The result of `lth stability --json`: one line.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct StabilityResult {
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
    /// Number of these whose networks on the line to the copy have been measured; they are in `stability.csv`.
    pub(super) measured: usize,
    /// Path of the report.
    pub(super) report: PathBuf,
    /// Messages about failures.
    pub(super) errors: Vec<String>,
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
