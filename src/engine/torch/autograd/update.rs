//! The optimizers as tensor operations, for memory that plain loops cannot access: the formulas of
//! [`crate::engine::optim`] for each value.

use anyhow::{Result, bail};
use tch::Tensor;

use crate::engine::optim::{Adam, Optimizer, Sgd};

/// Smaller values of Adam's ε would be 0 in float32, and 0/0 the step of a pruned weight.
const LEAST_EPS: f64 = 1e-30;

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
}

/// Returns the numbers by which a step differs from others: for each factor of the optimizer its value in every lane.
/// `lr` (learning rates) and `steps` have one entry per lane; a lane's step is 1 for the first step after its moments
/// were reset.
pub(super) fn factors(optimizer: &Optimizer, lr: &[f64], steps: &[u64]) -> Vec<f64> {
    let lanes = || lr.iter().zip(steps);
    match *optimizer {
        Optimizer::Adam(adam) => {
            let correction = |beta: f64, step: u64| 1.0 - libm::pow(beta, step as f64);
            let step_sizes = lanes().map(|(&lr, &step)| -lr / correction(adam.betas[0], step));
            let corrections = lanes().map(|(_, &step)| 1.0 / correction(adam.betas[1], step).sqrt());
            let decay = adam.decoupled_decay();
            let decays = lanes().filter(|_| decay > 0.0).map(|(&lr, _)| 1.0 - lr * decay);
            step_sizes.chain(corrections).chain(decays).collect()
        }
        Optimizer::Sgd(_) => lr.to_vec(),
    }
}

/// Converts factors [factors, lanes] in float64 to the type of the values of `like`, each as a tensor that is multiplied
/// with flat tensors: of one value if all lanes share their factors, else with each value's factor at its place.
/// `lane_index` has the lane of each value of `like`.
///
/// # Errors
/// Fails if libtorch fails.
pub(super) fn expanded(factors: &Tensor, is_shared: bool, lane_index: &Tensor, like: &Tensor) -> Result<Vec<Tensor>> {
    let factors = factors.f_to_kind(like.f_kind()?)?;
    let expand = |index: i64| {
        let lanes = factors.f_get(index)?;
        if is_shared { lanes.f_narrow(0, 0, 1) } else { lanes.f_index_select(0, lane_index) }
    };
    Ok((0..factors.size()[0]).map(expand).collect::<Result<_, _>>()?)
}

/// Takes a step in every lane; `factors` are those of [`factors`], [`expanded`]. Moments below
/// [`MOMENT_CUTOFF`](crate::engine::optim::MOMENT_CUTOFF) stay; the host makes them 0.
///
/// # Errors
/// Fails if libtorch fails.
pub(super) fn update(optimizer: &Optimizer, factors: &[Tensor], flat: FlatParams<'_>) -> Result<()> {
    let FlatParams { weights, mut gradients, moments, kept } = flat;
    let decay = optimizer.l2_penalty();
    if decay > 0.0 {
        gradients = gradients.f_add(&weights.f_mul_scalar(decay)?)?;
    }
    // Selected instead of multiplied by the mask, as in `engine::optim`. Weights and moments of pruned weights are 0
    // before the step, and so after it.
    if let Some(kept) = kept {
        gradients = gradients.f_where_scalarother(kept, 0.0)?;
    }
    match (*optimizer, moments, factors) {
        (Optimizer::Adam(adam), [first, second], [step_size, second_correction, decay @ ..]) => {
            let Adam { betas, eps, .. } = adam;
            let _ = first.f_lerp_(&gradients, 1.0 - betas[0])?;
            let _ = second.f_lerp_(&gradients.f_square()?, 1.0 - betas[1])?;
            let denominator = second.f_sqrt()?.f_mul_(second_correction)?.f_add_scalar_(eps.max(LEAST_EPS))?;
            if let [decay] = decay {
                let _ = weights.f_mul_(decay)?;
            }
            let _ = weights.f_addcdiv_(&first.f_mul(step_size)?, &denominator)?;
        }
        (Optimizer::Sgd(Sgd { momentum, nesterov, .. }), moments, [lr]) => {
            let direction = match moments {
                [velocity] => {
                    let _ = velocity.f_mul_scalar_(momentum)?.f_add_(&gradients)?;
                    if nesterov {
                        gradients.f_add(&velocity.f_mul_scalar(momentum)?)?
                    } else {
                        velocity.shallow_clone()
                    }
                }
                [] => gradients,
                _ => bail!("moments of another optimizer"),
            };
            let _ = weights.f_sub_(&direction.f_mul(lr)?)?;
        }
        _ => bail!("moments or factors of another optimizer"),
    }
    Ok(())
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
            for (lr, masked, is_shared) in
                [([0.1, 0.1], false, true), ([0.1, 0.3], true, false), ([0.2, 0.2], true, true)]
            {
                let later = u64::from(!is_shared);
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
                        optim::update(&optimizer, lr, step + lane as u64 * later, parameters);
                    }
                    let flat = FlatParams {
                        weights: &mut device_weights,
                        gradients: Tensor::from_slice(&gradients),
                        moments: &mut device_moments,
                        kept: masked.then_some(&mask),
                    };
                    let numbers = factors(&optimizer, &lr, &[step, step + later]);
                    let numbers = Tensor::from_slice(&numbers).view([-1, 2]);
                    let factors = expanded(&numbers, is_shared, &lane_index, flat.weights).unwrap();
                    update(&optimizer, &factors, flat).unwrap();
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
    fn shared_factors_have_one_value() {
        let adam = Optimizer::Adam(Adam { betas: [0.5, 0.75], eps: 0.0, weight_decay: 0.1, decoupled: true });
        let numbers = factors(&adam, &[0.2, 0.2], &[1, 1]);
        assert_eq!(numbers, [-0.4, -0.4, 2.0, 2.0, 0.98, 0.98]);
        let lane_index = Tensor::from_slice(&[0_i64, 0, 1]);
        let like = Tensor::zeros([3], (Kind::Double, Device::Cpu));
        let shared = expanded(&Tensor::from_slice(&numbers).view([3, 2]), true, &lane_index, &like).unwrap();
        assert_eq!(
            shared.iter().map(|factor| (factor.numel(), factor.double_value(&[0]))).collect::<Vec<_>>(),
            [(1, -0.4), (1, 2.0), (1, 0.98)]
        );
        let own = expanded(&Tensor::from_slice(&[0.1, 0.3]).view([1, 2]), false, &lane_index, &like).unwrap();
        assert_eq!(Vec::<f64>::try_from(&own[0]).unwrap(), [0.1, 0.1, 0.3]);
    }
}
