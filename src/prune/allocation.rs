//! Layer allocation: how many weights each layer keeps of a number over the network.

use crate::config::Allocation;

/// The smallest density of the output layer with [`Allocation::UniformPlus`].
const OUTPUT_DENSITY: f64 = 0.2;

/// A layer that weights are allocated to.
#[derive(Clone, Debug)]
pub struct AllocatedLayer {
    /// The shape of its weight tensor: outputs, inputs, then the sizes of the kernel of a convolution.
    pub shape: Vec<usize>,
    /// The fraction of its weights that a round prunes, in [0, 1); a layer with 0 keeps all weights.
    pub rate: f64,
    /// Whether it is the output layer.
    pub is_output: bool,
    /// With [`Allocation::Like`] and [`Allocation::File`]: the density of the layer in the other mask, or in the file.
    pub density: f64,
    /// The largest number of weights that it may keep, at most its size.
    pub at_most: u64,
}

impl AllocatedLayer {
    fn size(&self) -> u64 {
        self.shape.iter().product::<usize>() as u64
    }

    fn is_included(&self) -> bool {
        self.rate > 0.0
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

/// A layer while shares are computed: its density grows with an x that is the same for all layers.
struct Share {
    size: f64,
    growth: Growth,
    least: f64,
    at_most: u64,
}

/// How a density follows from x.
enum Growth {
    /// The factor times x.
    Proportional(f64),
    /// x to this power: x is the density of the layers with the largest rate after any number of rounds.
    Power(f64),
}

impl Share {
    fn density(&self, x: f64) -> f64 {
        let density = match self.growth {
            Growth::Proportional(factor) => factor * x,
            Growth::Power(power) => x.powf(power),
        };
        density.clamp(self.least, 1.0)
    }

    /// Returns the x from which on the layer is whole.
    fn largest_x(&self) -> f64 {
        match self.growth {
            Growth::Proportional(factor) if factor > 0.0 => 1.0 / factor,
            Growth::Proportional(_) => 0.0,
            Growth::Power(_) => 1.0,
        }
    }
}

/// Returns the number of weights that each layer keeps so that the network keeps `kept`, at most as many as it has;
/// `None` with [`Allocation::Global`], whose numbers depend on scores.
///
/// # Errors
/// Fails if a layer would keep nothing, or if the layers that must keep a share keep too many.
pub fn allocate(
    allocation: &Allocation,
    kept: u64,
    layers: &[AllocatedLayer],
) -> Result<Option<Vec<u64>>, AllocationError> {
    let largest_rate = layers.iter().map(|layer| layer.rate).fold(0.0, f64::max);
    let mut shares = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let sum = |sizes: &[usize]| sizes.iter().sum::<usize>() as f64;
        let product = |sizes: &[usize]| sizes.iter().product::<usize>() as f64;
        let proportional = |factor: f64| (Growth::Proportional(factor), 0.0);
        let (growth, least) = match allocation {
            Allocation::Global => return Ok(None),
            _ if !layer.is_included() => (Growth::Proportional(1.0), 1.0),
            Allocation::Layerwise => (Growth::Power((1.0 - layer.rate).ln() / (1.0 - largest_rate).ln()), 0.0),
            Allocation::Uniform => proportional(1.0),
            Allocation::UniformPlus if index == 0 => (Growth::Proportional(1.0), 1.0),
            Allocation::UniformPlus => (Growth::Proportional(1.0), if layer.is_output { OUTPUT_DENSITY } else { 0.0 }),
            Allocation::Er => {
                let ends = &layer.shape[..layer.shape.len().min(2)];
                proportional(sum(ends) / product(ends))
            }
            Allocation::Erk => proportional(sum(&layer.shape) / product(&layer.shape)),
            Allocation::Balanced => proportional(1.0 / product(&layer.shape)),
            Allocation::Like(_) | Allocation::File(_) => proportional(layer.density),
        };
        shares.push(Share { size: layer.size() as f64, growth, least, at_most: layer.at_most });
    }
    let least = |share: &Share| (share.least * share.size).ceil() as u64;
    let least_total: u64 = shares.iter().map(least).sum();
    if least_total > kept {
        let layer = shares.iter().rposition(|share| share.least > 0.0).unwrap_or_default();
        return Err(AllocationError::TooFew { layer, least: least_total });
    }
    let x = common_x(&shares, kept as f64);
    let densities: Vec<f64> = shares.iter().map(|share| share.density(x)).collect();
    let counts = rounded(&shares, &densities, kept);
    match counts.iter().position(|&count| count == 0) {
        Some(layer) => Err(AllocationError::EmptyLayer(layer)),
        None => Ok(Some(counts)),
    }
}

/// Returns the x at which the layers together keep `kept` weights, by bisection: the number grows with x.
fn common_x(shares: &[Share], kept: f64) -> f64 {
    let total = |x: f64| shares.iter().map(|share| share.size * share.density(x)).sum::<f64>();
    let mut low = 0.0;
    let mut high = shares.iter().map(Share::largest_x).fold(0.0, f64::max);
    // Until no number lies between the two.
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if total(middle) < kept { low = middle } else { high = middle }
    }
}

/// Returns whole numbers near `densities` · sizes that add up to `kept`: each rounded down, and the rest given to the
/// layers with the largest fractions, the first of those with equal ones.
fn rounded(shares: &[Share], densities: &[f64], kept: u64) -> Vec<u64> {
    let exact: Vec<f64> = shares.iter().zip(densities).map(|(share, density)| share.size * density).collect();
    let floor = |(value, share): (&f64, &Share)| (value.floor() as u64).min(share.at_most);
    let mut counts: Vec<u64> = exact.iter().zip(shares).map(floor).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    let fraction = |index: usize| exact[index] - exact[index].floor();
    order.sort_by(|&a, &b| fraction(b).total_cmp(&fraction(a)).then(a.cmp(&b)));
    // Sums in floating point may be off by a few units in either direction.
    let mut missing = kept as i64 - counts.iter().sum::<u64>() as i64;
    while missing != 0 {
        let step = missing.signum();
        let before = missing;
        for &index in &order {
            let is_free = if step > 0 { counts[index] < shares[index].at_most } else { counts[index] > 0 };
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
            rate: 0.2,
            is_output: index == last,
            density: 1.0 / (index + 1) as f64,
            at_most: shape.iter().product::<usize>() as u64,
        };
        shapes.iter().enumerate().map(layer).collect()
    }

    fn counts(allocation: &Allocation, kept: u64, shapes: &[&[usize]]) -> Vec<u64> {
        allocate(allocation, kept, &layers(shapes)).unwrap().unwrap()
    }

    #[test]
    fn erdos_renyi_by_hand() {
        // Factors (2+2)/4 = 1 and (4+4)/16 = 1/2: 4x + 8x = 10 gives x = 5/6, that is 3.33 and 6.67 weights.
        assert_eq!(counts(&Allocation::Er, 10, &[&[2, 2], &[4, 4]]), [3, 7]);
        // x = 14/12 would give the first layer more than its 4 weights: it is whole, and the other has the rest.
        assert_eq!(counts(&Allocation::Er, 14, &[&[2, 2], &[4, 4]]), [4, 10]);
        // A convolution of 3 x 3: its kernel counts with `erk` only. Factors 6/8 and 12/72 give 6x + 12x = 9;
        // with `er` 6/8 on 8 and 6/8 on 72 weights give 80 · 6/8 · x = 9.
        assert_eq!(counts(&Allocation::Erk, 9, &[&[4, 2], &[4, 2, 3, 3]]), [3, 6]);
        assert_eq!(counts(&Allocation::Er, 9, &[&[4, 2], &[4, 2, 3, 3]]), [1, 8]);
    }

    #[test]
    fn uniform_and_balanced_by_hand() {
        assert_eq!(counts(&Allocation::Uniform, 12, &[&[2, 2], &[4, 4], &[2, 2]]), [2, 8, 2]);
        // 10 weights each, but the first layer has 4, so that the others have 13.
        assert_eq!(counts(&Allocation::Balanced, 30, &[&[2, 2], &[4, 4], &[10, 10]]), [4, 13, 13]);
        // The first layer whole: 10, the output at 0.2: 4; 10 of 100 are left for the other.
        let shapes: [&[usize]; 3] = [&[5, 2], &[10, 10], &[2, 10]];
        assert_eq!(counts(&Allocation::UniformPlus, 24, &shapes), [10, 10, 4]);
        assert_eq!(counts(&Allocation::UniformPlus, 70, &shapes), [10, 50, 10]);
        let error = allocate(&Allocation::UniformPlus, 13, &layers(&shapes));
        assert_eq!(error, Err(AllocationError::TooFew { layer: 2, least: 14 }));
    }

    #[test]
    fn empty_layers_are_refused_and_layers_that_are_not_pruned_stay_whole() {
        assert_eq!(
            allocate(&Allocation::Uniform, 3, &layers(&[&[1, 1], &[20, 20]])),
            Err(AllocationError::EmptyLayer(0))
        );
        let mut some = layers(&[&[2, 2], &[4, 4]]);
        some[0].rate = 0.0;
        assert_eq!(allocate(&Allocation::Uniform, 12, &some), Ok(Some(vec![4, 8])));
        assert_eq!(allocate(&Allocation::Uniform, 3, &some), Err(AllocationError::TooFew { layer: 0, least: 4 }));
    }

    #[test]
    fn layerwise_is_the_densities_of_whole_and_partial_rounds() {
        let mut two = layers(&[&[10, 10], &[10, 10]]);
        two[0].rate = 0.5;
        two[1].rate = 0.25;
        let counts = |kept| allocate(&Allocation::Layerwise, kept, &two).unwrap().unwrap();
        assert_eq!(counts(125), [50, 75], "one round");
        assert_eq!(counts(81), [25, 56], "two rounds: 25 and 56.25");
        // One and a half rounds: 100 · 0.5^1.5 = 35.4 and 100 · 0.75^1.5 = 65.0.
        assert_eq!(counts(100), [35, 65]);
    }

    #[test]
    fn like_a_mask_is_in_proportion_to_its_densities() {
        let mut two = layers(&[&[10, 10], &[10, 10]]);
        two[0].density = 0.1;
        two[1].density = 0.3;
        let counts = |kept| allocate(&Allocation::Like("a".into()), kept, &two).unwrap().unwrap();
        assert_eq!((counts(40), counts(20)), (vec![10, 30], vec![5, 15]));
        assert_eq!(counts(160), [60, 100], "the second layer is whole");
        two[0].density = 0.0;
        assert_eq!(allocate(&Allocation::Like("a".into()), 20, &two), Err(AllocationError::EmptyLayer(0)));
    }

    #[test]
    fn layers_never_grow_beyond_what_they_may_keep() {
        // Half of 5 weights each is 2.5: the larger fraction cannot go to the layer that may keep only 2.
        let mut two = layers(&[&[5, 1], &[5, 1]]);
        two[0].at_most = 2;
        assert_eq!(allocate(&Allocation::Uniform, 5, &two), Ok(Some(vec![2, 3])));
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_within_layers(
            sizes in prop::collection::vec((1_usize..20, 1_usize..20), 1..6), share in 0.0_f64..1.0, kind in 0_usize..7,
        ) {
            let allocation = [
                Allocation::Layerwise, Allocation::Uniform, Allocation::UniformPlus, Allocation::Er, Allocation::Erk,
                Allocation::Balanced, Allocation::Like(String::new()),
            ][kind].clone();
            let shapes: Vec<[usize; 2]> = sizes.iter().map(|&(a, b)| [a, b]).collect();
            let shapes: Vec<&[usize]> = shapes.iter().map(|shape| &shape[..]).collect();
            let total: u64 = shapes.iter().map(|shape| shape.iter().product::<usize>() as u64).sum();
            let kept = (share * total as f64) as u64;
            if let Ok(found) = allocate(&allocation, kept, &layers(&shapes)) {
                let found = found.unwrap();
                prop_assert_eq!(found.iter().sum::<u64>(), kept);
                prop_assert!(found.iter().zip(&shapes).all(|(&n, shape)| (1..=shape.iter().product::<usize>() as u64).contains(&n)));
            }
        }
    }
}
