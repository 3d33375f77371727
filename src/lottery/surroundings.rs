//! The surroundings of an experiment: the data set found on this machine, and whether CUDA can be used.

use super::allocation_files::AllocationBytes;
use super::source_files::FilesByPath;
use crate::config::Diagnostic;
use crate::data::DatasetInfo;

/// The facts of this machine that an experiment is resolved against: the data set found, and whether CUDA can be used.
/// Both are looked up beforehand, so that making a [`Study`](super::Study) reads no disk, no environment and no GPU.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The data set that the experiment names, or why it cannot be used.
    pub dataset: Result<DatasetInfo, Diagnostic>,
    /// The reason why CUDA cannot be used; `None` where it can.
    pub cuda_unavailable: Option<String>,
    /// The files that the experiment takes masks and weights from, by path.
    pub files: FilesByPath,
    /// The layer allocations in files, by path.
    pub allocations: AllocationBytes,
}
