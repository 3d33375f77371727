//! `run.json`, the manifest of a run: versions, machine, commands and audit. It may differ between two runs of the same
//! experiment. It is written when a command begins to work on the run, and again, with the result of the audit, when
//! the command ends.

use std::fs;

use anyhow::{Context, Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::checksummed_json::{ChecksumState, checksum_state, to_checksummed_json};
use super::run_checksums::damaged;
use crate::base::format::with_thousands;
use crate::config::{MatmulPrecision, RunConfig};
use crate::data::ImageCounts;
use crate::system::clock::UtcTime;
use crate::system::files;
use crate::system::paths::RunDir;
use crate::system::retry::with_retries;

/// The contents of `run.json`, the provenance of a run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RunManifest {
    /// The experiment's name.
    pub experiment: String,
    /// Hash of the plan, 64 hexadecimal digits; the name of the run's folder has the first 8.
    pub id: String,
    /// The commands that worked on the run, oldest first; at least one.
    #[serde(alias = "command", deserialize_with = "commands")]
    pub commands: Vec<RunCommand>,
    /// Number of training runs in the plan.
    pub trainings: usize,
    /// Versions of the software that computed the numbers.
    pub versions: Versions,
    /// The kind of device: `cpu` or `cuda`.
    pub device: String,
    /// Provenance of numbers that a GPU computed; missing on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cuda: Option<CudaProvenance>,
    /// The engines of the plan: `dense`, `sparse`, or `dense and sparse`. Each row of `rounds.csv` has that of its
    /// training run.
    pub engine: String,
    /// Name of the processor.
    pub processor: String,
    /// Host name of the machine.
    pub host: String,
    /// Number of lockstep groups that are trained at a time.
    pub workers: usize,
    /// The section `[run]` of the configuration.
    pub run: RunConfig,
    /// The folder of all runs.
    pub runs: String,
    /// The folder of the built-in data sets.
    pub data_dir: String,
    /// The working directory, in which relative paths of the configuration are looked for; `None` where an older version
    /// wrote the file.
    #[serde(default)]
    pub working_dir: Option<String>,
    /// The time at which this file was written: ISO 8601, UTC.
    pub written: UtcTime,
    /// Notes on the data that belong to the results, as sentences.
    pub notes: Vec<String>,
    /// The test images of the run; `None` where an older version wrote the file.
    #[serde(default)]
    pub test: Option<TestImageCounts>,
    /// Numbers of images of the splits; `None` where an older version wrote the file.
    #[serde(default)]
    pub images: Option<ImageCounts>,
    /// Result of the audit.
    pub audit: AuditSummary,
    /// Training runs that failed, each with its cause.
    pub failures: Vec<String>,
    /// Training runs that could not begin, each with the training run that it depends on.
    pub blocked: Vec<String>,
}

/// A command that worked on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCommand {
    /// The command line, quoted for a shell.
    pub command: String,
    /// The time at which the command started: ISO 8601, UTC; `None` where an older version wrote the file.
    pub started: Option<UtcTime>,
    /// The time at which the command ended: ISO 8601, UTC; `None` while it works, and if it was killed.
    pub finished: Option<UtcTime>,
}

/// Reads the commands of a run: a list, or the text of the one command that older versions recorded.
fn commands<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RunCommand>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Recorded {
        Command(String),
        Commands(Vec<RunCommand>),
    }
    Ok(match Recorded::deserialize(deserializer)? {
        Recorded::Command(command) => vec![RunCommand { command, started: None, finished: None }],
        Recorded::Commands(commands) => commands,
    })
}

impl RunCommand {
    /// Returns the commands that the bytes of a manifest record, also of versions with other fields; none if the bytes
    /// are damaged.
    pub fn recorded_in(manifest: &[u8]) -> Vec<Self> {
        #[derive(Deserialize)]
        struct Recorded {
            #[serde(alias = "command", deserialize_with = "commands")]
            commands: Vec<RunCommand>,
        }
        serde_json::from_slice(manifest).map_or_else(|_| Vec::new(), |recorded: Recorded| recorded.commands)
    }
}

impl RunManifest {
    /// Reads the manifest of a run; `None` if it cannot be used, for whatever reason: see [`load`](Self::load).
    pub fn read(run_dir: &RunDir) -> Option<Self> {
        Self::load(run_dir).ok().flatten()
    }

    /// Reads the manifest of a run; `None` if it is missing, or of a version with other fields.
    ///
    /// # Errors
    /// Fails if the file exists and cannot be read, or is damaged.
    pub fn load(run_dir: &RunDir) -> Result<Option<Self>> {
        let path = run_dir.file(RunDir::MANIFEST);
        let Some(bytes) = with_retries(|| files::read_if_present(&path))? else { return Ok(None) };
        match checksum_state(&bytes) {
            ChecksumState::Damaged => bail!("{}: its checksum is wrong", damaged(run_dir, RunDir::MANIFEST)),
            ChecksumState::Intact => {}
            // An older version wrote it, or a damage has removed the checksum.
            ChecksumState::Absent => {
                serde_json::from_slice::<serde_json::Value>(&bytes)
                    .with_context(|| damaged(run_dir, RunDir::MANIFEST))?;
            }
        }
        Ok(serde_json::from_slice(&bytes).ok())
    }

    /// Returns whether the manifest of a run carries a checksum, as that of every version that writes `SHA256SUMS` does.
    pub fn carries_checksum(run_dir: &RunDir) -> bool {
        fs::read(run_dir.file(RunDir::MANIFEST)).is_ok_and(|bytes| checksum_state(&bytes) != ChecksumState::Absent)
    }

    /// Returns the bytes of the file, with its checksum.
    ///
    /// # Errors
    /// Fails if the manifest cannot be serialized.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        to_checksummed_json(self)
    }

    /// Returns the time at which the run was begun; where an older version wrote the file, the time at which it was
    /// written.
    pub fn started(&self) -> UtcTime {
        self.commands.first().and_then(|command| command.started).unwrap_or(self.written)
    }

    /// Returns whether every training run of the plan has reached its last iteration and passed the audit.
    pub fn is_finished(&self) -> bool {
        self.audit.passed == self.trainings
    }

    /// Returns the command that continues the run: the last one that worked on it, see [`resume_command`].
    pub fn resume_command(&self) -> String {
        self.commands.last().map_or_else(String::new, |command| resume_command(&command.command))
    }
}

/// Returns the command that continues what `command` has begun: without `--fresh`, which would archive it.
pub fn resume_command(command: &str) -> String {
    command.split(' ').filter(|word| *word != "--fresh").collect::<Vec<_>>().join(" ")
}

/// Counts of the test images that accuracies are measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TestImageCounts {
    /// Images used: fewer than `whole` where the test file holds fewer than the official records, or `data.test_limit`
    /// is set.
    pub used: u32,
    /// Test images of the whole data set.
    pub whole: u32,
}

impl TestImageCounts {
    /// Returns the note that belongs to every test accuracy shown; `None` where all images are used.
    pub fn note(&self) -> Option<String> {
        let Self { used, whole } = *self;
        (used < whole).then(|| {
            format!("test accuracy on {} of {} test images", with_thousands(used.into()), with_thousands(whole.into()))
        })
    }
}

/// Versions of the program and its libraries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// Version of this program.
    pub lth: String,
    /// Version of the Rust bindings of libtorch.
    pub tch: String,
    /// Version of libtorch.
    pub libtorch: String,
}

/// Provenance of numbers that a GPU computed.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CudaProvenance {
    /// Names of the GPUs that the driver lists.
    pub gpus: Vec<String>,
    /// Index of the GPU that was used, in `gpus`, from 0.
    pub gpu: usize,
    /// Precision of the products of convolutions and linear layers.
    #[serde(alias = "products")]
    pub matmul_precision: MatmulPrecision,
    /// Description of the numbers that are the same in every run.
    pub deterministic: String,
    /// Description of the numbers that may differ between runs.
    pub not_deterministic: String,
}

/// Result of the audit of every training run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AuditSummary {
    /// Number of training runs for which every invariant holds.
    pub passed: usize,
    /// Training runs for which an invariant does not hold, each with that invariant.
    pub broken: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_and_times_of_older_version_are_read() {
        let text = |commands: &str| {
            format!(
                r#"{{"experiment": "e", "id": "0", {commands}, "trainings": 1,
                    "versions": {{"lth": "0", "tch": "0", "libtorch": "0"}}, "device": "cpu", "engine": "dense",
                    "processor": "p", "host": "h", "workers": 1, "run": {{}}, "runs": "runs", "data_dir": "data",
                    "written": 7, "notes": [], "audit": {{"passed": 1, "broken": []}}, "failures": [], "blocked": []}}"#
            )
        };
        let manifest = |commands: &str| serde_json::from_str::<RunManifest>(&text(commands)).unwrap();
        let old = manifest(r#""command": "lth run a.toml""#);
        assert_eq!((old.resume_command(), old.started()), ("lth run a.toml".to_owned(), old.written));
        assert_eq!(old.written.to_string(), "1970-01-01T00:00:07Z");
        let commands = r#""commands": [{"command": "a", "started": 1, "finished": 2},
                          {"command": "b --fresh", "started": 5, "finished": null}]"#;
        let new = manifest(commands);
        assert_eq!((new.resume_command(), new.commands.len()), ("b".to_owned(), 2), "without --fresh");
        let times = |command: &RunCommand| [command.started, command.finished].map(|time| time.map(|t| t.to_string()));
        let first = ["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z"].map(|time| Some(time.to_owned()));
        assert_eq!((times(&new.commands[0]), new.started().to_string()), (first, "1970-01-01T00:00:01Z".to_owned()));
        let written = serde_json::to_string(&new).unwrap();
        assert!(written.contains(r#""started":"1970-01-01T00:00:05Z","finished":null"#), "{written}");
        assert_eq!(serde_json::from_str::<RunManifest>(&written).unwrap().commands, new.commands);
        assert_eq!(RunCommand::recorded_in(written.as_bytes()), new.commands);
    }
}
