//! The folders that an experiment names, with a leading `~/` expanded: no shell has seen them.

use super::experiment::{Data, Dataset};
use super::problem::Problem;
use crate::base::given;

impl Data {
    /// Whether its files are looked for in the folder of the built-in data sets.
    pub fn is_official(&self) -> bool {
        match self.dataset {
            Dataset::Mnist | Dataset::FashionMnist | Dataset::Cifar10 | Dataset::Cifar100 => true,
            Dataset::Strokes | Dataset::Idx { .. } | Dataset::Images { .. } => false,
        }
    }

    /// Expands `dir` and the `dir` of own data; what cannot be expanded is added to `problems`.
    pub(super) fn expand_folders(&mut self, problems: &mut Vec<Problem>) {
        let own = match &mut self.dataset {
            Dataset::Idx { dir, .. } => Some(("data.dataset.idx.dir", dir)),
            Dataset::Images { dir, .. } => Some(("data.dataset.images.dir", dir)),
            _ => None,
        };
        for (key, dir) in own.into_iter().chain(self.dir.as_mut().map(|dir| ("data.dir", dir))) {
            match given::expand(dir) {
                Ok(path) => *dir = path,
                Err(refused) => problems.push(Problem::new(key, refused.message).hint(refused.hint)),
            }
        }
    }
}
