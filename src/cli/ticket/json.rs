//! The JSON that the commands on tickets print with `--json`.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Serialize;

use crate::artifacts::{
    InferenceTiming, Ticket, TicketCheck, TicketLayer, TicketOrigin, TicketScore, TicketSizes, VerifiedScore,
};

/// The result of `lth ticket show --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct TicketResult {
    /// The file.
    pub(in crate::cli) file: PathBuf,
    /// Size of the file in bytes.
    pub(in crate::cli) bytes: u64,
    /// Whether units without effect were removed.
    pub(in crate::cli) is_compact: bool,
    /// Shape of an image: channels, height, width.
    pub(in crate::cli) input: [usize; 3],
    /// Number of classes.
    pub(in crate::cli) classes: usize,
    /// Number of conv and linear weights that the mask of the file keeps.
    pub(in crate::cli) weights_kept: u64,
    /// Number of conv and linear weights in the file.
    pub(in crate::cli) weights_total: u64,
    /// The layers with weights, in the order of the network.
    pub(in crate::cli) layers: Vec<TicketLayer>,
    /// Loss and accuracy of the trained network on each split.
    pub(in crate::cli) scores: Vec<TicketScore>,
    /// The training run.
    pub(in crate::cli) training: TicketOrigin,
    /// Checks of the file.
    pub(in crate::cli) checks: Vec<TicketCheck>,
}

impl TicketResult {
    /// Returns the description of the ticket in a file.
    pub(in crate::cli) fn new(file: &Path, ticket: &Ticket) -> Self {
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
pub(in crate::cli) struct TicketExportResult {
    /// The files, in the order of the plan.
    pub(in crate::cli) files: Vec<ExportedTicket>,
    /// Exit code of the command.
    pub(in crate::cli) exit_code: u8,
    /// Messages about training runs that were to be trained again for their weights and failed.
    pub(in crate::cli) errors: Vec<String>,
}

/// An exported ticket.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct ExportedTicket {
    /// The file.
    pub(in crate::cli) file: PathBuf,
    /// The arm's name.
    pub(in crate::cli) arm: String,
    /// The replicate, from 1.
    pub(in crate::cli) replicate: u32,
    /// The repeat, from 1.
    pub(in crate::cli) repeat: u32,
    /// The round, from 0.
    pub(in crate::cli) round: u32,
    /// SHA-256 of the file.
    pub(in crate::cli) sha256: String,
}

/// The result of `lth ticket verify --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct TicketVerifyResult {
    /// The file.
    pub(in crate::cli) file: PathBuf,
    /// Whether all scores agree and all checks pass.
    pub(in crate::cli) agrees: bool,
    /// The score on each split.
    pub(in crate::cli) scores: Vec<VerifiedScore>,
    /// Checks of the file.
    pub(in crate::cli) checks: Vec<TicketCheck>,
}

/// The result of `lth ticket compact --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct TicketCompactResult {
    /// The file that was written.
    pub(in crate::cli) file: PathBuf,
    /// The sizes before and after.
    pub(in crate::cli) sizes: TicketSizes,
}

/// The result of `lth ticket bench --json`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct TicketBenchResult {
    /// The file.
    pub(in crate::cli) file: PathBuf,
    /// Name of the processor, of which one thread is used.
    pub(in crate::cli) processor: String,
    /// Version of libtorch.
    pub(in crate::cli) libtorch: &'static str,
    /// Number of measurements of each form and batch.
    pub(in crate::cli) samples: usize,
    /// The timings, by batch and form.
    pub(in crate::cli) timings: Vec<InferenceTiming>,
    /// For each batch, a sentence: whether the kept weights alone are faster than the dense network.
    pub(in crate::cli) conclusions: Vec<String>,
}
