//! `[report]`: the report on the results. Changes no training run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::Checker;
use super::mistakes::diagnostic::Diagnostic;

/// Settings of the report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Reporting")]
pub struct ReportConfig {
    /// The smallest loss of test accuracy that matters, in percentage points: a winning ticket loses less.
    #[serde(default = "default_margin")]
    pub margin: f64,
    /// The smallest increase of iterations to early stop that matters, as a share of the mean of the dense network: for
    /// a winning ticket the increase is smaller.
    #[serde(default = "default_stop_margin")]
    pub stop_margin: f64,
    /// Iterations whose test accuracy has a figure and a column of its own, such as `[10_000, 20_000, 30_000]`: deep
    /// networks are compared there and not at the early stop. Each is a multiple of `train.evaluate_every`, or the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checkpoints: Vec<u64>,
    /// Published numbers that the report shows beside those of arms of the same name, where network, data set and sizes are
    /// the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<PublishedSet>,
}

/// A set of published numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PublishedSet")]
pub enum PublishedSet {
    /// Pruning at initialization on VGG-11 and VGG-16, CIFAR-10 and CIFAR-100 (Tanaka et al. 2020, arXiv 2006.05467).
    #[serde(rename = "tanaka2020")]
    Tanaka2020,
    /// Retraining after pruning on ResNet-20 and CIFAR-10 (Renda et al. 2020, arXiv 2003.02389).
    #[serde(rename = "renda2020")]
    Renda2020,
    /// Sparse-to-sparse training of WideResNet-22-2 on CIFAR-10 (Evci et al. 2020, arXiv 1911.11134).
    #[serde(rename = "evci2020")]
    Evci2020,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self { margin: default_margin(), stop_margin: default_stop_margin(), checkpoints: Vec::new(), reference: None }
    }
}

fn default_margin() -> f64 {
    0.1
}

fn default_stop_margin() -> f64 {
    0.1
}

impl ReportConfig {
    /// Checks the ranges of the margins.
    pub(super) fn check_margins(&self, checker: &mut Checker) {
        let is_percentage = (0.0..=100.0).contains(&self.margin);
        checker.require("report.margin", is_percentage, "must be from 0 to 100 percentage points");
        let is_share = (0.0..=1.0).contains(&self.stop_margin);
        checker.require(
            "report.stop_margin",
            is_share,
            "must be from 0 to 1, a share of the dense network's iterations",
        );
    }

    /// Checks that the networks are evaluated at every checkpoint, and that no checkpoint is repeated. `evaluate_every` and
    /// `iterations` are those of `[train]`.
    pub(super) fn check_checkpoints(&self, evaluate_every: u64, iterations: u64, checker: &mut Checker) {
        if !checker.require_length("report.checkpoints", self.checkpoints.len()) {
            return;
        }
        // An interval of 0 is reported as a mistake of its own.
        let every = evaluate_every.max(1);
        for (index, &iteration) in self.checkpoints.iter().enumerate() {
            let is_repeated = self.checkpoints[..index].contains(&iteration);
            let is_evaluated =
                (1..=iterations).contains(&iteration) && (iteration % every == 0 || iteration == iterations);
            let (message, hint) = if is_repeated {
                (format!("`report.checkpoints` names iteration {iteration} twice"), "leave one of them out".to_owned())
            } else if is_evaluated {
                continue;
            } else if (1..iterations).contains(&iteration) {
                let message =
                    format!("nothing is evaluated at iteration {iteration}: `train.evaluate_every` is {every}");
                (message, nearest_evaluation(iteration, every, iterations))
            } else {
                let message = format!("there is no iteration {iteration} to be evaluated at: the last is {iterations}");
                (message, nearest_evaluation(iteration, every, iterations))
            };
            checker.push(Diagnostic::new(format!("report.checkpoints[{index}]"), message).hint(hint));
        }
    }
}

/// Returns the hint that names the evaluation nearest to `iteration`, without the evaluation of the untrained network.
fn nearest_evaluation(iteration: u64, every: u64, iterations: u64) -> String {
    let below = iteration.min(iterations) / every * every;
    let candidates = [below, below.saturating_add(every), iterations];
    let evaluations = candidates.into_iter().filter(|candidate| (1..=iterations).contains(candidate));
    evaluations
        .min_by_key(|candidate| candidate.abs_diff(iteration))
        .map_or_else(String::new, |nearest| format!("the nearest evaluation is at iteration {nearest}"))
}

#[cfg(test)]
mod tests {
    use crate::config::test_support::try_experiment;

    /// Returns the messages about checkpoints in a training run of 250 iterations that is evaluated every 100.
    fn messages(checkpoints: &str) -> String {
        let checkpoints = format!("report.checkpoints={checkpoints}");
        let sets = ["train.iterations=250", "train.evaluate_every=100", &checkpoints];
        try_experiment(&sets).map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn margins_have_ranges() {
        for (key, good, bad) in [("margin", "0.5", "-0.1"), ("stop_margin", "0.0", "10"), ("stop_margin", "1", "-0.1")]
        {
            let message = |value: &str| {
                try_experiment(&[&format!("report.{key}={value}")])
                    .map_or_else(|error| error.to_string(), |_| String::new())
            };
            assert_eq!(message(good), "");
            assert!(message(bad).contains(&format!("report.{key}")), "{key}: {}", message(bad));
        }
    }

    #[test]
    fn checkpoint_is_an_evaluation() {
        assert_eq!(messages("[100, 250, 200]"), "", "the last iteration is evaluated wherever it is");
        assert_eq!(messages("[]"), "");
        for (checkpoints, message, hint) in [
            ("[130]", "nothing is evaluated at iteration 130: `train.evaluate_every` is 100", "at iteration 100"),
            ("[40]", "nothing is evaluated at iteration 40", "at iteration 100"),
            ("[240]", "nothing is evaluated at iteration 240", "at iteration 250"),
            ("[0]", "there is no iteration 0 to be evaluated at: the last is 250", "at iteration 100"),
            ("[100, 300]", "there is no iteration 300", "at iteration 250"),
            ("[100, 100]", "names iteration 100 twice", "leave one of them out"),
        ] {
            let messages = messages(checkpoints);
            assert!(messages.contains(message) && messages.contains(hint), "{checkpoints}: {messages}");
        }
    }
}
