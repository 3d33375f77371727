//! Gradients on data before or between training runs: with respect to weights for masks at initialization, whose scores
//! are products of gradients and weights, and with respect to pixels for adversarial attacks on trained networks.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::base::mask::Mask;
use crate::base::tensors::Snapshot;
use crate::config::Dtype;
use crate::data::Dataset;

/// A gradient tensor by name, in float64, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedGradient {
    /// The name of the weight, such as `linear1.weight`.
    pub name: String,
    /// The shape of the weight.
    pub shape: Vec<usize>,
    /// One value per weight, row-major.
    pub values: Vec<f64>,
}

/// A gradient for every conv and linear weight, in the network's order. In float64 because `SynFlow`'s gradients are
/// products over all layers, which float32 does not hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientMap(pub Vec<NamedGradient>);

impl GradientMap {
    /// Returns the gradient of the weight called `name`.
    pub fn get(&self, name: &str) -> Option<&NamedGradient> {
        self.0.iter().find(|gradient| gradient.name == name)
    }
}

/// The scalar function of the weights that a [`Probe`] differentiates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ProbeObjective {
    /// The cross-entropy of softmax(logits / temperature), in nats: mean over all images of all batches, without label
    /// smoothing.
    CrossEntropy {
        /// The temperature, positive; 1 for the ordinary loss, 200 for `GraSP`.
        temperature: f64,
    },
    /// The sum of all logits for one image of ones, in the network whose parameters and running statistics are replaced
    /// by their absolute values (`SynFlow`, arXiv 2006.05467, algorithm 1). Gradients are with respect to |θ|; batches
    /// are not used.
    SynapticFlow,
}

/// The statistics that batch norms use in a [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeBatchNorm {
    /// Those of each batch, differentiated through, as in training.
    Batch,
    /// The snapshot's running statistics, as in evaluation.
    Running,
}

/// Options of a [`Probe`]'s gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeOptions {
    /// The function to differentiate.
    pub objective: ProbeObjective,
    /// The statistics of batch norms. Running statistics never change.
    pub batch_norm: ProbeBatchNorm,
    /// The type of the arithmetic.
    pub dtype: Dtype,
}

impl ProbeOptions {
    /// Returns options for cross-entropy at `temperature`, in float32 with the statistics of each batch, as in training.
    pub fn cross_entropy(temperature: f64) -> Self {
        Self {
            objective: ProbeObjective::CrossEntropy { temperature },
            batch_norm: ProbeBatchNorm::Batch,
            dtype: Dtype::Float32,
        }
    }

    /// Returns options for [`ProbeObjective::SynapticFlow`], in float64 with running statistics: products over all
    /// layers overflow float32 in deep or wide networks, and `SynFlow`'s authors compute in evaluation mode.
    pub fn synaptic_flow() -> Self {
        Self { objective: ProbeObjective::SynapticFlow, batch_norm: ProbeBatchNorm::Running, dtype: Dtype::Float64 }
    }
}

/// Images with their labels, for [`Probe::on_pixels`].
#[derive(Clone, Copy, Debug)]
pub struct PixelBatch<'a> {
    /// Pixels [images, channels, height, width], each in [0, 1]: a byte / 255, before the normalization of the data set.
    pub pixels: &'a [f32],
    /// The class of each image, from 0.
    pub labels: &'a [u8],
}

/// The output of a network for a [`PixelBatch`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PixelOutput {
    /// The logits [images, classes].
    pub logits: Vec<f32>,
    /// The gradient of the sum over images of the cross-entropy, in nats, with respect to the pixels [images, channels,
    /// height, width]; empty if it was not asked for.
    pub gradient: Vec<f32>,
}

/// Computes gradients at a snapshot. Nothing is trained: snapshots, running statistics and random streams stay as they
/// are.
///
/// The network is pruned by `mask`: a pruned weight is 0 in the forward pass. The gradient with respect to a pruned
/// weight is computed too, at the value 0 of the weight. `batches` are indices into the data set; images are not
/// augmented, and dropout is off.
pub trait Probe {
    /// Returns the data set that batches are indices into; `None` if there is none.
    fn dataset(&self) -> Option<&Dataset>;

    /// Returns the gradient g of the objective with respect to every conv and linear weight.
    ///
    /// # Errors
    /// Fails if snapshot or mask do not fit the network, a batch is empty, the objective is cross-entropy and there is
    /// no batch, or the device fails.
    fn gradients(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batches: &[Vec<u32>],
        options: &ProbeOptions,
    ) -> Result<GradientMap>;

    /// Returns Hg: the Hessian of the objective with respect to all conv and linear weights, times their gradient g.
    /// `GraSP`'s authors sum over batches; the mean taken here does not change the order of scores.
    ///
    /// # Errors
    /// Fails like [`Probe::gradients`].
    fn hessian_gradient_product(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batches: &[Vec<u32>],
        options: &ProbeOptions,
    ) -> Result<GradientMap>;

    /// Returns the Euclidean norm over all images of each input of every linear layer, by the name of its weight.
    /// In float64, with running statistics.
    ///
    /// # Errors
    /// Fails if snapshot or mask do not fit the network, a batch is empty, or the device fails.
    fn input_norms(&self, snapshot: &Snapshot, mask: &Mask, batches: &[Vec<u32>])
    -> Result<BTreeMap<String, Vec<f64>>>;

    /// Returns the logits of the network for images, and, if `has_gradient`, the gradient with respect to their pixels.
    /// The images need not be in the data set; its normalization is part of the function that is differentiated: with
    /// [`Normalization::PerImage`](crate::data::Normalization::PerImage) each image is divided by its own norm. In
    /// float32, with the running statistics of batch norms.
    ///
    /// # Errors
    /// Fails if snapshot, mask, pixels or labels do not fit the network, there is no image, or the device fails.
    fn on_pixels(
        &self,
        snapshot: &Snapshot,
        mask: &Mask,
        batch: PixelBatch<'_>,
        has_gradient: bool,
    ) -> Result<PixelOutput>;
}

/// A probe that computes no gradients: every method fails. For work that makes no masks.
#[derive(Clone, Copy, Debug)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn dataset(&self) -> Option<&Dataset> {
        None
    }

    fn gradients(&self, _: &Snapshot, _: &Mask, _: &[Vec<u32>], _: &ProbeOptions) -> Result<GradientMap> {
        bail!("this probe computes no gradients")
    }

    fn hessian_gradient_product(
        &self,
        _: &Snapshot,
        _: &Mask,
        _: &[Vec<u32>],
        _: &ProbeOptions,
    ) -> Result<GradientMap> {
        bail!("this probe computes no gradients")
    }

    fn input_norms(&self, _: &Snapshot, _: &Mask, _: &[Vec<u32>]) -> Result<BTreeMap<String, Vec<f64>>> {
        bail!("this probe computes no activations")
    }

    fn on_pixels(&self, _: &Snapshot, _: &Mask, _: PixelBatch<'_>, _: bool) -> Result<PixelOutput> {
        bail!("this probe computes no gradients")
    }
}
