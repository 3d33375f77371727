//! `lth ticket verify`: evaluates a ticket on its data again.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;

use super::super::folders;
use super::file::read_ticket;
use super::json::TicketVerifyResult;
use crate::artifacts::{Ticket, TicketScore, VerifiedScore};
use crate::base::curve::Score;
use crate::config::{DatasetSpec, Experiment};
use crate::data::{self, Dataset, Split};
use crate::engine::{EngineKind, TrainerSpec};
use crate::network::Network;
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
    let (experiment, dataset) = data_of_ticket(&ticket, args.data_dir.as_ref())?;
    let scores = evaluate(&ticket, &experiment, &Arc::new(dataset))?;
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

/// Returns the experiment of a ticket, and its data set.
///
/// # Errors
/// Fails if the data cannot be read, or are not those that the ticket was trained on.
pub(super) fn data_of_ticket(ticket: &Ticket, data_dir: Option<&PathBuf>) -> Result<(Experiment, Dataset)> {
    let mut experiment = ticket.experiment()?;
    if !matches!(experiment.data.dataset, DatasetSpec::Idx { .. } | DatasetSpec::Images { .. }) {
        experiment.data.dir = Some(folders::data_folder(data_dir)?);
    }
    let (info, images) = data::inspect(&experiment.data).map_err(|mistake| anyhow!(mistake.message))?;
    let source = &ticket.info.training.content["data"]["source"];
    ensure!(
        info.identity == *source,
        "the images of `{}` are not those that the ticket was trained on\n\nhint: name the folder of those with `--data-dir`",
        info.name
    );
    let dataset = match images {
        Some(images) => info.split(images, &experiment.data, experiment.seed),
        None => info.load(&experiment.data, experiment.seed),
    };
    let dataset = dataset?;
    check_shape(&dataset, &ticket.network, &info.name)?;
    Ok((experiment, dataset))
}

/// Checks that the images of the data set called `name` are those that a network takes.
fn check_shape(dataset: &Dataset, network: &Network, name: &str) -> Result<()> {
    let text = |[channels, height, width]: [usize; 3]| format!("{channels} × {height} × {width}");
    ensure!(
        dataset.shape == network.input && dataset.classes == network.classes,
        "`{name}` has images of {} in {} classes, and the network of the ticket takes {} in {}",
        text(dataset.shape),
        dataset.classes,
        text(network.input),
        network.classes
    );
    Ok(())
}

/// Returns the scores of a ticket on each split, computed on the CPU by the engine that trained it.
fn evaluate(ticket: &Ticket, experiment: &Experiment, dataset: &Arc<Dataset>) -> Result<Vec<(Split, Score)>> {
    let spec = TrainerSpec::new(ticket.network.clone(), experiment, None);
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
