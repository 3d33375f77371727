//! The optimizers as tensor operations, for devices whose memory plain loops do not reach; the rule is that of
//! `engine/optimizer.rs`, value by value.

use anyhow::Result;
use tch::Tensor;

use crate::engine::optimizer::{TINY, Update};

/// All parameters of all lanes, flat.
pub(super) struct Flat<'a> {
    pub(super) weights: &'a mut Tensor,
    pub(super) gradients: Tensor,
    pub(super) moments: &'a mut [Tensor],
    /// Where weights are kept; `None` where all are.
    pub(super) kept: Option<&'a Tensor>,
    /// Of each value the lane it belongs to.
    pub(super) lane_of: &'a Tensor,
}

/// Takes a step in every lane: `lr` and `steps` (from 1, since the moments were fresh) have one entry per lane.
pub(super) fn update(rule: &Update, lr: &[f64], steps: &[u64], flat: Flat<'_>) -> Result<()> {
    let Flat { weights, mut gradients, moments, kept, lane_of } = flat;
    let per_lane = |of: &dyn Fn(usize) -> f64| Factor::new(&(0..lr.len()).map(of).collect::<Vec<_>>(), lane_of, weights);
    let zero = weights.f_zeros_like()?;
    let selected = |values: Tensor| match kept {
        Some(kept) => values.f_where_self(kept, &zero),
        None => Ok(values),
    };
    let decay = rule.weight_decay();
    if decay > 0.0 {
        gradients = gradients.f_add(&weights.f_mul_scalar(decay)?)?;
    }
    let gradients = selected(gradients)?;
    let stepped = match *rule {
        Update::Adam { betas, eps, .. } => {
            let correction = |beta: f64, lane: usize| 1.0 - libm::pow(beta, steps[lane] as f64);
            let first = moved(&moments[0], betas[0], &gradients)?;
            let second = moved(&moments[1], betas[1], &gradients.f_square()?)?;
            let size = per_lane(&|lane| lr[lane] / correction(betas[0], lane))?;
            let root = per_lane(&|lane| 1.0 / correction(betas[1], lane).sqrt())?;
            let below = root.times(&second.f_sqrt()?)?.f_add_scalar(eps)?;
            let stepped = weights.f_sub(&size.times(&first)?.f_div(&below)?)?;
            moments[0].f_copy_(&first)?;
            moments[1].f_copy_(&second)?;
            stepped
        }
        Update::Sgd { momentum, nesterov, .. } => {
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
fn moved(moment: &Tensor, beta: f64, value: &Tensor) -> Result<Tensor> {
    flush(&moment.f_mul_scalar(beta)?.f_add(&value.f_mul_scalar(1.0 - beta)?)?)
}

fn flush(moment: &Tensor) -> Result<Tensor> {
    // Written so that NaN passes.
    Ok(moment.f_zeros_like()?.f_where_self(&moment.f_abs()?.f_lt(TINY)?, moment)?)
}

/// A factor of every value: one for all, or one per lane.
enum Factor {
    One(f64),
    PerValue(Tensor),
}

impl Factor {
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
