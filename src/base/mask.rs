//! Pruning masks. A mask is stored as data, never inferred from zeros (a kept weight may be 0).

use super::tensors::{Float, TensorMap};

/// The mask of one weight tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerMask {
    /// Name of the weight tensor, such as `linear1.weight`.
    pub name: String,
    /// Sizes of the weight tensor, outermost first.
    pub shape: Vec<usize>,
    /// True where the weight is kept; one value per weight, row-major like the tensor.
    pub kept: Vec<bool>,
}

impl LayerMask {
    /// Returns the number of kept weights.
    pub fn kept_count(&self) -> u64 {
        self.kept.iter().filter(|&&kept| kept).count() as u64
    }
}

/// A mask over all convolutional and linear weight tensors, in the order of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask(pub Vec<LayerMask>);

impl Mask {
    /// Returns the number of kept weights of each layer, in the order of the network.
    pub fn kept_counts(&self) -> Vec<u64> {
        self.0.iter().map(LayerMask::kept_count).collect()
    }

    /// Returns the number of kept weights of all layers together.
    pub fn kept_total(&self) -> u64 {
        self.kept_counts().iter().sum()
    }

    /// Returns the number of weights in all layers, kept or pruned.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|layer| layer.kept.len() as u64).sum()
    }

    /// Returns whether both masks have the same layers and every weight that this mask keeps is also kept by `outer`.
    pub fn is_subset_of(&self, outer: &Mask) -> bool {
        self.0.len() == outer.0.len()
            && self.0.iter().zip(&outer.0).all(|(inner, outer)| {
                inner.name == outer.name
                    && inner.kept.len() == outer.kept.len()
                    && inner.kept.iter().zip(&outer.kept).all(|(&inner, &outer)| outer || !inner)
            })
    }

    /// Returns intersection over union with another mask of the same network: the number of weights that both keep, divided
    /// by the number that one of them keeps; `None` if both keep none.
    pub fn overlap(&self, other: &Mask) -> Option<f64> {
        let pairs = self.0.iter().zip(&other.0).flat_map(|(a, b)| a.kept.iter().zip(&b.kept));
        let (mut both, mut either) = (0_u64, 0_u64);
        for (&a, &b) in pairs {
            both += u64::from(a && b);
            either += u64::from(a || b);
        }
        (either > 0).then(|| both as f64 / either as f64)
    }

    /// Keeps the weights that `other`, a mask of the same network, keeps too.
    pub fn extend(&mut self, other: &Mask) {
        for (layer, other) in self.0.iter_mut().zip(&other.0) {
            layer.kept.iter_mut().zip(&other.kept).for_each(|(kept, &other)| *kept |= other);
        }
    }

    /// Sets the pruned weights of `tensors` to +0.0 by selection: a product with the mask would leave −0.0 and NaN.
    pub fn apply<T: Float>(&self, tensors: &mut TensorMap<T>) {
        for tensor in &mut tensors.0 {
            if let Some(layer) = self.0.iter().find(|layer| layer.name == tensor.name) {
                for (value, &kept) in tensor.values.iter_mut().zip(&layer.kept) {
                    if !kept {
                        *value = T::default();
                    }
                }
            }
        }
    }

    /// Returns whether every pruned weight of `tensors` is exactly +0.0; false if a masked tensor is missing.
    pub fn is_respected_by(&self, tensors: &TensorMap) -> bool {
        self.0.iter().all(|layer| {
            tensors.get(&layer.name).is_some_and(|tensor| {
                tensor.values.iter().zip(&layer.kept).all(|(value, &kept)| kept || value.to_bits() == 0)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tensors::NamedTensor;
    use super::*;

    fn mask(kept: &[bool]) -> Mask {
        Mask(vec![LayerMask { name: "a.weight".into(), shape: vec![kept.len()], kept: kept.to_vec() }])
    }

    #[test]
    fn mask_apply_clears_negative_zero_and_nan() {
        let values = vec![-0.0, f32::NAN, 3.0];
        let mut tensors = TensorMap(vec![NamedTensor { name: "a.weight".into(), shape: vec![3], values }]);
        let mask = mask(&[false, false, true]);
        assert!(!mask.is_respected_by(&tensors));
        mask.apply(&mut tensors);
        assert!(mask.is_respected_by(&tensors));
        assert_eq!(tensors.0[0].values, [0.0, 0.0, 3.0]);
    }

    #[test]
    fn overlap_is_intersection_over_union() {
        let overlap = |a: &[bool], b: &[bool]| mask(a).overlap(&mask(b));
        assert_eq!(overlap(&[true, true, false, false], &[false, true, true, false]), Some(1.0 / 3.0));
        assert_eq!(overlap(&[false], &[false]), None);
    }

    #[test]
    fn mask_is_subset_of_larger_mask() {
        assert!(mask(&[true, false]).is_subset_of(&mask(&[true, true])));
        assert!(!mask(&[true, true]).is_subset_of(&mask(&[true, false])));
    }
}
