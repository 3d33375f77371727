//! The layout of a flat buffer that holds the tensors of a network, and copies of named tensors to the buffer and back.
//!
//! Every trainer keeps parameters, gradients and moments in flat buffers of one layout, so that an optimizer step is
//! one pass over slices. Inner loops use the ranges that a layout returns; the other functions serve loading, snapshots
//! and masks.

use std::ops::Range;

use anyhow::{Result, anyhow, ensure};

use super::element::Element;
use crate::base::mask::Mask;
use crate::base::tensors::{Float, NamedTensor, TensorMap};
use crate::network::TensorSpec;

/// The positions of one tensor in a flat buffer: its values in lane 0, directly followed by its values in lane 1, and
/// so on.
#[derive(Clone, Debug)]
pub(super) struct ParamSlot {
    /// Name and shape of the tensor.
    pub(super) spec: TensorSpec,
    /// Position in the buffer of the tensor's first value in lane 0.
    pub(super) start: usize,
    /// Values stored per lane.
    stored: usize,
    /// For each stored value its row-major position in the tensor; `None` if all values are stored, in row-major order.
    index: Option<Vec<u32>>,
}

impl ParamSlot {
    /// Returns the positions in the buffer of one lane of the tensor.
    pub(super) fn range(&self, lane: usize) -> Range<usize> {
        let start = self.start + lane * self.stored;
        start..start + self.stored
    }

    /// Returns `values`, row-major and complete, as the named tensor of this slot.
    pub(super) fn named<T>(&self, values: Vec<T>) -> NamedTensor<T> {
        NamedTensor { name: self.spec.name.clone(), shape: self.spec.shape.clone(), values }
    }
}

/// The layout of a flat buffer: one [`ParamSlot`] per tensor, in the order in which tensors were given.
#[derive(Clone, Debug, Default)]
pub(super) struct ParamLayout {
    /// One slot per tensor.
    slots: Vec<ParamSlot>,
    /// Values of the buffer, gaps between slots included.
    len: usize,
}

impl ParamLayout {
    /// Returns the layout of all values of the tensors `specs` for `lanes` networks. Every slot starts at a multiple of
    /// `align` values, and the length of the buffer is one too.
    pub(super) fn new(specs: &[TensorSpec], lanes: usize, align: usize) -> Self {
        let mut layout = Self::default();
        for spec in specs {
            let stored = spec.len();
            layout.slots.push(ParamSlot { spec: spec.clone(), start: layout.len, stored, index: None });
            layout.len = (layout.len + lanes * stored).next_multiple_of(align);
        }
        layout
    }

    /// Appends a slot for one lane that stores the values at the row-major positions `index` of a tensor, in that
    /// order. Returns its range.
    pub(super) fn push_indexed(&mut self, spec: &TensorSpec, index: Vec<u32>) -> Range<usize> {
        let (start, stored) = (self.len, index.len());
        self.slots.push(ParamSlot { spec: spec.clone(), start, stored, index: Some(index) });
        self.len += stored;
        start..self.len
    }

    /// Returns the slots, in the order in which tensors were given.
    pub(super) fn slots(&self) -> &[ParamSlot] {
        &self.slots
    }

    /// Returns the length of the buffer in values, gaps between slots included.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns each slot with its tensor in `state`, in the order of the slots.
    ///
    /// # Errors
    /// Fails if `state` lacks a tensor or has it in another shape.
    pub(super) fn tensors<'a, S: Float>(
        &'a self,
        state: &'a TensorMap<S>,
    ) -> Result<Vec<(&'a ParamSlot, &'a NamedTensor<S>)>> {
        let find = |slot: &'a ParamSlot| {
            let name = &slot.spec.name;
            let tensor = state.get(name).ok_or_else(|| anyhow!("a state without `{name}`"))?;
            ensure!(tensor.shape == slot.spec.shape, "`{name}` has shape {:?}", tensor.shape);
            Ok((slot, tensor))
        };
        self.slots.iter().map(find).collect()
    }

    /// Writes the tensors of `state` to `flat`, lane 0, exactly or rounded to the nearest; gaps keep their values.
    ///
    /// # Errors
    /// Fails like [`ParamLayout::tensors`].
    pub(super) fn write<T: Element, S: Float>(&self, state: &TensorMap<S>, flat: &mut [T]) -> Result<()> {
        for (slot, tensor) in self.tensors(state)? {
            let stored = &mut flat[slot.range(0)];
            match &slot.index {
                None => stored.iter_mut().zip(&tensor.values).for_each(|(to, &from)| *to = T::from_f64(from.to_f64())),
                Some(index) => {
                    let values = index.iter().map(|&position| tensor.values[position as usize]);
                    stored.iter_mut().zip(values).for_each(|(to, from)| *to = T::from_f64(from.to_f64()));
                }
            }
        }
        Ok(())
    }

    /// Returns lane 0 of `flat` as named tensors, exactly or rounded to the nearest, with 0 for values that are not
    /// stored.
    pub(super) fn read<T: Element, S: Float>(&self, flat: &[T]) -> TensorMap<S> {
        let tensor = |slot: &ParamSlot| {
            let stored = flat[slot.range(0)].iter().map(|value| S::from_f64(value.to_f64()));
            let Some(index) = &slot.index else { return slot.named(stored.collect()) };
            let mut values = vec![S::default(); slot.spec.len()];
            index.iter().zip(stored).for_each(|(&position, value)| values[position as usize] = value);
            slot.named(values)
        };
        TensorMap(self.slots.iter().map(tensor).collect())
    }

    /// Writes to `kept`, in one lane, whether `mask` keeps each value; flags of tensors that the mask does not cover
    /// stay as they are. Every value of a covered tensor must be stored.
    ///
    /// # Errors
    /// Fails like [`match_mask`].
    pub(super) fn expand_mask(&self, mask: &Mask, lane: usize, kept: &mut [bool]) -> Result<()> {
        let layers = match_mask(self.slots.iter().map(|slot| &slot.spec), mask)?;
        for (slot, layer) in self.slots.iter().zip(layers) {
            if let Some(layer) = layer {
                kept[slot.range(lane)].copy_from_slice(layer);
            }
        }
        Ok(())
    }
}

/// Returns for each tensor the flags of its values in `mask` (true: kept), row-major; `None` if the mask does not cover
/// it.
///
/// # Errors
/// Fails if the mask covers a tensor that is not in `specs`, or has another number of flags than the tensor has values.
pub(super) fn match_mask<'s, 'm>(
    specs: impl Iterator<Item = &'s TensorSpec>,
    mask: &'m Mask,
) -> Result<Vec<Option<&'m [bool]>>> {
    let specs: Vec<&TensorSpec> = specs.collect();
    let mut flags = vec![None; specs.len()];
    for layer in &mask.0 {
        let index = specs.iter().position(|spec| spec.name == layer.name);
        let index = index.ok_or_else(|| anyhow!("a mask for `{}`, which there is not", layer.name))?;
        ensure!(layer.kept.len() == specs[index].len(), "a mask of another size for `{}`", layer.name);
        flags[index] = Some(layer.kept.as_slice());
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::network::TensorRole;

    fn spec(name: &str, shape: &[usize]) -> TensorSpec {
        TensorSpec { name: name.into(), shape: shape.to_vec(), role: TensorRole::Weight }
    }

    fn tensor(name: &str, shape: &[usize], values: &[f32]) -> NamedTensor {
        NamedTensor { name: name.into(), shape: shape.to_vec(), values: values.to_vec() }
    }

    fn state() -> TensorMap {
        TensorMap(vec![tensor("b", &[2], &[5.0, 6.0]), tensor("a", &[2, 2], &[1.0, 2.0, 3.0, 4.0])])
    }

    #[test]
    fn param_layout_aligns_slots_and_keeps_lanes_together() {
        let layout = ParamLayout::new(&[spec("a", &[2, 2]), spec("b", &[2])], 2, 8);
        assert_eq!(layout.len(), 16);
        let ranges: Vec<Range<usize>> = layout.slots().iter().flat_map(|slot| [slot.range(0), slot.range(1)]).collect();
        assert_eq!(ranges, [0..4, 4..8, 8..10, 10..12]);
    }

    #[test]
    fn read_returns_what_write_wrote() {
        let layout = ParamLayout::new(&[spec("a", &[2, 2]), spec("b", &[2])], 1, 8);
        let mut flat = vec![-1.0_f64; 16];
        layout.write(&state(), &mut flat).unwrap();
        assert_eq!(flat[..10], [1.0, 2.0, 3.0, 4.0, -1.0, -1.0, -1.0, -1.0, 5.0, 6.0]);
        let [b, a] = state().0.try_into().unwrap();
        assert_eq!(layout.read(&flat), TensorMap(vec![a, b]), "in the order of the layout");
    }

    #[test]
    fn indexed_slots_store_some_values_in_any_order() {
        let mut layout = ParamLayout::default();
        assert_eq!(layout.push_indexed(&spec("a", &[2, 2]), vec![3, 0]), 0..2);
        assert_eq!(layout.push_indexed(&spec("b", &[2]), vec![1, 0]), 2..4);
        let mut flat = [0.0_f32; 4];
        layout.write(&state(), &mut flat).unwrap();
        assert_eq!(flat, [4.0, 1.0, 6.0, 5.0]);
        let expected = [tensor("a", &[2, 2], &[1.0, 0.0, 0.0, 4.0]), tensor("b", &[2], &[5.0, 6.0])];
        assert_eq!(layout.read(&flat).0, expected);
    }

    #[test]
    fn expand_mask_changes_one_lane() {
        let layout = ParamLayout::new(&[spec("a", &[2, 2]), spec("b", &[2])], 2, 1);
        let mask =
            |name: &str, kept: &[bool]| Mask(vec![LayerMask { name: name.into(), shape: vec![], kept: kept.into() }]);
        let mut kept = vec![true; layout.len()];
        layout.expand_mask(&mask("a", &[false, true, true, false]), 1, &mut kept).unwrap();
        assert_eq!(kept.iter().enumerate().filter(|(_, kept)| !**kept).map(|(i, _)| i).collect::<Vec<_>>(), [4, 7]);
        let message = |mask: &Mask| layout.expand_mask(mask, 0, &mut [true; 12]).unwrap_err().to_string();
        assert_eq!(message(&mask("c", &[])), "a mask for `c`, which there is not");
        assert_eq!(message(&mask("b", &[true])), "a mask of another size for `b`");
    }

    #[test]
    fn tensors_rejects_missing_ones_and_other_shapes() {
        let message = |specs: &[TensorSpec]| ParamLayout::new(specs, 1, 1).tensors(&state()).unwrap_err().to_string();
        assert_eq!(message(&[spec("c", &[2])]), "a state without `c`");
        assert_eq!(message(&[spec("a", &[4])]), "`a` has shape [2, 2]");
    }
}
