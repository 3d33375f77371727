//! Masks and weights from files: which file each training run takes, and its tensors as the network needs them.

mod fit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use self::fit::Fit;
pub(super) use self::fit::{FittedMask, FittedWeights};
use super::arm_graph;
use crate::base::key::ContentHash;
use crate::base::mask::LayerMask;
use crate::base::tensors::TensorMap;
use crate::config::{Diagnostic, Experiment, FileTensors, FileWeights, MaskSource, SourceFile, WeightSource};
use crate::network::Network;

/// The tensors of a file, under the names that they have there.
#[derive(Clone, Debug, PartialEq)]
pub struct FileContents {
    /// SHA-256 of the file.
    pub sha256: String,
    /// The masks, by the names of the weights that they belong to.
    pub masks: Vec<LayerMask>,
    /// Weights and running statistics before training; of a state dict, the same as `trained`.
    pub start: TensorMap,
    /// Weights and running statistics after training.
    pub trained: TensorMap,
}

/// The files that an experiment names, by path: their contents, or why they cannot be used.
pub type FilesByPath = BTreeMap<PathBuf, Result<Arc<FileContents>, UnusableFile>>;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnusableFile {
    /// It does not exist.
    Missing,
    /// It cannot be read, or is neither a ticket nor a state dict; with the reason.
    Unreadable(String),
}

/// A use of a file: what determines a mask or weights that are taken from it. Part of the key of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct FileUse {
    /// The hash of the content.
    pub(super) id: ContentHash,
    /// The checksum of the file, and how its tensors are used.
    pub(super) content: Value,
}

impl FileUse {
    fn new(file: &SourceFile, sha256: &str, which: Option<FileTensors>) -> Self {
        let mut content = json!({ "file": sha256 });
        let options = [
            ("which", which.map(|which| json!(which))),
            ("names", (!file.names.is_empty()).then(|| json!(file.names))),
            ("adapt_input", file.adapt_input.then(|| json!(true))),
            ("new_output", file.new_output.then(|| json!(true))),
        ];
        for (name, value) in options {
            if let Some(value) = value {
                content[name] = value;
            }
        }
        Self { id: ContentHash::of_json(&content), content }
    }
}

/// The masks and weights that the training runs of an experiment take from files, fitted to its network.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceFiles {
    /// SHA-256 of each file.
    checksums: BTreeMap<PathBuf, String>,
    masks: BTreeMap<ContentHash, Arc<FittedMask>>,
    weights: BTreeMap<ContentHash, Arc<FittedWeights>>,
    /// The weights in a file that the dense networks start from.
    pretrained: Option<FileWeights>,
}

/// A file that a training run takes a mask or weights from.
struct NeededFile<'a> {
    /// The config key of the file.
    key: String,
    file: &'a SourceFile,
    /// The weights taken from it; `None` for its mask.
    which: Option<FileTensors>,
    path: PathBuf,
}

impl SourceFiles {
    /// Fits the files of an experiment to its network.
    ///
    /// # Errors
    /// Fails with every file that cannot be used, at the key that names it.
    pub(super) fn new(
        experiment: &Experiment,
        network: &Network,
        files: &FilesByPath,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut fitted = Self { pretrained: experiment.network.pretrained.clone(), ..Self::default() };
        // One mistake for each key: the files of other rounds and replicates are often missing or wrong alike.
        let mut mistakes: Vec<FileMistake> = Vec::new();
        for NeededFile { key, file, which, path } in needed_files(experiment) {
            let problem = match files.get(&path) {
                Some(Ok(contents)) => {
                    let fit = Fit { network, file, contents };
                    fitted.checksums.insert(path.clone(), contents.sha256.clone());
                    let added = fitted.add(&fit, &FileUse::new(file, &contents.sha256, which), which);
                    added.err().map(|misfit| (misfit, "`lth ticket show FILE` shows what is in a ticket"))
                }
                Some(Err(UnusableFile::Unreadable(error))) => Some((
                    error.clone(),
                    "name a ticket that `lth ticket export` wrote, or a state dict saved by safetensors",
                )),
                Some(Err(UnusableFile::Missing)) | None => Some((String::new(), MISSING)),
            };
            let Some((problem, hint)) = problem else { continue };
            match mistakes.iter_mut().find(|mistake| mistake.key == key) {
                Some(mistake) => mistake.others += 1,
                None => mistakes.push(FileMistake { key, path, problem, hint, others: 0 }),
            }
        }
        if mistakes.is_empty() { Ok(fitted) } else { Err(mistakes.into_iter().map(FileMistake::diagnostic).collect()) }
    }

    /// Adds a mask or weights, unless they have been added.
    fn add(&mut self, fit: &Fit<'_>, file_use: &FileUse, which: Option<FileTensors>) -> Result<(), String> {
        match which {
            None if !self.masks.contains_key(&file_use.id) => {
                self.masks.insert(file_use.id, Arc::new(fit.mask()?));
            }
            Some(which) if !self.weights.contains_key(&file_use.id) => {
                self.weights.insert(file_use.id, Arc::new(fit.weights(which)?));
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the use of a file for its mask by a replicate at a round.
    pub(super) fn mask_use(&self, file: &SourceFile, replicate: u32, round: u32) -> FileUse {
        FileUse::new(file, self.checksum(&file.path_for(replicate, round)), None)
    }

    /// Returns the use of a file for its weights by a replicate at a round.
    pub(super) fn weights_use(&self, weights: &FileWeights, replicate: u32, round: u32) -> FileUse {
        let path = weights.file.path_for(replicate, round);
        FileUse::new(&weights.file, self.checksum(&path), Some(weights.which))
    }

    fn checksum(&self, path: &Path) -> &str {
        self.checksums.get(path).map_or("", String::as_str)
    }

    /// Returns the use of the file that the dense network of a replicate starts from; `None` if its weights are drawn.
    pub(super) fn pretrained_use(&self, replicate: u32) -> Option<FileUse> {
        Some(self.weights_use(self.pretrained.as_ref()?, replicate, 0))
    }

    /// Returns whether the dense networks start from trained weights.
    pub(super) fn is_pretrained(&self) -> bool {
        self.pretrained.as_ref().is_some_and(|weights| weights.which == FileTensors::Trained)
    }

    /// Returns the weights that the dense network of a replicate starts from; `None` if they are drawn.
    pub(super) fn pretrained(&self, replicate: u32) -> Option<&FittedWeights> {
        self.weights(&self.pretrained_use(replicate)?)
    }

    /// Returns the mask of a use.
    pub(super) fn mask(&self, file_use: &FileUse) -> Option<&FittedMask> {
        self.masks.get(&file_use.id).map(Arc::as_ref)
    }

    /// Returns the weights of a use.
    pub(super) fn weights(&self, file_use: &FileUse) -> Option<&FittedWeights> {
        self.weights.get(&file_use.id).map(Arc::as_ref)
    }

    /// Returns a note for each set of weights whose file has tensors that the network has no use for.
    pub(super) fn notes(&self) -> Vec<String> {
        let unused: std::collections::BTreeSet<&str> =
            self.weights.values().filter_map(|fitted| fitted.note()).collect();
        unused.into_iter().map(str::to_owned).collect()
    }
}

/// The advice for a missing file.
const MISSING: &str = "`lth ticket export` writes tickets; a relative path is looked for beside the configuration, then \
                       in the working directory";

/// A file that cannot be used, for a key of the configuration.
struct FileMistake {
    key: String,
    path: PathBuf,
    /// Why it cannot be used; empty if it does not exist.
    problem: String,
    hint: &'static str,
    /// Number of further files of the key that cannot be used.
    others: usize,
}

impl FileMistake {
    fn diagnostic(self) -> Diagnostic {
        let Self { key, path, problem, hint, others } = self;
        let path = path.display();
        let others = if others == 0 { String::new() } else { format!("; nor can {others} more of this key be used") };
        let message = if problem.is_empty() {
            format!("there is no file `{path}`{others}")
        } else {
            format!("could not use `{path}`: {problem}{others}")
        };
        Diagnostic::new(key, message).hint(hint)
    }
}

/// Returns the paths of the files that `file`, a source of an experiment, stands for.
pub fn paths_of_source(experiment: &Experiment, file: &SourceFile) -> Vec<PathBuf> {
    needed_files(experiment).into_iter().filter(|needed| needed.file == file).map(|needed| needed.path).collect()
}

/// Returns the paths of all files that an experiment takes masks or weights from, each once.
pub fn source_file_paths(experiment: &Experiment) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = needed_files(experiment).into_iter().map(|needed| needed.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Returns the files of the dense networks and of each arm, for each replicate and round; those of arms are left out if
/// the references between arms are not valid, because then arms may have no rounds.
fn needed_files(experiment: &Experiment) -> Vec<NeededFile<'_>> {
    let mut needed = Vec::new();
    let arms = if arm_graph::topological_order(&experiment.arms).is_ok() { &experiment.arms.0[..] } else { &[] };
    for replicate in 1..=experiment.replicates {
        let mut add = |key: String, file, which, rounds: &[u32]| {
            let of_round = |&round: &u32| NeededFile {
                key: key.clone(),
                file,
                which,
                path: SourceFile::path_for(file, replicate, round),
            };
            needed.extend(rounds.iter().map(of_round));
        };
        if let Some(FileWeights { file, which }) = &experiment.network.pretrained {
            add("network.pretrained.file".to_owned(), file, Some(*which), &[0]);
        }
        for (name, arm) in arms {
            let rounds = arm_graph::rounds(arm, experiment);
            if let MaskSource::File(file) = &arm.mask {
                add(format!("arms.{name}.mask.file"), file, None, &rounds);
            }
            if let WeightSource::File(FileWeights { file, which }) = &arm.weights {
                add(format!("arms.{name}.weights.file"), file, Some(*which), &rounds);
            }
        }
    }
    needed
}
