//! Random directions in weight space, normalized by filter (Li et al., "Visualizing the Loss Landscape of Neural Nets",
//! arXiv 1712.09913, Section 4).

use anyhow::{Result, anyhow, ensure};

use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::Generator;
use crate::base::tensors::{NamedTensor, TensorMap};

/// A direction: one tensor for each tensor of the mask, in its order, in float64.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Direction(Vec<Vec<f64>>);

impl Direction {
    /// Draws a direction at `weights`. Every conv and linear weight gets a standard normal number; those of pruned
    /// weights are set to 0; then each filter (the incoming weights of a channel or of a unit) is scaled to the norm of
    /// the same filter of `weights`. A filter whose weights are all 0 gets 0. As many numbers are drawn for any mask, so
    /// that equal generators give networks with different masks the same numbers.
    ///
    /// # Errors
    /// Fails if `weights` lack a tensor of the mask, or it has another shape.
    pub(super) fn draw(weights: &TensorMap, mask: &Mask, generator: &mut Generator) -> Result<Self> {
        let mut layer = |layer: &LayerMask| {
            let weight = masked_tensor(weights, layer)?;
            let mut draw = |kept: bool| {
                let drawn = generator.normal();
                if kept { drawn } else { 0.0 }
            };
            let mut values: Vec<f64> = layer.kept.iter().map(|&kept| draw(kept)).collect();
            let filter_length = layer.shape.iter().skip(1).product::<usize>().max(1);
            for (filter, weight) in values.chunks_mut(filter_length).zip(weight.values.chunks(filter_length)) {
                let drawn = norm(filter.iter().copied());
                let target = norm(weight.iter().map(|&value| f64::from(value)));
                let scale = if drawn > 0.0 { target / drawn } else { 0.0 };
                for value in filter {
                    *value *= scale;
                }
            }
            Ok(values)
        };
        Ok(Self(mask.0.iter().map(&mut layer).collect::<Result<_>>()?))
    }

    /// Returns `weights` plus `alpha` times the direction. Biases and the parameters of batch norms do not move.
    pub(super) fn moved(&self, weights: &TensorMap, mask: &Mask, alpha: f64) -> TensorMap {
        let tensor = |tensor: &NamedTensor| {
            let Some(index) = mask.0.iter().position(|layer| layer.name == tensor.name) else { return tensor.clone() };
            let add = |(value, step): (&f32, &f64)| (f64::from(*value) + alpha * step) as f32;
            NamedTensor { values: tensor.values.iter().zip(&self.0[index]).map(add).collect(), ..tensor.clone() }
        };
        TensorMap(weights.0.iter().map(tensor).collect())
    }
}

/// Returns the tensor of `weights` that a layer of a mask covers.
///
/// # Errors
/// Fails if there is none, or it has another shape.
pub(super) fn masked_tensor<'a>(weights: &'a TensorMap, layer: &LayerMask) -> Result<&'a NamedTensor> {
    let tensor = weights.get(&layer.name).ok_or_else(|| anyhow!("weights without `{}`", layer.name))?;
    ensure!(tensor.shape == layer.shape, "`{}` has another shape than its mask", layer.name);
    Ok(tensor)
}

/// Returns the Euclidean norm of some numbers.
pub(super) fn norm(values: impl Iterator<Item = f64>) -> f64 {
    libm::sqrt(values.map(|value| value * value).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::{Purpose, Stream};

    fn generator() -> Generator {
        Stream::of_replicate(1, 1, Purpose::Direction).generator(0)
    }

    /// Returns a convolution [2, 1, 1, 3], its bias, and a linear layer [2, 2], with a mask.
    fn network() -> (TensorMap, Mask) {
        let tensor = |name: &str, shape: &[usize], values: &[f32]| NamedTensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        let layer = |name: &str, shape: &[usize], kept: &[bool]| LayerMask {
            name: name.to_owned(),
            shape: shape.to_vec(),
            kept: kept.to_vec(),
        };
        let weights = TensorMap(vec![
            tensor("conv1.weight", &[2, 1, 1, 3], &[3.0, 0.0, 4.0, 0.5, 0.0, 0.0]),
            tensor("conv1.bias", &[2], &[7.0, -7.0]),
            tensor("output.weight", &[2, 2], &[0.0, 0.0, 1.0, -1.0]),
        ]);
        let mask = Mask(vec![
            layer("conv1.weight", &[2, 1, 1, 3], &[true, false, true, true, false, false]),
            layer("output.weight", &[2, 2], &[false, false, true, true]),
        ]);
        (weights, mask)
    }

    #[test]
    fn filters_of_a_direction_have_the_norms_of_the_filters_of_the_weights() {
        let (weights, mask) = network();
        let Direction(tensors) = Direction::draw(&weights, &mask, &mut generator()).unwrap();
        let norms: Vec<f64> =
            tensors.iter().zip([3, 2]).flat_map(|(t, n)| t.chunks(n)).map(|f| norm(f.iter().copied())).collect();
        let expected = [5.0, 0.5, 0.0, 2f64.sqrt()];
        assert!(norms.iter().zip(expected).all(|(norm, e)| (norm - e).abs() < 1e-12), "{norms:?}");
        let pruned = mask.0.iter().zip(&tensors).flat_map(|(layer, values)| layer.kept.iter().zip(values));
        assert!(pruned.filter(|(kept, _)| !**kept).all(|(_, value)| *value == 0.0), "{tensors:?}");
    }

    #[test]
    fn directions_of_different_masks_are_drawn_from_the_same_numbers() {
        let (weights, mask) = network();
        let dense = Mask(
            mask.0.iter().map(|layer| LayerMask { kept: vec![true; layer.kept.len()], ..layer.clone() }).collect(),
        );
        let Direction(sparse) = Direction::draw(&weights, &mask, &mut generator()).unwrap();
        let Direction(full) = Direction::draw(&weights, &dense, &mut generator()).unwrap();
        let ratio = |tensors: &[Vec<f64>]| tensors[0][0] / tensors[0][2];
        assert!((ratio(&sparse) - ratio(&full)).abs() < 1e-12, "one filter is scaled as a whole");
        assert_eq!(sparse[1], full[1], "the numbers of later layers do not depend on the mask of earlier ones");
    }

    #[test]
    fn moved_weights_differ_by_multiples_of_the_direction() {
        let (weights, mask) = network();
        let direction = Direction::draw(&weights, &mask, &mut generator()).unwrap();
        assert_eq!(direction.moved(&weights, &mask, 0.0), weights);
        let moved = direction.moved(&weights, &mask, -0.5);
        assert_eq!(moved.0[1], weights.0[1], "biases stay");
        assert!(mask.is_respected_by(&moved), "pruned weights stay +0");
        let expected = (3.0 - 0.5 * direction.0[0][0]) as f32;
        assert_eq!(moved.0[0].values[0], expected);
    }
}
