//! Layer allocations in CSV files: the densities of the layers, for all rounds or for each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::source_files::UnusableFile;
use crate::config::{Allocation, Diagnostic, Experiment};
use crate::network::{Network, PrunableTensor};

/// The bytes of the allocation files that an experiment names, by path, or why they cannot be used.
pub type AllocationBytes = BTreeMap<PathBuf, Result<Vec<u8>, UnusableFile>>;

/// The allocation files of an experiment, fitted to its network.
#[derive(Clone, Debug, Default)]
pub(super) struct AllocationFiles(BTreeMap<PathBuf, FileDensities>);

/// The densities in a file, of all layers in the network's order: for each round, or under `None` for all.
type FileDensities = BTreeMap<Option<u32>, Vec<f64>>;

/// A row of the file. Columns of other names are ignored, so that rows of `layers.csv` can be taken as they are.
#[derive(Deserialize)]
struct Row {
    layer: String,
    #[serde(default)]
    density: Option<f64>,
    #[serde(default)]
    weights_kept: Option<f64>,
    #[serde(default)]
    round: Option<u32>,
}

/// The advice for a file that cannot be used.
const HINT: &str =
    "a CSV file with the columns `layer` and `density` (or `weights_kept`), and `round` if the rounds differ";

/// Returns the paths of the allocation files that an experiment names, each once.
pub fn allocation_file_paths(experiment: &Experiment) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = files(experiment).map(|(_, path)| path.to_owned()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// Returns the arms with an allocation in a file, and its path.
fn files(experiment: &Experiment) -> impl Iterator<Item = (&str, &Path)> {
    experiment.arms.0.iter().filter_map(|(name, arm)| match &arm.allocation {
        Some(Allocation::File(path)) => Some((name.as_str(), path.as_path())),
        _ => None,
    })
}

impl AllocationFiles {
    /// Fits the files of an experiment to its network.
    ///
    /// # Errors
    /// Fails with every file that cannot be used, at the key that names it.
    pub(super) fn new(
        experiment: &Experiment,
        network: &Network,
        bytes: &AllocationBytes,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut fitted = Self::default();
        let mut mistakes = Vec::new();
        for (arm, path) in files(experiment) {
            let densities = match bytes.get(path) {
                Some(Ok(bytes)) => {
                    parse(bytes, network).map_err(|why| format!("could not use `{}`: {why}", path.display()))
                }
                Some(Err(UnusableFile::Unreadable(why))) => Err(format!("could not use `{}`: {why}", path.display())),
                Some(Err(UnusableFile::Missing)) | None => Err(format!("there is no file `{}`", path.display())),
            };
            match densities {
                Ok(densities) => {
                    fitted.0.insert(path.to_owned(), densities);
                }
                Err(message) => {
                    mistakes.push(Diagnostic::new(format!("arms.{arm}.allocation.file"), message).hint(HINT));
                }
            }
        }
        if mistakes.is_empty() { Ok(fitted) } else { Err(mistakes) }
    }

    /// Returns the densities of the layers at a round; `None` if the file has other rounds only.
    pub(super) fn densities(&self, path: &Path, round: u32) -> Option<&[f64]> {
        let densities = self.0.get(path)?;
        densities.get(&Some(round)).or_else(|| densities.get(&None)).map(Vec::as_slice)
    }
}

/// Reads the densities of all layers.
///
/// # Errors
/// Fails with the reason why the file cannot be used.
fn parse(bytes: &[u8], network: &Network) -> Result<FileDensities, String> {
    let weights = network.weights();
    let mut found: BTreeMap<Option<u32>, Vec<Option<f64>>> = BTreeMap::new();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    for (line, row) in (2..).zip(reader.deserialize()) {
        let Row { layer, density, weights_kept, round } = row.map_err(|error| error.to_string())?;
        let Some(index) = weights.iter().position(|weight| weight.layer == layer) else {
            let names: Vec<&str> = weights.iter().map(|weight| weight.layer.as_str()).collect();
            return Err(format!("the network has no layer `{layer}` (line {line}); its layers: {}", names.join(", ")));
        };
        let size = weights[index].parameter.len() as f64;
        let density = match (density, weights_kept) {
            (Some(density), _) => density,
            (None, Some(kept)) => kept / size,
            (None, None) => return Err(format!("line {line} has neither `density` nor `weights_kept`")),
        };
        if !(density > 0.0 && density <= 1.0) {
            return Err(format!("`{layer}` has the density {density} (line {line}): it must be above 0 and at most 1"));
        }
        let layers = found.entry(round).or_insert_with(|| vec![None; weights.len()]);
        if layers[index].replace(density).is_some() {
            return Err(format!("`{layer}` has a second density (line {line}): keep the rows of one mask"));
        }
    }
    let complete = |(round, layers): (Option<u32>, Vec<Option<f64>>)| {
        let missing =
            |(weight, density): (&PrunableTensor, &Option<f64>)| density.is_none().then(|| weight.layer.clone());
        let at = round.map_or_else(String::new, |round| format!(" at round {round}"));
        match weights.iter().zip(&layers).find_map(missing) {
            Some(layer) => Err(format!("the layer `{layer}` is missing{at}")),
            None => Ok((round, layers.into_iter().flatten().collect())),
        }
    };
    if found.is_empty() {
        return Err("it has no rows".to_owned());
    }
    found.into_iter().map(complete).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_support::study;
    use super::*;

    fn parsed(text: &str) -> Result<FileDensities, String> {
        parse(text.as_bytes(), &study(&[]).resolved.network)
    }

    #[test]
    fn densities_are_read_for_all_rounds_or_for_each() {
        let all = parsed("layer,density\nlinear1,0.1\noutput,1\nlinear2,0.5\n").unwrap();
        assert_eq!(all, BTreeMap::from([(None, vec![0.1, 0.5, 1.0])]));
        // The columns of layers.csv; 512 and 160 are the sizes of the last two layers.
        let text = "arm,round,layer,weights_kept\na,1,linear1,12544\na,1,linear2,128\na,1,output,80\na,2,linear1,2509\n\
                    a,2,linear2,51\na,2,output,16\n";
        let by_round = parsed(text).unwrap();
        assert_eq!(by_round[&Some(1)], [0.5, 0.25, 0.5]);
        assert_eq!(by_round.len(), 2);
    }

    #[test]
    fn files_that_do_not_fit_the_network_are_refused() {
        let error = |text: &str| parsed(text).unwrap_err();
        let unknown = error("layer,density\nconv1,0.5\n");
        assert_eq!(unknown, "the network has no layer `conv1` (line 2); its layers: linear1, linear2, output");
        assert_eq!(error("layer,density\nlinear1,0.5\nlinear2,0.5\n"), "the layer `output` is missing");
        let zero = error("layer,density\nlinear1,0\n");
        assert_eq!(zero, "`linear1` has the density 0 (line 2): it must be above 0 and at most 1");
        assert_eq!(error("layer\nlinear1\n"), "line 2 has neither `density` nor `weights_kept`");
        assert_eq!(error("layer,density\n"), "it has no rows");
        let twice = error("layer,density\nlinear1,0.5\nlinear1,0.5\n");
        assert_eq!(twice, "`linear1` has a second density (line 3): keep the rows of one mask");
        assert!(error("name,density\nlinear1,0.5\n").contains("missing field `layer`"));
    }
}
