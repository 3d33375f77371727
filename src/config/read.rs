//! From a document to an [`Experiment`], or to all mistakes in it.

use serde_json::Value;

use super::deserialize::{Recovered, deserialize, is_misspelt};
use super::document::{ConfigDocument, MAX_TRIED};
use super::experiment::{Experiment, ExperimentKeys};
use super::mistakes::diagnostic::{Diagnostic, DiagnosticKind};
use super::mistakes::render::UsageError;
use super::mistakes::value_replacement::set_replacement_hint;
use super::value_path::is_within;

/// Reads the experiment, checks its values against each other, and fills in the defaults that depend on other values.
///
/// # Errors
/// Returns an error with every mistake found, each with its place.
pub fn read(document: &ConfigDocument) -> Result<Experiment, UsageError> {
    let error = |diagnostics: &[Diagnostic]| UsageError::new(diagnostics, document);
    match &document.root {
        Value::Object(map) if map.is_empty() => {
            let hint = "`lth init my_experiment.toml` writes an experiment to start from";
            return Err(error(&[Diagnostic::new("", "the configuration is empty").hint(hint)]));
        }
        Value::Object(_) => {}
        // serde would read a list as the values of the keys, in the order of the fields.
        _ => {
            let message = "invalid value for the configuration: expected a table of keys, `{ … }`";
            return Err(error(&[Diagnostic::new("", message)]));
        }
    }
    let Recovered { keys, mut diagnostics, edited } = deserialize(document.root.clone());
    if document.text.len() <= MAX_TRIED {
        for diagnostic in &mut diagnostics {
            set_replacement_hint(diagnostic, document);
        }
    }
    let Some(mut keys) = keys else { return Err(error(&diagnostics)) };
    let broken_rules = broken_rules(&mut keys, &edited, &diagnostics);
    diagnostics.extend(broken_rules);
    if !diagnostics.is_empty() {
        return Err(error(&diagnostics));
    }
    keys.resolve().map_err(|diagnostic| error(&[diagnostic]))
}

/// Expands the folders of the keys, and returns the rules that their values break.
///
/// Mistakes that follow from others are left out: at keys in `edited`, which hold dummy values, and at keys given under
/// a misspelt name (one of the mistakes in `known`). A key that is missing in a table that was inserted is not left
/// out.
fn broken_rules(keys: &mut ExperimentKeys, edited: &[String], known: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut broken = Vec::new();
    keys.data.expand_folders(&mut broken);
    broken.extend(keys.validate());
    let is_edited = |diagnostic: &Diagnostic| {
        let is_missing = diagnostic.kind == DiagnosticKind::MissingKey;
        edited.iter().any(|key| *key == diagnostic.key || !is_missing && is_within(&diagnostic.key, key))
    };
    broken.retain(|diagnostic| !is_edited(diagnostic) && !is_misspelt(&diagnostic.key, known));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptimizerConfig;

    const GOOD: &str = r#"
name = "a"
rounds = 2
[data]
dataset = "strokes"
[network]
architecture = { mlp = { hidden = [8] } }
[train]
iterations = 10
batch_size = 4
optimizer = "adam"
lr = 1e-3
[arms.ticket]
mask = "iterative"
weights = "rewind"
[arms.control]
mask = { of = "ticket" }
weights = "reinit"
"#;

    fn usage_error(text: &str) -> String {
        let document = ConfigDocument::parse("a.toml", text, &[]).unwrap();
        read(&document).expect_err("this must not be accepted").to_string()
    }

    #[test]
    fn experiment_is_read_with_its_defaults() {
        let experiment = read(&ConfigDocument::parse("a.toml", GOOD, &[]).unwrap()).unwrap();
        assert_eq!((experiment.seed, experiment.replicates, experiment.train.evaluate_every), (1, 1, 100));
        let adam = OptimizerConfig::Adam { betas: [0.9, 0.999], eps: 1e-8 };
        assert_eq!(experiment.train.optimizer, adam);
        assert_eq!((experiment.prune.rate.linear, experiment.prune.rate.output), (Some(0.2), Some(0.1)));
        let names: Vec<&str> = experiment.arms.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ticket", "control"], "in the order of the file");
    }

    #[test]
    fn all_mistakes_are_in_one_message() {
        let text = GOOD
            .replace("batch_size = 4", "batchsize = 4")
            .replace("lr = 1e-3", "lr = \"fast\"")
            .replace("\"strokes\"", "\"mnits\"");
        insta::assert_snapshot!(usage_error(&text));
    }

    #[test]
    fn mistakes_inside_enums_and_lists_are_located() {
        let text = GOOD
            .replace("hidden = [8]", "hidden = [8, -1]")
            .replace("{ of = \"ticket\" }", "{ off = \"ticket\" }")
            .replace("iterations = 10", "iterations = 1.5")
            .replace("[arms.ticket]", "[run]\nworkers = 0\n[arms.ticket]");
        insta::assert_snapshot!(usage_error(&text));
    }

    #[test]
    fn missing_key() {
        insta::assert_snapshot!(usage_error(&GOOD.replace("batch_size = 4\n", "")));
    }

    #[test]
    fn missing_keys_are_all_reported_at_once() {
        let error = usage_error("seed = 1\n[arms.a]\nrepeats = 2");
        for key in [
            "name",
            "rounds",
            "data",
            "data.dataset",
            "network.architecture",
            "train.iterations",
            "train.batch_size",
            "train.optimizer",
            "train.lr",
            "arms.a.mask",
            "arms.a.weights",
        ] {
            assert!(error.contains(&format!("`{key}` is missing")), "{key}: {error}");
        }
    }

    #[test]
    fn messages_quote_the_users_words() {
        let lr = usage_error(&GOOD.replace("lr = 1e-3", "lr = \"bitmap, expected\""));
        assert!(lr.contains("expected a number, got the text \"bitmap, expected\""), "{lr}");
        let optimizer = usage_error(&GOOD.replace("\"adam\"", "\"a`b\""));
        assert!(optimizer.contains("unknown value `a`b` for `train.optimizer`"), "{optimizer}");
        assert!(optimizer.contains("one of: adam, adamw, sgd"), "{optimizer}");
        let architecture = usage_error(&GOOD.replace("{ mlp = { hidden = [8] } }", "\"mlp\""));
        assert!(architecture.contains("expected a table with its parameters"), "{architecture}");
        let hidden = usage_error(&GOOD.replace("hidden = [8]", "hidden = [-1, 8, -2]"));
        assert!(hidden.contains("mlp.hidden[0]`") && hidden.contains("mlp.hidden[2]`"), "{hidden}");
        let hidden = usage_error(&GOOD.replace("hidden = [8]", ""));
        assert_eq!(hidden.matches("error:").count(), 1, "{hidden}");
        let document = ConfigDocument::parse("a.json", "7", &[]).unwrap();
        let list = read(&document).unwrap_err().to_string();
        assert!(list.contains("invalid value for the configuration: expected a table"), "{list}");
    }

    #[test]
    fn broken_rules_are_reported() {
        let text = GOOD
            .replace("lr = 1e-3", "lr = -1\nmomentum = 0.9")
            .replace("\"reinit\"", "\"reinit\"\nrepeats = 0")
            .replace("rounds = 2", "rounds = 2\nreplicates = 0")
            .replace("[arms.ticket]", "[prune]\nrate = { linear = 1.5 }\n[arms.dense]");
        insta::assert_snapshot!(usage_error(&text));
    }
}
