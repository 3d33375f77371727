//! Logits of a network for images given as pixels, and the gradient of the cross-entropy with respect to these pixels.

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::layers::Activation;
use super::probe::ProbeRun;
use super::takes_features;
use crate::data::Normalization;
use crate::engine::probe::{PixelBatch, PixelOutput};

/// Returns the output of the network of `run`; see [`Probe::on_pixels`](crate::engine::Probe::on_pixels).
///
/// # Errors
/// Fails if pixels or labels do not fit the network, there is no image, or the device fails.
pub(super) fn output(
    run: &ProbeRun<'_>,
    normalization: &Normalization,
    batch: PixelBatch<'_>,
    has_gradient: bool,
) -> Result<PixelOutput> {
    let [channels, height, width] = run.network.input.map(|n| n as i64);
    let images = batch.labels.len();
    ensure!(images > 0, "no image");
    ensure!(
        batch.pixels.len() == images * run.network.input.iter().product::<usize>(),
        "images of another shape than the network's"
    );
    ensure!(batch.labels.iter().all(|&label| usize::from(label) < run.network.classes), "a label that is no class");
    let pixels = Tensor::from_slice(batch.pixels).f_view([images as i64, channels, height, width])?;
    let pixels = pixels.f_to_device(run.device)?.f_to_kind(run.kind)?;
    if !has_gradient {
        let _guard = tch::no_grad_guard();
        let logits = run.logits(input(run, normalization, &pixels)?)?;
        return Ok(PixelOutput { logits: host(&logits)?, gradient: Vec::new() });
    }
    let pixels = pixels.f_set_requires_grad(true)?;
    let logits = run.logits(input(run, normalization, &pixels)?)?;
    let labels: Vec<i64> = batch.labels.iter().map(|&label| i64::from(label)).collect();
    let labels = Tensor::from_slice(&labels).f_to_device(run.device)?.f_unsqueeze(1)?;
    let log_probabilities = logits.f_squeeze_dim(0)?.f_log_softmax(-1, run.kind)?;
    let loss = log_probabilities.f_gather(1, &labels, false)?.f_neg()?.f_sum(run.kind)?;
    let gradient = Tensor::f_run_backward(&[loss], &[&pixels], false, false)?;
    Ok(PixelOutput { logits: host(&logits.f_detach()?)?, gradient: host(&gradient[0])? })
}

/// Returns the inputs of the network: `255 · pixel · scale + offset`, rounded as [`Normalization`] rounds bytes, so
/// that pixels that are a byte / 255 give the inputs of that byte to the bit.
fn input(run: &ProbeRun<'_>, normalization: &Normalization, pixels: &Tensor) -> Result<Activation> {
    let bytes = pixels.f_mul_scalar(255.0)?;
    let x = match normalization {
        Normalization::Affine { .. } | Normalization::PerChannel(_) => {
            let channels = run.network.input[0];
            let pairs = (0..channels).map(|channel| normalization.scale_and_offset(0, channel));
            let (scales, offsets): (Vec<f64>, Vec<f64>) = pairs.unzip();
            let tensor = |values: &[f64]| {
                Tensor::from_slice(values).f_view([1, -1, 1, 1])?.f_to_device(run.device)?.f_to_kind(run.kind)
            };
            bytes.f_mul(&tensor(&scales)?)?.f_add(&tensor(&offsets)?)?
        }
        Normalization::PerImage(_) => bytes.f_mul(&inverse_norm(&bytes, run.kind)?)?,
    };
    if takes_features(run.network) {
        return Ok(Activation::Features(x.f_flatten(1, -1)?.f_unsqueeze(0)?));
    }
    // Channels innermost in memory, as when one network is trained on the CPU.
    Ok(Activation::Image(x.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])?))
}

/// Returns 1 / the Euclidean norm of each image [images, 1, 1, 1], computed in float64; a black image, whose norm is 0,
/// stays black, and the norm of its neighbours is taken as at least that of a byte of 10⁻³.
fn inverse_norm(bytes: &Tensor, kind: Kind) -> Result<Tensor> {
    let squares = bytes.f_to_kind(Kind::Double)?.f_square()?;
    let sum = squares.f_sum_dim_intlist([1_i64, 2, 3].as_slice(), true, Kind::Double)?;
    Ok(sum.f_clamp_min(1e-6)?.f_sqrt()?.f_reciprocal()?.f_to_kind(kind)?)
}

/// Returns the values of a tensor on the host, row-major.
fn host(tensor: &Tensor) -> Result<Vec<f32>> {
    Ok(Vec::<f32>::try_from(tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?)?)
}
