//! The data set of a ticket, and the device that evaluates it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow, ensure};

use super::super::folders;
use crate::artifacts::{TestImageCounts, Ticket};
use crate::config::{DatasetSpec, DeviceChoice, Experiment};
use crate::data::{self, Dataset};
use crate::engine::torch;
use crate::network::Network;

/// The data set of a ticket.
pub(in crate::cli) struct TicketData {
    /// The images that the ticket was trained on and evaluated on.
    pub(in crate::cli) dataset: Arc<Dataset>,
    /// The test images among them.
    pub(in crate::cli) test: TestImageCounts,
}

impl TicketData {
    /// Loads the data set of a ticket. `data_dir`: the folder of the built-in data sets.
    ///
    /// # Errors
    /// Fails if the data cannot be read, or are not those that the ticket was trained on.
    pub(in crate::cli) fn load(ticket: &Ticket, data_dir: Option<&PathBuf>) -> Result<Self> {
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
        let test = TestImageCounts { used: dataset.test.len() as u32, whole: info.whole_test_images };
        Ok(Self { dataset: Arc::new(dataset), test })
    }
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

/// Returns the GPU that evaluates the ticket of an experiment; `None` for the CPU, which does so where the experiment asks
/// for it or CUDA cannot be used.
pub(in crate::cli) fn gpu_of(experiment: &Experiment) -> Option<usize> {
    let uses_gpu = experiment.run.device != DeviceChoice::Cpu && torch::cuda_unavailable_reason().is_none();
    // The number of a GPU of the machine that trained the ticket means nothing here.
    uses_gpu.then_some(0)
}
