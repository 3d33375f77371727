//! From a document to an [`Experiment`], collecting every mistake on the way.

use serde_json::Value;

use super::document::Document;
use super::experiment::Experiment;
use super::problem::{Problem, Report, nearest};

/// Reads the experiment, fills in what depends on other values, and checks what one value says about another.
///
/// # Errors
/// Every mistake found, each with its place.
pub fn read(document: &Document) -> Result<Experiment, Report> {
    let (experiment, mut problems) = deserialize(document.root.clone());
    match experiment {
        Some(experiment) if problems.is_empty() => {
            problems = experiment.problems();
            if problems.is_empty() {
                return Ok(experiment.resolved());
            }
        }
        _ => {}
    }
    Err(Report::new(&problems, document))
}

/// serde stops at the first mistake; so that value is taken out, and the rest is read again until nothing is wrong.
fn deserialize(mut root: Value) -> (Option<Experiment>, Vec<Problem>) {
    let mut problems: Vec<Problem> = Vec::new();
    let mut taken: Vec<String> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, Experiment>(&root) {
            Ok(experiment) => return (Some(experiment), problems),
            Err(error) => error,
        };
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        let problem = explain(&path, &error.into_inner().to_string());
        let key = if taken.contains(&problem.key) || problem.message.ends_with("is missing") {
            // What was taken out is missed, which is no mistake of the user's: the table around it goes too.
            Some(parent(&problem.key).to_owned()).filter(|parent| !parent.is_empty())
        } else {
            Some(problem.key.clone())
        };
        let misspelt = |old: &Problem| {
            let meant = old
                .hint
                .as_deref()
                .is_some_and(|hint| hint.starts_with(&format!("did you mean `{}`", leaf(&problem.key))));
            old.at_key && meant && parent(&old.key) == parent(&problem.key)
        };
        if !taken.contains(&problem.key) && !problems.iter().any(misspelt) {
            problems.push(problem);
        }
        match key {
            Some(key) if take(&mut root, &key) => taken.push(key),
            _ => return (None, problems),
        }
    }
}

/// The table around a key.
fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// A key without the tables around it.
fn leaf(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, leaf)| leaf)
}

/// Removes the value at `path` (`a.b[0].c`); false where there is none.
fn take(root: &mut Value, path: &str) -> bool {
    let path = path.replace('[', ".").replace(']', "");
    let mut parts: Vec<&str> = path.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut here = root;
    for part in parts {
        let next = match here {
            Value::Object(map) => map.get_mut(part),
            Value::Array(list) => part.parse::<usize>().ok().and_then(|i| list.get_mut(i)),
            _ => None,
        };
        let Some(next) = next else { return false };
        here = next;
    }
    match here {
        Value::Object(map) => map.shift_remove(last).is_some(),
        Value::Array(list) => last.parse::<usize>().is_ok_and(|i| i < list.len() && !list.remove(i).is_null()),
        _ => false,
    }
}

/// serde's sentence in our words. The forms are serde's own and pinned by tests.
fn explain(path: &str, message: &str) -> Problem {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let parent = parent(path);
    let inside = |path: &str| if path.is_empty() { String::new() } else { format!(" in `{path}`") };
    if message.starts_with("unknown field") {
        let (word, known) = (quoted[0], &quoted[1..]);
        let message = format!("unknown key `{word}`{}", inside(parent));
        return Problem::new(path, message).hint(suggest(word, known)).about_the_key();
    }
    if message.starts_with("unknown variant") {
        let (word, known) = (quoted[0], &quoted[1..]);
        return Problem::new(path, format!("unknown value `{word}` for `{path}`")).hint(suggest(word, known));
    }
    if message.starts_with("missing field") {
        let key = if path.is_empty() { quoted[0].to_owned() } else { format!("{path}.{}", quoted[0]) };
        return Problem::new(key.clone(), format!("`{key}` is missing")).about_the_key();
    }
    if let Some((got, expected)) = message.split_once(", expected ") {
        let got = got.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
        return Problem::new(
            path,
            format!("invalid value for `{path}`: expected {}, got {}", plain(expected), say(got)),
        );
    }
    Problem::new(path, format!("invalid value for `{path}`: {message}"))
}

fn suggest(word: &str, known: &[&str]) -> String {
    let all = format!("one of: {}", known.join(", "));
    match nearest(word, known) {
        Some(near) => format!("did you mean `{near}`? ({all})"),
        None => all,
    }
}

/// Rust's names for types, in words.
fn plain(expected: &str) -> String {
    match expected {
        "u32" | "u64" => "a whole number from 0".into(),
        "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "an array of length 2" => "a list of 2 numbers".into(),
        "a map" => "a table".into(),
        _ if expected.starts_with("struct ") => "a table".into(),
        _ if expected.starts_with("string or map") || expected.starts_with("enum") => "a name or a table".into(),
        other => other.into(),
    }
}

fn say(got: &str) -> String {
    got.replace("floating point ", "the number ")
        .replace("string ", "the text ")
        .replace("integer ", "the number ")
        .replace("boolean ", "")
        .replace("map", "a table")
        .replace("sequence", "a list")
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
        let document = Document::parse("a.toml", text, &[]).unwrap();
        read(&document).expect_err("this must not be accepted").to_string()
    }

    #[test]
    fn a_good_one_is_read_with_its_defaults() {
        let experiment = read(&Document::parse("a.toml", GOOD, &[]).unwrap()).unwrap();
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
    fn mistakes_of_meaning() {
        let text = GOOD
            .replace("lr = 1e-3", "lr = -1\nmomentum = 0.9")
            .replace("\"reinit\"", "\"reinit\"\nrepeats = 0")
            .replace("rounds = 2", "rounds = 2\nreplicates = 0")
            .replace("[arms.ticket]", "[prune]\nrate = { linear = 1.5 }\n[arms.dense]");
        insta::assert_snapshot!(complaint(&text));
    }
}
