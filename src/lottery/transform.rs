//! Transformations of the weights of a rewind point, for controls that show which property of the initial weights
//! matters.

use std::collections::BTreeMap;

use crate::base::mask::Mask;
use crate::base::rng::Generator;
use crate::base::tensors::TensorMap;

/// Permutes, within each layer, the values of the weights that the mask keeps. Pruned weights and biases stay.
pub(super) fn shuffle(weights: &mut TensorMap, mask: &Mask, generator: &mut Generator) {
    for layer in &mask.0 {
        let Some(tensor) = weights.0.iter_mut().find(|tensor| tensor.name == layer.name) else { continue };
        let positions: Vec<usize> = (0..layer.kept.len()).filter(|&i| layer.kept[i]).collect();
        let mut values: Vec<f32> = positions.iter().map(|&i| tensor.values[i]).collect();
        generator.shuffle(&mut values);
        positions.into_iter().zip(values).for_each(|(i, value)| tensor.values[i] = value);
    }
}

/// Sets the magnitude of every weight to the standard deviation of its layer's initial weights; the signs and the
/// biases stay. `deviations`: the standard deviations by the name of the weight tensor.
pub(super) fn constant_sign(weights: &mut TensorMap, deviations: &BTreeMap<String, f64>) {
    for tensor in &mut weights.0 {
        if let Some(&deviation) = deviations.get(&tensor.name) {
            tensor.values.iter_mut().for_each(|value| *value = (deviation as f32).copysign(*value));
        }
    }
}

/// Adds normal noise to every weight, with `factor` times the standard deviation of its layer's initial weights as its
/// own standard deviation. Biases stay. `deviations` as in [`constant_sign`].
pub(super) fn add_noise(
    weights: &mut TensorMap,
    factor: f64,
    deviations: &BTreeMap<String, f64>,
    generator: &mut Generator,
) {
    for tensor in &mut weights.0 {
        if let Some(&deviation) = deviations.get(&tensor.name) {
            for value in &mut tensor.values {
                *value = (f64::from(*value) + factor * deviation * generator.normal()) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::base::rng::{Purpose, Stream};
    use crate::base::tensors::NamedTensor;

    fn state() -> TensorMap {
        let tensor = |name: &str, values: &[f32]| NamedTensor {
            name: name.into(),
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        TensorMap(vec![tensor("a.weight", &[1.0, -2.0, 3.0, -4.0, 5.0]), tensor("a.bias", &[7.0])])
    }

    fn generator() -> Generator {
        Stream::of_replicate(1, 1, Purpose::Shuffle).generator(0)
    }

    #[test]
    fn shuffle_permutes_kept_values_and_leaves_pruned_weights_in_place() {
        let kept = vec![true, false, true, true, true];
        let mask = Mask(vec![LayerMask { name: "a.weight".into(), shape: vec![5], kept }]);
        let mut weights = state();
        shuffle(&mut weights, &mask, &mut generator());
        let values = &weights.0[0].values;
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        assert_eq!((sorted, values[1]), (vec![-4.0, -2.0, 1.0, 3.0, 5.0], -2.0));
        assert_ne!(weights, state());
        assert_eq!(weights.0[1], state().0[1], "biases stay");
    }

    #[test]
    fn constant_sign_sets_one_magnitude_and_keeps_the_signs() {
        let mut weights = state();
        constant_sign(&mut weights, &BTreeMap::from([("a.weight".into(), 0.5)]));
        assert_eq!(weights.0[0].values, [0.5, -0.5, 0.5, -0.5, 0.5]);
        assert_eq!(weights.0[1].values, [7.0]);
    }

    #[test]
    fn noise_has_the_requested_deviation() {
        let zeros = NamedTensor { name: "a.weight".into(), shape: vec![100_000], values: vec![0.0; 100_000] };
        let mut weights = TensorMap(vec![zeros]);
        add_noise(&mut weights, 3.0, &BTreeMap::from([("a.weight".into(), 0.5)]), &mut generator());
        let square = weights.0[0].values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 1e5;
        assert!((square.sqrt() - 1.5).abs() < 0.02, "{square}");
    }
}
