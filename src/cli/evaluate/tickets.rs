//! `lth evaluate FILE…`: measures tickets in files, prints the table, and writes a report on request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::folders;
use super::super::json::TicketEvaluationResult;
use super::super::measured_run::MeasureArgs;
use super::super::report::{check_folder, write_files};
use super::super::stop_notice::with_stop_notice;
use super::super::ticket::{TicketData, gpu_of, read_ticket_with_checksum};
use super::evaluations_note;
use super::options::EvaluationOptions;
use crate::artifacts::{RobustnessData, TestImageCounts, Ticket, first_seen};
use crate::config::{DataConfig, Experiment, UsageError};
use crate::data::{Dataset, Split};
use crate::engine::torch::{TorchProbe, friendly_torch_error};
use crate::engine::{Probe, TrainerSpec};
use crate::report::{ForeignArm, TicketFile, ticket_robustness_files};
use crate::runner::{EvaluatedTicket, TicketEvaluation};
use crate::system::cancel::CancelToken;
use crate::system::exit::Exit;
use crate::system::paths::{ReportDir, RunDir};
use crate::system::{machine, user_path};
use crate::ui;

/// Evaluates the tickets in files, and returns the exit code.
///
/// # Errors
/// Fails if a ticket or its data cannot be read, or a ticket has not the accuracy that is in its file. Returns a
/// [`UsageError`] if two tickets are of one training run, or have other test images.
pub(super) fn run(
    paths: &[PathBuf],
    args: &MeasureArgs,
    options: &EvaluationOptions,
    out: Option<&PathBuf>,
) -> Result<Exit> {
    // First of all, so that no signal ends the process in another way.
    let cancel = CancelToken::on_signals().context("could not listen for signals")?;
    if let Some(folder) = out {
        check_out(folder)?;
    }
    let tickets = Tickets::load(paths, args.data_dir.as_ref())?;
    let first = &tickets.evaluated[0];
    let definition = options.definition(first.ticket.network.input[0]);
    let sink = args.output.sink()?;
    if args.output.shows_progress() {
        ui::eprint_line(&evaluations_note(&definition, paths.len(), first.dataset.indices(Split::Test).len()));
    }
    let probe = |ticket: &EvaluatedTicket| -> Result<Box<dyn Probe>> {
        Ok(Box::new(TorchProbe::new(spec(ticket)?, Arc::clone(&ticket.dataset))))
    };
    let evaluation = TicketEvaluation {
        tickets: &tickets.evaluated,
        definition: &definition,
        probe: &probe,
        sink: &sink,
        cancel: &cancel,
    };
    let default_workers = if spec(first)?.gpu.is_some() { 1 } else { machine::cores() };
    let workers = args.workers.map_or(default_workers, usize::from);
    let data = with_stop_notice(&cancel, &sink, || evaluation.data(workers));
    let data = data.map_err(|error| match spec(first) {
        Ok(spec) => friendly_torch_error(error, &spec, 1),
        Err(_) => error,
    })?;

    let written = out.map(|folder| tickets.write_report(folder, &data));
    // Even if the report cannot be written, the results are printed.
    let (report, failure) = match written.transpose() {
        Ok(report) => (report, None),
        Err(error) => (None, Some(error)),
    };
    let measured = data.calibration.len();
    let exit = cancel.exit_code().filter(|_| measured < paths.len());
    let result = TicketEvaluationResult {
        files: paths.to_vec(),
        exit_code: exit.unwrap_or(Exit::Success).code(),
        measured,
        report,
        data,
    };
    args.output.print(&result, || {
        let note = tickets.test.note().map_or_else(String::new, |note| note + "\n");
        let report = result.report.as_ref().map_or_else(String::new, |path| format!("report in {}\n", path.display()));
        ui::robustness(&result.data) + &note + &report
    })?;
    if exit.is_some() {
        ui::eprint_line(&format!("interrupted: {measured} of {} tickets were evaluated", paths.len()));
    }
    sink.check()?;
    failure.map_or(Ok(exit.unwrap_or(Exit::Success)), Err)
}

/// Checks that a report can be written into a folder.
///
/// # Errors
/// Returns a [`UsageError`] if it cannot, or if the folder holds another report.
fn check_out(folder: &Path) -> Result<()> {
    user_path::check_symlinks(folder).map_err(|error| folders::usage_error(&error))?;
    let names =
        [ReportDir::INDEX, ReportDir::MARKDOWN, RunDir::ROBUSTNESS, RunDir::CALIBRATION, RunDir::CLASS_ACCURACY];
    let owned = check_folder(&ReportDir(folder.to_owned()), names.into_iter())?;
    if owned.lacks(RunDir::ROBUSTNESS) {
        let text =
            format!("error: `{}` holds another report\n\nhint: name another folder with `--out`", folder.display());
        return Err(UsageError::from_text(&text).into());
    }
    Ok(())
}

/// Returns the specification of a ticket's network on the device that evaluates it.
fn spec(ticket: &EvaluatedTicket) -> Result<TrainerSpec> {
    let experiment = ticket.ticket.experiment()?;
    Ok(TrainerSpec::new(ticket.ticket.network.clone(), &experiment, gpu_of(&experiment)))
}

/// Tickets in files, with the same test images.
struct Tickets {
    evaluated: Vec<EvaluatedTicket>,
    /// The file of each ticket.
    files: Vec<TicketFile>,
    /// For each ticket, what the name of its arm begins with in rows, and its experiment.
    experiments: Vec<(String, Experiment)>,
    test: TestImageCounts,
}

impl Tickets {
    /// Reads tickets and their data. Those of a run are sorted by arm and round, as in the run.
    fn load(paths: &[PathBuf], data_dir: Option<&PathBuf>) -> Result<Self> {
        let mut read = read_tickets(paths)?;
        let runs = first_seen(read.iter().map(|(ticket, _, _)| ticket.info.training.run.clone()));
        read.sort_by_key(|(ticket, _, experiment)| {
            let origin = &ticket.info.training;
            let arm = experiment.arms.0.iter().position(|(name, _)| *name == origin.arm);
            (runs.iter().position(|run| *run == origin.run), arm, origin.round, origin.replicate, origin.repeat)
        });
        let mut loaded: Vec<(DataConfig, u64, TicketData)> = Vec::new();
        let mut tickets: Vec<EvaluatedTicket> = Vec::new();
        let (mut ticket_files, mut experiments) = (Vec::new(), Vec::new());
        for (ticket, file, experiment) in read {
            let (config, seed) = (&experiment.data, experiment.seed);
            let index = loaded.iter().position(|(other, other_seed, _)| (other, *other_seed) == (config, seed));
            if index.is_none() {
                let data = TicketData::load(&ticket, data_dir)
                    .with_context(|| format!("could not evaluate `{}`", file.path))?;
                loaded.push((config.clone(), seed, data));
            }
            let dataset = &loaded[index.unwrap_or(loaded.len() - 1)].2.dataset;
            if let Some(first) = tickets.first().filter(|first| !have_same_test_images(&first.dataset, dataset)) {
                let text = format!(
                    "error: the test images of `{}` are not those of `{}`, so that the two cannot be compared\n\nhint: \
                     evaluate them one by one",
                    file.path, first.name
                );
                return Err(UsageError::from_text(&text).into());
            }
            let prefix = if runs.len() == 1 { String::new() } else { format!("{}/", ticket.info.training.run) };
            tickets.push(EvaluatedTicket {
                name: file.path.clone(),
                arm: format!("{prefix}{}", ticket.info.training.arm),
                dataset: Arc::clone(dataset),
                ticket,
            });
            experiments.push((prefix, experiment));
            ticket_files.push(file);
        }
        let (_, _, TicketData { test, .. }) = loaded.first().context("no tickets")?;
        Ok(Self { evaluated: tickets, test: *test, files: ticket_files, experiments })
    }

    /// Writes a report and the CSV files of `data`, and returns the path of its page.
    fn write_report(&self, folder: &Path, data: &RobustnessData) -> Result<PathBuf> {
        let arms = self.evaluated.iter().zip(&self.experiments).map(|(ticket, (prefix, experiment))| ForeignArm {
            prefix,
            arm: &ticket.ticket.info.training.arm,
            experiment,
        });
        let note = self.test.note().unwrap_or_default();
        let mut contents = ticket_robustness_files(data, &arms.collect::<Vec<_>>(), &self.files, &note)?;
        contents.extend(data.files()?.map(|(name, bytes)| (name.to_owned(), bytes)));
        write_files(&ReportDir(folder.to_owned()), &contents)
    }
}

/// Reads tickets, each with its experiment.
fn read_tickets(paths: &[PathBuf]) -> Result<Vec<(Ticket, TicketFile, Experiment)>> {
    let mut tickets: Vec<(Ticket, TicketFile, Experiment)> = Vec::new();
    for path in paths {
        let (ticket, sha256) = read_ticket_with_checksum(path)?;
        let key = ticket.info.training.key.to_string();
        if let Some((_, other, _)) = tickets.iter().find(|(_, other, _)| other.key == key) {
            let text = format!(
                "error: `{}` and `{}` are of the same training run\n\nhint: name one of them",
                other.path,
                path.display()
            );
            return Err(UsageError::from_text(&text).into());
        }
        let file = TicketFile { path: path.display().to_string(), sha256, key };
        let experiment = ticket.experiment()?;
        tickets.push((ticket, file, experiment));
    }
    Ok(tickets)
}

/// Returns whether two data sets have the same test images with the same labels, in the same order.
fn have_same_test_images(left: &Arc<Dataset>, right: &Arc<Dataset>) -> bool {
    let images = |dataset: &'_ Dataset| dataset.indices(Split::Test).to_vec();
    let (left_images, right_images) = (images(left), images(right));
    Arc::ptr_eq(left, right)
        || (left.shape == right.shape && left.classes == right.classes && left_images.len() == right_images.len())
            && left_images
                .into_iter()
                .zip(right_images)
                .all(|(a, b)| left.image(a) == right.image(b) && left.labels[a as usize] == right.labels[b as usize])
}
