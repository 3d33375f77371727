//! The [`TrainerFactory`] of this program: it builds trainers with the engines, and loads the data set.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Error, Result};

use crate::data::{Dataset, RawImages};
use crate::engine::torch::{TorchProbe, friendly_torch_error, is_out_of_memory, torch_error_of_panic};
use crate::engine::{EngineKind, Probe, Trainer, TrainerSpec};
use crate::lottery::Study;
use crate::runner::TrainerFactory;

/// Builds the trainers of a study, and loads its data once.
pub(crate) struct EngineTrainerFactory<'a> {
    study: &'a Study,
    spec: TrainerSpec,
    /// The images of custom data, which were read to resolve the study; the first load of the data takes them.
    images: Mutex<Option<RawImages>>,
    /// The data set, if [`load_dataset`](Self::load_dataset) has loaded it and nothing has taken it yet.
    loaded: Mutex<Option<Dataset>>,
}

impl<'a> EngineTrainerFactory<'a> {
    /// Returns a factory of trainers for a study. `images`: the images of custom data, if they have been read already.
    pub(crate) fn new(study: &'a Study, images: Option<RawImages>) -> Self {
        let spec = TrainerSpec::new(study.resolved.network.clone(), &study.experiment, study.resolved.gpu);
        Self { study, spec, images: Mutex::new(images), loaded: Mutex::new(None) }
    }

    /// Loads the data now, for the next call of [`TrainerFactory::dataset`], unless they wait for that call already.
    ///
    /// # Errors
    /// Fails if the data cannot be read.
    pub(crate) fn load_dataset(&self) -> Result<()> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_none() {
            *loaded = Some(self.read_dataset()?);
        }
        Ok(())
    }

    /// Reads the data set, from the images of custom data if they have been read already.
    fn read_dataset(&self) -> Result<Dataset> {
        let experiment = &self.study.experiment;
        let info = &self.study.resolved.dataset;
        match take(&self.images) {
            Some(images) => info.split(images, &experiment.data, experiment.seed),
            None => info.load(&experiment.data, experiment.seed),
        }
    }
}

impl TrainerFactory for EngineTrainerFactory<'_> {
    fn dataset(&self) -> Result<Dataset> {
        take(&self.loaded).map_or_else(|| self.read_dataset(), Ok)
    }

    fn build(&self, engine: EngineKind, lanes: usize, dataset: &Arc<Dataset>) -> Result<Box<dyn Trainer>> {
        engine.engine().build(&self.spec, dataset, lanes)
    }

    fn probe(&self, dataset: &Arc<Dataset>) -> Box<dyn Probe> {
        Box::new(TorchProbe::new(self.spec.clone(), Arc::clone(dataset)))
    }

    fn is_out_of_memory(&self, error: &Error) -> bool {
        is_out_of_memory(error)
    }

    fn error_of_panic(&self, message: &str) -> Option<Error> {
        torch_error_of_panic(message)
    }

    fn explain(&self, error: Error, lanes: usize) -> Error {
        friendly_torch_error(error, &self.spec, lanes)
    }
}

/// Takes the contents of a slot.
fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
