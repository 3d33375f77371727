//! Whether an evaluation takes place at every iteration that `report.checkpoints` names.

use super::diagnostic::Diagnostic;
use super::experiment::Experiment;

/// Finds those at which nothing is evaluated, and those that are named twice.
pub(super) fn check(experiment: &Experiment, problems: &mut Vec<Diagnostic>) {
    // A step of 0 is a mistake that is told elsewhere.
    let (every, last) = (experiment.train.evaluate_every.max(1), experiment.train.iterations);
    let named = &experiment.report.checkpoints;
    for (at, &iteration) in named.iter().enumerate() {
        let (message, hint) = if named[..at].contains(&iteration) {
            (format!("`report.checkpoints` names iteration {iteration} twice"), "leave one of them out".to_owned())
        } else if (1..=last).contains(&iteration) && (iteration % every == 0 || iteration == last) {
            continue;
        } else if (1..last).contains(&iteration) {
            let message = format!("nothing is evaluated at iteration {iteration}: `train.evaluate_every` is {every}");
            (message, nearest(iteration, every, last))
        } else {
            (
                format!("there is no iteration {iteration} to be evaluated at: the last is {last}"),
                nearest(iteration, every, last),
            )
        };
        problems.push(Diagnostic::new(format!("report.checkpoints[{at}]"), message).hint(hint));
    }
}

/// The evaluation that comes nearest, the untrained network's left aside.
fn nearest(iteration: u64, every: u64, last: u64) -> String {
    let below = iteration.min(last) / every * every;
    let all = [below, below.saturating_add(every), last];
    let all = all.into_iter().filter(|near| (1..=last).contains(near));
    all.min_by_key(|near| near.abs_diff(iteration))
        .map_or_else(String::new, |near| format!("the nearest evaluation is at iteration {near}"))
}

#[cfg(test)]
mod tests {
    use crate::config::{ConfigDocument, read};

    /// What is said of checkpoints in a training of 250 iterations that is evaluated every 100.
    fn said(checkpoints: &str) -> String {
        let sets = ["train.iterations=250", "train.evaluate_every=100"].map(str::to_owned);
        let sets = [&sets[..], &[format!("report.checkpoints={checkpoints}")]].concat();
        let document = ConfigDocument::parse("smoke.toml", include_str!("../../configs/smoke.toml"), &sets).unwrap();
        read(&document).map_or_else(|report| report.to_string(), |_| String::new())
    }

    #[test]
    fn a_checkpoint_is_an_evaluation() {
        assert_eq!(said("[100, 250, 200]"), "", "the last iteration is evaluated wherever it is");
        assert_eq!(said("[]"), "");
        for (checkpoints, message, hint) in [
            ("[130]", "nothing is evaluated at iteration 130: `train.evaluate_every` is 100", "at iteration 100"),
            ("[40]", "nothing is evaluated at iteration 40", "at iteration 100"),
            ("[240]", "nothing is evaluated at iteration 240", "at iteration 250"),
            ("[0]", "there is no iteration 0 to be evaluated at: the last is 250", "at iteration 100"),
            ("[100, 300]", "there is no iteration 300", "at iteration 250"),
            ("[100, 100]", "names iteration 100 twice", "leave one of them out"),
        ] {
            let said = said(checkpoints);
            assert!(said.contains(message) && said.contains(hint), "{checkpoints}: {said}");
        }
    }
}
