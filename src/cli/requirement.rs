//! `lth show --require`: a comparison of a metric with a number, such as `winning_ticket.2.final_test_accuracy >= 0.6`.

use anyhow::Result;

use crate::artifacts::{METRICS, Metric, RoundGroup, RoundRow, arms, last_iteration};
use crate::base::stats::SummaryStats;
use crate::config::{UsageError, closest_match};

/// A comparison of a metric of an arm at a round with a number.
#[derive(Clone, Debug)]
pub(super) struct Requirement {
    /// The text on the command line.
    text: String,
    arm: String,
    round: u32,
    metric: &'static Metric,
    statistic: Statistic,
    comparison: Comparison,
    bound: f64,
}

/// The number that is made of the values of all training runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statistic {
    Mean,
    Min,
    Max,
}

/// The relation of the two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
}

impl Comparison {
    /// The relations as they are written; the longer of two with the same beginning comes first.
    const ALL: [(&'static str, Self); 5] =
        [(">=", Self::AtLeast), ("<=", Self::AtMost), ("==", Self::Equal), (">", Self::Above), ("<", Self::Below)];

    /// Returns whether the relation holds. It does not hold for a value that is not a number.
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::AtLeast => value >= bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::Below => value < bound,
            Self::Equal => value == bound,
        }
    }
}

impl Requirement {
    /// Parses `ARM.ROUND.METRIC[.mean|.min|.max] RELATION NUMBER`.
    ///
    /// # Errors
    /// Fails with a message that names the part that cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        const FORM: &str =
            "expected `ARM.ROUND.METRIC >= NUMBER`, such as `winning_ticket.2.final_test_accuracy >= 0.6`";
        let split = Comparison::ALL.iter().find_map(|(sign, comparison)| Some((text.split_once(sign)?, *comparison)));
        let ((quantity, bound), comparison) = split.ok_or(FORM)?;
        let bound: f64 = bound.trim().parse().map_err(|_| format!("`{}` is not a number; {FORM}", bound.trim()))?;
        let parts: Vec<&str> = quantity.trim().split('.').collect();
        let (arm, round, metric, statistic) = match parts[..] {
            [arm, round, metric] => (arm, round, metric, "mean"),
            [arm, round, metric, statistic] => (arm, round, metric, statistic),
            _ => return Err(FORM.to_owned()),
        };
        let round = round.parse().map_err(|_| format!("`{round}` is not the number of a round; {FORM}"))?;
        let statistic = match statistic {
            "mean" => Statistic::Mean,
            "min" => Statistic::Min,
            "max" => Statistic::Max,
            other => return Err(format!("`{other}` is not one of mean, min, max")),
        };
        let metric = Metric::named(metric).ok_or_else(|| unknown_metric(metric))?;
        Ok(Self { text: text.trim().to_owned(), arm: arm.to_owned(), round, metric, statistic, comparison, bound })
    }

    /// Returns the message about the requirement if it is not met by the rows of a run; `None` if it is.
    ///
    /// # Errors
    /// Returns a [`UsageError`] if the run has no such arm or round.
    pub(super) fn unmet(&self, rows: &[RoundRow]) -> Result<Option<String>> {
        let groups = RoundGroup::by_arm_and_round(rows);
        let Some(group) = groups.iter().find(|group| group.arm == self.arm && group.round == self.round) else {
            let hint = format!("the arms are {}; `lth show RUN` lists their rounds", arms(rows.iter()).join(", "));
            let text = format!("error: there is no arm `{}` with a round {}", self.arm, self.round);
            return Err(UsageError::from_text(&format!("{text}\n  --> --require {}\n\nhint: {hint}", self.text)).into());
        };
        let values = group.metric(self.metric, last_iteration(rows));
        let Some(stats) = SummaryStats::of(&values) else {
            return Ok(Some(format!("required `{}`, but no training run has a result", self.text)));
        };
        let value = match self.statistic {
            Statistic::Mean => stats.mean,
            Statistic::Min => stats.min,
            Statistic::Max => stats.max,
        };
        let is_met = self.comparison.holds(value, self.bound);
        let list: Vec<String> = values.iter().map(ToString::to_string).collect();
        Ok((!is_met).then(|| format!("required `{}`, got {value} (n = {}: {})", self.text, stats.n, list.join(", "))))
    }
}

/// Returns the message about an unknown metric, with the one that is probably meant, or all.
fn unknown_metric(name: &str) -> String {
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    match closest_match(name, &names) {
        Some(nearest) => format!("there is no metric `{name}`; did you mean `{nearest}`?"),
        None => format!("there is no metric `{name}`; one of {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::outcome::OutcomeKind;

    fn rows() -> Vec<RoundRow> {
        let row = |accuracy| RoundRow {
            arm: "a".into(),
            round: 2,
            final_test_accuracy: Some(accuracy),
            outcome: OutcomeKind::Done.into(),
            ..RoundRow::default()
        };
        vec![
            row(0.5),
            row(0.75),
            RoundRow { arm: "b".into(), outcome: OutcomeKind::Diverged.into(), ..RoundRow::default() },
        ]
    }

    fn unmet(text: &str) -> Option<String> {
        Requirement::parse(text).unwrap().unmet(&rows()).unwrap()
    }

    #[test]
    fn requirement_compares_mean_minimum_and_maximum() {
        for met in [
            "a.2.final_test_accuracy >= 0.625",
            "a.2.final_test_accuracy.mean==0.625",
            "a.2.final_test_accuracy.min < 0.51",
            "a.2.final_test_accuracy.max > 0.7",
            "a.2.final_test_accuracy <= 0.625",
        ] {
            assert_eq!(unmet(met), None, "{met}");
        }
        let message = unmet("a.2.final_test_accuracy > 0.625").unwrap();
        assert_eq!(message, "required `a.2.final_test_accuracy > 0.625`, got 0.625 (n = 2: 0.5, 0.75)");
        assert!(unmet("b.0.final_test_accuracy > 0").unwrap().ends_with("but no training run has a result"));
    }

    #[test]
    fn requirement_names_what_it_cannot_read() {
        let refused = |text: &str| Requirement::parse(text).unwrap_err();
        assert!(refused("a.2.final_test_acuracy > 1").contains("did you mean `final_test_accuracy`?"));
        assert!(refused("a.x.final_test_accuracy > 1").contains("`x` is not the number of a round"));
        assert!(refused("a.2.final_test_accuracy.median > 1").contains("mean, min, max"));
        assert!(refused("a.2.final_test_accuracy > much").contains("`much` is not a number"));
        assert!(refused("a.2").starts_with("expected `ARM.ROUND.METRIC"));
        let unknown = Requirement::parse("c.2.final_test_accuracy > 0").unwrap().unmet(&rows()).unwrap_err();
        assert!(unknown.downcast_ref::<UsageError>().is_some() && unknown.to_string().contains("the arms are a, b"));
    }
}
