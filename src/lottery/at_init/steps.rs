//! The numbers of weights that remain after each step of a method with several steps.

use crate::prune::RemainingCounts;

/// Returns the numbers after step `step` of `steps`, the last of which reaches `target`. The share of the included weights
/// that is kept falls by the same factor in each step: of each layer if `target` has numbers of layers, else of all
/// together. `sizes`: the number of weights of every layer.
pub(super) fn counts_after_step(
    step: u32,
    steps: u32,
    target: &RemainingCounts,
    sizes: &[u64],
    included: &[bool],
) -> RemainingCounts {
    if step >= steps {
        return target.clone();
    }
    let part = f64::from(step) / f64::from(steps);
    let after = |kept: u64, of: u64| (of as f64 * (kept as f64 / of.max(1) as f64).powf(part)).round() as u64;
    if let Some(layers) = &target.layers {
        let layers: Vec<u64> = layers.iter().zip(sizes).map(|(&kept, &size)| after(kept, size)).collect();
        return RemainingCounts { kept: layers.iter().sum(), layers: Some(layers) };
    }
    let ranked: u64 = sizes.iter().zip(included).filter(|(_, included)| **included).map(|(size, _)| size).sum();
    let excluded = sizes.iter().sum::<u64>() - ranked;
    RemainingCounts { kept: excluded + after(target.kept.saturating_sub(excluded), ranked), layers: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_falls_by_the_same_factor_in_each_step() {
        let kept = |step, layers: Option<Vec<u64>>| {
            let target = RemainingCounts { kept: 45, layers };
            let counts = counts_after_step(step, 2, &target, &[400, 100, 20], &[true, true, false]);
            (counts.kept, counts.layers)
        };
        // 25 of 500 in two steps: a factor of √0.05; the 20 weights that are not pruned stay.
        assert_eq!(kept(1, None), (20 + 112, None));
        assert_eq!(kept(2, None), (45, None));
        // 16 of 400: by 0.2 in each of two steps; 9 of 100: by 0.3.
        assert_eq!(kept(1, Some(vec![16, 9, 20])), (80 + 30 + 20, Some(vec![80, 30, 20])));
    }
}
