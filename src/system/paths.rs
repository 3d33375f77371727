//! The name of every file the program writes.

use std::path::{Path, PathBuf};

use crate::base::key::ContentHash;

/// Folder of the locks on views: outside of these, because they may be renamed.
const LOCKS: &str = ".locks";
const RUNNING: &str = "run";
/// Behind the name of a view that `--fresh` has set aside, before a number.
const ARCHIVED: &str = ".old-";

/// The folder of all runs: the store and the views.
#[derive(Clone, Debug)]
pub struct RunsDir(pub PathBuf);

impl RunsDir {
    /// Where trainings live, by key.
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// One training.
    pub fn training_dir(&self, key: &ContentHash) -> TrainingDir {
        TrainingDir(self.store().join(key.to_string()))
    }

    /// Where `--fresh` puts the entries of a plan.
    pub fn archived_store(&self, n: u32) -> PathBuf {
        self.store().join(format!("old-{n}"))
    }

    /// Whether a path is that of entries that `--fresh` has set aside.
    pub fn is_archived_store(path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = name.strip_prefix("old-").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// The views that somebody has run, by their locks.
    pub fn registered_runs(&self) -> Vec<RunDir> {
        let entries = std::fs::read_dir(self.0.join(LOCKS)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter_map(|name| Some(RunDir(self.0.join(name.strip_suffix(RUNNING)?.strip_suffix('.')?)))).collect()
    }

    /// Shared for a moment by who begins a run; who frees weights has it alone, so that no run begins meanwhile.
    pub fn admission_lock(&self) -> PathBuf {
        self.0.join(LOCKS).join("gate")
    }

    /// The files of one experiment.
    pub fn run_dir(&self, name: &str, id: &ContentHash) -> RunDir {
        RunDir(self.0.join(format!("{name}-{}", id.short())))
    }
}

/// The files of one training in the store.
#[derive(Clone, Debug)]
pub struct TrainingDir(pub PathBuf);

impl TrainingDir {
    /// θ₀: dense trainings only, where every rewind of the replicate finds it.
    pub const INITIAL_WEIGHTS: &str = "start.safetensors";
    /// The mask, bit-packed.
    pub const MASK: &str = "mask.safetensors";
    /// The final weights, while somebody may need them.
    pub const FINAL_WEIGHTS: &str = "final.safetensors";
    /// The evaluations.
    pub const CURVE: &str = "curve.json";
    /// In the entry of a copy: what lies between it and its original. Made again where it is missing or damaged.
    pub const STABILITY: &str = "stability.json";
    /// What figures need of the weights: dense trainings and tickets.
    pub const WEIGHT_STATS: &str = "weights.json";

    /// θₖ with its moments: dense trainings only, where an arm rewinds to iteration k.
    pub fn snapshot_file(iteration: u64) -> String {
        format!("at-{iteration}.safetensors")
    }

    const DONE: &str = "done.json";
    const TIMING: &str = "timing.json";
    const KEEP: &str = "keep";
    const LOCK: &str = "lock";

    /// Whether this program writes a file of that name into entries: one of those here, or a temporary one that is renamed
    /// to one of them.
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
            || super::files::is_temporary(name)
    }

    /// Whether a file of an entry may be freed, and made again.
    pub fn can_be_freed(name: &str) -> bool {
        name == Self::FINAL_WEIGHTS || name.starts_with("at-")
    }

    /// One of the files above.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Written last: the entry is whole.
    pub fn manifest_file(&self) -> PathBuf {
        self.file(Self::DONE)
    }

    /// How long it took, and where; may differ between runs.
    pub fn timing_file(&self) -> PathBuf {
        self.file(Self::TIMING)
    }

    /// There where `run.keep` of an experiment asks for the final weights: no run frees them.
    pub fn pin_marker(&self) -> PathBuf {
        self.file(Self::KEEP)
    }

    /// Held while the training runs.
    pub fn lock_file(&self) -> PathBuf {
        self.file(Self::LOCK)
    }
}

/// The files of one experiment, all made from the store.
#[derive(Clone, Debug)]
pub struct RunDir(pub PathBuf);

impl RunDir {
    /// The configuration as given; `.json` where it was JSON.
    pub const CONFIG: [&str; 2] = ["config.toml", "config.json"];
    /// Every value that can change a number or the report, with its origin.
    pub const RESOLVED_CONFIG: &str = "resolved.toml";
    /// Where the numbers come from.
    pub const MANIFEST: &str = "run.json";
    /// A row per training.
    pub const ROUNDS: &str = "rounds.csv";
    /// A row per evaluation.
    pub const CURVES: &str = "curves.csv";
    /// A row per training and layer.
    pub const LAYERS: &str = "layers.csv";
    /// A row per arm and round.
    pub const SUMMARY: &str = "summary.csv";
    /// What the masks have left of the networks, pooled by arm and round.
    pub const WEIGHTS: &str = "weights.csv";
    /// A row per point between two copies of a training; where `lth stability` was asked for it.
    pub const STABILITY: &str = "stability.csv";
    /// What may differ from run to run.
    pub const TIMINGS: &str = "timings.csv";

    /// One of the files above.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The report on it.
    pub fn report_dir(&self) -> ReportDir {
        ReportDir(self.0.join("report"))
    }

    /// Held while the view is written. Outside of it, because the view may be renamed.
    pub fn write_lock(&self) -> PathBuf {
        self.beside("write")
    }

    /// Shared by all processes that run the experiment; who sets it aside must have it alone.
    pub fn run_lock(&self) -> PathBuf {
        self.beside(RUNNING)
    }

    /// The keys of the plan, a line each: what a process that runs it works with.
    pub fn plan_keys(&self) -> PathBuf {
        self.beside("keys")
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.0.parent().unwrap_or(Path::new(".")).join(LOCKS).join(format!("{name}.{what}"))
    }

    /// Where `--fresh` puts it.
    pub fn archived(&self, n: u32) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(format!("{ARCHIVED}{n}"));
        self.0.parent().unwrap_or(Path::new(".")).join(name)
    }

    /// Whether `--fresh` has put it where it is.
    pub fn is_archived(&self) -> bool {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        name.rsplit_once(ARCHIVED).is_some_and(|(_, n)| n.parse::<u32>().is_ok())
    }
}

/// The files of a report.
#[derive(Clone, Debug)]
pub struct ReportDir(pub PathBuf);

impl ReportDir {
    /// The page.
    pub const INDEX: &str = "index.html";
    /// The same in Markdown.
    pub const MARKDOWN: &str = "report.md";

    /// The folder of its figures.
    pub const FIGURES: &str = "figures";

    /// A file of a figure, by its name in the report's folder.
    pub fn figure(name: &str, extension: &str) -> String {
        format!("{}/{name}.{extension}", Self::FIGURES)
    }

    /// One of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
