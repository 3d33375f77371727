//! The early stop of every training run is the minimum of its curve, whichever weights it starts from.

use std::collections::BTreeMap;

use crate::support::*;

/// The arms of [`ALL_ARMS`] whose training runs start from weights that have been trained: rewound to a later iteration
/// than 0, or trained on.
const STARTS_TRAINED: [&str; 9] = [
    "late",
    "late_reset",
    "continued",
    "fine_tuned",
    "late_signs",
    "late_noisy",
    "random_late",
    "one_shot_late",
    "grid_tuned",
];

#[test]
fn early_stop_is_minimum_of_curve_for_every_weight_source() {
    let folder = tempfile::tempdir().unwrap();
    // A learning rate so large that some training runs have their minimum where they start.
    run_ok(SMOKE, folder.path(), &[ALL_ARMS, "train.evaluate_every=10", "train.lr=0.1"]);
    let run_dir = run_dir(folder.path());
    let mut curves: BTreeMap<String, Vec<(f64, String)>> = BTreeMap::new();
    for row in rows(&run_dir, "curves.csv") {
        let loss = row["validation_loss"].parse().unwrap();
        // Two arms may share a training run, whose curve is then in the file twice.
        let curve = curves.entry(row["key"].clone()).or_default();
        if !curve.iter().any(|(_, iteration)| *iteration == row["iteration"]) {
            curve.push((loss, row["iteration"].clone()));
        }
    }
    let mut stops_at_the_start = 0;
    for row in rows(&run_dir, "rounds.csv") {
        let is_trained = STARTS_TRAINED.contains(&row["arm"].as_str());
        // A mask that is pruned during training has its size from the last pruning on: after iteration 84 here.
        let is_late = |iteration: &String| row["arm"] != "pruned_in_training" || iteration.parse::<u64>().unwrap() > 84;
        let evaluations: Vec<&(f64, String)> = curves[&row["key"]][usize::from(!is_trained)..]
            .iter()
            .filter(|(_, iteration)| is_late(iteration))
            .collect();
        let minimum = evaluations.iter().map(|(loss, _)| *loss).fold(f64::INFINITY, f64::min);
        let (loss, iteration) = *evaluations.iter().find(|(loss, _)| *loss == minimum).unwrap();
        let label = format!("{} replicate {} round {}", row["arm"], row["replicate"], row["round"]);
        assert_eq!(row["early_stop_iteration"], *iteration, "{label}");
        assert_eq!(row["early_stop_validation_loss"].parse::<f64>().unwrap(), *loss, "{label}");
        stops_at_the_start += usize::from(is_trained && *iteration == evaluations[0].1);
    }
    assert!(stops_at_the_start > 0, "no training run stops where it starts: nothing was tested");
}

#[test]
fn early_stop_of_late_arms_is_compared_by_iterations_trained() {
    let folder = tempfile::tempdir().unwrap();
    let arms = "arms={late={mask='iterative',weights='rewind',rewind_to='90it'}}";
    let printed = stdout(&run_ok(SMOKE, folder.path(), &[arms, "replicates=3"]));
    assert!(printed.contains("\nlate starts at iteration 90\n"), "{printed}");
    let report = std::fs::read_to_string(run_dir(folder.path()).join("report/report.md")).unwrap();
    assert!(report.contains("late starts at iteration 90"), "{report}");
    assert!(report.contains("compared by iterations trained"), "{report}");
    let figure = std::fs::read_to_string(run_dir(folder.path()).join("report/figures/weights_remaining.csv")).unwrap();
    assert!(figure.contains("iterations trained until early stop"), "{figure}");
}
