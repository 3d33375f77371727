//! Accuracies at fixed iterations: in the report, from the curves alone.

use std::fs;

use crate::support::*;

/// Returns mean, minimum and maximum, in percent, of an arm at a round and an iteration in `curves.csv`.
fn expected(curves: &[std::collections::BTreeMap<String, String>], arm: &str, round: &str, iteration: &str) -> String {
    let own = curves.iter().filter(|row| row["arm"] == arm && row["round"] == round && row["iteration"] == iteration);
    let values: Vec<f64> = own.map(|row| 100.0 * row["test_accuracy"].parse::<f64>().unwrap()).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (low, high) = values.iter().fold((100.0, 0.0), |(low, high), &x| (f64::min(low, x), f64::max(high, x)));
    format!("{mean:.2} ({low:.2}–{high:.2})")
}

/// Returns the section of a report with the results by arm and round.
fn results_by_arm(page: &str) -> &str {
    page.split("## Results by arm").nth(1).unwrap().split("\n## ").next().unwrap()
}

#[test]
fn checkpoints_have_panel_and_column_and_train_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plain = run_ok(SMOKE, folder.path(), &[]);
    assert_eq!(finished_count(&plain), SMOKE_TRAININGS);
    let run_dir = run_dir(folder.path());
    let resolved = fs::read_to_string(run_dir.join("resolved.toml")).unwrap();
    assert!(!resolved.contains("checkpoints"), "{resolved}");
    assert!(!run_dir.join("report/figures/checkpoints.svg").exists());

    let again = run_ok(SMOKE, folder.path(), &["report.checkpoints=[120,40]"]);
    assert_eq!(finished_count(&again), 0, "what the report says is in no key");
    let page = fs::read_to_string(run_dir.join("report/report.md")).unwrap();
    let header = "| test accuracy at iteration 40 (%) | test accuracy at iteration 120 (%) |";
    assert!(page.contains(header) && page.contains("(figures/checkpoints.svg)"), "{page}");
    let results = results_by_arm(&page);
    let curves = rows(&run_dir, "curves.csv");
    for (arm, round) in [("dense", "0"), ("winning_ticket", "2"), ("random_mask", "1")] {
        let named = arm.replace('_', "\\_");
        let row = results.lines().find(|line| line.starts_with(&format!("| {named} | {round} |"))).unwrap();
        let cells = ["40", "120"].map(|iteration| expected(&curves, arm, round, iteration));
        assert!(row.ends_with(&format!("| {} | {} |", cells[0], cells[1])), "{row}: {cells:?}");
    }
    let numbers = fs::read_to_string(run_dir.join("report/figures/checkpoints.csv")).unwrap();
    let of = |iteration: u32| numbers.lines().filter(|l| l.contains(&format!("iteration {iteration} (%)"))).count();
    assert_eq!((of(40), of(120)), (7, 7), "{numbers}");
    let last = |file: &str, panel: &str| -> Vec<String> {
        let text = fs::read_to_string(run_dir.join("report/figures").join(file)).unwrap();
        text.lines().filter_map(|line| line.strip_prefix(panel).map(str::to_owned)).collect()
    };
    let end = last("other_accuracies.csv", "test accuracy at the end (%)");
    assert_eq!(last("checkpoints.csv", "test accuracy at iteration 120 (%)"), end, "the last is the end");
}

#[test]
fn checkpoints_before_start_of_arm_have_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let arms = "arms={late={mask='iterative',weights='rewind',rewind_to='60it'}}";
    run_ok(SMOKE, folder.path(), &[arms, "report.checkpoints=[40,80]", "replicates=1"]);
    let page = fs::read_to_string(run_dir(folder.path()).join("report/report.md")).unwrap();
    let row = results_by_arm(&page).lines().find(|line| line.starts_with("| late | 1 |")).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    assert_eq!(cells[11], "–", "{row}");
    assert!(cells[12].parse::<f64>().is_ok(), "{row}");
}
