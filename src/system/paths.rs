//! The name of every file that this program writes. Does not access the disk.

use std::path::{Path, PathBuf};

use crate::base::key::ContentHash;

/// The name of the folder of the locks on runs. It is not inside the folders of runs, because these may be renamed.
const LOCKS: &str = ".locks";
/// The name of the lock on the admission of runs. Where claims are used, it is the folder of all claims: no process can
/// lock a folder, so none that knows only locks can start a run.
const ADMISSION_LOCK: &str = "gate";
/// The name of the folder of training runs.
const STORE: &str = "store";
/// The end of the name of a run lock, after a dot.
const RUN_LOCK_SUFFIX: &str = "run";
/// The text between the name of a run that `--fresh` archived and a number.
const ARCHIVE_INFIX: &str = ".old-";

/// The beginning of the name of a file that is being written; [`TEMPORARY_RANDOM`] random letters and digits follow. A
/// file with such a name that no process is writing was left by a killed process.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-lth-";
/// The number of random letters and digits in the name of a temporary file.
pub(super) const TEMPORARY_RANDOM: usize = 6;

/// Returns whether `name` is that of a temporary file of this program.
pub fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY_PREFIX).unwrap_or_default();
    random.len() == TEMPORARY_RANDOM && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The folder of all runs: the store of training runs, and a folder for each run.
#[derive(Clone, Debug)]
pub struct RunsDir(pub PathBuf);

impl RunsDir {
    /// Returns the store: a folder of training runs, each in a folder named by its key.
    pub fn store(&self) -> PathBuf {
        self.0.join(STORE)
    }

    /// Returns the folder of a training run in the store.
    pub fn training_dir(&self, key: &ContentHash) -> TrainingDir {
        TrainingDir(self.store().join(key.to_string()))
    }

    /// Returns the folder in the store that `--fresh` moves the training runs of a plan to, as the archive with number
    /// `n`.
    pub fn archived_store(&self, n: u32) -> PathBuf {
        self.store().join(format!("old-{n}"))
    }

    /// Returns whether a path has the name of a folder of training runs that `--fresh` archived.
    pub fn is_archived_store(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix("old-").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Returns the folder of the locks on runs.
    pub fn locks(&self) -> PathBuf {
        self.0.join(LOCKS)
    }

    /// Returns the run whose run lock has the file name `name`; `None` if `name` is not that of a run lock.
    pub fn run_of_lock(&self, name: &str) -> Option<RunDir> {
        let run = name.strip_suffix(RUN_LOCK_SUFFIX)?.strip_suffix('.')?;
        Some(RunDir(self.0.join(run)))
    }

    /// Returns the lock on the admission of runs. A run that starts takes it shared until it is registered; garbage
    /// collection takes it exclusively, so that no run starts while weights are freed.
    pub fn admission_lock(&self) -> PathBuf {
        self.locks().join(ADMISSION_LOCK)
    }

    /// Returns the folder of the claims, which exists if claims are used in place of locks.
    pub fn claims(&self) -> PathBuf {
        self.admission_lock()
    }

    /// Returns the folder of the run of the experiment `name` whose plan has the key `id`.
    pub fn run_dir(&self, name: &str, id: &ContentHash) -> RunDir {
        RunDir(self.0.join(format!("{name}-{}", id.short())))
    }
}

/// The place of the claims on a lock.
#[derive(Clone, Debug)]
pub(super) struct ClaimPlace {
    /// The folder of the claims.
    pub(super) folder: PathBuf,
    /// The name of the lock, with which the names of its claims begin.
    pub(super) lock: String,
}

impl ClaimPlace {
    /// Returns the place of the claims on the lock at `path`. Those on all locks of a folder of runs are in one folder, so
    /// that a process that makes a claim there and lists them sees all.
    pub(super) fn of(path: &Path) -> Self {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().unwrap_or(Path::new(""));
        let store = folder.ancestors().skip(1).take(2).find(|folder| name(folder) == STORE);
        match store.filter(|_| name(path) == TrainingDir::LOCK) {
            Some(store) => {
                let words: Vec<_> =
                    path.strip_prefix(store).unwrap_or(path).iter().map(|word| word.to_string_lossy()).collect();
                let runs = RunsDir(store.parent().unwrap_or(Path::new("")).to_owned());
                Self { folder: runs.claims(), lock: words.join(".") }
            }
            None if name(folder) == LOCKS => Self { folder: folder.join(ADMISSION_LOCK), lock: name(path) },
            None => Self { folder: RunsDir(folder.to_owned()).claims(), lock: name(path) },
        }
    }
}

/// The folder of one training run in the store.
#[derive(Clone, Debug)]
pub struct TrainingDir(pub PathBuf);

impl TrainingDir {
    /// The initial weights θ₀, of dense training runs only. Every arm of the replicate that rewinds to θ₀ reads them.
    pub const INITIAL_WEIGHTS: &str = "start.safetensors";
    /// The mask, one bit per weight: that at the end of training if it changes.
    pub const MASK: &str = "mask.safetensors";
    /// The mask at the start of training, of training runs whose mask changes only.
    pub const START_MASK: &str = "start_mask.safetensors";
    /// The weights that some mask kept, of training runs whose mask changes only.
    pub const EVER_KEPT: &str = "ever_kept.safetensors";
    /// The final weights, as long as another training run needs them or `run.keep` keeps them.
    pub const FINAL_WEIGHTS: &str = "final.safetensors";
    /// The evaluations of the training run.
    pub const CURVE: &str = "curve.json";
    /// The errors on the line between a training run and its copy, in the folder of the copy. Measured again if the
    /// file is missing or damaged.
    pub const STABILITY: &str = "stability.json";
    /// The losses around the starting and the final weights. Measured again if the file is missing or damaged.
    pub const LANDSCAPE: &str = "landscape.json";
    /// Measurements of robustness, calibration and accuracy by class. Measured again if the file is missing or damaged.
    pub const ROBUSTNESS: &str = "robustness.json";
    /// Statistics of the weights for figures, of dense training runs and tickets only.
    pub const WEIGHT_STATS: &str = "weights.json";

    /// Returns the name of the file with the snapshot after `iteration`: θₖ and its optimizer moments. Written for
    /// dense training runs if an arm rewinds to that iteration.
    pub fn snapshot_file(iteration: u64) -> String {
        format!("at-{iteration}.safetensors")
    }

    /// Returns the name of the progress snapshot after `iteration` of a training run in progress. It is removed when the
    /// training run is done.
    pub fn progress_file(iteration: u64) -> String {
        format!("progress-{iteration}.snapshot")
    }

    /// Returns the iteration of the progress snapshot with the file name `name`; `None` for other files.
    pub fn progress_iteration(name: &str) -> Option<u64> {
        let iteration = name.strip_prefix("progress-")?.strip_suffix(".snapshot")?.parse().ok()?;
        (Self::progress_file(iteration) == name).then_some(iteration)
    }

    /// Returns the iteration of the file with a snapshot; `None` for other names.
    pub fn iteration_of_snapshot(name: &str) -> Option<u64> {
        let digits = name.strip_prefix("at-")?.strip_suffix(".safetensors")?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    }

    const DONE: &str = "done.json";
    const TIMING: &str = "timing.json";
    const PIN: &str = "keep";
    const LOCK: &str = "lock";

    /// Returns whether this program writes files with this name into the folder of a training run: one of the files
    /// named by this type, or a temporary file that is renamed to one of them.
    pub fn is_known_file(name: &str) -> bool {
        let fixed = [
            Self::INITIAL_WEIGHTS,
            Self::MASK,
            Self::START_MASK,
            Self::EVER_KEPT,
            Self::FINAL_WEIGHTS,
            Self::CURVE,
            Self::STABILITY,
            Self::LANDSCAPE,
            Self::ROBUSTNESS,
            Self::WEIGHT_STATS,
            Self::DONE,
            Self::TIMING,
            Self::PIN,
            Self::LOCK,
        ];
        fixed.contains(&name)
            || Self::iteration_of_snapshot(name).is_some()
            || Self::progress_iteration(name).is_some()
            || is_temporary(name)
    }

    /// Returns whether garbage collection may remove a file with this name: final weights and snapshots, which a rerun
    /// of the training run makes again.
    pub fn can_be_freed(name: &str) -> bool {
        name == Self::FINAL_WEIGHTS || name.starts_with("at-")
    }

    /// Returns the path of the file `name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the path of the manifest. It is written last: a folder that has one is complete.
    pub fn manifest_file(&self) -> PathBuf {
        self.file(Self::DONE)
    }

    /// Returns the path of the file with duration and host, which may differ between runs.
    pub fn timing_file(&self) -> PathBuf {
        self.file(Self::TIMING)
    }

    /// Returns the path of the pin: an empty file that keeps runs from freeing the final weights, because `run.keep` of
    /// an experiment keeps them.
    pub fn pin_marker(&self) -> PathBuf {
        self.file(Self::PIN)
    }

    /// Returns the path of the lock that a process holds while it trains the training run.
    pub fn lock_file(&self) -> PathBuf {
        self.file(Self::LOCK)
    }
}

/// The folder of one run: an experiment with its results, all made from the store.
#[derive(Clone, Debug)]
pub struct RunDir(pub PathBuf);

impl RunDir {
    /// The configuration as given: [TOML, JSON].
    pub const CONFIG: [&str; 2] = ["config.toml", "config.json"];
    /// The effective configuration: every value that can change a number or the report, with its origin.
    pub const RESOLVED_CONFIG: &str = "resolved.toml";
    /// Provenance of the numbers: command, versions, machine, data.
    pub const MANIFEST: &str = "run.json";
    /// One row per training run.
    pub const ROUNDS: &str = "rounds.csv";
    /// One row per evaluation of a training run.
    pub const CURVES: &str = "curves.csv";
    /// One row per training run and layer.
    pub const LAYERS: &str = "layers.csv";
    /// One row per arm and round.
    pub const SUMMARY: &str = "summary.csv";
    /// Statistics of the weights, pooled by arm and round.
    pub const WEIGHTS: &str = "weights.csv";
    /// One row per point on the line between a training run and its copy; written by `lth stability`.
    pub const STABILITY: &str = "stability.csv";
    /// One row per training run whose weights `lth landscape` has measured.
    pub const LANDSCAPE: &str = "landscape.csv";
    /// One row per network that `lth landscape` has evaluated.
    pub const LANDSCAPE_CURVES: &str = "landscape_curves.csv";
    /// One row per training run and condition of the test images; written by `lth evaluate`.
    pub const ROBUSTNESS: &str = "robustness.csv";
    /// One row per training run: calibration on the test images; written by `lth evaluate`.
    pub const CALIBRATION: &str = "calibration.csv";
    /// One row per training run and class; written by `lth evaluate`.
    pub const CLASS_ACCURACY: &str = "class_accuracy.csv";
    /// Durations and hosts, which may differ from run to run.
    pub const TIMINGS: &str = "timings.csv";
    /// The SHA-256 of each file that the report reads, in the format of `sha256sum`.
    pub const CHECKSUMS: &str = "SHA256SUMS";
    /// The folder of the event files for TensorBoard, written with `run.tensorboard`.
    pub const TENSORBOARD: &str = "tensorboard";
    /// The name of every event file, each in a folder of its own. TensorBoard reads files with `tfevents` in their names.
    pub const EVENTS: &str = "events.out.tfevents.0.lth";

    /// Returns the name of an event file in the folder of the run: that of a training run, or without a `round` that of
    /// an arm's results by round. `repeat` is `None` for an arm that has one.
    pub fn event_file(arm: &str, replicate: u32, repeat: Option<u32>, round: Option<u32>) -> String {
        let repeat = repeat.map(|repeat| format!("/repeat_{repeat}")).unwrap_or_default();
        let round = round.map(|round| format!("/round_{round}")).unwrap_or_default();
        format!("{}/{arm}/replicate_{replicate}{repeat}{round}/{}", Self::TENSORBOARD, Self::EVENTS)
    }

    /// Returns the path of the file `name`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the folder of the report on this run.
    pub fn report_dir(&self) -> ReportDir {
        ReportDir(self.0.join("report"))
    }

    /// Returns the path of the lock that a process holds while it writes files of the run. It is not in the run's
    /// folder, because that may be renamed.
    pub fn write_lock(&self) -> PathBuf {
        self.in_locks_dir("write")
    }

    /// Returns the path of the run lock: all processes that run the experiment share it, and `--fresh` takes it
    /// exclusively.
    pub fn run_lock(&self) -> PathBuf {
        self.in_locks_dir(RUN_LOCK_SUFFIX)
    }

    /// Returns the path of the file with the keys of the plan's training runs, one per line, and a last line with its
    /// checksum.
    pub fn plan_keys(&self) -> PathBuf {
        self.in_locks_dir("keys")
    }

    /// Returns the path of the file `<name of the run>.<suffix>` in the folder of locks.
    fn in_locks_dir(&self, suffix: &str) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.0.parent().unwrap_or(Path::new(".")).join(LOCKS).join(format!("{name}.{suffix}"))
    }

    /// Returns the folder that `--fresh` renames this run to, as the archive with number `n`.
    pub fn archived(&self, n: u32) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(format!("{ARCHIVE_INFIX}{n}"));
        self.0.parent().unwrap_or(Path::new(".")).join(name)
    }

    /// Returns whether `--fresh` has archived this run.
    pub fn is_archived(&self) -> bool {
        self.archive_number().is_some()
    }

    /// Returns the number of the archive that `--fresh` has moved this run to; `None` if it has not.
    pub fn archive_number(&self) -> Option<u32> {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        name.rsplit_once(ARCHIVE_INFIX)?.1.parse().ok()
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
