//! The manifest of a run: the provenance of its numbers.

use crate::artifacts::{AuditSummary, CudaProvenance, RunCommand, RunManifest, TestImageCounts, Versions};
use crate::data;
use crate::engine::torch;
use crate::lottery::Study;
use crate::runner::RunOutcome;
use crate::system::clock::UtcTime;
use crate::system::machine;
use crate::system::paths::RunsDir;

/// Returns the manifest that `command` writes: with the outcome of the run so far, and with what the `present` manifest
/// records of earlier commands. The machine and the versions of a run that was finished before are kept: they are those
/// of its numbers.
pub(super) fn updated_manifest(present: Option<&[u8]>, new: RunManifest, command: &RunCommand) -> RunManifest {
    let mut commands = present.map_or_else(Vec::new, RunCommand::recorded_in);
    // The beginning of this command is recorded already when it ends.
    let is_this = |other: &RunCommand| {
        other.finished.is_none() && (&other.command, other.started) == (&command.command, command.started)
    };
    match commands.iter_mut().rfind(|other| is_this(other)) {
        Some(recorded) => *recorded = command.clone(),
        None => commands.push(command.clone()),
    }
    let present = present.and_then(|bytes| serde_json::from_slice::<RunManifest>(bytes).ok());
    let Some(present) = present.filter(RunManifest::is_finished) else { return RunManifest { commands, ..new } };
    let is_begun = command.finished.is_none();
    let (audit, failures, blocked) = if is_begun {
        (present.audit, present.failures, present.blocked)
    } else {
        (new.audit, new.failures, new.blocked)
    };
    RunManifest {
        commands,
        versions: present.versions,
        cuda: present.cuda,
        processor: present.processor,
        host: present.host,
        workers: present.workers,
        audit,
        failures,
        blocked,
        ..new
    }
}

/// Returns the manifest of a run with its outcome so far, without commands.
pub(super) fn run_manifest(study: &Study, workers: usize, runs: &RunsDir, outcome: &RunOutcome) -> RunManifest {
    let experiment = &study.experiment;
    let images = study.resolved.images;
    RunManifest {
        experiment: experiment.name.clone(),
        id: study.plan.id().to_string(),
        commands: Vec::new(),
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
        working_dir: std::env::current_dir().ok().map(|folder| folder.display().to_string()),
        written: UtcTime::now(),
        notes: study.resolved.dataset.note.iter().cloned().collect(),
        test: Some(TestImageCounts { used: images.test, whole: study.resolved.dataset.whole_test_images }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(host: &str, passed: usize) -> RunManifest {
        let json = serde_json::json!({
            "experiment": "e", "id": "0", "commands": [], "trainings": 2,
            "versions": {"lth": "0", "tch": "0", "libtorch": "0"}, "device": "cpu", "engine": "dense",
            "processor": "p", "host": host, "workers": 1, "run": {}, "runs": "runs", "data_dir": "data", "written": 7,
            "notes": [], "audit": {"passed": passed, "broken": []}, "failures": [], "blocked": []
        });
        serde_json::from_value(json).unwrap()
    }

    /// Returns a command with these times, in seconds since 1970.
    fn command(text: &str, started: u64, finished: Option<u64>) -> RunCommand {
        let json = serde_json::json!({ "command": text, "started": started, "finished": finished });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn manifest_keeps_commands_and_machine_of_finished_run() {
        let bytes = |manifest: &RunManifest| serde_json::to_vec(manifest).unwrap();
        let begun = updated_manifest(None, manifest("first", 0), &command("a", 1, None));
        assert_eq!(begun.commands, [command("a", 1, None)]);
        let ended = updated_manifest(Some(&bytes(&begun)), manifest("first", 2), &command("a", 1, Some(5)));
        assert_eq!(ended.commands, [command("a", 1, Some(5))]);
        let again = updated_manifest(Some(&bytes(&ended)), manifest("second", 0), &command("b", 8, None));
        assert_eq!(again.commands, [command("a", 1, Some(5)), command("b", 8, None)]);
        assert_eq!((again.host.as_str(), again.audit.passed), ("first", 2));
        // A run that was not finished gets the machine that finishes it.
        let other = updated_manifest(Some(&bytes(&begun)), manifest("second", 0), &command("b", 8, None));
        assert_eq!((other.host.as_str(), other.audit.passed, other.commands.len()), ("second", 0, 2));
    }
}
