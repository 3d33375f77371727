//! Draws early-bird masks: the first mask of the dense network in training that has changed little for some time.

use std::collections::VecDeque;

use anyhow::{Result, bail};

use crate::base::format::with_thousands;
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::base::units::Iteration;
use crate::config::MaskDistance;
use crate::prune::mask_distance;

/// The rule by which an early-bird mask is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyBirdRule {
    /// The dense training run.
    pub dense: ContentHash,
    /// The iterations at which masks are compared, in ascending order.
    pub iterations: Vec<Iteration>,
    /// The number of successive masks that must be near each other.
    pub window: u32,
    /// The largest distance of masks that are near.
    pub threshold: f64,
    /// How the distance is measured.
    pub distance: MaskDistance,
}

impl EarlyBirdRule {
    /// Returns the mask that is drawn, and the iteration of its weights: the newest of [`window`](Self::window) successive
    /// masks if none of those before is further from it than [`threshold`](Self::threshold). `mask_at` returns the mask by
    /// the weights of an iteration.
    ///
    /// # Errors
    /// Fails if `mask_at` fails, or if no mask is drawn.
    pub(super) fn draw(&self, mut mask_at: impl FnMut(Iteration) -> Result<Mask>) -> Result<(Mask, Iteration)> {
        let before = self.window as usize - 1;
        let mut recent: VecDeque<Mask> = VecDeque::new();
        let mut nearest = f64::INFINITY;
        for &iteration in &self.iterations {
            let newest = mask_at(iteration)?;
            let furthest = recent.iter().map(|mask| mask_distance(&newest, mask, self.distance)).fold(0.0, f64::max);
            if recent.len() == before {
                if furthest <= self.threshold {
                    return Ok((newest, iteration));
                }
                nearest = nearest.min(furthest);
                recent.pop_front();
            }
            recent.push_back(newest);
        }
        let last = self.iterations.last().map_or(0, |iteration| iteration.0);
        bail!(
            "no early-bird mask until iteration {}: of {} masks in a row, the largest distance of the newest to another is \
             {nearest:.3} at least, and `threshold` is {}; raise it, or train longer",
            with_thousands(last),
            self.window,
            self.threshold
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;

    /// Returns a mask of ten weights that keeps these.
    fn mask(kept: &[usize]) -> Mask {
        let kept = (0..10).map(|index| kept.contains(&index)).collect();
        Mask(vec![LayerMask { name: "a.weight".into(), shape: vec![10], kept }])
    }

    fn rule(window: u32, threshold: f64, distance: MaskDistance) -> EarlyBirdRule {
        let dense = ContentHash::of_json_text("1");
        EarlyBirdRule { dense, iterations: (0..7).map(|n| Iteration(n * 50)).collect(), window, threshold, distance }
    }

    #[test]
    fn mask_is_drawn_when_it_is_near_to_all_of_the_window() {
        // Masks of two of ten weights. Two masks that differ in one weight each differ in 2 of 10.
        let masks = [[0, 1], [0, 2], [0, 3], [0, 3], [0, 4], [0, 4], [0, 4]].map(|kept| mask(&kept));
        let at = |iteration: Iteration| Ok(masks[(iteration.0 / 50) as usize].clone());
        let drawn = |window, threshold, distance| {
            rule(window, threshold, distance).draw(at).map_or(None, |(_, iteration)| Some(iteration.0))
        };
        // Two in a row are first equal at the fourth mask, three at the last.
        assert_eq!(drawn(2, 0.1, MaskDistance::Hamming), Some(150));
        assert_eq!(drawn(3, 0.1, MaskDistance::Hamming), Some(300));
        assert_eq!(drawn(4, 0.1, MaskDistance::Hamming), None);
        // Those of the initial weights are the first of the window: five are seen at the fifth.
        assert_eq!(drawn(5, 0.2, MaskDistance::Hamming), Some(200));
        // Random masks of this size differ in 3.2 of 10 weights: 2 are 0.625 of it.
        assert_eq!(drawn(5, 0.2, MaskDistance::Normalized), None);
        assert_eq!(drawn(5, 0.63, MaskDistance::Normalized), Some(200));
        let error = rule(5, 0.2, MaskDistance::Normalized).draw(at).unwrap_err().to_string();
        assert!(error.contains("until iteration 300") && error.contains("0.625 at least"), "{error}");
        // Nothing is read after the draw.
        let early = |iteration: Iteration| if iteration.0 > 150 { bail!("too late") } else { at(iteration) };
        assert!(rule(2, 0.1, MaskDistance::Hamming).draw(early).is_ok());
    }
}
