//! The name of every file the program writes.

use std::path::{Path, PathBuf};

use super::key::Key;

/// The folder of all runs: the store and the views.
#[derive(Clone, Debug)]
pub struct Runs(pub PathBuf);

impl Runs {
    /// Where trainings live, by key.
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// One training.
    pub fn entry(&self, key: &Key) -> Entry {
        Entry(self.store().join(key.to_string()))
    }

    /// Where `--fresh` puts the entries of a plan.
    pub fn old_store(&self, n: u32) -> PathBuf {
        self.store().join(format!("old-{n}"))
    }

    /// The files of one experiment.
    pub fn view(&self, name: &str, id: &Key) -> View {
        View(self.0.join(format!("{name}-{}", id.short())))
    }
}

/// The files of one training in the store.
#[derive(Clone, Debug)]
pub struct Entry(pub PathBuf);

impl Entry {
    /// θ₀: dense trainings only, where every rewind of the replicate finds it.
    pub fn start(&self) -> PathBuf {
        self.0.join("start.safetensors")
    }

    /// The mask, bit-packed.
    pub fn mask(&self) -> PathBuf {
        self.0.join("mask.safetensors")
    }

    /// The final weights, while somebody may need them.
    pub fn last(&self) -> PathBuf {
        self.0.join("final.safetensors")
    }

    /// The evaluations.
    pub fn curve(&self) -> PathBuf {
        self.0.join("curve.json")
    }

    /// Written last: the entry is whole.
    pub fn done(&self) -> PathBuf {
        self.0.join("done.json")
    }

    /// How long it took, and where; may differ between runs.
    pub fn timing(&self) -> PathBuf {
        self.0.join("timing.json")
    }

    /// Held while the training runs.
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
}

/// The files of one experiment, all made from the store.
#[derive(Clone, Debug)]
pub struct View(pub PathBuf);

impl View {
    /// A file of the view.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Held while the view is written. Outside of it, because the view may be renamed.
    pub fn lock(&self) -> PathBuf {
        self.beside("write")
    }

    /// Shared by all processes that run the experiment; who sets it aside must have it alone.
    pub fn running(&self) -> PathBuf {
        self.beside("run")
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.0.file_name().unwrap_or_default().to_string_lossy();
        self.0.parent().unwrap_or(Path::new(".")).join(".locks").join(format!("{name}.{what}"))
    }

    /// Where `--fresh` puts it.
    pub fn old(&self, n: u32) -> PathBuf {
        let mut name = self.0.file_name().unwrap_or_default().to_owned();
        name.push(format!(".old-{n}"));
        self.0.parent().unwrap_or(Path::new(".")).join(name)
    }
}
