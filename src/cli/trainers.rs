//! The data and the engines that the command line trains with.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result};

use crate::data::{Dataset, RawImages};
use crate::engine::torch::{TorchProbe, friendly_torch_error};
use crate::engine::{EngineKind, Probe, Trainer, TrainerSpec};
use crate::lottery::Study;
use crate::runner::TrainerFactory;

/// Builds the trainers of a study, and loads its data once.
pub(super) struct EngineFactory<'a> {
    study: &'a Study,
    spec: TrainerSpec,
    /// The images of custom data, which were read before: the first load takes them.
    images: Mutex<Option<RawImages>>,
    /// Data that were loaded before they were needed.
    loaded: Mutex<Option<Dataset>>,
}

impl<'a> EngineFactory<'a> {
    pub(super) fn new(study: &'a Study, images: Option<RawImages>) -> Self {
        let spec = TrainerSpec::new(study.resolved.network.clone(), &study.experiment, study.resolved.gpu);
        Self { study, spec, images: Mutex::new(images), loaded: Mutex::new(None) }
    }

    /// Loads the data now, for the next call of [`TrainerFactory::dataset`].
    ///
    /// # Errors
    /// Data that cannot be read.
    pub(super) fn load_dataset(&self) -> Result<()> {
        let dataset = self.read_dataset()?;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some(dataset);
        Ok(())
    }

    fn read_dataset(&self) -> Result<Dataset> {
        let experiment = &self.study.experiment;
        let info = &self.study.resolved.dataset;
        match take(&self.images) {
            Some(images) => info.split(images, &experiment.data, experiment.seed),
            None => info.load(&experiment.data, experiment.seed),
        }
    }
}

impl TrainerFactory for EngineFactory<'_> {
    fn dataset(&self) -> Result<Dataset> {
        take(&self.loaded).map_or_else(|| self.read_dataset(), Ok)
    }

    fn build(&self, engine: EngineKind, lanes: usize, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
        engine.engine().build(&self.spec, dataset, lanes)
    }

    fn probe(&self, dataset: &Arc<Dataset>) -> Box<dyn Probe> {
        Box::new(TorchProbe::new(self.spec.clone(), Arc::clone(dataset)))
    }

    fn explain(&self, error: Error, lanes: usize) -> Error {
        friendly_torch_error(error, &self.spec, lanes)
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
