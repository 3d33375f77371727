//! The parts of a run that its workers read and none of them changes.

use std::sync::Arc;

use anyhow::{Error, Result};

use super::cost_model::CostModel;
use super::events::EventSink;
use super::store::Store;
use crate::data::Dataset;
use crate::engine::{EngineKind, Probe, Trainer};
use crate::lottery::Study;
use crate::system::cancel::CancelToken;

/// Builds what a run trains with. The command line builds the engines of this program; tests inject trainers that
/// train nothing.
pub trait TrainerFactory: Sync {
    /// Loads the data set. Called once per run, and only if there is anything to train.
    ///
    /// # Errors
    /// Data that cannot be read.
    fn dataset(&self) -> Result<Dataset>;

    /// Builds a trainer with `lanes` lanes, in the thread that will use it.
    ///
    /// # Errors
    /// A trainer that does not fit into memory, or a device that cannot be used.
    fn build(&self, engine: EngineKind, lanes: usize, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>>;

    /// Builds a probe, in the thread that will use it. It takes no memory before it is used.
    fn probe(&self, dataset: &Arc<Dataset>) -> Box<dyn Probe>;

    /// Returns an error of a trainer with `lanes` lanes, or of the probe, in terms of the configuration.
    fn explain(&self, error: Error, lanes: usize) -> Error;
}

/// The parts of a run that its workers share and only read.
#[derive(Clone, Copy)]
pub struct RunContext<'a> {
    /// The experiment, resolved and planned.
    pub study: &'a Study,
    /// The store of the training runs.
    pub store: &'a Store,
    /// Receiver of progress events.
    pub sink: &'a dyn EventSink,
    /// Cancellation of the run.
    pub cancel: &'a CancelToken,
    /// Source of data and trainers.
    pub trainers: &'a dyn TrainerFactory,
}

impl RunContext<'_> {
    pub(super) fn cost_model(&self) -> CostModel<'_> {
        CostModel::new(self.study)
    }
}
