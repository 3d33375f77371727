//! Layer allocation: how many weights each layer keeps of a number over the network.

use crate::config::Allocation;

/// The smallest density of the output layer with [`Allocation::UniformPlus`].
const OUTPUT_DENSITY: f64 = 0.2;

/// A layer that weights are allocated to.
#[derive(Clone, Debug)]
pub struct AllocatedLayer {
    /// The shape of its weight tensor: outputs, inputs, then the sizes of the kernel of a convolution.
    pub shape: Vec<usize>,
    /// Whether it is pruned; else it keeps all weights.
    pub is_included: bool,
    /// Whether it is the output layer.
    pub is_output: bool,
}

impl AllocatedLayer {
    fn size(&self) -> u64 {
        self.shape.iter().product::<usize>() as u64
    }
}

/// The reason why no allocation reaches a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationError {
    /// The layer with an index would keep no weight.
    EmptyLayer(usize),
    /// The layers that must keep a share, of which the last has this index, keep more weights already.
    TooFew {
        /// The index of the layer.
        layer: usize,
        /// The smallest number of weights that the network keeps.
        least: u64,
    },
}

/// A layer while shares are computed: its density is `factor` · x, within bounds, for an x that is the same for all.
struct Share {
    size: f64,
    factor: f64,
    least: f64,
}

impl Share {
    fn density(&self, x: f64) -> f64 {
        (self.factor * x).clamp(self.least, 1.0)
    }
}

/// Returns the number of weights that each layer keeps so that the network keeps `kept`, at most as many as it has;
/// `None` with [`Allocation::Global`], whose numbers depend on scores.
///
/// # Errors
/// Fails if a layer would keep nothing, or if the layers that must keep a share keep too many.
pub fn allocate(
    allocation: Allocation,
    kept: u64,
    layers: &[AllocatedLayer],
) -> Result<Option<Vec<u64>>, AllocationError> {
    let first = layers.iter().position(|layer| layer.is_included);
    let mut shares = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let sum = |sizes: &[usize]| sizes.iter().sum::<usize>() as f64;
        let product = |sizes: &[usize]| sizes.iter().product::<usize>() as f64;
        let (factor, least) = match allocation {
            Allocation::Global => return Ok(None),
            _ if !layer.is_included => (1.0, 1.0),
            Allocation::Uniform => (1.0, 0.0),
            Allocation::UniformPlus if Some(index) == first => (1.0, 1.0),
            Allocation::UniformPlus => (1.0, if layer.is_output { OUTPUT_DENSITY } else { 0.0 }),
            Allocation::Er => {
                let ends = &layer.shape[..layer.shape.len().min(2)];
                (sum(ends) / product(ends), 0.0)
            }
            Allocation::Erk => (sum(&layer.shape) / product(&layer.shape), 0.0),
            Allocation::Balanced => (1.0 / product(&layer.shape), 0.0),
        };
        shares.push(Share { size: layer.size() as f64, factor, least });
    }
    let least = |share: &Share| (share.least * share.size).ceil() as u64;
    let least_total: u64 = shares.iter().map(least).sum();
    if least_total > kept {
        let layer = shares.iter().rposition(|share| share.least > 0.0).unwrap_or_default();
        return Err(AllocationError::TooFew { layer, least: least_total });
    }
    let x = common_factor(&shares, kept as f64);
    let densities: Vec<f64> = shares.iter().map(|share| share.density(x)).collect();
    let counts = rounded(&shares, &densities, kept);
    match counts.iter().position(|&count| count == 0) {
        Some(layer) => Err(AllocationError::EmptyLayer(layer)),
        None => Ok(Some(counts)),
    }
}

/// Returns the x at which the layers together keep `kept` weights. The number grows with x, in straight pieces between
/// the points at which a layer reaches one of its bounds.
fn common_factor(shares: &[Share], kept: f64) -> f64 {
    let total = |x: f64| shares.iter().map(|share| share.size * share.density(x)).sum::<f64>();
    let mut bounds: Vec<f64> =
        shares.iter().flat_map(|share| [share.least / share.factor, 1.0 / share.factor]).collect();
    bounds.sort_by(f64::total_cmp);
    let mut low = 0.0;
    for high in bounds {
        let (before, after) = (total(low), total(high));
        if after >= kept {
            return if after > before { low + (high - low) * ((kept - before) / (after - before)) } else { high };
        }
        low = high;
    }
    low
}

/// Returns whole numbers near `densities` · sizes that add up to `kept`: each rounded down, and the rest given to the
/// layers with the largest fractions, the first of those with equal ones.
fn rounded(shares: &[Share], densities: &[f64], kept: u64) -> Vec<u64> {
    let exact: Vec<f64> = shares.iter().zip(densities).map(|(share, density)| share.size * density).collect();
    let mut counts: Vec<u64> = exact.iter().map(|value| value.floor() as u64).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    let fraction = |index: usize| exact[index] - exact[index].floor();
    order.sort_by(|&a, &b| fraction(b).total_cmp(&fraction(a)).then(a.cmp(&b)));
    // Sums in floating point may be off by a few units in either direction.
    let mut missing = kept as i64 - counts.iter().sum::<u64>() as i64;
    while missing != 0 {
        let step = missing.signum();
        let before = missing;
        for &index in &order {
            let is_free = if step > 0 { (counts[index] as f64) < shares[index].size } else { counts[index] > 0 };
            if missing != 0 && is_free && shares[index].least < 1.0 {
                counts[index] = counts[index].saturating_add_signed(step);
                missing -= step;
            }
        }
        if missing == before {
            break;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layers(shapes: &[&[usize]]) -> Vec<AllocatedLayer> {
        let last = shapes.len() - 1;
        let layer = |(index, &shape): (usize, &&[usize])| AllocatedLayer {
            shape: shape.to_vec(),
            is_included: true,
            is_output: index == last,
        };
        shapes.iter().enumerate().map(layer).collect()
    }

    fn counts(allocation: Allocation, kept: u64, shapes: &[&[usize]]) -> Vec<u64> {
        allocate(allocation, kept, &layers(shapes)).unwrap().unwrap()
    }

    #[test]
    fn erdos_renyi_by_hand() {
        // Factors (2+2)/4 = 1 and (4+4)/16 = 1/2: 4x + 8x = 10 gives x = 5/6, that is 3.33 and 6.67 weights.
        assert_eq!(counts(Allocation::Er, 10, &[&[2, 2], &[4, 4]]), [3, 7]);
        // x = 14/12 would give the first layer more than its 4 weights: it is whole, and the other has the rest.
        assert_eq!(counts(Allocation::Er, 14, &[&[2, 2], &[4, 4]]), [4, 10]);
        // A convolution of 3 x 3: its kernel counts with `erk` only. Factors 6/8 and 12/72 give 6x + 12x = 9;
        // with `er` 6/8 on 8 and 6/8 on 72 weights give 80 · 6/8 · x = 9.
        assert_eq!(counts(Allocation::Erk, 9, &[&[4, 2], &[4, 2, 3, 3]]), [3, 6]);
        assert_eq!(counts(Allocation::Er, 9, &[&[4, 2], &[4, 2, 3, 3]]), [1, 8]);
    }

    #[test]
    fn uniform_and_balanced_by_hand() {
        assert_eq!(counts(Allocation::Uniform, 12, &[&[2, 2], &[4, 4], &[2, 2]]), [2, 8, 2]);
        // 10 weights each, but the first layer has 4, so that the others have 13.
        assert_eq!(counts(Allocation::Balanced, 30, &[&[2, 2], &[4, 4], &[10, 10]]), [4, 13, 13]);
        // The first layer whole: 10, the output at 0.2: 4; 10 of 100 are left for the other.
        let shapes: [&[usize]; 3] = [&[5, 2], &[10, 10], &[2, 10]];
        assert_eq!(counts(Allocation::UniformPlus, 24, &shapes), [10, 10, 4]);
        assert_eq!(counts(Allocation::UniformPlus, 70, &shapes), [10, 50, 10]);
        let error = allocate(Allocation::UniformPlus, 13, &layers(&shapes));
        assert_eq!(error, Err(AllocationError::TooFew { layer: 2, least: 14 }));
    }

    #[test]
    fn empty_layers_are_refused_and_layers_that_are_not_pruned_stay_whole() {
        assert_eq!(
            allocate(Allocation::Uniform, 3, &layers(&[&[1, 1], &[20, 20]])),
            Err(AllocationError::EmptyLayer(0))
        );
        let mut some = layers(&[&[2, 2], &[4, 4]]);
        some[0].is_included = false;
        assert_eq!(allocate(Allocation::Uniform, 12, &some), Ok(Some(vec![4, 8])));
        assert_eq!(allocate(Allocation::Uniform, 3, &some), Err(AllocationError::TooFew { layer: 0, least: 4 }));
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_within_layers(
            sizes in prop::collection::vec((1_usize..20, 1_usize..20), 1..6), share in 0.0_f64..1.0, kind in 0_usize..5,
        ) {
            let allocation = [Allocation::Uniform, Allocation::UniformPlus, Allocation::Er, Allocation::Erk, Allocation::Balanced][kind];
            let shapes: Vec<[usize; 2]> = sizes.iter().map(|&(a, b)| [a, b]).collect();
            let shapes: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).collect();
            let total: u64 = shapes.iter().map(|shape| shape.iter().product::<usize>() as u64).sum();
            let kept = (share * total as f64) as u64;
            if let Ok(found) = allocate(allocation, kept, &layers(&shapes)) {
                let found = found.unwrap();
                prop_assert_eq!(found.iter().sum::<u64>(), kept);
                prop_assert!(found.iter().zip(&shapes).all(|(&n, shape)| (1..=shape.iter().product::<usize>() as u64).contains(&n)));
            }
        }
    }
}
