//! Layers as tensor operations with autograd, for several networks (lanes) of one architecture at once.
//!
//! Images of all lanes are one tensor [images, lanes · channels, height, width]: the convolutions of all lanes are then
//! one convolution with a group per lane, and their batch norms one batch norm over more channels. Features are
//! [lanes, images, features], so that the linear layers of all lanes are one batched product.

use anyhow::{Result, anyhow, bail};
use tch::{Kind, Tensor};

use super::dropout::DropoutMasks;
use crate::config::MatmulPrecision;
use crate::network::Layer;

/// The constant that batch norms add to a variance before they take its root (`PyTorch`'s default).
const BATCH_NORM_EPS: f64 = 1e-5;

/// The activations of all lanes between two layers.
#[derive(Debug)]
pub(super) enum Activation {
    /// Images: [images, lanes · channels, height, width].
    Image(Tensor),
    /// Features: [lanes, images, features].
    Features(Tensor),
}

/// The statistics that batch norms normalize with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum BatchNormMode {
    /// The running statistics, which stay as they are.
    Eval,
    /// The statistics of the batch; the running ones become (1 − momentum) · running + momentum · batch.
    Train { momentum: f64 },
}

/// A function of the input [lanes, images, features] of a linear layer.
pub(super) type OnInput<'a> = &'a dyn Fn(&Tensor) -> Result<()>;

/// One forward pass. Layers consume parameters, buffers and dropout masks in the order of the layers; a residual block
/// consumes those of the body before those of the shortcut, as [`crate::network::Network`] lists them.
pub(super) struct Forward<'a> {
    /// The number of networks.
    pub(super) lanes: i64,
    /// The parameters that no layer has consumed yet: weights of linear layers [lanes, out, in] and of convolutions
    /// [lanes · out, in, height, width], vectors [lanes, length].
    pub(super) parameters: std::slice::Iter<'a, Tensor>,
    /// The running statistics that no layer has consumed yet: [lanes · channels] each.
    pub(super) buffers: std::slice::Iter<'a, Tensor>,
    /// The statistics to normalize with.
    pub(super) batch_norm: BatchNormMode,
    /// The masks of the dropout layers.
    pub(super) dropout: DropoutMasks<'a>,
    /// The precision of matrix products and convolutions.
    pub(super) matmul_precision: MatmulPrecision,
    /// Called with the input [lanes, images, features] of each linear layer, in the network's order.
    pub(super) on_linear_input: Option<OnInput<'a>>,
}

impl<'a> Forward<'a> {
    /// Returns the logits [lanes, images, classes].
    ///
    /// # Errors
    /// Fails if the layers do not fit the input or the parameters, or libtorch fails.
    pub(super) fn logits(mut self, layers: &[Layer], input: Activation) -> Result<Tensor> {
        match self.sequence(layers, input)? {
            Activation::Features(logits) => Ok(logits),
            Activation::Image(_) => bail!("a network that ends with an image"),
        }
    }

    /// Applies layers one after the other.
    fn sequence(&mut self, layers: &[Layer], mut x: Activation) -> Result<Activation> {
        for layer in layers {
            x = self.layer(layer, x)?;
        }
        Ok(x)
    }

    /// Applies one layer.
    fn layer(&mut self, layer: &Layer, x: Activation) -> Result<Activation> {
        Ok(match (layer, x) {
            (Layer::Flatten, x) => Activation::Features(self.features(x)?),
            (Layer::Linear { .. }, x) => {
                let x = self.features(x)?;
                self.on_linear_input.map_or(Ok(()), |observe| observe(&x))?;
                Activation::Features(self.linear(&x)?)
            }
            (&Layer::Conv { stride, padding, bias, .. }, Activation::Image(x)) => {
                Activation::Image(self.conv(&x, stride, padding, bias)?)
            }
            (Layer::BatchNorm { .. }, Activation::Image(x)) => Activation::Image(self.normalize(&x)?),
            (Layer::BatchNorm { .. }, Activation::Features(x)) => {
                let (lanes, images, features) = x.size3()?;
                let channels = x.f_transpose(0, 1)?.f_reshape([images, lanes * features])?;
                let normed = self.normalize(&channels)?;
                Activation::Features(normed.f_reshape([images, lanes, features])?.f_transpose(0, 1)?)
            }
            (Layer::Relu, Activation::Image(x)) => Activation::Image(x.f_relu()?),
            (Layer::Relu, Activation::Features(x)) => Activation::Features(x.f_relu()?),
            (&Layer::MaxPool { size, stride }, Activation::Image(x)) => {
                let [size, stride] = [size, stride].map(|n| [n as i64, n as i64]);
                Activation::Image(x.f_max_pool2d(size, stride, [0, 0], [1, 1], false)?)
            }
            (&Layer::AvgPool { size, stride }, Activation::Image(x)) => {
                let [size, stride] = [size, stride].map(|n| [n as i64, n as i64]);
                Activation::Image(x.f_avg_pool2d(size, stride, [0, 0], false, true, None)?)
            }
            (Layer::GlobalAvgPool, Activation::Image(x)) => {
                let means = x.f_mean_dim([2, 3].as_slice(), false, None)?;
                Activation::Features(self.flatten(&means)?)
            }
            (Layer::Dropout { .. }, Activation::Image(x)) => {
                Activation::Image(self.dropout.for_channels(&x, self.lanes)?)
            }
            (Layer::Dropout { .. }, Activation::Features(x)) => Activation::Features(self.dropout.for_features(&x)?),
            (Layer::Residual { body, shortcut }, Activation::Image(x)) => {
                let inner = self.sequence(body, Activation::Image(x.shallow_clone()))?;
                let outer = self.sequence(shortcut, Activation::Image(x))?;
                let (Activation::Image(inner), Activation::Image(outer)) = (inner, outer) else {
                    bail!("a block without an image")
                };
                Activation::Image(inner.f_add(&outer)?)
            }
            (layer, Activation::Features(_)) => bail!("{layer:?} needs an image and gets a row"),
        })
    }

    /// Returns the activations as features; flattens images.
    fn features(&self, x: Activation) -> Result<Tensor> {
        match x {
            Activation::Features(x) => Ok(x),
            Activation::Image(x) => self.flatten(&x),
        }
    }

    /// Rearranges [images, lanes · channels, …] to [lanes, images, features].
    fn flatten(&self, x: &Tensor) -> Result<Tensor> {
        let images = x.size()[0];
        Ok(x.f_reshape([images, self.lanes, -1])?.f_transpose(0, 1)?)
    }

    /// Applies a linear layer to [lanes, images, features].
    fn linear(&mut self, x: &Tensor) -> Result<Tensor> {
        let weight = self.parameter()?;
        let bias = self.parameter()?;
        if self.lanes == 1 {
            let (x, weight) = (x.f_squeeze_dim(0)?, weight.f_squeeze_dim(0)?);
            let product =
                self.in_precision(&[&x, &weight, &bias.f_view([-1])?], |t| Ok(t[0].f_linear(&t[1], Some(&t[2]))?))?;
            return Ok(product.f_unsqueeze(0)?);
        }
        let (bias, weight) = (bias.f_unsqueeze(1)?, weight.f_transpose(1, 2)?);
        self.in_precision(&[x, &weight, &bias], |t| Ok(t[2].f_baddbmm(&t[0], &t[1], 1.0, 1.0)?))
    }

    /// Applies a convolution to [images, lanes · channels, height, width].
    fn conv(&mut self, x: &Tensor, stride: usize, padding: usize, bias: bool) -> Result<Tensor> {
        let weight = self.parameter()?;
        let bias = if bias { Some(self.parameter()?.f_view([-1])?) } else { None };
        let [stride, padding] = [stride, padding].map(|n| [n as i64, n as i64]);
        let inputs: Vec<&Tensor> = [x, weight].into_iter().chain(&bias).collect();
        self.in_precision(&inputs, |t| Ok(t[0].f_conv2d(&t[1], t.get(2), stride, padding, [1, 1], self.lanes)?))
    }

    /// Computes `product` of `inputs` rounded to `matmul_precision`, and returns it in the type of the inputs. TF32 is
    /// a global flag of libtorch, so only bfloat16 is rounded here.
    fn in_precision(&self, inputs: &[&Tensor], product: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor> {
        if self.matmul_precision != MatmulPrecision::Bf16 {
            return product(&inputs.iter().map(|t| t.shallow_clone()).collect::<Vec<_>>());
        }
        let cast: Result<Vec<Tensor>, _> = inputs.iter().map(|t| t.f_to_kind(Kind::BFloat16)).collect();
        Ok(product(&cast?)?.f_to_kind(inputs[0].f_kind()?)?)
    }

    /// Applies a batch norm to [images, lanes · channels] or [images, lanes · channels, height, width].
    fn normalize(&mut self, x: &Tensor) -> Result<Tensor> {
        let [scale, shift] = [self.parameter()?.f_view([-1])?, self.parameter()?.f_view([-1])?];
        let mut buffer = || self.buffers.next().ok_or_else(|| anyhow!("a batch norm without statistics"));
        let mean = buffer()?;
        let variance = buffer()?;
        let (training, momentum) = match self.batch_norm {
            BatchNormMode::Eval => (false, 0.0),
            BatchNormMode::Train { momentum } => (true, momentum),
        };
        // The last argument allows cuDNN.
        Ok(x.f_batch_norm(
            Some(&scale),
            Some(&shift),
            Some(mean),
            Some(variance),
            training,
            momentum,
            BATCH_NORM_EPS,
            true,
        )?)
    }

    /// Consumes the next parameter.
    fn parameter(&mut self) -> Result<&'a Tensor> {
        self.parameters.next().ok_or_else(|| anyhow!("a network with fewer parameters than its layers have"))
    }
}
