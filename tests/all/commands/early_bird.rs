//! Early-bird masks on the real binary.

use super::plan::output;
use crate::support::*;

/// Masks that are drawn early, that can never be drawn, and a control with an early mask.
const ARMS: [&str; 3] = [
    "arms.early={mask={early_bird={like=\"winning_ticket\",every=\"10it\",threshold=0.9,window=3}},weights=\"rewind\"}",
    "arms.late={mask={early_bird={like=\"winning_ticket\",every=\"20it\",threshold=0.000001}},weights=\"rewind\"}",
    "arms.fresh={mask={of=\"early\"},weights=\"reinit\"}",
];

#[test]
fn early_bird_masks_are_drawn_once_they_change_little_and_their_cost_ends_there() {
    let runs = tempfile::tempdir().unwrap();
    let sets: Vec<&str> = ARMS.iter().copied().chain(["replicates=1"]).collect();
    let run = run(SMOKE, runs.path(), &sets);
    let said = stderr(&run);
    assert_eq!(run.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no early-bird mask until iteration 120: of 5 masks in a row, the largest distance of the newest to another is"),
        "{said}"
    );
    let rounds = rows(&run_dir(runs.path()), "rounds.csv");
    let of = |arm: &str, round: &str| rounds.iter().find(|row| row["arm"] == arm && row["round"] == round).unwrap();
    for round in ["1", "2"] {
        let early = of("early", round);
        assert_eq!(early["weights_kept"], of("winning_ticket", round)["weights_kept"]);
        // Three masks in a row are there at iteration 20 at the earliest.
        let drawn_at: u64 = early["search_iterations"].parse().unwrap();
        assert!((20..120).contains(&drawn_at) && drawn_at.is_multiple_of(10), "{drawn_at}");
        assert_eq!(of("fresh", round)["search_iterations"], early["search_iterations"]);
        assert_eq!(of("late", round)["outcome"], "failed");
        let overlap: f64 = early["mask_overlap"].parse().unwrap();
        assert!(overlap > 0.4 && overlap < 1.0, "near the ticket's mask, and another: {overlap}");
    }
    let verified = output(&["verify", "smoke", "--deep", "--retrain", "9"], runs.path());
    assert!(verified.status.success(), "{}", stdout(&verified));
    // What the mask was drawn from can be freed, and made again.
    let cleaned = output(&["clean", "--yes"], runs.path());
    assert!(cleaned.status.success(), "{}", stderr(&cleaned));
}

#[test]
fn early_bird_masks_that_could_never_be_drawn_are_refused() {
    let runs = tempfile::tempdir().unwrap();
    let refused = |mask: &str| {
        let set = format!("arms.a={{mask={{early_bird={{{mask}}}}},weights=\"rewind\"}}");
        let refused = lth().args(["plan", SMOKE, "--set", &set]).env("LTH_RUNS_DIR", runs.path()).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", stdout(&refused));
        stderr(&refused)
    };
    for (mask, message) in [
        // 40 iterations an epoch: masks at 0, 40, 80 and 120.
        (
            "like=\"winning_ticket\"",
            "120 iterations have 4 masks for `a`, one every 40 iterations, and 5 in a row are compared",
        ),
        ("like=\"a\"", "arms refer to each other in a circle: a"),
        ("like=\"winning_ticket\",epsilon=0.1", "unknown key `epsilon`"),
        ("like=\"winning_ticket\",every=\"10it\",window=1", "must be from 2 to 1000"),
    ] {
        let said = refused(mask);
        assert!(said.contains(message), "{mask}: {said}");
    }
}
