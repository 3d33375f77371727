//! The library in a dozen lines: plan an experiment, run it, and read masks and weights of a run.

use std::path::Path;

use anyhow::Context;

use crate::artifacts::RoundRow;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::outcome::OutcomeKind;
use crate::base::tensors::TensorMap;
use crate::cli::{EngineTrainerFactory, Execution, LoadedExperiment, write_run_report};
use crate::config::{self, ConfigDocument, UsageError};
use crate::lottery::{ArtifactSource, DENSE, Plan, Study};
use crate::report::{Run, RunAnalysis};
use crate::runner::{EventSink, Selection, Store};
use crate::system::cancel::CancelToken;
use crate::system::env;
use crate::system::paths::{RunDir, RunsDir};

/// The error of every function of the library's façade.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration has mistakes. The text has each with its place and a hint.
    #[error(transparent)]
    Config(#[from] UsageError),
    /// A file cannot be read or written, or a run cannot be started. The text has the cause.
    #[error(transparent)]
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<UsageError>() {
            Ok(mistakes) => Self::Config(mistakes),
            Err(other) => Self::Failed(other),
        }
    }
}

/// An experiment that has been read, resolved and planned; nothing is trained yet.
pub struct PlannedExperiment {
    loaded: LoadedExperiment,
}

/// Reads an experiment from the text of a TOML or JSON file, applies the overrides `sets` (`key.path=value`, in order),
/// looks up its data set and its device, and builds its plan.
///
/// A text that begins with `{` is JSON. Relative folders of own data are looked for in the current folder.
///
/// ```
/// let text = r#"
///     name = "tiny"
///     rounds = 2
///     data = { dataset = "strokes", train_images = 600, test_images = 100, validation = 100 }
///     network.architecture = { mlp = { hidden = [16] } }
///     train = { iterations = 40, batch_size = 20, optimizer = "adam", lr = 2e-3 }
///     arms.winning_ticket = { mask = "iterative", weights = "rewind" }
/// "#;
/// let experiment = lth::open(text, &["replicates=3"])?;
/// // The dense network and two rounds of the ticket, for each replicate.
/// assert_eq!(experiment.plan().trainings.len(), 9);
///
/// let mistakes = lth::open(text, &["train.learning_rate=0.1"]).err().unwrap();
/// assert!(mistakes.to_string().contains("did you mean"));
/// # Ok::<(), lth::Error>(())
/// ```
///
/// # Errors
/// Fails with [`Error::Config`] if the experiment has mistakes; the text has all of them.
pub fn open(text: &str, sets: &[&str]) -> Result<PlannedExperiment, Error> {
    let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
    let name = if text.trim_start().starts_with('{') { "experiment.json" } else { "experiment.toml" };
    let document = ConfigDocument::parse(name, text, &sets).map_err(|text| UsageError::from_text(&text))?;
    let experiment = config::read(&document)?;
    Ok(PlannedExperiment { loaded: LoadedExperiment::resolve(document, experiment)? })
}

impl PlannedExperiment {
    /// Returns the experiment, resolved and planned: its network, data set, device, arms and training runs.
    pub fn study(&self) -> &Study {
        &self.loaded.study
    }

    /// Returns the training runs of the experiment, each after those it depends on.
    pub fn plan(&self) -> &Plan {
        &self.loaded.study.plan
    }

    /// Runs the experiment in the folder `runs`, as `lth run` does: trains what the store lacks, and writes the files of
    /// the run. Returns the run. `sink` receives events on the threads that train; a closure will do.
    ///
    /// Training runs that diverge or fail are no error: [`RoundRow::outcome`] has the outcome of each.
    ///
    /// ```no_run
    /// # let text = "";
    /// let run = lth::open(text, &["rounds=3"])?.run("runs", &|event: &lth::Event<'_>| {
    ///     if let lth::Event::Ended { id, ended, trainings, .. } = event {
    ///         eprintln!("[{ended}/{trainings}] {id}");
    ///     }
    /// })?;
    /// for row in run.rows().iter().filter(|row| row.arm == "winning_ticket") {
    ///     println!("round {}: {:?}", row.round, row.early_stop_test_accuracy);
    /// }
    /// # Ok::<(), lth::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails, and writes nothing, if the data are needed and cannot be loaded. Fails if a file cannot be read or written,
    /// or the device cannot be used.
    pub fn run(self, runs: impl AsRef<Path>, sink: &dyn EventSink) -> Result<RunReader, Error> {
        self.run_until(runs, sink, &CancelToken::default())
    }

    /// Like [`run`](Self::run), but stops before the next step once `cancel` is raised, for example by a signal (see
    /// [`CancelToken::on_signals`]). The same call later continues the run.
    ///
    /// # Errors
    /// Fails like [`run`](Self::run).
    pub fn run_until(
        self,
        runs: impl AsRef<Path>,
        sink: &dyn EventSink,
        cancel: &CancelToken,
    ) -> Result<RunReader, Error> {
        let LoadedExperiment { document, study, images } = self.loaded;
        let runs = RunsDir(runs.as_ref().to_owned());
        let run_dir = runs.run_dir(&study.experiment.name, &study.plan.id());
        let execution = Execution {
            document: &document,
            study: &study,
            runs: &runs,
            run_dir: &run_dir,
            trainers: &EngineTrainerFactory::new(&study, images),
            sink,
            cancel,
            selection: &Selection::Whole,
            command: &env::command(),
        };
        let _running = execution.register()?;
        let outcome = execution.run()?;
        outcome.stop_error.map_or(Ok(()), Err)?;
        open_run(&run_dir.0)
    }
}

/// A run on disk, finished or not: its rows, and the masks and weights of its training runs.
#[derive(Clone, Debug)]
pub struct RunReader {
    run: Run,
    store: Store,
}

/// Opens the run in `folder`, such as `runs/quickstart-1a2b3c4d`. The store is looked for beside the folder, in
/// `../store`.
///
/// A winning ticket is a mask, and the initial weights under it:
///
/// ```no_run
/// let run = lth::open_run("runs/quickstart-1a2b3c4d")?;
/// let row = run.rows().iter().find(|row| row.arm == "winning_ticket" && row.round == 4).expect("round 4");
/// let mask = run.mask(row)?;
/// let ticket = run.ticket(row)?;
/// for (layer, tensor) in mask.0.iter().zip(ticket.0.iter().filter(|tensor| tensor.name.ends_with(".weight"))) {
///     println!("{} {:?}: {} of {} weights", layer.name, tensor.shape, layer.kept_count(), layer.kept.len());
/// }
/// # Ok::<(), lth::Error>(())
/// ```
///
/// # Errors
/// Fails if the folder is not that of a run, or a file in it is damaged.
pub fn open_run(folder: impl AsRef<Path>) -> Result<RunReader, Error> {
    let folder = folder.as_ref();
    let absolute = folder.canonicalize().with_context(|| format!("could not open the run `{}`", folder.display()))?;
    let runs = RunsDir(absolute.parent().unwrap_or(&absolute).to_owned());
    Ok(RunReader { run: Run::open(RunDir(absolute))?, store: Store { runs } })
}

impl RunReader {
    /// Returns the files of the run: its folder, its manifest, its state.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Returns the rows of `rounds.csv`: one for each training run that has ended, in the order of the plan.
    pub fn rows(&self) -> &[RoundRow] {
        &self.run.rounds
    }

    /// Returns the mask of a training run.
    ///
    /// # Errors
    /// Fails if the store lacks the training run, or its file is damaged.
    pub fn mask(&self, row: &RoundRow) -> Result<Mask, Error> {
        Ok(self.store.mask(&key(row)?)?)
    }

    /// Returns the initial weights θ₀ of the dense network of the row's replicate.
    ///
    /// # Errors
    /// Fails if the dense network of the replicate has not been trained yet, or its file is missing or damaged.
    pub fn initial_weights(&self, row: &RoundRow) -> Result<TensorMap, Error> {
        let is_dense = |other: &&RoundRow| {
            other.arm == DENSE && other.replicate == row.replicate && other.outcome.is(OutcomeKind::Done)
        };
        let dense = self.rows().iter().find(is_dense);
        let dense = dense.with_context(|| format!("replicate {} has no dense network yet", row.replicate))?;
        Ok(self.store.initial_weights(&key(dense)?)?)
    }

    /// Returns the ticket of a training run: θ₀ of its replicate, with the weights that its mask prunes set to 0. A
    /// training run with `weights = "rewind"` and without `rewind_to` starts from these weights.
    ///
    /// # Errors
    /// Fails if the mask or the initial weights cannot be read.
    pub fn ticket(&self, row: &RoundRow) -> Result<TensorMap, Error> {
        let mut weights = self.initial_weights(row)?;
        self.mask(row)?.apply(&mut weights);
        Ok(weights)
    }

    /// Returns the final weights of a training run, and the running statistics of its batch norms. The store keeps those
    /// of the dense networks and of the last rounds; `run.keep` keeps more.
    ///
    /// # Errors
    /// Fails if the weights are not kept, or their file is damaged.
    pub fn final_weights(&self, row: &RoundRow) -> Result<TensorMap, Error> {
        Ok(self.store.final_weights(&key(row)?)?)
    }

    /// Analyses the run as the report does: verdicts, claims of the paper, figures.
    ///
    /// # Errors
    /// Fails if a file of the run is damaged.
    pub fn analysis(&self) -> Result<RunAnalysis, Error> {
        Ok(RunAnalysis::of(self.run.clone())?)
    }

    /// Writes the report into the folder of the run, as `lth report` does, and returns the path of its page.
    ///
    /// # Errors
    /// Fails if a file of the run is damaged, or a file of the report cannot be written.
    pub fn write_report(&self) -> Result<std::path::PathBuf, Error> {
        Ok(write_run_report(&self.analysis()?)?)
    }
}

/// Returns the key in a row of `rounds.csv`.
fn key(row: &RoundRow) -> anyhow::Result<ContentHash> {
    row.key.parse().with_context(|| format!("`{}` is not the key of a training run", row.key))
}
