//! The folders that an experiment names, with a leading `~/` expanded: no shell has seen them.

use super::diagnostic::Diagnostic;
use super::experiment::{DataConfig, DatasetSpec};
use crate::system::user_path;

impl DataConfig {
    /// Whether its files are looked for in the folder of the built-in data sets.
    pub fn is_official(&self) -> bool {
        match self.dataset {
            DatasetSpec::Mnist | DatasetSpec::FashionMnist | DatasetSpec::Cifar10 | DatasetSpec::Cifar100 => true,
            DatasetSpec::Strokes | DatasetSpec::Idx { .. } | DatasetSpec::Images { .. } => false,
        }
    }

    /// Expands `dir` and the `dir` of own data; what cannot be expanded is added to `problems`.
    pub(super) fn expand_folders(&mut self, problems: &mut Vec<Diagnostic>) {
        let own = match &mut self.dataset {
            DatasetSpec::Idx { dir, .. } => Some(("data.dataset.idx.dir", dir)),
            DatasetSpec::Images { dir, .. } => Some(("data.dataset.images.dir", dir)),
            _ => None,
        };
        for (key, dir) in own.into_iter().chain(self.dir.as_mut().map(|dir| ("data.dir", dir))) {
            match user_path::expand(dir) {
                Ok(path) => *dir = path,
                Err(refused) => problems.push(Diagnostic::new(key, refused.message).hint(refused.hint)),
            }
        }
    }
}
