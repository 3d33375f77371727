//! A mistake in a configuration, and how it is shown: what, where, what instead.

use std::fmt::Write as _;

use super::document::{ConfigDocument, Origin};
use super::encoding;

/// A mistake, by the key it sits at. Rooms above this one report theirs the same way and get the same caret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The key's path, such as `train.lr`; empty for the file as a whole.
    pub key: String,
    /// What is wrong: a fragment in lower case.
    pub message: String,
    /// What to do instead.
    pub hint: Option<String>,
    /// Whether the key itself is wrong, rather than its value.
    pub at_key: bool,
}

impl Diagnostic {
    /// The value at `key` is wrong.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: None, at_key: false }
    }

    /// With what to do instead.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The key itself is wrong.
    #[must_use]
    pub fn on_key(mut self) -> Self {
        self.at_key = true;
        self
    }
}

/// Every problem of one configuration, as text for a person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// All problems, each with its place in `document`.
    pub fn new(problems: &[Diagnostic], document: &ConfigDocument) -> Self {
        let shown: Vec<String> = problems.iter().map(|problem| show(problem, document)).collect();
        Self(shown.join("\n\n"))
    }

    /// A problem that is told already.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

fn show(problem: &Diagnostic, document: &ConfigDocument) -> String {
    let mut text = format!("error: {}", problem.message);
    match document.origin(&problem.key) {
        Some(Origin::Set(flag)) => {
            let _ = write!(text, "\n  --> --set {flag}");
        }
        Some(Origin::File(place)) => {
            let span = if problem.at_key { &place.key } else { &place.value };
            text.push_str(&snippet(document, span.start, span.end));
        }
        None => {
            let _ = write!(text, "\n  --> {}", document.name);
        }
    }
    if let Some(hint) = &problem.hint {
        let _ = write!(text, "\n\nhint: {hint}");
    }
    text
}

/// `file:line:column`, the line, and carets under the part that is wrong (under its first line if it has several).
pub(super) fn snippet(document: &ConfigDocument, start: usize, end: usize) -> String {
    let (line, column) = document.position(start);
    let source = encoding::line(&document.text, line);
    let before: String = source.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let marked = document.text.get(start..end).unwrap_or_default().lines().next().unwrap_or_default();
    let carets = "^".repeat(marked.chars().count().max(1));
    let gutter = " ".repeat(line.to_string().len());
    format!(
        "\n {gutter}--> {}:{line}:{column}\n {gutter} |\n {line} | {source}\n {gutter} | {before}{carets}",
        document.name
    )
}

/// What other programs call things that have another name here.
const ALIASES: [(&str, &str); 10] = [
    ("gpu", "cuda"),
    ("learning_rate", "lr"),
    ("epochs", "iterations"),
    ("steps", "iterations"),
    ("lenet", "lenet_300_100"),
    ("eval_every", "evaluate_every"),
    ("AdamW", "adamw"),
    ("scheduler", "schedule"),
    ("warmup_steps", "warmup"),
    ("max_grad_norm", "clip_norm"),
];

/// The candidate that `word` stands for: by its name elsewhere, or near enough to be a slip of the hand.
pub fn closest_match<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let named = |&&(theirs, ours): &&(&str, &str)| theirs == word && candidates.contains(&ours);
    if let Some((_, ours)) = ALIASES.iter().find(named) {
        return candidates.iter().copied().find(|candidate| candidate == ours);
    }
    let allowed = (word.chars().count() / 3).max(1);
    // Of equally near ones that which differs in capitals.
    let small = word.to_lowercase();
    let far = |candidate: &'a str| (edit_distance(word, candidate), edit_distance(&small, candidate), candidate);
    let (slips, _, nearest) = candidates.iter().map(|&candidate| far(candidate)).min()?;
    (slips <= allowed).then_some(nearest)
}

/// How many slips make `b` of `a`: a character too many, missing, or wrong, or two neighbours in the wrong order.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let wrong = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = wrong.min(row[j - 1] + 1).min(rows[i - 1][j] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name() {
        assert_eq!(closest_match("batchsize", &["lr", "batch_size", "iterations"]), Some("batch_size"));
        assert_eq!(closest_match("adamW", &["adam", "adamw"]), Some("adamw"));
        assert_eq!(closest_match("xyz", &["lr", "batch_size"]), None);
        assert_eq!(closest_match("minst", &["strokes", "mnist"]), Some("mnist"));
        assert_eq!(
            (closest_match("gpu", &["cpu", "cuda"]), closest_match("gpu", &["cpu"])),
            (Some("cuda"), Some("cpu"))
        );
        assert_eq!((edit_distance("kitten", "sitting"), edit_distance("", "ab")), (3, 2));
    }
}
