//! Logits against labels: the gradient of the loss, and what evaluations count.

use anyhow::Result;
use tch::{Device, Kind, Tensor};

use super::super::host_buffer;
use super::super::host_buffer::TorchElement;
use crate::base::curve::Score;
use crate::engine::loss::{GRADIENT_CUTOFF, ScoreSums, Targets, scores};

/// The gradient by the logits [lanes, images, classes] of each lane's mean cross-entropy.
pub(super) fn logit_gradient(logits: &Tensor, labels: &Tensor, label_smoothing: f64) -> Result<Tensor> {
    let (_, images, classes) = logits.size3()?;
    let share = logits.f_softmax(-1, Kind::Double)?;
    let class = Tensor::f_arange(classes, (Kind::Int64, logits.device()))?;
    let mut target = labels.f_unsqueeze(2)?.f_eq_tensor(&class)?.f_to_kind(Kind::Double)?;
    if label_smoothing > 0.0 {
        let Targets { label, other } = Targets::new(label_smoothing, classes as usize);
        target = target.f_mul_scalar(label - other)?.f_add_scalar(other)?;
    }
    let delta = share.f_sub(&target)?.f_div_scalar(images as f64)?;
    let small = delta.f_abs()?.f_lt(GRADIENT_CUTOFF)?;
    Ok(delta.f_masked_fill(&small, 0.0)?.f_to_kind(logits.f_kind()?)?)
}

/// Sums over images by lane, where they are made.
pub(super) enum ScoreAccumulator {
    Host(Vec<ScoreSums>),
    /// [loss and correct, lanes].
    Device(Tensor),
}

impl ScoreAccumulator {
    /// Nothing yet; `there` where sums stay on the device until they are asked for.
    pub(super) fn zero(lanes: usize, there: bool, device: Device) -> Result<Self> {
        Ok(if there {
            Self::Device(Tensor::f_zeros([2, lanes as i64], (Kind::Double, device))?)
        } else {
            Self::Host(vec![ScoreSums::default(); lanes])
        })
    }

    /// Adds each lane's loss and correct images, of which all lanes have the same.
    pub(super) fn add<T: TorchElement>(&mut self, logits: &Tensor, labels: &Tensor) -> Result<()> {
        let (lanes, images, classes) = logits.size3()?;
        match self {
            Self::Host(sums) => {
                let logits = logits.f_contiguous()?;
                let (logits, labels) = (host_buffer::values::<T>(&logits)?, Vec::<i64>::try_from(labels)?);
                for (sums, logits) in sums.iter_mut().zip(logits.chunks_exact((images * classes) as usize)) {
                    scores(logits, labels.iter().map(|&label| label as u8), classes as usize, sums);
                }
            }
            Self::Device(sums) => {
                let of_label = labels.f_view([1, images, 1])?.f_expand([lanes, images, 1], false)?;
                let losses = logits.f_log_softmax(-1, Kind::Double)?.f_gather(2, &of_label, false)?.f_neg()?;
                let correct = logits.f_argmax(-1, true)?.f_eq_tensor(&of_label)?.f_to_kind(Kind::Double)?;
                let both = Tensor::f_stack(&[losses, correct], 0)?.f_sum_dim_intlist(
                    [2, 3].as_slice(),
                    false,
                    Kind::Double,
                )?;
                *sums = sums.f_add(&both)?;
            }
        }
        Ok(())
    }

    /// The means over so many images, lane by lane. Here the device is waited for.
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
