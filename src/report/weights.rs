//! The rows of `weights.csv`: what figures need of the weights themselves.

use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::run::Run;
use crate::record::from_csv;

/// The file's name; a run may be without it.
const FILE: &str = "weights.csv";

/// A row of `weights.csv`: a point of a histogram, or a unit of a layer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct WeightRow {
    pub(crate) arm: String,
    pub(crate) round: u32,
    pub(crate) layer: String,
    pub(crate) measure: String,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) n: usize,
}

/// The rows of a run; none where it has no such file.
///
/// # Errors
/// A file that is damaged.
pub(crate) fn rows(run: &Run) -> Result<Vec<WeightRow>> {
    let path = run.view.file(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = fs::read(&path).with_context(|| format!("could not read `{}`", path.display()))?;
    let damaged = || format!("`{}` is damaged; the command that made the run makes it again", path.display());
    from_csv(&bytes).with_context(damaged)
}
