//! The method of the verdicts and claims, with references: a section of the report.

use std::collections::BTreeSet;

use crate::config::Experiment;

/// The works that the statements refer to.
const REFERENCES: &str = "\
    [1] Frankle and Carbin 2019, The Lottery Ticket Hypothesis, arXiv 1803.03635v5. \
    [2] Walker and Nowacki 2011, Understanding equivalence and noninferiority testing, J. Gen. Intern. Med. 26:192–196. \
    [3] Student 1908, The probable error of a mean, Biometrika 6:1–25. \
    [4] Holm 1979, A simple sequentially rejective multiple test procedure, Scand. J. Statist. 6:65–70. \
    [5] Berger 1982, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24:295–300.";

/// Returns the method as a list of statements, for the experiments of the report; empty if there are none.
pub(super) fn method(experiments: &[&Experiment]) -> Vec<String> {
    if experiments.is_empty() {
        return Vec::new();
    }
    let mut statements = conditions(experiments);
    statements.extend(statistics(experiments));
    statements.push(REFERENCES.to_owned());
    statements
}

/// Returns the statements on the conditions of a winning ticket, and on the claims of the paper.
fn conditions(experiments: &[&Experiment]) -> Vec<String> {
    let margins = values(experiments, |experiment| experiment.report.margin.to_string());
    let stop_margins = values(experiments, |experiment| percentage(experiment.report.stop_margin));
    vec![
        "Winning ticket: a round at which three conditions are all answered yes [1, Section 1]. A round with a condition \
         answered no is no ticket. Every other round is inconclusive."
            .to_owned(),
        format!(
            "Test accuracy vs. dense: test accuracy at early stop minus that of the dense network. Yes if the lower bound \
             is above −{margins} points (report.margin), no if the upper bound is below it: a test of \
             non-inferiority [2]."
        ),
        format!(
            "Iterations to early stop vs. dense: iterations trained until the early stop minus those of the dense \
             network. Yes if the upper bound is below {stop_margins} of the mean of the dense network \
             (report.stop_margin), no if the lower bound is above it."
        ),
        "Test accuracy vs. reinit: test accuracy at early stop minus that of the same mask with new initial weights. Yes if \
         the lower bound is above 0, no if the upper bound is below 0. Equal accuracies are inconclusive."
            .to_owned(),
        "Early stop: the evaluation with the lowest validation loss, determined after training; training is not cut short. \
         An early stop on one of the last two evaluations is censored: the minimum may lie beyond the end of training. \
         Means with a censored early stop are marked ≥. The iterations are not tested where longer training could \
         change the answer. The test accuracy of a censored early stop is that at the end of training."
            .to_owned(),
        "Claims of the paper are judged only where the setting is that of the paper; in any other setting the numbers are \
         shown without a judgement."
            .to_owned(),
    ]
}

/// Returns the statements on bounds, corrections and numbers of replicates.
fn statistics(experiments: &[&Experiment]) -> Vec<String> {
    let intervals = values(experiments, |experiment| experiment.train.evaluate_every.to_string());
    vec![
        format!(
            "Bounds: differences are taken within each replicate, after the mean over repeats. Each bound is a one-sided \
             95% bound of Student's t distribution over n replicates [3]. The standard deviation is at least that of \
             the rounding of the metric ({intervals} iterations between evaluations; for accuracies the smallest \
             difference in the run). Bounds need n ≥ 2."
        ),
        "Several rounds: ‡ marks an answer that holds after Holm's correction [4] for the rounds of the arm, made for each \
         condition separately. A round that is not tested counts as p = 1. The p-value of a winning ticket is the \
         largest of its three conditions [5], and is corrected likewise. Without the correction, about 1 in 20 bounds \
         excludes its limit by chance."
            .to_owned(),
        "Replicates that would settle a condition: the smallest n whose bound excludes the limit if mean and standard \
         deviation stay as observed, without correction. It is a rough guide where n is small."
            .to_owned(),
    ]
}

/// Returns the distinct values of the experiments, such as `0.1 or 0.5`.
fn values(experiments: &[&Experiment], value: impl Fn(&Experiment) -> String) -> String {
    let values: BTreeSet<String> = experiments.iter().map(|experiment| value(experiment)).collect();
    values.into_iter().collect::<Vec<_>>().join(" or ")
}

/// Returns a share in percent, without superfluous digits: 0.1 as `10%`.
pub(super) fn percentage(share: f64) -> String {
    // Rounded to 10 digits: 100 · 0.07 is 7.000000000000001.
    format!("{}%", (share * 1e12).round() / 1e10)
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::experiment;
    use super::*;

    #[test]
    fn method_states_the_margins_of_every_experiment() {
        let plain = experiment(&[]);
        let wide = experiment(&["report.margin=0.5", "report.stop_margin=0.07"]);
        let text = |experiments: &[&Experiment]| method(experiments).join("\n");
        assert!(text(&[&plain]).contains("above −0.1 points") && text(&[&plain]).contains("below 10% of"));
        let both = text(&[&plain, &wide, &plain]);
        assert!(both.contains("−0.1 or 0.5 points") && both.contains("10% or 7% of"), "{both}");
        assert!(both.contains("20 iterations between evaluations"), "{both}");
        assert_eq!(method(&[]), [""; 0]);
    }
}
