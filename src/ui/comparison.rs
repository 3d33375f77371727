//! `lth compare` as a person reads it.

use super::table::align;
use crate::base::format::{accuracy, percent, with_thousands};
use crate::report::{ResultRow, RunComparison};

const HEADER: [&str; 8] = ["run", "arm", "round", "weights left", "early stop", "test there %", "test at end %", "n"];

/// The values that differ, a column for each run, and the results, a line for each arm and round of each run.
pub fn comparison(comparison: &RunComparison) -> String {
    let mut text = if comparison.config.is_empty() {
        "no value of the configurations differs\n".to_owned()
    } else {
        let header = std::iter::once("differs".to_owned()).chain(comparison.runs.iter().cloned()).collect();
        let lines = comparison.config.iter().map(|it| std::iter::once(it.key.clone()).chain(it.words()).collect());
        align(&std::iter::once(header).chain(lines).collect::<Vec<Vec<String>>>())
    };
    let header = HEADER.map(str::to_owned).to_vec();
    let lines = std::iter::once(header).chain(comparison.results.iter().map(result));
    text.push('\n');
    text.push_str(&align(&lines.collect::<Vec<_>>()));
    text.push_str("means over n trainings\n");
    if comparison.results.iter().any(|row| row.early_stop_iteration != row.iterations_to_early_stop) {
        text.push_str("early stops are iterations trained, from where each arm starts\n");
    }
    text.extend(comparison.test_notes.iter().map(|(run, note)| format!("{run}: {note}\n")));
    text
}

fn result(row: &ResultRow) -> Vec<String> {
    let show = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "–".to_owned(), show);
    let missing =
        if row.without_result > 0 { format!(" (+{} without result)", row.without_result) } else { String::new() };
    vec![
        row.run.clone(),
        row.arm.clone(),
        row.round.to_string(),
        percent(row.weights_remaining),
        show(row.iterations_to_early_stop, |iterations| with_thousands(iterations.round() as u64)),
        show(row.early_stop_test_accuracy, accuracy),
        show(row.final_test_accuracy, accuracy),
        format!("{}{missing}", row.n),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::ConfigDifference;

    #[test]
    fn two_runs_beside_each_other() {
        let difference =
            |key: &str, values: [Option<Value>; 2]| ConfigDifference { key: key.into(), values: values.into() };
        let row = |run: &str, arm: &str, accuracy, n| ResultRow {
            run: run.into(),
            arm: arm.into(),
            round: 1,
            weights_remaining: 0.8,
            n,
            without_result: 3 - n,
            early_stop_iteration: Some(1234.5),
            iterations_to_early_stop: Some(1234.5),
            early_stop_test_accuracy: accuracy,
            ..ResultRow::default()
        };
        let both = RunComparison {
            runs: vec!["a-12345678".into(), "b-12345678".into()],
            config: vec![
                difference("train.lr", [Some(0.0012.into()), Some(0.1.into())]),
                difference("train.optimizer", [Some("adam".into()), Some("sgd".into())]),
                difference("train.betas", [Some(serde_json::json!([0.9, 0.999])), None]),
            ],
            unknown: Vec::new(),
            test_notes: vec![("b-12345678".into(), "test accuracy on 1,000 of 10,000 test images".into())],
            results: vec![row("a-12345678", "winning_ticket", Some(0.98), 3), row("b-12345678", "t", None, 1)],
        };
        insta::assert_snapshot!(comparison(&both));
        let same = comparison(&RunComparison { config: Vec::new(), ..both });
        assert!(same.starts_with("no value of the configurations differs\n\nrun "), "{same}");
    }
}
