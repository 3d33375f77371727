//! Gradient clipping as tensor operations, each lane by its own norm, with the formula of [`crate::engine::clip`]. No
//! operation waits for the device, and every sum has a fixed order.

use anyhow::Result;
use tch::{Kind, Tensor};

/// Returns the gradients, scaled down in each lane whose norm is above `max_norm`. `gradients` has one tensor
/// [lanes, …] per parameter; `kept` returns for the index of a parameter a flag for each of its values, false if the
/// value counts as 0, or `None` if all values count.
///
/// # Errors
/// Fails if libtorch fails.
pub(super) fn clipped(
    gradients: &[Tensor],
    max_norm: f64,
    lanes: i64,
    kept: impl Fn(usize) -> Result<Option<Tensor>>,
) -> Result<Vec<Tensor>> {
    let mut sum: Option<Tensor> = None;
    for (index, gradient) in gradients.iter().enumerate() {
        let mut rows = gradient.f_reshape([lanes, -1])?.f_to_kind(Kind::Double)?;
        if let Some(kept) = kept(index)? {
            rows = rows.f_where_self(&kept.f_reshape([lanes, -1])?, &rows.f_zeros_like()?)?;
        }
        let squares = rows.f_square()?.f_sum_dim_intlist([1].as_slice(), true, Kind::Double)?;
        sum = Some(match sum {
            Some(sum) => sum.f_add(&squares)?,
            None => squares,
        });
    }
    let Some(sum) = sum else { return Ok(Vec::new()) };
    // A norm that is NaN makes the factor NaN: divergence must not be hidden.
    let factors = sum.f_sqrt()?.f_add_scalar(1e-6)?.f_reciprocal()?.f_mul_scalar(max_norm)?.f_clamp_max(1.0)?;
    let scaled = |gradient: &Tensor| {
        let rows = gradient.f_reshape([lanes, -1])?.f_mul(&factors.f_to_kind(gradient.f_kind()?)?)?;
        Ok(rows.f_reshape(gradient.size())?)
    };
    gradients.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipped_scales_each_lane_by_its_own_norm() {
        // Two lanes of two parameters: (3, 4) and (0, 1); the 9 is pruned.
        let weight = Tensor::from_slice(&[3.0, 9.0, 0.0, 0.0]).reshape([2, 2, 1]);
        let bias = Tensor::from_slice(&[4.0, 1.0]).reshape([2, 1]);
        let mask = Tensor::from_slice(&[true, false, true, true]);
        let kept = |index: usize| Ok((index == 0).then(|| mask.shallow_clone()));
        let [weight, bias] = &clipped(&[weight, bias], 2.5, 2, kept).unwrap()[..] else { panic!("two parameters") };
        assert_eq!((weight.size(), bias.size()), (vec![2, 2, 1], vec![2, 1]));
        let near = |tensor: &Tensor, i: i64, value: f64| (tensor.reshape([-1]).double_value(&[i]) - value).abs() < 1e-5;
        assert!(near(weight, 0, 1.5) && near(bias, 0, 2.0), "5 is twice too much");
        assert_eq!((weight.double_value(&[1, 0, 0]), bias.double_value(&[1, 0])), (0.0, 1.0), "1 is not too much");
    }

    #[test]
    fn clipped_passes_nan() {
        let gradient = Tensor::from_slice(&[f64::NAN, 1.0]).reshape([1, 2]);
        let scaled = clipped(&[gradient], 1.0, 1, |_| Ok(None)).unwrap();
        assert!(scaled[0].double_value(&[0, 1]).is_nan());
    }
}
