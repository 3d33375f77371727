//! The parts of help texts and manual pages that clap does not make: examples, environment variables, files.

use crate::system::env;
use crate::system::exit;

/// Command lines, each with what it does.
pub(super) const EXAMPLES: [(&str, &str); 20] = [
    ("lth run configs/quickstart.toml", "run a first experiment"),
    ("lth init my.toml", "write an experiment to edit"),
    ("lth plan my.toml", "show what it will cost"),
    ("lth run my.toml --set train.lr=1e-3 --unset data.train_limit", "run it with other values"),
    ("lth run my.toml -q --json --events done.jsonl", "run it from a script"),
    ("lth runs", "list all runs"),
    ("lth show my", "show the results of a run"),
    ("lth show my --require 'winning_ticket.2.final_test_accuracy >= 0.6'", "check a result in a script"),
    ("lth compare my quickstart", "show what differs between two runs"),
    ("lth report my", "write the report of a run again"),
    ("lth stability my --arm winning_ticket", "measure linear mode connectivity"),
    ("lth landscape my --round 0 --round 3", "measure the loss around start and end of training"),
    ("lth evaluate my --round 2", "measure robustness and calibration"),
    ("lth ticket export my --arm winning_ticket --round 2 --replicate 1 -o t.safetensors", "export a ticket to a file"),
    ("lth verify my --deep", "check every file and evaluate the stored weights again"),
    ("lth clean --dry-run", "list weights that no run needs"),
    ("lth check my.toml", "show every value and where it was set"),
    ("lth data fetch mnist", "download a data set"),
    ("lth doctor --require cuda", "check that a GPU can be used"),
    ("lth generate completions bash", "print the completion script of a shell"),
];

/// The number of examples in `lth --help`.
const IN_HELP: usize = 4;

/// Files that the program reads and writes, each with its contents.
pub(super) const FILES: [(&str, &[&str]); 6] = [
    ("runs/NAME-ID/", &["folder of a run: results as CSV, curves, run.json, the report"]),
    ("runs/NAME-ID/resolved.toml", &["every value that affects results, and where it was set"]),
    ("runs/NAME-ID/report/index.html", &["the report: verdicts, claims, figures, tables"]),
    ("runs/store/KEY/", &["a training run: its curve, and the weights that are kept; shared by all runs"]),
    ("data/NAME/", &["a data set, as `lth data fetch` downloads it"]),
    ("lth.schema.json", &["JSON Schema of configurations, which `lth init` writes for editors"]),
];

/// Returns the text below the options in `lth --help`.
pub(super) fn program() -> String {
    let entry = |(line, about): &(&str, &str)| {
        if line.len() < 36 { format!("  {line:<36}{about}\n") } else { format!("  {line}\n{:38}{about}\n", "") }
    };
    let examples: String = EXAMPLES[..IN_HELP].iter().map(entry).collect();
    let variable = |(name, lines): &(&str, &[&str])| format!("  {name:<22}{}\n", lines.join(&format!("\n{:24}", "")));
    let variables: String = env::VARIABLES.iter().map(variable).collect();
    format!("Examples:\n{examples}\nEnvironment variables:\n{variables}\n{}", exit::help())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_80_columns() {
        let text = program();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains("  LTH_RUNS_DIR          folder of all runs"), "{text}");
    }
}
