//! From a document to an [`Experiment`], collecting every mistake on the way.

use serde_json::{Value, json};

use super::diagnostic::{Diagnostic, UsageError};
use super::document::ConfigDocument;
use super::experiment::Experiment;
use super::proposal::propose;
use super::serde_errors::{MISSING, leaf, parent, to_diagnostic};
use super::walk::{self, ValueSlot};

/// Reads the experiment, fills in what depends on other values, and checks what one value says about another.
///
/// # Errors
/// Every mistake found, each with its place.
pub fn read(document: &ConfigDocument) -> Result<Experiment, UsageError> {
    match &document.root {
        Value::Object(map) if map.is_empty() => {
            let hint = "`lth init my_experiment.toml` writes an experiment to begin with";
            return Err(UsageError::new(&[Diagnostic::new("", "the configuration says nothing").hint(hint)], document));
        }
        Value::Object(_) => {}
        // serde would take a list for the values of the keys in their order.
        _ => {
            let message = "invalid value for the configuration: expected a table of keys, `{ … }`";
            return Err(UsageError::new(&[Diagnostic::new("", message)], document));
        }
    }
    let Recovered { experiment, mut problems, taken } = deserialize(document.root.clone());
    for problem in &mut problems {
        propose(problem, &document.root);
    }
    if let Some(mut experiment) = experiment {
        let mut own = Vec::new();
        experiment.data.expand_folders(&mut own);
        own.extend(experiment.problems());
        // What was filled in or taken out is no value of the user's, and so none to complain about; but what is missing
        // from a table that was filled in is.
        let is_told = |problem: &Diagnostic| {
            let missing = problem.message.ends_with(MISSING);
            taken.iter().any(|key| *key == problem.key || !missing && is_within(&problem.key, key))
        };
        let own = own.into_iter().filter(|problem| !is_told(problem));
        let own: Vec<Diagnostic> = own.filter(|problem| !is_misspelt(&problem.key, &problems)).collect();
        problems.extend(own);
        if problems.is_empty() {
            return Ok(experiment.resolved());
        }
    }
    Err(UsageError::new(&problems, document))
}

/// Whether what stands at `path` of `root` is understood; mistakes elsewhere do not count.
pub(super) fn is_accepted(root: &Value, path: &str) -> bool {
    let Recovered { experiment, problems, taken } = deserialize(root.clone());
    let own = experiment.map_or_else(Vec::new, |experiment| experiment.problems());
    let is_here = |key: &String| is_within(key, path);
    !problems.iter().chain(&own).map(|problem| &problem.key).chain(&taken).any(is_here)
}

/// What could be read.
struct Recovered {
    experiment: Option<Experiment>,
    problems: Vec<Diagnostic>,
    /// Keys whose values were filled in or taken out.
    taken: Vec<String>,
}

/// Whether `key` is `table` or inside it.
fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// serde stops at the first mistake. So that value is taken out, what is required is filled in where it is missing, and
/// the rest is read again until nothing is wrong; what was read then is thrown away if anything was.
fn deserialize(mut root: Value) -> Recovered {
    let mut problems: Vec<Diagnostic> = Vec::new();
    let (mut taken, mut out): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    loop {
        let error = match serde_path_to_error::deserialize::<_, Experiment>(&root) {
            Ok(experiment) => return Recovered { experiment: Some(experiment), problems, taken },
            Err(error) => error,
        };
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let problem = to_diagnostic(&path, &error.into_inner().to_string(), &keys(&mut root, &path));
        let key = problem.key.clone();
        // Inside what was taken out nothing is missed, nor that a table has nothing left; a table that was not there at
        // all has its own missing keys.
        let is_emptied = problem.message.ends_with("got none") && out.iter().any(|old| is_within(old, &key));
        let is_told = taken.contains(&key) || is_emptied || out.iter().any(|table| is_within(&key, table));
        // A key may be taken out and then filled in; one that comes back again, such as `"hidden[0]"` beside `hidden`,
        // is not what its path says, and would come back for ever.
        let is_stuck = taken.iter().filter(|old| **old == key).count() > 1;
        let mended = !is_stuck
            && if problem.message.ends_with(MISSING) {
                dummy_value(&key).is_some_and(|value| insert_at(&mut root, &key, value))
            } else {
                out.push(key.clone());
                remove_at(&mut root, &key)
            };
        // What was taken out, or is there under a wrong name, is missed through no other fault of the user's.
        if !is_told && !is_misspelt(&key, &problems) {
            problems.push(problem);
        }
        if !mended {
            return Recovered { experiment: None, problems, taken };
        }
        taken.push(key);
    }
}

/// Whether a key, or a table around it, is missed because it is there under a name that one of the problems asks about.
fn is_misspelt(key: &str, problems: &[Diagnostic]) -> bool {
    let meant = format!("did you mean `{}`", leaf(key));
    let is_it = |old: &Diagnostic| old.hint.as_deref().is_some_and(|hint| hint.starts_with(&meant));
    let is_here = problems.iter().any(|old| old.at_key && parent(&old.key) == parent(key) && is_it(old));
    is_here || !parent(key).is_empty() && is_misspelt(parent(key), problems)
}

/// Something to read on with in place of a required key that is missing.
fn dummy_value(key: &str) -> Option<Value> {
    Some(match leaf(key) {
        "name" => json!("placeholder"),
        "rounds" | "iterations" | "batch_size" | "lr" | "out" | "size" | "rate" => json!(1),
        "data" | "network" | "train" => json!({}),
        "dataset" => json!("strokes"),
        "hidden" => json!([1]),
        "dir" => json!("."),
        "classes" => json!(10),
        "optimizer" => json!("adam"),
        "mask" => json!("iterative"),
        "weights" => json!("rewind"),
        _ => return None,
    })
}

/// Puts a value at `path`; false where the table around it is not there.
fn insert_at(root: &mut Value, path: &str, value: Value) -> bool {
    match walk::get_mut(root, parent(path)) {
        Some(Value::Object(map)) => map.insert(leaf(path).to_owned(), value).is_none(),
        _ => false,
    }
}

/// Something to read on with in place of a member of the list `name` that is wrong: its neighbours keep their numbers.
fn dummy_item(name: &str) -> Option<Value> {
    Some(match name {
        "layers" => json!("relu"),
        "exclude" | "include" => json!(""),
        "hidden" => json!(1),
        "betas" => json!(0),
        "milestones" => json!("0it"),
        _ => return None,
    })
}

/// Removes the value at `path` (`a.b[0].c`), or puts something neutral into a list there; false where there is none.
fn remove_at(root: &mut Value, path: &str) -> bool {
    let list_name = leaf(path).split('[').next().unwrap_or_default();
    match (walk::slot(root, path), dummy_item(list_name)) {
        (Some(ValueSlot::Key(map, key)), _) => map.shift_remove(&key).is_some(),
        (Some(ValueSlot::Item(list, at)), Some(neutral)) => {
            list[at] = neutral;
            true
        }
        _ => false,
    }
}

/// The keys of the table at `path`, or of none where there is no table.
fn keys(root: &mut Value, path: &str) -> Vec<String> {
    let table = walk::get_mut(root, path);
    table.and_then(|table| table.as_object()).map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    fn complaint(text: &str) -> String {
        let document = ConfigDocument::parse("a.toml", text, &[]).unwrap();
        read(&document).expect_err("this must not be accepted").to_string()
    }

    #[test]
    fn a_good_one_is_read_with_its_defaults() {
        let experiment = read(&ConfigDocument::parse("a.toml", GOOD, &[]).unwrap()).unwrap();
        assert_eq!((experiment.seed, experiment.replicates, experiment.train.evaluate_every), (1, 1, 100));
        assert_eq!(experiment.train.betas, Some([0.9, 0.999]));
        assert_eq!((experiment.prune.rate.linear, experiment.prune.rate.output), (Some(0.2), Some(0.1)));
        let names: Vec<&str> = experiment.arms.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ticket", "control"], "in the order of the file");
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let text = GOOD
            .replace("batch_size = 4", "batchsize = 4")
            .replace("lr = 1e-3", "lr = \"fast\"")
            .replace("\"strokes\"", "\"mnits\"");
        insta::assert_snapshot!(complaint(&text));
    }

    #[test]
    fn mistakes_inside_variants_and_lists() {
        let text = GOOD
            .replace("hidden = [8]", "hidden = [8, -1]")
            .replace("{ of = \"ticket\" }", "{ off = \"ticket\" }")
            .replace("iterations = 10", "iterations = 1.5")
            .replace("[arms.ticket]", "[run]\nworkers = 0\n[arms.ticket]");
        insta::assert_snapshot!(complaint(&text));
    }

    #[test]
    fn a_key_that_is_missing() {
        insta::assert_snapshot!(complaint(&GOOD.replace("batch_size = 4\n", "")));
    }

    #[test]
    fn everything_that_is_missing_is_told_at_once() {
        let said = complaint("seed = 1\n[arms.a]\nrepeats = 2");
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
            assert!(said.contains(&format!("`{key}` is missing")), "{key}: {said}");
        }
    }

    #[test]
    fn the_users_words_are_left_as_they_are() {
        let lr = complaint(&GOOD.replace("lr = 1e-3", "lr = \"bitmap, expected\""));
        assert!(lr.contains("expected a number, got the text \"bitmap, expected\""), "{lr}");
        let optimizer = complaint(&GOOD.replace("\"adam\"", "\"a`b\""));
        assert!(optimizer.contains("unknown value `a`b` for `train.optimizer`"), "{optimizer}");
        assert!(optimizer.contains("one of: adam, adamw, sgd"), "{optimizer}");
        let architecture = complaint(&GOOD.replace("{ mlp = { hidden = [8] } }", "\"mlp\""));
        assert!(architecture.contains("expected a table with its parameters"), "{architecture}");
        let hidden = complaint(&GOOD.replace("hidden = [8]", "hidden = [-1, 8, -2]"));
        assert!(hidden.contains("mlp.hidden[0]`") && hidden.contains("mlp.hidden[2]`"), "{hidden}");
        let hidden = complaint(&GOOD.replace("hidden = [8]", ""));
        assert_eq!(hidden.matches("error:").count(), 1, "{hidden}");
        let document = ConfigDocument::parse("a.json", "7", &[]).unwrap();
        let list = read(&document).unwrap_err().to_string();
        assert!(list.contains("invalid value for the configuration: expected a table"), "{list}");
    }

    #[test]
    fn mistakes_of_meaning() {
        let text = GOOD
            .replace("lr = 1e-3", "lr = -1\nmomentum = 0.9")
            .replace("\"reinit\"", "\"reinit\"\nrepeats = 0")
            .replace("rounds = 2", "rounds = 2\nreplicates = 0")
            .replace("[arms.ticket]", "[prune]\nrate = { linear = 1.5 }\n[arms.dense]");
        insta::assert_snapshot!(complaint(&text));
    }
}
