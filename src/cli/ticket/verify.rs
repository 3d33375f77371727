//! `lth ticket verify`: evaluates a ticket on its data again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use clap::Args;

use super::super::folders;
use super::data::{TicketData, gpu_of};
use super::file::read_ticket;
use super::json::TicketVerifyResult;
use crate::artifacts::{Ticket, TicketScore, VerifiedScore};
use crate::base::curve::Score;
use crate::config::Experiment;
use crate::data::{Dataset, Split};
use crate::engine::{EngineKind, TrainerSpec};
use crate::system::exit::Exit;
use crate::ui;

#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The file of the ticket.
    #[arg(value_parser = folders::path_parser())]
    file: PathBuf,
    /// Folder of the built-in data sets [default: `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs `lth ticket verify` and returns its exit code.
///
/// # Errors
/// Fails if the ticket or its data cannot be read, if the data are not those of the training run, or if standard output
/// cannot be written.
pub(super) fn run(args: &VerifyArgs) -> Result<Exit> {
    let ticket = read_ticket(&args.file)?;
    let experiment = ticket.experiment()?;
    let scores = evaluate(&ticket, &experiment, &TicketData::load(&ticket, args.data_dir.as_ref())?.dataset)?;
    let scores: Vec<VerifiedScore> = scores.into_iter().map(|(split, found)| compared(&ticket, split, found)).collect();
    let checks = ticket.checks();
    let agrees = scores.iter().all(|score| score.agrees) && checks.iter().all(|check| check.passed);
    let result = TicketVerifyResult { file: args.file.clone(), agrees, scores, checks };
    let text = if args.json {
        serde_json::to_string_pretty(&result)? + "\n"
    } else {
        ui::ticket_verification(&result.scores, &result.checks)
    };
    ui::print_result(&text)?;
    Ok(if agrees { Exit::Success } else { Exit::Failure })
}

/// Returns the scores of a ticket on each split, computed by the engine that trained it where it runs here.
fn evaluate(ticket: &Ticket, experiment: &Experiment, dataset: &Arc<Dataset>) -> Result<Vec<(Split, Score)>> {
    let spec = TrainerSpec::new(ticket.network.clone(), experiment, gpu_of(experiment));
    let engine = EngineKind::ALL.into_iter().find(|kind| kind.as_str() == ticket.info.training.engine);
    let engine = engine.with_context(|| format!("there is no engine `{}`", ticket.info.training.engine))?;
    let engine = if engine.engine().supports(&spec, 1).is_ok() { engine } else { EngineKind::Dense };
    let mut trainer = engine.engine().build(&spec, dataset, 1)?;
    trainer.load(0, &ticket.trained_state(), &ticket.mask)?;
    Split::ALL.into_iter().map(|split| Ok((split, trainer.evaluate(split)?[0]))).collect()
}

/// Compares a score with that in the file.
fn compared(ticket: &Ticket, split: Split, found: Score) -> VerifiedScore {
    let recorded = TicketScore::of_final(&ticket.info.scores, split);
    let recorded_score = recorded.map(|recorded| Score { loss: recorded.loss, accuracy: recorded.accuracy });
    VerifiedScore {
        split: split.as_str(),
        images: recorded.map_or(0, |recorded| recorded.images),
        recorded_accuracy: recorded_score.map(|score| score.accuracy),
        accuracy: found.accuracy,
        recorded_loss: recorded_score.map(|score| score.loss),
        loss: found.loss,
        agrees: recorded_score.is_some_and(|recorded| found.is_close_to(recorded)),
    }
}
