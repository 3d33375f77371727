//! The facts that an experiment is resolved against.

use crate::config::Diagnostic;
use crate::data::DatasetInfo;

/// The facts outside of an experiment that it is resolved against. They are looked up beforehand, so that making a
/// [`Study`](super::Study) reads no disk, no environment and no GPU.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The data set that the experiment names, or why it cannot be used.
    pub dataset: Result<DatasetInfo, Diagnostic>,
    /// The reason why CUDA cannot be used; `None` where it can.
    pub cuda_unavailable: Option<String>,
}
