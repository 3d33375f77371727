//! The setting of a run, as facts for a box at the head of its part of the page: data, network, optimizer, replicates,
//! date and time.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::analysis::RunAnalysis;
use crate::artifacts::{RoundRow, RunCommand, RunManifest};
use crate::base::format::{count_of, duration, percent, with_thousands};
use crate::base::outcome::OutcomeKind;
use crate::config::{Experiment, NetworkStructure, OptimizerConfig};
use crate::report::run::Run;

/// Returns the facts, each with its name.
pub(super) fn facts(analysis: &RunAnalysis) -> Vec<(String, String)> {
    let run = &analysis.run;
    let mut facts = Vec::new();
    if let Some(experiment) = &analysis.experiment {
        facts.push(("Data", data(experiment, run)));
        facts.push(("Network", network(experiment, run)));
        facts.push(("Optimizer", optimizer(experiment)));
    }
    facts.push(("Pruning", pruning(run)));
    facts.push(("Replicates", replicates(run)));
    facts.push(("Training runs", completion(run)));
    facts.extend(run.manifest.as_ref().map(|manifest| ("Date", date(manifest))));
    facts.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

/// Returns the data set with its numbers of images, as far as they are known.
fn data(experiment: &Experiment, run: &Run) -> String {
    // In a configuration, a built-in data set is a word, and custom data are a table.
    let value = serde_json::to_value(&experiment.data.dataset).unwrap_or_default();
    let name = value.as_str().unwrap_or("own data");
    let Some(manifest) = &run.manifest else { return name.to_owned() };
    if let Some(images) = manifest.images {
        return format!("{name}; images: {images}");
    }
    manifest
        .test
        .map_or_else(|| name.to_owned(), |test| format!("{name}: {} test images", with_thousands(test.used.into())))
}

/// Returns the name of the network and its number of weights.
fn network(experiment: &Experiment, run: &Run) -> String {
    let name = match &experiment.network.structure {
        NetworkStructure::Named(named) => serde_json::to_value(&named.architecture).unwrap_or_default(),
        NetworkStructure::Layers(layers) => format!("own network of {}", count_of(layers.len() as u64, "layer")).into(),
    };
    let weights = run.rounds.iter().map(|row| row.weights_total).max().filter(|weights| *weights > 0);
    let weights = weights.map_or_else(String::new, |weights| format!(", {} weights", with_thousands(weights)));
    format!("{}{weights}", word(&name))
}

/// Returns a value of a configuration as a word: a text itself, of a table such as `{ mlp = … }` its first key.
fn word(value: &Value) -> &str {
    match value {
        Value::Object(table) => table.keys().next().map_or("", String::as_str),
        other => other.as_str().unwrap_or_default(),
    }
}

/// Returns the optimizer with its learning rate, and the length of a training run.
fn optimizer(experiment: &Experiment) -> String {
    let train = &experiment.train;
    let name = match train.optimizer {
        OptimizerConfig::Adam { .. } => "Adam".to_owned(),
        OptimizerConfig::AdamW { .. } => "AdamW".to_owned(),
        OptimizerConfig::Sgd { momentum: 0.0, .. } => "SGD".to_owned(),
        OptimizerConfig::Sgd { momentum, .. } => format!("SGD with momentum {momentum}"),
    };
    format!(
        "{name}, learning rate {}, batch size {}, {} iterations, evaluated every {}",
        train.lr,
        train.batch_size,
        with_thousands(train.iterations),
        with_thousands(train.evaluate_every)
    )
}

/// Returns the number of rounds and the smallest share of weights.
fn pruning(run: &Run) -> String {
    let rounds = run.rounds.iter().map(|row| row.round).max().unwrap_or_default();
    let shares = run.rounds.iter().map(|row| row.weights_remaining).filter(|share| *share > 0.0);
    let smallest = shares.reduce(f64::min);
    let smallest = smallest.map_or_else(String::new, |share| format!(", to {} of the weights", percent(share)));
    format!("{}{smallest}", count_of(rounds.into(), "round"))
}

/// Returns the number of replicates.
fn replicates(run: &Run) -> String {
    let replicates: BTreeSet<u32> = run.rounds.iter().map(|row| row.replicate).collect();
    let note = if replicates.len() == 1 { " only: the spread over seeds is unknown" } else { "" };
    format!("{}{note}", replicates.len())
}

/// Returns how many training runs of the plan are complete, such as `2 of 10 complete (2 diverged)`.
fn completion(run: &Run) -> String {
    let planned = run.trainings().unwrap_or(run.rounds.len()) as u64;
    let count = |outcome: OutcomeKind| run.rounds.iter().filter(|row: &&RoundRow| row.outcome.is(outcome)).count();
    let others: Vec<String> = [(count(OutcomeKind::Diverged), "diverged"), (count(OutcomeKind::Failed), "failed")]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, outcome)| format!("{} {outcome}", with_thousands(n as u64)))
        .collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    format!("{} of {} complete{others}", with_thousands(run.done() as u64), with_thousands(planned))
}

/// Returns the date of the run, in UTC, and the time that its commands took; of a run of an older version, which has no
/// commands with times, the date at which its manifest was written.
fn date(manifest: &RunManifest) -> String {
    let seconds = |command: &RunCommand| Some(command.finished?.seconds_since(command.started?));
    let seconds: Vec<u64> = manifest.commands.iter().filter_map(seconds).collect();
    let time = if seconds.is_empty() {
        String::new()
    } else {
        format!(", {} of wall time", duration(seconds.iter().sum::<u64>() as f64))
    };
    format!("{}{time}", manifest.started().day())
}

#[cfg(test)]
mod tests {
    use super::super::super::test_fixtures::{experiment, rows};
    use super::*;
    use crate::system::paths::RunDir;

    #[test]
    fn setting_names_images_network_and_optimizer() {
        let experiment = experiment(&["train.optimizer=\"sgd\"", "train.momentum=0.9", "train.lr=0.1"]);
        let mut rounds = rows("dense", 0, &[(100, 0.5), (120, 0.5)]);
        rounds[1].outcome = OutcomeKind::Diverged.into();
        let run = Run { dir: RunDir("x".into()), rounds, manifest: None };
        assert_eq!(data(&experiment, &run), "strokes", "without a manifest");
        assert!(optimizer(&experiment).starts_with("SGD with momentum 0.9, learning rate 0.1, batch size "));
        // regression: the name of an architecture with sizes was left out.
        let network = network(&experiment, &run);
        assert!(network.starts_with(|c: char| c.is_ascii_lowercase()), "{network}");
        assert_eq!(completion(&run), "1 of 2 complete (1 diverged)");
        assert_eq!((replicates(&run), pruning(&run)), ("2".to_owned(), "0 rounds, to 100% of the weights".to_owned()));
    }
}
