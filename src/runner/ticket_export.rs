//! Exports a training run as a [`Ticket`]: mask, starting weights and trained weights with their description.

use anyhow::{Context as _, Result, anyhow, ensure};

use super::context::RunContext;
use super::store::Store;
use crate::artifacts::{InputMap, RunManifest, Ticket, TicketInfo, TicketOrigin, TicketScore};
use crate::base::tensors::TensorMap;
use crate::config::Supermask;
use crate::data::Normalization;
use crate::engine::NoProbe;
use crate::lottery::{ArtifactSource as _, PrepareContext, Study, TrainingSpec, unmasked_start};
use crate::network::NetworkDescription;

/// The run that tickets are exported from.
#[derive(Clone, Copy)]
pub struct TicketExport<'a> {
    /// The study of the run.
    pub study: &'a Study,
    /// The store of its training runs.
    pub store: &'a Store,
    /// The name of the run's folder.
    pub run: &'a str,
    /// The manifest of the run; `None` if it has none that can be used.
    pub manifest: Option<&'a RunManifest>,
    /// The configuration of the run with every default filled in, as TOML.
    pub config: &'a str,
}

impl<'a> TicketExport<'a> {
    /// Returns the export of the run `run` whose training runs `context` describes.
    pub fn new(context: &RunContext<'a>, run: &'a str, manifest: Option<&'a RunManifest>, config: &'a str) -> Self {
        Self { study: context.study, store: context.store, run, manifest, config }
    }

    /// Returns a training run, whose final weights must be stored, as a ticket.
    ///
    /// # Errors
    /// Fails if a file of the training run, or of one that its starting weights come from, cannot be read or is damaged.
    pub fn ticket(&self, spec: &TrainingSpec) -> Result<Ticket> {
        let Self { study, store, .. } = *self;
        ensure!(
            spec.supermask() != Some(Supermask::Bernoulli),
            "its accuracies are means over masks that are drawn, so that no single network has them"
        );
        let stored = store.load(spec)?.ok_or_else(|| anyhow!("its entry in the store is damaged or missing"))?;
        let last = stored.curve.last().context("it has no evaluation")?;
        let network = study.resolved.network.clone();
        let mask = store.mask(&spec.key)?;
        let prepare_context = PrepareContext { study, artifacts: store, probe: &NoProbe };
        let mut start = unmasked_start(spec, &mask, prepare_context)?;
        if start.buffers.0.is_empty() {
            start.buffers = prepare_context.fresh_buffers();
        }
        let info = TicketInfo {
            format: TicketInfo::FORMAT,
            is_compact: false,
            network: NetworkDescription::of(&network),
            inputs: InputMap::of(&self.normalization(), network.input[0]),
            scores: TicketScore::of(last, stored.curve.early_stop(study.first_result(spec).0), study.resolved.images),
            training: self.origin(spec, mask.kept_total(), start.iteration)?,
            tensors_sha256: String::new(),
        };
        let trained = store.final_weights(&spec.key)?;
        let start = TensorMap(start.weights.0.into_iter().chain(start.buffers.0).collect());
        Ok(Ticket { info, network, mask, start: Some(start), trained })
    }

    /// Returns the normalization of the data set, without that of single images.
    fn normalization(&self) -> Normalization {
        let dataset = &self.study.resolved.dataset;
        let image_bytes = dataset.shape.iter().product();
        Normalization::new(self.study.experiment.data.normalize, &dataset.mean_std, &[], image_bytes)
    }

    fn origin(&self, spec: &TrainingSpec, weights_kept: u64, start_iteration: u64) -> Result<TicketOrigin> {
        let Self { study, store, run, manifest, config } = *self;
        let hardware = |manifest: &RunManifest| match &manifest.cuda {
            Some(cuda) => cuda.gpus.get(cuda.gpu).cloned().unwrap_or_default(),
            None => manifest.processor.clone(),
        };
        Ok(TicketOrigin {
            experiment: study.experiment.name.clone(),
            run: run.to_owned(),
            arm: spec.arm.clone(),
            replicate: spec.replicate,
            repeat: spec.repeat,
            round: spec.round.0,
            weights_kept,
            weights_total: study.resolved.network.weights_total(),
            start_iteration,
            engine: spec.engine.as_str().to_owned(),
            device: study.resolved.device.to_owned(),
            hardware: manifest.map(hardware),
            versions: manifest.map(|manifest| manifest.versions.clone()),
            key: spec.key,
            content: spec.content.value(),
            files: store.checksums(&spec.key)?,
            config: config.to_owned(),
        })
    }
}
