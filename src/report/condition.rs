//! The three conditions of a winning ticket (the paper, Section 1), each tested by one-sided confidence bounds of a
//! difference that is taken within each replicate. Independent of runs.

use serde::Serialize;

use super::statistics::{Interval, LEVEL, MeanEstimate};

/// A condition of a winning ticket: a comparison of a ticket with a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Test accuracy at early stop, compared with the dense network: at most `report.margin` lower.
    Accuracy,
    /// Iterations to early stop, compared with the dense network: at most `report.stop_margin` more, as a share of the
    /// mean of the dense network.
    Speed,
    /// Test accuracy at early stop, compared with the same mask reinitialized: higher.
    OverReinit,
}

impl Condition {
    /// Every condition, in the order of the report.
    pub const ALL: [Self; 3] = [Self::Accuracy, Self::Speed, Self::OverReinit];

    /// Returns the comparison in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "test accuracy vs. dense",
            Self::Speed => "iterations to early stop vs. dense",
            Self::OverReinit => "test accuracy vs. reinit",
        }
    }
}

/// The answer of a test to a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The bounds confirm the condition.
    Yes,
    /// The bounds exclude the condition.
    No,
    /// The bounds do neither.
    Inconclusive,
    /// There are no bounds, or censored early stops prevent the answer.
    NotTested,
}

impl Answer {
    /// Every answer, in the order of texts.
    pub const ALL: [Self; 4] = [Self::Yes, Self::No, Self::Inconclusive, Self::NotTested];

    /// Returns the answer in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Inconclusive => "inconclusive",
            Self::NotTested => "not tested",
        }
    }
}

/// The reason why a condition is not tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The experiment has no arm to compare with.
    NoReference,
    /// Fewer than two replicates have both results.
    TooFewReplicates,
    /// All differences are equal, and the resolution of the metric is not known.
    NoVariation,
    /// Early stops are censored, so that the difference is known in one direction only, or not at all.
    Censored,
}

impl Obstacle {
    /// Returns the reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoReference => "no arm reinitializes this mask",
            Self::TooFewReplicates => "n < 2",
            Self::NoVariation => "no variation",
            Self::Censored => "censored early stops",
        }
    }
}

/// The side of a difference, ticket minus reference, whose early stops are censored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Censoring {
    /// Early stops of the ticket are censored: the true difference is at least the measured one.
    pub ticket: bool,
    /// Early stops of the reference are censored: the true difference is at most the measured one.
    pub reference: bool,
}

/// The test of a condition for an arm at a round. Accuracies are shares of 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ConditionTest {
    /// The condition.
    pub condition: Condition,
    /// The answer of the one-sided 95 % bounds.
    pub answer: Answer,
    /// The answer after Holm's correction over the rounds of the arm.
    pub corrected: Answer,
    /// The mean difference, ticket minus reference, with its bounds; `None` if there are no bounds.
    pub difference: Option<Interval>,
    /// The difference between yes and no: the bounds answer if they lie on one side of it.
    pub limit: f64,
    /// The p-value of the answer yes: of the test against the hypothesis that the condition is not met. `None` if yes
    /// cannot be shown.
    pub p_yes: Option<f64>,
    /// The p-value of the answer no; `None` if no cannot be shown.
    pub p_no: Option<f64>,
    /// [`p_yes`](Self::p_yes) after Holm's correction over the rounds of the arm.
    pub holm_p_yes: Option<f64>,
    /// [`p_no`](Self::p_no) after Holm's correction over the rounds of the arm.
    pub holm_p_no: Option<f64>,
    /// The number of replicates that would settle an inconclusive answer, at the observed mean and deviation.
    pub replicates_needed: Option<usize>,
    /// The answer that [`replicates_needed`](Self::replicates_needed) would give: the side of the limit that the mean
    /// lies on. `None` if the answer is not inconclusive.
    pub would_be: Option<Answer>,
    /// Which early stops are censored; always neither, unless the condition is about them.
    pub censoring: Censoring,
    /// Why the condition is not tested; `None` if it is.
    pub obstacle: Option<Obstacle>,
}

impl ConditionTest {
    /// Returns the test of a condition that cannot be tested.
    pub(super) fn impossible(condition: Condition, limit: f64, obstacle: Obstacle) -> Self {
        Self {
            condition,
            answer: Answer::NotTested,
            corrected: Answer::NotTested,
            difference: None,
            limit,
            p_yes: None,
            p_no: None,
            holm_p_yes: None,
            holm_p_no: None,
            replicates_needed: None,
            would_be: None,
            censoring: Censoring::default(),
            obstacle: Some(obstacle),
        }
    }

    /// Returns the test of a condition by a mean difference, before the correction over rounds. `limit` as in
    /// [`limit`](Self::limit).
    pub(super) fn of(condition: Condition, estimate: &MeanEstimate, limit: f64, censoring: Censoring) -> Self {
        let interval = estimate.interval(LEVEL);
        let above = (interval.low > limit, estimate.p_above(limit));
        let below = (interval.high < limit, estimate.p_below(limit));
        // Fewer iterations are better, and higher accuracies.
        let (is_yes, is_no) = if condition == Condition::Speed { (below, above) } else { (above, below) };
        // A censored ticket may stop later than measured, which only strengthens no; a censored reference, yes.
        let (can_be_yes, can_be_no) = (!censoring.ticket, !censoring.reference);
        let answer = match (is_yes.0, is_no.0) {
            (true, _) if can_be_yes => Answer::Yes,
            (_, true) if can_be_no => Answer::No,
            _ if can_be_yes && can_be_no => Answer::Inconclusive,
            _ => Answer::NotTested,
        };
        let is_inconclusive = answer == Answer::Inconclusive;
        let side = if is_yes.1 < is_no.1 { Answer::Yes } else { Answer::No };
        Self {
            answer,
            corrected: answer,
            difference: Some(interval),
            p_yes: can_be_yes.then_some(is_yes.1),
            p_no: can_be_no.then_some(is_no.1),
            replicates_needed: estimate.replicates_needed(limit, LEVEL).filter(|_| is_inconclusive),
            would_be: is_inconclusive.then_some(side),
            censoring,
            obstacle: (answer == Answer::NotTested).then_some(Obstacle::Censored),
            ..Self::impossible(condition, limit, Obstacle::Censored)
        }
    }

    /// Sets the answer after Holm's correction, given the corrected p-values of yes and of no.
    pub(super) fn correct(&mut self, holm_p_yes: f64, holm_p_no: f64) {
        self.holm_p_yes = self.p_yes.map(|_| holm_p_yes);
        self.holm_p_no = self.p_no.map(|_| holm_p_no);
        let is_significant = |p: Option<f64>| p.is_some_and(|p| p < 1.0 - LEVEL);
        let holds = match self.answer {
            Answer::Yes => is_significant(self.holm_p_yes),
            Answer::No => is_significant(self.holm_p_no),
            Answer::Inconclusive | Answer::NotTested => true,
        };
        self.corrected = if holds { self.answer } else { Answer::Inconclusive };
    }

    /// Returns whether the ticket is shown to be better than the reference by the plain bounds, and not only no worse
    /// by more than a margin: more accurate, or earlier.
    pub fn is_better(&self) -> bool {
        self.answer == Answer::Yes
            && self.difference.is_some_and(|difference| match self.condition {
                Condition::Accuracy | Condition::OverReinit => difference.low > 0.0,
                Condition::Speed => difference.high < 0.0,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the test of a condition by differences of mean `mean` and deviation 1: the bounds lie 2.92 / √3 = 1.686
    /// from the mean.
    fn test(condition: Condition, mean: f64, limit: f64, censoring: Censoring) -> ConditionTest {
        let estimate = MeanEstimate::of(&[mean - 1.0, mean, mean + 1.0], 0.0).unwrap();
        ConditionTest::of(condition, &estimate, limit, censoring)
    }

    const FREE: Censoring = Censoring { ticket: false, reference: false };

    #[test]
    fn accuracy_condition_is_answered_by_the_side_of_the_margin() {
        let answer = |condition, mean, limit| test(condition, mean, limit, FREE).answer;
        // Limit −1: the lower bound is above it from a mean of 0.686, the upper bound below it from −2.686.
        for (mean, expected) in
            [(0.7, Answer::Yes), (0.6, Answer::Inconclusive), (-2.6, Answer::Inconclusive), (-2.7, Answer::No)]
        {
            assert_eq!(answer(Condition::Accuracy, mean, -1.0), expected, "{mean}");
        }
        for (mean, expected) in
            [(1.7, Answer::Yes), (1.6, Answer::Inconclusive), (0.0, Answer::Inconclusive), (-1.7, Answer::No)]
        {
            assert_eq!(answer(Condition::OverReinit, mean, 0.0), expected, "{mean}");
        }
    }

    #[test]
    fn speed_condition_accepts_equal_speed_within_the_margin() {
        // Limit +2: the upper bound is below it up to a mean of 0.314, the lower bound above it from 3.686.
        for (mean, expected, is_better) in [
            (-1.7, Answer::Yes, true),
            (0.0, Answer::Yes, false),
            (0.4, Answer::Inconclusive, false),
            (3.6, Answer::Inconclusive, false),
            (3.7, Answer::No, false),
        ] {
            let test = test(Condition::Speed, mean, 2.0, FREE);
            assert_eq!((test.answer, test.is_better()), (expected, is_better), "{mean}");
        }
    }

    #[test]
    fn censored_early_stops_leave_only_the_answers_that_longer_training_cannot_change() {
        let [much_earlier, equal, much_later] = [-9.0, 0.0, 9.0];
        for (ticket, reference, answers) in [
            (false, false, [Answer::Yes, Answer::Inconclusive, Answer::No]),
            (true, false, [Answer::NotTested, Answer::NotTested, Answer::No]),
            (false, true, [Answer::Yes, Answer::NotTested, Answer::NotTested]),
            (true, true, [Answer::NotTested; 3]),
        ] {
            let censoring = Censoring { ticket, reference };
            let tests = [much_earlier, equal, much_later].map(|mean| test(Condition::Speed, mean, 0.0, censoring));
            assert_eq!(tests.map(|test| test.answer), answers, "{censoring:?}");
            let obstacles = answers.map(|answer| (answer == Answer::NotTested).then_some(Obstacle::Censored));
            assert_eq!(tests.map(|test| test.obstacle), obstacles, "{censoring:?}");
        }
    }

    #[test]
    fn replicates_needed_settle_the_side_of_the_mean() {
        // Deviation 1, distance 1: n = 5, see `replicates_needed_is_the_smallest_number`.
        let needed = |mean| {
            let test = test(Condition::OverReinit, mean, 0.0, FREE);
            (test.would_be, test.replicates_needed)
        };
        assert_eq!(needed(1.0), (Some(Answer::Yes), Some(5)));
        assert_eq!(needed(-1.0), (Some(Answer::No), Some(5)));
        assert_eq!(needed(0.01).1, None, "more than 1,000");
        assert_eq!(needed(9.0), (None, None), "it is settled");
    }

    #[test]
    fn correction_withdraws_answers_but_adds_none() {
        let corrected = |mean, p_yes, p_no| {
            let mut test = test(Condition::OverReinit, mean, 0.0, FREE);
            test.correct(p_yes, p_no);
            (test.answer, test.corrected)
        };
        assert_eq!(corrected(9.0, 0.04, 1.0), (Answer::Yes, Answer::Yes));
        assert_eq!(corrected(9.0, 0.06, 1.0), (Answer::Yes, Answer::Inconclusive));
        assert_eq!(corrected(-9.0, 1.0, 0.04), (Answer::No, Answer::No));
        assert_eq!(corrected(0.0, 0.04, 0.04), (Answer::Inconclusive, Answer::Inconclusive));
    }
}
