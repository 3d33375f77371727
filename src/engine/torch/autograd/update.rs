//! The optimizers as tensor operations, for devices whose memory plain loops do not reach; the rule is that of
//! `engine/optim`, value by value.

use anyhow::Result;
use tch::Tensor;

use crate::engine::optim::{Adam, MOMENT_CUTOFF, Optimizer, Sgd};

/// All parameters of all lanes, flat.
pub(super) struct FlatParams<'a> {
    pub(super) weights: &'a mut Tensor,
    pub(super) gradients: Tensor,
    pub(super) moments: &'a mut [Tensor],
    /// Where weights are kept; `None` where all are.
    pub(super) kept: Option<&'a Tensor>,
    /// Of each value the lane it belongs to.
    pub(super) lane_of: &'a Tensor,
}

/// Takes a step in every lane: `lr` and `steps` (from 1, since the moments were fresh) have one entry per lane.
pub(super) fn update(rule: &Optimizer, lr: &[f64], steps: &[u64], flat: FlatParams<'_>) -> Result<()> {
    let FlatParams { weights, mut gradients, moments, kept, lane_of } = flat;
    let per_lane =
        |of: &dyn Fn(usize) -> f64| LrFactor::new(&(0..lr.len()).map(of).collect::<Vec<_>>(), lane_of, weights);
    let zero = kept.map(|_| weights.f_zeros_like()).transpose()?;
    let selected = |values: Tensor| match (kept, &zero) {
        (Some(kept), Some(zero)) => values.f_where_self(kept, zero),
        _ => Ok(values),
    };
    let decay = rule.weight_decay();
    if decay > 0.0 {
        gradients = gradients.f_add(&weights.f_mul_scalar(decay)?)?;
    }
    let gradients = selected(gradients)?;
    let stepped = match *rule {
        Optimizer::Adam(Adam { betas, eps, .. }) | Optimizer::AdamW(Adam { betas, eps, .. }) => {
            let correction = |beta: f64, lane: usize| 1.0 - libm::pow(beta, steps[lane] as f64);
            let first = updated(&moments[0], betas[0], &gradients)?;
            let second = updated(&moments[1], betas[1], &gradients.f_square()?)?;
            let size = per_lane(&|lane| lr[lane] / correction(betas[0], lane))?;
            let root = per_lane(&|lane| 1.0 / correction(betas[1], lane).sqrt())?;
            let below = root.times(&second.f_sqrt()?)?.f_add_scalar(eps)?;
            let shrunk = match rule.decoupled_decay() {
                0.0 => weights.shallow_clone(),
                decay => per_lane(&|lane| 1.0 - lr[lane] * decay)?.times(weights)?,
            };
            let stepped = shrunk.f_sub(&size.times(&first)?.f_div(&below)?)?;
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

/// β · moment + (1 − β) · value, and 0 where that is too small to matter.
fn updated(moment: &Tensor, beta: f64, value: &Tensor) -> Result<Tensor> {
    flush(&moment.f_mul_scalar(beta)?.f_add(&value.f_mul_scalar(1.0 - beta)?)?)
}

fn flush(moment: &Tensor) -> Result<Tensor> {
    // Written so that NaN passes.
    Ok(moment.f_masked_fill(&moment.f_abs()?.f_lt(MOMENT_CUTOFF)?, 0.0)?)
}

/// A factor of every value: one for all, or one per lane.
enum LrFactor {
    One(f64),
    PerValue(Tensor),
}

impl LrFactor {
    fn new(lanes: &[f64], lane_of: &Tensor, like: &Tensor) -> Result<Self> {
        if lanes.iter().all(|&factor| factor == lanes[0]) {
            return Ok(Self::One(lanes[0]));
        }
        let factors = Tensor::from_slice(lanes).f_to_device_(like.device(), like.f_kind()?, true, false)?;
        Ok(Self::PerValue(factors.f_index_select(0, lane_of)?))
    }

    fn times(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match self {
            Self::One(factor) => values.f_mul_scalar(*factor)?,
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
    fn the_rule_is_that_of_the_loops() {
        const N: usize = 64;
        let mut generator = Stream::of_replicate(1, 1, Purpose::Noise).generator(0);
        let mut draw = || (0..2 * N).map(|_| generator.normal()).collect::<Vec<f64>>();
        let adam = |weight_decay| Optimizer::Adam(Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay });
        let sgd = |momentum, nesterov| Optimizer::Sgd(Sgd { momentum, nesterov, weight_decay: 0.1 });
        let kept: Vec<bool> = (0..2 * N).map(|i| i % 3 != 0).collect();
        let lane_of = Tensor::from_slice(&(0..2 * N).map(|i| (i / N) as i64).collect::<Vec<_>>());
        let adamw = Optimizer::AdamW(Adam { betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0.1 });
        for rule in [adam(0.0), adam(0.1), adamw, sgd(0.0, false), sgd(0.9, false), sgd(0.9, true)] {
            for (lr, masked) in [([0.1, 0.1], false), ([0.1, 0.3], true)] {
                let start: Vec<f64> =
                    draw().iter().zip(&kept).map(|(w, &k)| if k || !masked { *w } else { 0.0 }).collect();
                let (mut weights, mut there) = (start.clone(), Tensor::from_slice(&start));
                let mut moments = vec![vec![0.0; 2 * N]; rule.moment_count()];
                let mut moments_there: Vec<Tensor> =
                    moments.iter().map(|_| Tensor::zeros([2 * N as i64], (Kind::Double, Device::Cpu))).collect();
                let mask = Tensor::from_slice(&kept);
                for step in 1..5 {
                    let gradients = draw();
                    for (lane, &lr) in lr.iter().enumerate() {
                        let here = lane * N..(lane + 1) * N;
                        let parameters = ParameterSlices {
                            weights: &mut weights[here.clone()],
                            gradients: &gradients[here.clone()],
                            moments: moment_slots(moments.iter_mut().map(|moment| &mut moment[here.clone()])),
                            kept: masked.then_some(&kept[here.clone()]),
                        };
                        optim::update(&rule, lr, step + lane as u64, parameters);
                    }
                    let flat = FlatParams {
                        weights: &mut there,
                        gradients: Tensor::from_slice(&gradients),
                        moments: &mut moments_there,
                        kept: masked.then_some(&mask),
                        lane_of: &lane_of,
                    };
                    update(&rule, &lr, &[step, step + 1], flat).unwrap();
                }
                let same = |here: &[f64], there: &Tensor| {
                    let there = host_buffer::values::<f64>(there).unwrap();
                    here.iter().zip(there).all(|(a, b)| (a - b).abs() < 1e-12 && (*a != 0.0 || b.to_bits() == 0))
                };
                assert!(same(&weights, &there), "{rule:?}, masked: {masked}");
                assert!(moments.iter().zip(&moments_there).all(|(a, b)| same(a, b)), "{rule:?}, masked: {masked}");
            }
        }
    }

    #[test]
    fn moments_too_small_to_matter_become_0_and_nan_does_not() {
        let moment = flush(&Tensor::from_slice(&[1e-31, -1e-31, 1e-29, f64::NAN])).unwrap();
        let values = Vec::<f64>::try_from(moment).unwrap();
        assert_eq!(values[..3], [0.0, 0.0, 1e-29]);
        assert!(values[3].is_nan());
    }
}
