//! Exact selection of the weights to prune, within one set of weights that are ranked by their scores.

use crate::base::units::Fraction;

/// Returns the number of weights that a round prunes from `remaining` ones at this rate: rounded to the nearest, halves
/// away from zero.
pub(super) fn prune_count(rate: Fraction, remaining: u64) -> u64 {
    (rate.get() * remaining as f64).round() as u64
}

/// Prunes the `count` kept weights with the lowest scores, or all if fewer are kept. Of weights with equal scores,
/// those with the lowest `tie_break` (a rank for each index) are pruned first. A random `tie_break` prunes evenly all
/// over the layer; an order by index would remove all weights of the first output units.
pub(super) fn prune_lowest(scores: &[f64], kept: &mut [bool], count: u64, tie_break: impl Fn(usize) -> u64) {
    let mut candidates: Vec<u32> = (0..scores.len() as u32).filter(|&i| kept[i as usize]).collect();
    let count = (count as usize).min(candidates.len());
    if count == 0 {
        return;
    }
    let order = |&a: &u32, &b: &u32| {
        let by_score = scores[a as usize].total_cmp(&scores[b as usize]);
        let by_tie_break = || tie_break(a as usize).cmp(&tie_break(b as usize));
        by_score.then_with(by_tie_break).then(a.cmp(&b))
    };
    candidates.select_nth_unstable_by(count - 1, order);
    candidates[..count].iter().for_each(|&i| kept[i as usize] = false);
}

/// Sets `kept` to the `count` positions with the largest `score`; of equal ones the first.
pub fn keep_highest(kept: &mut [bool], count: u64, score: impl Fn(usize) -> f32) {
    let count = (count as usize).min(kept.len());
    if count == 0 {
        kept.fill(false);
        return;
    }
    // Selecting among values is several times faster than among indices.
    let mut values: Vec<f32> = (0..kept.len()).map(&score).collect();
    let (_, &mut least, _) = values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let above = (0..kept.len()).filter(|&index| score(index).total_cmp(&least).is_gt()).count();
    let mut equal_ones = count - above;
    for (index, kept) in kept.iter_mut().enumerate() {
        let order = score(index).total_cmp(&least);
        let is_chosen_equal = order.is_eq() && equal_ones > 0;
        equal_ones -= usize::from(is_chosen_equal);
        *kept = order.is_gt() || is_chosen_equal;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prune_count_rounds_half_away_from_zero() {
        let counts = [(0.2, 235_200), (0.1, 1_000), (0.1, 5), (0.1, 4), (0.0, 9)]
            .map(|(rate, remaining)| prune_count(Fraction::saturating(rate), remaining));
        assert_eq!(counts, [47_040, 100, 1, 0, 0]);
    }

    #[test]
    fn prune_lowest_breaks_ties_in_order_and_ignores_pruned_weights() {
        let mut kept = [true, false, true, true, true];
        let tie_break = [7, 0, 9, 8, 0];
        prune_lowest(&[1.0, 0.0, 1.0, 1.0, 2.0], &mut kept, 2, |i| tie_break[i]);
        assert_eq!(kept, [false, false, true, false, true], "of the three with score 1, those with 7 and 8");
    }

    #[test]
    fn highest_scores_are_kept_and_of_equal_ones_the_first() {
        let mut kept = [true; 5];
        let scores = [0.5_f32, 2.0, 1.0, 1.0, -3.0];
        keep_highest(&mut kept, 2, |index| scores[index]);
        assert_eq!(kept, [false, true, true, false, false]);
        keep_highest(&mut kept, 9, |index| scores[index]);
        assert_eq!(kept, [true; 5]);
        keep_highest(&mut kept, 0, |index| scores[index]);
        assert_eq!(kept, [false; 5]);
    }

    proptest! {
        #[test]
        fn prune_lowest_prunes_the_exact_count_and_no_score_above_a_kept_one(
            weights in prop::collection::vec((0_u8..6, any::<bool>(), 0_u64..4), 1..80), count in 0_u64..80,
        ) {
            let scores: Vec<f64> = weights.iter().map(|w| f64::from(w.0)).collect();
            let before: Vec<bool> = weights.iter().map(|w| w.1).collect();
            let mut after = before.clone();
            prune_lowest(&scores, &mut after, count, |i| weights[i].2);
            let alive = |kept: &[bool]| kept.iter().filter(|&&k| k).count() as u64;
            prop_assert_eq!(alive(&after), alive(&before).saturating_sub(count));
            prop_assert!(before.iter().zip(&after).all(|(&b, &a)| b || !a), "a mask only shrinks");
            let rank = |i: usize| (scores[i], weights[i].2, i);
            let pruned_ranks = (0..scores.len()).filter(|&i| before[i] && !after[i]).map(rank);
            let kept_ranks = (0..scores.len()).filter(|&i| after[i]).map(rank);
            let highest_pruned = pruned_ranks.max_by(|a, b| a.partial_cmp(b).unwrap());
            let lowest_kept = kept_ranks.min_by(|a, b| a.partial_cmp(b).unwrap());
            prop_assert!(highest_pruned.zip(lowest_kept).is_none_or(|(pruned, kept)| pruned < kept));
        }
    }
}
