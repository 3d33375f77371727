//! The manifest of a run: the provenance of its numbers.

use crate::artifacts::{AuditSummary, CudaProvenance, RunManifest, TestImages, Versions};
use crate::data;
use crate::engine::torch;
use crate::lottery::Study;
use crate::runner::RunOutcome;
use crate::system::paths::RunsDir;
use crate::system::{clock, machine};

/// Returns the manifest of a run that `command` started, with its outcome so far.
pub(super) fn run_manifest(
    study: &Study,
    workers: usize,
    runs: &RunsDir,
    command: &str,
    outcome: &RunOutcome,
) -> RunManifest {
    let experiment = &study.experiment;
    let images = study.resolved.images;
    RunManifest {
        experiment: experiment.name.clone(),
        id: study.plan.id().to_string(),
        command: command.to_owned(),
        trainings: study.plan.trainings.len(),
        versions: Versions {
            lth: env!("CARGO_PKG_VERSION").to_owned(),
            tch: torch::TCH.to_owned(),
            libtorch: torch::LIBTORCH.to_owned(),
        },
        device: study.resolved.device.to_owned(),
        cuda: cuda_provenance(study),
        engine: study.plan.engines(),
        processor: machine::processor(),
        host: machine::host(),
        workers,
        run: experiment.run.clone(),
        runs: runs.0.display().to_string(),
        data_dir: data::folder(&experiment.data).display().to_string(),
        written: clock::unix_seconds(),
        notes: study.resolved.dataset.note.iter().cloned().collect(),
        test: Some(TestImages { used: images.test, whole: study.resolved.dataset.whole_test_images }),
        images: Some(images),
        audit: AuditSummary { passed: outcome.progress.done, broken: outcome.audit_failures.clone() },
        failures: outcome.failures.clone(),
        blocked: outcome.blocked.clone(),
    }
}

/// Returns the GPUs and the settings of CUDA; `None` on a CPU.
fn cuda_provenance(study: &Study) -> Option<CudaProvenance> {
    Some(CudaProvenance {
        gpu: study.resolved.gpu?,
        gpus: machine::gpus(),
        matmul_precision: study.experiment.train.matmul_precision,
        deterministic: torch::DETERMINISTIC.to_owned(),
        not_deterministic: torch::NOT_DETERMINISTIC.to_owned(),
    })
}
