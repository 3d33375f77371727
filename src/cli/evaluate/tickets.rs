//! `lth evaluate FILE…`: measures tickets in files, prints the table, and writes a report on request.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};

use super::super::folders;
use super::super::json::TicketEvaluationResult;
use super::super::measured_run::MeasureArgs;
use super::super::report::write_files;
use super::super::stop_notice::with_stop_notice;
use super::super::ticket::{TicketData, gpu_of, read_ticket};
use super::evaluations_note;
use super::options::EvaluationOptions;
use crate::artifacts::{RobustnessData, TestImages, Ticket};
use crate::base::key::sha256;
use crate::config::{Experiment, UsageError};
use crate::data::{Dataset, Split};
use crate::engine::torch::{TorchProbe, friendly_torch_error};
use crate::engine::{Probe, TrainerSpec};
use crate::report::{ForeignArm, TicketFile, ticket_robustness_files};
use crate::runner::{EvaluatedTicket, TicketEvaluation};
use crate::system::cancel::CancelToken;
use crate::system::exit::Exit;
use crate::system::paths::ReportDir;
use crate::system::{files, machine, user_path};
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
        user_path::check_symlinks(folder).map_err(|error| folders::usage_error(&error))?;
    }
    let tickets = Tickets::load(paths, args.data_dir.as_ref())?;
    let first = &tickets.evaluated[0];
    let definition = options.definition(first.ticket.network.input[0]);
    let sink = args.output.sink()?;
    if args.output.shows_progress() {
        ui::eprint_line(&evaluations_note(&definition, paths.len()));
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

    let report = out.map(|folder| tickets.write_report(folder, &data)).transpose()?;
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
    Ok(exit.unwrap_or(Exit::Success))
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
    /// The arm of each ticket: what its name begins with in rows, and its experiment.
    experiments: Vec<(String, Experiment)>,
    test: TestImages,
}

impl Tickets {
    /// Reads tickets and their data.
    fn load(paths: &[PathBuf], data_dir: Option<&PathBuf>) -> Result<Self> {
        let mut tickets: Vec<Ticket> = Vec::new();
        let mut ticket_files: Vec<TicketFile> = Vec::new();
        for path in paths {
            let ticket = read_ticket(path)?;
            let file = TicketFile {
                path: path.display().to_string(),
                sha256: sha256(&files::read(path)?),
                key: ticket.info.training.key.to_string(),
            };
            if let Some(other) = ticket_files.iter().find(|other| other.key == file.key) {
                let text = format!("error: `{}` and `{}` are of the same training run", other.path, file.path);
                return Err(UsageError::from_text(&format!("{text}\n\nhint: name one of them")).into());
            }
            ticket_files.push(file);
            tickets.push(ticket);
        }
        let runs: Vec<String> = tickets.iter().map(|ticket| ticket.info.training.run.clone()).collect();
        let is_one_run = runs.iter().all(|run| *run == runs[0]);
        let mut loaded: Vec<(Experiment, TicketData)> = Vec::new();
        let mut evaluated: Vec<EvaluatedTicket> = Vec::new();
        let mut experiments = Vec::new();
        for ((ticket, file), run) in tickets.into_iter().zip(&ticket_files).zip(runs) {
            let experiment = ticket.experiment()?;
            let has_same_data = |(other, _): &&(Experiment, TicketData)| {
                (&other.data, other.seed) == (&experiment.data, experiment.seed)
            };
            if !loaded.iter().any(|other| has_same_data(&other)) {
                loaded.push((experiment.clone(), TicketData::load(&ticket, data_dir).context(file.path.clone())?));
            }
            let data = &loaded.iter().find(has_same_data).context("data that were loaded")?.1;
            if let Some(first) = evaluated.first().filter(|first| !have_same_test_images(&first.dataset, &data.dataset))
            {
                let text = format!(
                    "error: `{}` and `{}` were trained on data with other test images, which cannot be compared",
                    first.name, file.path
                );
                return Err(UsageError::from_text(&format!("{text}\n\nhint: evaluate them one by one")).into());
            }
            let prefix = if is_one_run { String::new() } else { run + "/" };
            evaluated.push(EvaluatedTicket {
                name: file.path.clone(),
                arm: format!("{prefix}{}", ticket.info.training.arm),
                dataset: Arc::clone(&data.dataset),
                ticket,
            });
            experiments.push((prefix, experiment));
        }
        let test = loaded.first().context("a ticket")?.1.test;
        Ok(Self { evaluated, files: ticket_files, experiments, test })
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
