//! Layers on tensors, with autograd; several networks of one architecture side by side.
//!
//! An image of all lanes is [images, lanes · channels, height, width], so that a convolution of all lanes is one with groups
//! and a batch norm of all lanes is one over more channels. A row is [lanes, images, features], so that a linear layer of
//! all lanes is one batched product.

use anyhow::{Result, anyhow, bail};
use tch::{Kind, Tensor};

use super::dropout::DropoutMasks;
use crate::config::MatmulPrecision;
use crate::network::Layer;

/// What is added to a variance before its root is taken (`PyTorch`'s default).
const EPS: f64 = 1e-5;

/// What goes from layer to layer.
#[derive(Debug)]
pub(super) enum Activation {
    /// [images, lanes · channels, height, width].
    Image(Tensor),
    /// [lanes, images, features].
    Features(Tensor),
}

/// What a batch norm goes by.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum BatchNormMode {
    /// The running statistics.
    Eval,
    /// Those of the batch, which move the running ones by this share.
    Train { share: f64 },
}

/// One pass through a network. Takes parameters, buffers and dropout layers as they come: in the order of the layers, of a
/// residual block those of the body first, as `Network` names them.
pub(super) struct Forward<'a> {
    pub(super) lanes: i64,
    pub(super) parameters: std::slice::Iter<'a, Tensor>,
    pub(super) buffers: std::slice::Iter<'a, Tensor>,
    pub(super) norms: BatchNormMode,
    pub(super) drops: DropoutMasks<'a>,
    pub(super) products: MatmulPrecision,
}

impl<'a> Forward<'a> {
    /// The logits of all lanes, [lanes, images, classes].
    pub(super) fn logits(mut self, layers: &[Layer], input: Activation) -> Result<Tensor> {
        match self.all(layers, input)? {
            Activation::Features(logits) => Ok(logits),
            Activation::Image(_) => bail!("a network that ends with an image"),
        }
    }

    fn all(&mut self, layers: &[Layer], mut x: Activation) -> Result<Activation> {
        for layer in layers {
            x = self.layer(layer, x)?;
        }
        Ok(x)
    }

    fn layer(&mut self, layer: &Layer, x: Activation) -> Result<Activation> {
        Ok(match (layer, x) {
            (Layer::Flatten, x) => Activation::Features(self.row(x)?),
            (Layer::Linear { .. }, x) => {
                let x = self.row(x)?;
                Activation::Features(self.linear(&x)?)
            }
            (&Layer::Conv { stride, padding, bias, .. }, Activation::Image(x)) => {
                Activation::Image(self.conv(&x, stride, padding, bias)?)
            }
            (Layer::BatchNorm { .. }, Activation::Image(x)) => Activation::Image(self.batch_norm(&x)?),
            (Layer::BatchNorm { .. }, Activation::Features(x)) => {
                let (lanes, images, features) = x.size3()?;
                let channels = x.f_transpose(0, 1)?.f_reshape([images, lanes * features])?;
                let normed = self.batch_norm(&channels)?;
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
                Activation::Features(self.row_of(&means)?)
            }
            (Layer::Dropout { .. }, Activation::Image(x)) => {
                Activation::Image(self.drops.for_channels(&x, self.lanes)?)
            }
            (Layer::Dropout { .. }, Activation::Features(x)) => Activation::Features(self.drops.for_features(&x)?),
            (Layer::Residual { body, shortcut }, Activation::Image(x)) => {
                let inner = self.all(body, Activation::Image(x.shallow_clone()))?;
                let outer = self.all(shortcut, Activation::Image(x))?;
                let (Activation::Image(inner), Activation::Image(outer)) = (inner, outer) else {
                    bail!("a block without an image")
                };
                Activation::Image((inner).f_add(&outer)?)
            }
            (layer, Activation::Features(_)) => bail!("{layer:?} needs an image and gets a row"),
        })
    }

    fn row(&self, x: Activation) -> Result<Tensor> {
        match x {
            Activation::Features(x) => Ok(x),
            Activation::Image(x) => self.row_of(&x),
        }
    }

    /// [images, lanes · channels, …] as a row.
    fn row_of(&self, x: &Tensor) -> Result<Tensor> {
        let images = x.size()[0];
        Ok(x.f_reshape([images, self.lanes, -1])?.f_transpose(0, 1)?)
    }

    fn linear(&mut self, x: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (self.parameter()?, self.parameter()?);
        if self.lanes == 1 {
            let (x, weight) = (x.f_squeeze_dim(0)?, weight.f_squeeze_dim(0)?);
            let product =
                self.in_type(&[&x, &weight, &bias.f_view([-1])?], |t| Ok(t[0].f_linear(&t[1], Some(&t[2]))?))?;
            return Ok(product.f_unsqueeze(0)?);
        }
        let (bias, weight) = (bias.f_unsqueeze(1)?, weight.f_transpose(1, 2)?);
        self.in_type(&[x, &weight, &bias], |t| Ok(t[2].f_baddbmm(&t[0], &t[1], 1.0, 1.0)?))
    }

    fn conv(&mut self, x: &Tensor, stride: usize, padding: usize, bias: bool) -> Result<Tensor> {
        let weight = self.parameter()?;
        let bias = if bias { Some(self.parameter()?.f_view([-1])?) } else { None };
        let [stride, padding] = [stride, padding].map(|n| [n as i64, n as i64]);
        let inputs: Vec<&Tensor> = [x, weight].into_iter().chain(&bias).collect();
        self.in_type(&inputs, |t| Ok(t[0].f_conv2d(&t[1], t.get(2), stride, padding, [1, 1], self.lanes)?))
    }

    /// A product in the type that products are to be made in; what goes in and comes out stays as it is.
    fn in_type(&self, inputs: &[&Tensor], product: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<Tensor> {
        if self.products != MatmulPrecision::Bf16 {
            return product(&inputs.iter().map(|t| t.shallow_clone()).collect::<Vec<_>>());
        }
        let cast: Result<Vec<Tensor>, _> = inputs.iter().map(|t| t.f_to_kind(Kind::BFloat16)).collect();
        Ok(product(&cast?)?.f_to_kind(inputs[0].f_kind()?)?)
    }

    /// [images, channels] or [images, channels, height, width].
    fn batch_norm(&mut self, x: &Tensor) -> Result<Tensor> {
        let [scale, shift] = [self.parameter()?.f_view([-1])?, self.parameter()?.f_view([-1])?];
        let mut buffer = || self.buffers.next().ok_or_else(|| anyhow!("a batch norm without statistics"));
        let (mean, variance) = (buffer()?, buffer()?);
        let (training, share) = match self.norms {
            BatchNormMode::Eval => (false, 0.0),
            BatchNormMode::Train { share } => (true, share),
        };
        // The last argument allows cuDNN.
        Ok(x.f_batch_norm(Some(&scale), Some(&shift), Some(mean), Some(variance), training, share, EPS, true)?)
    }

    fn parameter(&mut self) -> Result<&'a Tensor> {
        self.parameters.next().ok_or_else(|| anyhow!("a network with fewer parameters than its layers have"))
    }
}
