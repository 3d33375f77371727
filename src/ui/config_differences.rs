//! The part of `lth compare` that shows the differences between configurations.

use std::fmt::Write as _;

use serde_json::Value;

use super::table::{cut_lines, fits, render};
use crate::artifacts::{ConfigDifference, value_text};
use crate::report::{Cell, Table};

/// The indentation of what belongs to the line above.
const INDENT: &str = "  ";

/// Returns the configuration values that differ between `runs`, in lines of at most `width` characters: for two runs a
/// line for each key, for more a line for each run; if a line would be too long, a list of the values of each key.
/// Lists of layers are compared line by line.
pub(super) fn config_differences(runs: &[String], differences: &[ConfigDifference], width: usize) -> String {
    if differences.is_empty() {
        return "no value of the configurations differs\n".to_owned();
    }
    let (lists, values): (Vec<_>, Vec<_>) = differences.iter().partition(|difference| is_list(difference));
    let tables = [by_key(runs, &values), by_run(runs, &values)];
    let preferred = if runs.len() > 2 { &tables[1] } else { &tables[0] };
    let mut text = if values.is_empty() {
        String::new()
    } else if fits(preferred, width) {
        preferred.clone()
    } else {
        values.iter().map(|difference| value_list(runs, difference, width)).collect()
    };
    for difference in lists {
        text.push_str(&cut_lines(&list_differences(runs, difference), width));
    }
    text
}

/// Returns a table with a row for each key and a column for each run.
fn by_key(runs: &[String], differences: &[&ConfigDifference]) -> String {
    let mut table = Table::new(std::iter::once("differs").chain(runs.iter().map(String::as_str)));
    for difference in differences {
        table.rows.push(std::iter::once(Cell::text(&difference.key)).chain(difference.cells()).collect());
    }
    render(&table)
}

/// Returns a table with a row for each run and a column for each key.
fn by_run(runs: &[String], differences: &[&ConfigDifference]) -> String {
    let mut table = Table::new(std::iter::once("run").chain(differences.iter().map(|difference| &*difference.key)));
    let columns: Vec<Vec<Cell>> = differences.iter().map(|difference| difference.cells().collect()).collect();
    for (index, run) in runs.iter().enumerate() {
        let cells = columns.iter().map(|column| column[index].clone());
        table.rows.push(std::iter::once(Cell::text(run)).chain(cells).collect());
    }
    render(&table)
}

/// Returns a key and a line for each of its values, with the runs that have it.
fn value_list(runs: &[String], difference: &ConfigDifference, width: usize) -> String {
    let mut text = format!("{}\n", difference.key);
    let mut values: Vec<&Option<Value>> = Vec::new();
    for value in &difference.values {
        if !values.contains(&value) {
            values.push(value);
        }
    }
    for value in values {
        let shown = value.as_ref().map_or_else(|| "–".to_owned(), value_text);
        let with_value = runs.iter().zip(&difference.values).filter(|(_, other)| *other == value);
        let names: Vec<&str> = with_value.map(|(run, _)| run.as_str()).collect();
        let _ = writeln!(text, "{INDENT}{shown}: {}", names.join(", "));
    }
    cut_lines(&text, width)
}

/// Returns whether a value is compared line by line: a list of tables, such as the layers of a network.
fn is_list(difference: &ConfigDifference) -> bool {
    let is_list = |value: &Value| value.as_array().is_some_and(|items| items.iter().any(Value::is_object));
    difference.values.iter().flatten().any(is_list)
}

/// Returns the differences of a list between the first run and each other: lines of the first run only with `-`, lines
/// of the other run only with `+`.
fn list_differences(runs: &[String], difference: &ConfigDifference) -> String {
    let lines = |value: &Option<Value>| -> Vec<String> {
        let items = value.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
        items.iter().map(value_text).collect()
    };
    let first = lines(&difference.values[0]);
    let mut text = String::new();
    for (run, value) in runs.iter().zip(&difference.values).skip(1) {
        let other = lines(value);
        if other != first {
            let _ = writeln!(text, "{}: - {}, + {run}", difference.key, runs[0]);
            text.extend(line_diff(&first, &other).into_iter().map(|line| format!("{INDENT}{line}\n")));
        }
    }
    text
}

/// Returns the lines of two lists by their longest common subsequence: common lines with two spaces, those of `left`
/// only with `- `, those of `right` only with `+ `.
fn line_diff(left: &[String], right: &[String]) -> Vec<String> {
    // lengths[i][j]: the length of the longest common subsequence of left[i..] and right[j..].
    let mut lengths = vec![vec![0usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            lengths[i][j] =
                if left[i] == right[j] { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push(format!("  {}", left[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == right.len() || i < left.len() && lengths[i + 1][j] >= lengths[i][j + 1] {
            lines.push(format!("- {}", left[i]));
            i += 1;
        } else {
            lines.push(format!("+ {}", right[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runs(n: usize) -> Vec<String> {
        ["a-12345678", "b-12345678", "c-12345678"][..n].iter().map(|name| (*name).to_owned()).collect()
    }

    fn difference<const N: usize>(key: &str, values: [Option<Value>; N]) -> ConfigDifference {
        ConfigDifference { key: key.into(), values: values.into() }
    }

    #[test]
    fn configurations_of_several_runs_have_a_line_for_each() {
        let differences = [difference("train.lr", [Some(json!(0.1)), Some(json!(0.2)), Some(json!(0.1))])];
        assert_eq!(
            config_differences(&runs(3), &differences, 80),
            "run         train.lr\na-12345678       0.1\nb-12345678       0.2\nc-12345678       0.1\n"
        );
        let narrow = config_differences(&runs(3), &differences, 19);
        assert_eq!(narrow, "train.lr\n  0.1: a-12345678,…\n  0.2: b-12345678\n");
    }

    #[test]
    fn lists_of_layers_are_compared_line_by_line() {
        let layers = |out: u32| Some(json!([{"conv": {"out": out}}, "relu", {"linear": {"out": 10}}]));
        let differences = [difference("network.layers", [layers(32), layers(64)])];
        assert_eq!(
            config_differences(&runs(2), &differences, 80),
            "network.layers: - a-12345678, + b-12345678\n  - conv out 32\n  + conv out 64\n    relu\n    \
             linear out 10\n"
        );
    }

    #[test]
    fn line_diff_keeps_common_lines() {
        let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(line_diff(&lines("abc"), &lines("axc")), ["  a", "- b", "+ x", "  c"]);
        assert_eq!(line_diff(&lines(""), &lines("a")), ["+ a"]);
        assert_eq!(line_diff(&lines("ab"), &lines("b")), ["- a", "  b"]);
    }
}
