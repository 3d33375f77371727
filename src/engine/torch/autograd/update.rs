//! The optimizers as tensor operations, for memory that plain loops cannot access: the formulas of
//! [`crate::engine::optim`] for each value.

use anyhow::Result;
use tch::Tensor;

use crate::engine::optim::{Adam, MOMENT_CUTOFF, Optimizer, Sgd};

/// All parameters of all lanes as flat tensors of one length.
pub(super) struct FlatParams<'a> {
    /// The weights before the step, which the step replaces.
    pub(super) weights: &'a mut Tensor,
    /// The gradient of the loss with respect to each weight.
    pub(super) gradients: Tensor,
    /// The optimizer's moments in its order.
    pub(super) moments: &'a mut [Tensor],
    /// Whether the mask keeps each weight; `None` if it keeps all.
    pub(super) kept: Option<&'a Tensor>,
    /// The lane of each value.
    pub(super) lane_index: &'a Tensor,
}

/// Takes a step in every lane. `lr` (learning rates) and `steps` have one entry per lane; a lane's step is 1 for the
/// first step after its moments were reset.
///
/// # Errors
/// Fails if libtorch fails.
pub(super) fn update(optimizer: &Optimizer, lr: &[f64], steps: &[u64], flat: FlatParams<'_>) -> Result<()> {
    let FlatParams { weights, mut gradients, moments, kept, lane_index } = flat;
    let per_lane = |factor: &dyn Fn(usize) -> f64| {
        let factors: Vec<f64> = (0..lr.len()).map(factor).collect();
        LaneFactor::new(&factors, lane_index, weights)
    };
    let zero = kept.map(|_| weights.f_zeros_like()).transpose()?;
    // Selected instead of multiplied by the mask, as in `engine::optim`.
    let selected = |values: Tensor| match (kept, &zero) {
        (Some(kept), Some(zero)) => values.f_where_self(kept, zero),
        _ => Ok(values),
    };
    let decay = optimizer.l2_penalty();
    if decay > 0.0 {
        gradients = gradients.f_add(&weights.f_mul_scalar(decay)?)?;
    }
    let gradients = selected(gradients)?;
    let stepped = match *optimizer {
        Optimizer::Adam(adam) => {
            let Adam { betas, eps, .. } = adam;
            let correction = |beta: f64, lane: usize| 1.0 - libm::pow(beta, steps[lane] as f64);
            let first = updated(&moments[0], betas[0], &gradients)?;
            let second = updated(&moments[1], betas[1], &gradients.f_square()?)?;
            let step_size = per_lane(&|lane| lr[lane] / correction(betas[0], lane))?;
            let second_correction = per_lane(&|lane| 1.0 / correction(betas[1], lane).sqrt())?;
            let denominator = second_correction.times(&second.f_sqrt()?)?.f_add_scalar(eps)?;
            let decay = adam.decoupled_decay();
            let decayed = if decay == 0.0 {
                weights.shallow_clone()
            } else {
                per_lane(&|lane| 1.0 - lr[lane] * decay)?.times(weights)?
            };
            let stepped = decayed.f_sub(&step_size.times(&first)?.f_div(&denominator)?)?;
            moments[0].f_copy_(&first)?;
            moments[1].f_copy_(&second)?;
            stepped
        }
        Optimizer::Sgd(Sgd { momentum, nesterov, .. }) => {
            let direction = if momentum > 0.0 {
                let velocity = flush(&moments[0].f_mul_scalar(momentum)?.f_add(&gradients)?)?;
                moments[0].f_copy_(&velocity)?;
                if nesterov { gradients.f_add(&velocity.f_mul_scalar(momentum)?)? } else { velocity }
            } else {
                gradients
            };
            weights.f_sub(&per_lane(&|lane| lr[lane])?.times(&direction)?)?
        }
    };
    weights.f_copy_(&selected(stepped)?)?;
    Ok(())
}

/// Returns β · moment + (1 − β) · value, with 0 for results below [`MOMENT_CUTOFF`].
fn updated(moment: &Tensor, beta: f64, value: &Tensor) -> Result<Tensor> {
    flush(&moment.f_mul_scalar(beta)?.f_add(&value.f_mul_scalar(1.0 - beta)?)?)
}

/// Returns `moment` with 0 in place of values whose magnitude is below [`MOMENT_CUTOFF`]; NaN stays.
fn flush(moment: &Tensor) -> Result<Tensor> {
    Ok(moment.f_masked_fill(&moment.f_abs()?.f_lt(MOMENT_CUTOFF)?, 0.0)?)
}

/// A factor per lane, by which values of a flat tensor are multiplied.
enum LaneFactor {
    /// The factor of all lanes, if they have the same one.
    Shared(f64),
    /// For each value the factor of its lane.
    PerValue(Tensor),
}

impl LaneFactor {
    /// Converts one factor per lane to the device and the type of the flat tensor `like`; `lane_index` has the lane of
    /// each value.
    fn new(lane_factors: &[f64], lane_index: &Tensor, like: &Tensor) -> Result<Self> {
        if lane_factors.iter().all(|&factor| factor == lane_factors[0]) {
            return Ok(Self::Shared(lane_factors[0]));
        }
        let factors = Tensor::from_slice(lane_factors).f_to_device_(like.device(), like.f_kind()?, true, false)?;
        Ok(Self::PerValue(factors.f_index_select(0, lane_index)?))
    }

    /// Returns `values` times the factor of each value's lane.
    fn times(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::Shared(factor) => values.f_mul_scalar(*factor)?,
            Self::PerValue(factors) => values.f_mul(factors)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::base::rng::{Purpose, Stream};
    use crate::engine::optim::{self, ParameterSlices, moment_slots};
    use crate::engine::torch::host_buffer;

    #[test]
    fn update_equals_that_of_host_memory() {
        const N: usize = 64;
        let mut generator = Stream::of_replicate(1, 1, Purpose::Noise).generator(0);
        let mut draw = || (0..2 * N).map(|_| generator.normal()).collect::<Vec<f64>>();
        let adam =
            |weight_decay| Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay, decoupled: false });
        let sgd = |momentum, nesterov| Optimizer::Sgd(Sgd { momentum, nesterov, weight_decay: 0.1 });
        let kept: Vec<bool> = (0..2 * N).map(|i| i % 3 != 0).collect();
        let lane_index = Tensor::from_slice(&(0..2 * N).map(|i| (i / N) as i64).collect::<Vec<_>>());
        let adamw = Optimizer::Adam(Adam { betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0.1, decoupled: true });
        for optimizer in [adam(0.0), adam(0.1), adamw, sgd(0.0, false), sgd(0.9, false), sgd(0.9, true)] {
            for (lr, masked) in [([0.1, 0.1], false), ([0.1, 0.3], true)] {
                let start: Vec<f64> =
                    draw().iter().zip(&kept).map(|(w, &k)| if k || !masked { *w } else { 0.0 }).collect();
                let mut weights = start.clone();
                let mut device_weights = Tensor::from_slice(&start);
                let mut moments = vec![vec![0.0; 2 * N]; optimizer.moment_count()];
                let mut device_moments: Vec<Tensor> =
                    moments.iter().map(|_| Tensor::zeros([2 * N as i64], (Kind::Double, Device::Cpu))).collect();
                let mask = Tensor::from_slice(&kept);
                for step in 1..5 {
                    let gradients = draw();
                    for (lane, &lr) in lr.iter().enumerate() {
                        let range = lane * N..(lane + 1) * N;
                        let parameters = ParameterSlices {
                            weights: &mut weights[range.clone()],
                            gradients: &gradients[range.clone()],
                            moments: moment_slots(moments.iter_mut().map(|moment| &mut moment[range.clone()])),
                            kept: masked.then_some(&kept[range.clone()]),
                        };
                        optim::update(&optimizer, lr, step + lane as u64, parameters);
                    }
                    let flat = FlatParams {
                        weights: &mut device_weights,
                        gradients: Tensor::from_slice(&gradients),
                        moments: &mut device_moments,
                        kept: masked.then_some(&mask),
                        lane_index: &lane_index,
                    };
                    update(&optimizer, &lr, &[step, step + 1], flat).unwrap();
                }
                let equal = |host: &[f64], device: &Tensor| {
                    let device = host_buffer::values::<f64>(device).unwrap();
                    host.iter().zip(device).all(|(a, b)| (a - b).abs() < 1e-12 && (*a != 0.0 || b.to_bits() == 0))
                };
                assert!(equal(&weights, &device_weights), "{optimizer:?}, masked: {masked}");
                assert!(
                    moments.iter().zip(&device_moments).all(|(a, b)| equal(a, b)),
                    "{optimizer:?}, masked: {masked}"
                );
            }
        }
    }

    #[test]
    fn flush_clears_tiny_moments_and_keeps_nan() {
        let moment = flush(&Tensor::from_slice(&[1e-31, -1e-31, 1e-29, f64::NAN])).unwrap();
        let values = Vec::<f64>::try_from(moment).unwrap();
        assert_eq!(values[..3], [0.0, 0.0, 1e-29]);
        assert!(values[3].is_nan());
    }
}
