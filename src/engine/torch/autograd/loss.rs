//! The gradient of the loss with respect to the logits, and the sums of an evaluation.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::super::host_buffer;
use super::super::host_buffer::TorchElement;
use super::memory::Memory;
use crate::base::curve::Score;
use crate::engine::loss::{GRADIENT_CUTOFF, ScoreSums, Targets, scores};

/// Returns the gradient [lanes, images, classes] of each lane's mean cross-entropy with respect to its `logits`;
/// `labels` are [lanes, images]. `label_smoothing` is as in [`Targets`].
pub(super) fn logit_gradient(logits: &Tensor, labels: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    let (_, images, classes) = logits.size3()?;
    let softmax = logits.f_softmax(-1, Kind::Double)?;
    let class = Tensor::f_arange(classes, (Kind::Int64, logits.device()))?;
    let mut target = labels.f_unsqueeze(2)?.f_eq_tensor(&class)?.f_to_kind(Kind::Double)?;
    if label_smoothing > 0.0 {
        let Targets { label, other } = Targets::new(label_smoothing, classes as usize);
        target = target.f_mul_scalar(label - other)?.f_add_scalar(other)?;
    }
    let delta = softmax.f_sub(&target)?.f_div_scalar(images as f64)?;
    let small = delta.f_abs()?.f_lt(GRADIENT_CUTOFF)?;
    Ok(delta.f_masked_fill(&small, 0.0)?.f_to_kind(logits.f_kind()?)?)
}

/// Sums of loss and correct predictions per lane, on the host or on the device.
pub(super) enum ScoreAccumulator {
    /// One entry per lane.
    Host(Vec<ScoreSums>),
    /// A tensor [2, lanes] in float64: the losses, then the correct predictions.
    Device(Tensor),
}

impl ScoreAccumulator {
    /// Returns sums over no images, in `memory`.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn zero(lanes: usize, memory: Memory, device: Device) -> Result<Self> {
        Ok(match memory {
            Memory::Host => Self::Host(vec![ScoreSums::default(); lanes]),
            Memory::Device => Self::Device(Tensor::f_zeros([2, lanes as i64], (Kind::Double, device))?),
        })
    }

    /// Adds loss and correct predictions of `logits` [lanes, images, classes]; all lanes have the same `labels`
    /// [images].
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn add<T: TorchElement>(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let (lanes, images, classes) = logits.size3()?;
        match self {
            Self::Host(sums) => {
                let logits = logits.f_contiguous()?;
                let logits = host_buffer::values::<T>(&logits)?;
                let labels = Vec::<i64>::try_from(labels)?;
                for (sums, logits) in sums.iter_mut().zip(logits.chunks_exact((images * classes) as usize)) {
                    scores(logits, labels.iter().map(|&label| label as u8), classes as usize, sums);
                }
            }
            Self::Device(sums) => {
                let label_index = labels.f_view([1, images, 1])?.f_expand([lanes, images, 1], false)?;
                let losses = logits.f_log_softmax(-1, Kind::Double)?.f_gather(2, &label_index, false)?.f_neg()?;
                let correct = logits.f_argmax(-1, true)?.f_eq_tensor(&label_index)?.f_to_kind(Kind::Double)?;
                let added = Tensor::f_stack(&[losses, correct], 0)?.f_sum_dim_intlist(
                    [2, 3].as_slice(),
                    false,
                    Kind::Double,
                )?;
                *sums = sums.f_add(&added)?;
            }
        }
        Ok(())
    }

    /// Returns each lane's means over `images` images. Waits for the device.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn scores(self, images: usize) -> Result<Vec<Score>> {
        let n = images as f64;
        let score = |loss: f64, correct: f64| Score { loss: loss / n, accuracy: correct / n };
        Ok(match self {
            Self::Host(sums) => sums.iter().map(|sums| score(sums.loss, sums.correct as f64)).collect(),
            Self::Device(sums) => {
                let sums = Vec::<f64>::try_from(sums.f_view([-1])?)?;
                let (losses, correct) = sums.split_at(sums.len() / 2);
                losses.iter().zip(correct).map(|(&loss, &correct)| score(loss, correct)).collect()
            }
        })
    }
}
