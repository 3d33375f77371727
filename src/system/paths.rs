//! The name of every file that the program writes. Reads no disk.

use std::path::{Path, PathBuf};

use crate::base::key::ContentHash;

/// Folder of the locks on run folders: outside of these, because they may be renamed.
const LOCKS: &str = ".locks";
/// Ending of the name of a run lock.
const RUNNING: &str = "run";
/// Between the name of a run that `--fresh` has archived and a number.
const ARCHIVED: &str = ".old-";

/// Beginning of the name of a file that is being written; [`TEMPORARY_RANDOM`] random letters and digits follow. A file
/// of such a name that no process is writing was left by a killed process.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-lth-";
/// Number of random letters and digits in the name of a temporary file.
pub(super) const TEMPORARY_RANDOM: usize = 6;

/// Returns whether `name` is that of a temporary file of this program.
pub fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY_PREFIX).unwrap_or_default();
    random.len() == TEMPORARY_RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The folder of all runs: the store of trainings, and a folder per run.
#[derive(Clone, Debug)]
pub struct RunsDir(pub PathBuf);

impl RunsDir {
    /// Returns the folder of the trainings, each in a folder named by its key.
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Returns the folder of one training.
    pub fn training_dir(&self, key: &ContentHash) -> TrainingDir {
        TrainingDir(self.store().join(key.to_string()))
    }

    /// Returns the folder that `--fresh` moves the trainings of a plan to.
    pub fn archived_store(&self, n: u32) -> PathBuf {
        self.store().join(format!("old-{n}"))
    }

    /// Returns whether a path is that of trainings that `--fresh` has archived.
    pub fn is_archived_store(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix("old-").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns the folder of the locks on runs.
    pub fn locks(&self) -> PathBuf {
        self.0.join(LOCKS)
    }

    /// Returns the run whose run lock has the file name `name`; `None` for the name of another file.
    pub fn run_of_lock(&self, name: &str) -> Option<RunDir> {
        let run = name.strip_suffix(RUNNING)?.strip_suffix('.')?;
        Some(RunDir(self.0.join(run)))
    }

    /// Returns the lock that serialises the start of runs against garbage collection: starting a run takes it shared,
    /// freeing weights takes it exclusively, so that no run starts meanwhile.
    pub fn admission_lock(&self) -> PathBuf {
        self.locks().join("gate")
    }

    /// Returns the folder of the run of the experiment `name` whose plan has the key `id`.
    pub fn run_dir(&self, name: &str, id: &ContentHash) -> RunDir {
        RunDir(self.0.join(format!("{name}-{}", id.short())))
    }
}

/// The folder of one training in the store.
#[derive(Clone, Debug)]
pub struct TrainingDir(pub PathBuf);

impl TrainingDir {
    /// Initial weights θ₀: of dense trainings only; every arm of the replicate that rewinds reads them.
    pub const INITIAL_WEIGHTS: &str = "start.safetensors";
    /// The mask, one bit per weight.
    pub const MASK: &str = "mask.safetensors";
    /// The final weights, while another training may depend on them or `run.keep` asks for them.
    pub const FINAL_WEIGHTS: &str = "final.safetensors";
    /// The evaluations of the training.
    pub const CURVE: &str = "curve.json";
    /// In the folder of a copy: the errors on the line between it and its original. Measured again if missing or
    /// damaged.
    pub const STABILITY: &str = "stability.json";
    /// Histograms of the weights for figures: of dense trainings and tickets only.
    pub const WEIGHT_STATS: &str = "weights.json";

    /// Returns the name of the file with θₖ and its optimizer moments: of dense trainings only, if an arm rewinds to
    /// iteration k.
    pub fn snapshot_file(iteration: u64) -> String {
        format!("at-{iteration}.safetensors")
    }

    const DONE: &str = "done.json";
    const TIMING: &str = "timing.json";
    const KEEP: &str = "keep";
    const LOCK: &str = "lock";

    /// Returns whether this program writes files called `name` into the folder of a training: one of the files of this
    /// type, or a temporary file that is renamed to one.
    pub fn is_known_file(name: &str) -> bool {
        let iteration = name.strip_prefix("at-").and_then(|rest| rest.strip_suffix(".safetensors"));
        let fixed = [
            Self::INITIAL_WEIGHTS,
            Self::MASK,
            Self::FINAL_WEIGHTS,
            Self::CURVE,
            Self::STABILITY,
            Self::WEIGHT_STATS,
            Self::DONE,
            Self::TIMING,
            Self::KEEP,
            Self::LOCK,
        ];
        fixed.contains(&name)
            || iteration.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
            || is_temporary(name)
    }

    /// Returns whether a file may be deleted because a rerun writes the same bytes.
    pub fn can_be_freed(name: &str) -> bool {
        name == Self::FINAL_WEIGHTS || name.starts_with("at-")
    }

    /// Returns the path of the file `name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the manifest, written last: if it exists, the folder is complete.
    pub fn manifest_file(&self) -> PathBuf {
        self.file(Self::DONE)
    }

    /// Returns the file with duration and host, which may differ between runs.
    pub fn timing_file(&self) -> PathBuf {
        self.file(Self::TIMING)
    }

    /// Returns the marker that keeps the final weights: written if `run.keep` of an experiment asks for them.
    pub fn pin_marker(&self) -> PathBuf {
        self.file(Self::KEEP)
    }

    /// Returns the lock that a process holds while it runs the training.
    pub fn lock_file(&self) -> PathBuf {
        self.file(Self::LOCK)
    }
}

/// The folder of one run: an experiment with its results, all made from the store.
#[derive(Clone, Debug)]
pub struct RunDir(pub PathBuf);

impl RunDir {
    /// The configuration as given, by format: TOML, JSON.
    pub const CONFIG: [&str; 2] = ["config.toml", "config.json"];
    /// The effective configuration: every value that can change a number or the report, with its origin.
    pub const RESOLVED_CONFIG: &str = "resolved.toml";
    /// Provenance of the numbers: command, versions, machine, data.
    pub const MANIFEST: &str = "run.json";
    /// A row per training.
    pub const ROUNDS: &str = "rounds.csv";
    /// A row per evaluation.
    pub const CURVES: &str = "curves.csv";
    /// A row per training and layer.
    pub const LAYERS: &str = "layers.csv";
    /// A row per arm and round.
    pub const SUMMARY: &str = "summary.csv";
    /// Histograms of the surviving weights, pooled by arm and round.
    pub const WEIGHTS: &str = "weights.csv";
    /// A row per point on the line between two copies of a training; written by `lth stability`.
    pub const STABILITY: &str = "stability.csv";
    /// Durations and hosts, which may differ from run to run.
    pub const TIMINGS: &str = "timings.csv";

    /// Returns the path of the file `name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the folder of the report on this run.
    pub fn report_dir(&self) -> ReportDir {
        ReportDir(self.0.join("report"))
    }

    /// Returns the lock held while files of the run are written. It lies outside of the folder, which may be renamed.
    pub fn write_lock(&self) -> PathBuf {
        self.beside("write")
    }

    /// Returns the lock that all processes running the experiment share; `--fresh` takes it exclusively.
    pub fn run_lock(&self) -> PathBuf {
        self.beside(RUNNING)
    }

    /// Returns the file with the keys of the trainings in the plan, one per line.
    pub fn plan_keys(&self) -> PathBuf {
        self.beside("keys")
    }

    /// Returns the file `<name of the run>.<ending>` in the folder of locks.
    fn beside(&self, ending: &str) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.0.parent().unwrap_or(Path::new(".")).join(LOCKS).join(format!("{name}.{ending}"))
    }

    /// Returns the folder that `--fresh` renames this run to.
    pub fn archived(&self, n: u32) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(format!("{ARCHIVED}{n}"));
        self.0.parent().unwrap_or(Path::new(".")).join(name)
    }

    /// Returns whether `--fresh` has archived this run.
    pub fn is_archived(&self) -> bool {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        name.rsplit_once(ARCHIVED).is_some_and(|(_, n)| n.parse::<u32>().is_ok())
    }
}

/// The folder of a report.
#[derive(Clone, Debug)]
pub struct ReportDir(pub PathBuf);

impl ReportDir {
    /// The report as HTML.
    pub const INDEX: &str = "index.html";
    /// The report as Markdown.
    pub const MARKDOWN: &str = "report.md";
    /// The folder of the figures.
    pub const FIGURES: &str = "figures";

    /// Returns the path of a figure relative to the folder of the report.
    pub fn figure(name: &str, extension: &str) -> String {
        format!("{}/{name}.{extension}", Self::FIGURES)
    }

    /// Returns the path of the file `name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
