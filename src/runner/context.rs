//! The shared, read-only context of a run's workers, and the trait that builds their trainers.

use std::sync::Arc;

use anyhow::{Error, Result};

use super::cost_model::CostModel;
use super::events::EventSink;
use super::store::Store;
use crate::data::Dataset;
use crate::engine::{EngineKind, Probe, Trainer};
use crate::lottery::Study;
use crate::system::cancel::CancelToken;

/// Loads the data set of a run and builds its trainers. The command line builds the engines of this program; tests
/// inject trainers that train nothing.
pub trait TrainerFactory: Sync {
    /// Loads the data set. Called once per run, and only if there is anything to train.
    ///
    /// # Errors
    /// Fails if the data cannot be read.
    fn dataset(&self) -> Result<Dataset>;

    /// Builds a trainer with `lanes` lanes, in the thread that will use it.
    ///
    /// # Errors
    /// Fails if the trainer does not fit into memory, or the device cannot be used.
    fn build(&self, engine: EngineKind, lanes: usize, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>>;

    /// Builds the probe that computes gradients for mask rules, in the thread that will use it. It allocates nothing
    /// before its first use.
    fn probe(&self, dataset: &Arc<Dataset>) -> Box<dyn Probe>;

    /// Returns whether `error`, of a trainer or of its building, says that there was too little memory.
    fn is_out_of_memory(&self, error: &Error) -> bool;

    /// Returns the error of the engine's library that made a trainer panic with this message; `None` if the panic is a
    /// defect.
    fn error_of_panic(&self, message: &str) -> Option<Error>;

    /// Returns `error` of a trainer with `lanes` lanes, or of the probe, with advice on which setting to change if
    /// there is any.
    fn explain(&self, error: Error, lanes: usize) -> Error;
}

/// The shared, read-only context of a run's workers.
#[derive(Clone, Copy)]
pub struct RunContext<'a> {
    /// The experiment, resolved and planned.
    pub study: &'a Study,
    /// The store of the training runs.
    pub store: &'a Store,
    /// Receiver of progress events.
    pub sink: &'a dyn EventSink,
    /// The flag that cancels the run.
    pub cancel: &'a CancelToken,
    /// The source of the data set and the trainers.
    pub trainers: &'a dyn TrainerFactory,
}

impl RunContext<'_> {
    pub(super) fn cost_model(&self) -> CostModel<'_> {
        CostModel::new(self.study)
    }
}
