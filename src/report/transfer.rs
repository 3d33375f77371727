//! Transferred networks: arms whose mask is taken from files, and usually their weights too, compared with what the
//! experiment finds itself and with controls.

use super::arm_round::ArmRound;
use super::paired::PairedResults;
use super::roles::reinit_of;
use super::statistics::{Interval, LEVEL, MeanEstimate, holm};
use crate::artifacts::{EARLY_STOP_TEST_ACCURACY, RoundGroup, RoundRow};
use crate::config::{Arm, Experiment, MaskSource, WeightSource};
use crate::lottery::DENSE;

/// The largest relative difference between the sizes of two masks that are compared.
const SAME_SIZE: f64 = 0.02;

/// What a transferred network is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference {
    /// The dense network.
    Dense,
    /// The ticket that iterative pruning finds on the data of the experiment.
    OwnTicket,
    /// The transferred mask with new initial weights.
    Reinit,
    /// A random mask of the same size in every layer.
    RandomMask,
}

impl Reference {
    /// All references, in the order of tables.
    pub(super) const ALL: [Self; 4] = [Self::Dense, Self::OwnTicket, Self::Reinit, Self::RandomMask];

    /// Returns the words for it in texts.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Dense => "the dense network",
            Self::OwnTicket => "the experiment's own ticket",
            Self::Reinit => "its mask with new weights",
            Self::RandomMask => "a random mask of its size",
        }
    }
}

/// Whether a transferred network is more accurate than its reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TransferAnswer {
    /// It is more accurate.
    Higher,
    /// It is less accurate.
    Lower,
    /// The data do not decide.
    Undecided,
}

impl TransferAnswer {
    /// Returns the word in tables.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Higher => "higher",
            Self::Lower => "lower",
            Self::Undecided => "undecided",
        }
    }
}

/// A transferred network at one size, compared with a reference of this size.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TransferComparison {
    /// The arm of the transferred networks.
    pub(super) arm: String,
    /// The round.
    pub(super) round: u32,
    /// Kept / all weights, 0..=1.
    pub(super) weights_remaining: f64,
    /// What it is compared with.
    pub(super) reference: Reference,
    /// The arm of the reference.
    pub(super) reference_arm: String,
    /// Test accuracies at early stop minus those of the reference, one for each replicate.
    pub(super) differences: Vec<f64>,
    /// Their mean with one-sided 95 % confidence bounds; `None` with fewer than two replicates.
    pub(super) difference: Option<Interval>,
    /// The answer after Holm's correction for all comparisons of the arm.
    pub(super) answer: TransferAnswer,
}

/// Returns whether an arm's networks are transferred: the mask is from files, and the weights are not drawn for it.
pub(super) fn is_transferred(arm: &Arm) -> bool {
    matches!(arm.mask, MaskSource::File(_)) && arm.weights != WeightSource::Reinit
}

/// Returns the comparisons of every transferred arm, by arm, round and reference.
pub(super) fn transfer_comparisons(rows: &[RoundRow], experiment: &Experiment) -> Vec<TransferComparison> {
    let results = PairedResults::new(rows, experiment);
    let mut comparisons = Vec::new();
    for (name, _) in experiment.arms.0.iter().filter(|(_, arm)| is_transferred(arm)) {
        let mut of_arm: Vec<(TransferComparison, [f64; 2])> = Vec::new();
        for round in results.rounds(name) {
            let transferred = ArmRound::new(name, round);
            for reference in Reference::ALL {
                of_arm.extend(compare(&results, experiment, transferred, reference));
            }
        }
        let p_values: Vec<f64> = of_arm.iter().flat_map(|(_, p_values)| *p_values).collect();
        let corrected = holm(&p_values);
        for ((comparison, _), p) in of_arm.into_iter().zip(corrected.chunks_exact(2)) {
            let answer = match p {
                [above, _] if *above < 1.0 - LEVEL => TransferAnswer::Higher,
                [_, below] if *below < 1.0 - LEVEL => TransferAnswer::Lower,
                _ => TransferAnswer::Undecided,
            };
            comparisons.push(TransferComparison { answer, ..comparison });
        }
    }
    comparisons
}

/// Returns the comparison with a reference, and the p-values that the accuracy is above and below it; `None` if the
/// experiment has no such reference of this size.
fn compare(
    results: &PairedResults<'_>,
    experiment: &Experiment,
    transferred: ArmRound<'_>,
    reference: Reference,
) -> Option<(TransferComparison, [f64; 2])> {
    let weights_remaining = results.group(transferred)?.weights_remaining();
    let other = reference_round(results, experiment, transferred, reference, weights_remaining)?;
    let metric = &EARLY_STOP_TEST_ACCURACY;
    let differences = results.differences(transferred, other, metric);
    if differences.is_empty() {
        return None;
    }
    let estimate = MeanEstimate::of(&differences, results.least_deviation(metric));
    let comparison = TransferComparison {
        arm: transferred.arm.to_owned(),
        round: transferred.round,
        weights_remaining,
        reference,
        reference_arm: other.arm.to_owned(),
        differences,
        difference: estimate.map(|estimate| estimate.interval(LEVEL)),
        answer: TransferAnswer::Undecided,
    };
    Some((comparison, estimate.map_or([1.0; 2], |estimate| [estimate.p_above(0.0), estimate.p_below(0.0)])))
}

/// Returns the arm and the round of a reference; `None` if the experiment has none of this size.
fn reference_round<'a>(
    results: &PairedResults<'_>,
    experiment: &'a Experiment,
    transferred: ArmRound<'a>,
    reference: Reference,
    weights_remaining: f64,
) -> Option<ArmRound<'a>> {
    let find = |matches: &dyn Fn(&Arm) -> bool| {
        experiment.arms.0.iter().find(|(_, arm)| matches(arm)).map(|(name, _)| name.as_str())
    };
    match reference {
        Reference::Dense => Some(ArmRound::new(DENSE, 0)),
        Reference::Reinit => Some(ArmRound::new(reinit_of(transferred.arm, experiment)?, transferred.round)),
        Reference::RandomMask => {
            let mask = MaskSource::Random(transferred.arm.to_owned());
            Some(ArmRound::new(find(&|arm| arm.mask == mask)?, transferred.round))
        }
        Reference::OwnTicket => {
            let is_ticket =
                |arm: &Arm| arm.mask == MaskSource::Iterative && matches!(arm.weights, WeightSource::Rewind { .. });
            let arm = find(&is_ticket)?;
            let distance = |round: &u32| {
                let remaining = results.group(ArmRound::new(arm, *round)).map(RoundGroup::weights_remaining);
                remaining.map_or(f64::INFINITY, |remaining| (remaining / weights_remaining - 1.0).abs())
            };
            let nearest = results.rounds(arm).into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
            (distance(&nearest) <= SAME_SIZE).then(|| ArmRound::new(arm, nearest))
        }
    }
}

/// Returns a sentence for each transferred arm: how often it is more and less accurate than each reference.
pub(super) fn transfer_sentences(comparisons: &[TransferComparison]) -> Vec<String> {
    let mut arms: Vec<&str> = comparisons.iter().map(|comparison| comparison.arm.as_str()).collect();
    arms.dedup();
    let sentence = |arm: &str| {
        let parts: Vec<String> = Reference::ALL
            .into_iter()
            .filter_map(|reference| {
                let of_reference: Vec<&TransferComparison> = comparisons
                    .iter()
                    .filter(|comparison| comparison.arm == arm && comparison.reference == reference)
                    .collect();
                let count = |answer| of_reference.iter().filter(|comparison| comparison.answer == answer).count();
                let counts = [
                    ("more accurate", count(TransferAnswer::Higher)),
                    ("less accurate", count(TransferAnswer::Lower)),
                    ("undecided", count(TransferAnswer::Undecided)),
                ];
                let text: Vec<String> =
                    counts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{word} at {n}")).collect();
                (!text.is_empty()).then(|| format!("against {}, {}", reference.as_str(), text.join(" and ")))
            })
            .collect();
        let sizes = comparisons.iter().filter(|comparison| comparison.arm == arm);
        let mut rounds: Vec<u32> = sizes.map(|comparison| comparison.round).collect();
        rounds.dedup();
        let sizes = crate::base::format::count_of(rounds.len() as u64, "size");
        format!("Transfer of {arm} at {sizes}, by test accuracy at early stop: {}.", parts.join("; "))
    };
    arms.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::{experiment, row};
    use super::*;

    #[test]
    fn transferred_networks_are_compared_with_references_of_their_size() {
        let arms = "arms={t={mask={file='x{round}'},weights={file='x{round}',which='start'}},\
                    own={mask='iterative',weights='rewind'},r={mask={of='t'},weights='reinit'},\
                    m={mask={random='t'},weights='reinit'}}";
        let experiment = experiment(&[arms]);
        let mut rows = Vec::new();
        for replicate in 1..=4 {
            let noise = 0.0001 * f64::from(replicate);
            for (arm, round, accuracy) in
                [("dense", 0, 0.9), ("t", 1, 0.9), ("own", 1, 0.9), ("r", 1, 0.8), ("m", 1, 0.95)]
            {
                let sign = if arm == "t" && replicate % 2 == 0 { 20.0 } else { 1.0 };
                let accuracy = accuracy + sign * noise;
                let mut row = row(arm, round, replicate, (100, accuracy));
                row.weights_remaining = if round == 0 { 1.0 } else { 0.5 };
                rows.push(row);
            }
        }
        let comparisons = transfer_comparisons(&rows, &experiment);
        let answers: Vec<_> = comparisons.iter().map(|c| (c.reference, c.reference_arm.as_str(), c.answer)).collect();
        assert_eq!(
            answers,
            [
                (Reference::Dense, "dense", TransferAnswer::Undecided),
                (Reference::OwnTicket, "own", TransferAnswer::Undecided),
                (Reference::Reinit, "r", TransferAnswer::Higher),
                (Reference::RandomMask, "m", TransferAnswer::Lower),
            ]
        );
        assert_eq!(
            transfer_sentences(&comparisons),
            ["Transfer of t at 1 size, by test accuracy at early stop: against the dense network, undecided at 1; \
                 against the experiment's own ticket, undecided at 1; against its mask with new weights, more accurate \
                 at 1; against a random mask of its size, less accurate at 1."]
        );
    }

    #[test]
    fn own_tickets_of_another_size_are_not_compared() {
        let arms =
            "arms={t={mask={file='x'},weights={file='x',which='start'}},own={mask='iterative',weights='rewind'}}";
        let mut rows = vec![row("t", 1, 1, (100, 0.9)), row("own", 1, 1, (100, 0.9))];
        (rows[0].weights_remaining, rows[1].weights_remaining) = (0.5, 0.8);
        assert_eq!(transfer_comparisons(&rows, &experiment(&[arms])), []);
    }
}
