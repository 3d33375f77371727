//! Layers on tensors, with autograd; several networks of one architecture side by side.
//!
//! An image of all lanes is [images, lanes · channels, height, width], so that a convolution of all lanes is one with groups
//! and a batch norm of all lanes is one over more channels. A row is [lanes, images, features], so that a linear layer of
//! all lanes is one batched product.

use anyhow::{Result, anyhow, bail};
use tch::{Kind, Tensor};

use super::noise::Drops;
use crate::config::Products;
use crate::network::Layer;

/// What is added to a variance before its root is taken (`PyTorch`'s default).
const EPS: f64 = 1e-5;

/// What goes from layer to layer.
#[derive(Debug)]
pub(super) enum Value {
    /// [images, lanes · channels, height, width].
    Image(Tensor),
    /// [lanes, images, features].
    Row(Tensor),
}

/// What a batch norm goes by.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Norms {
    /// The running statistics.
    Running,
    /// Those of the batch, which move the running ones by this share.
    Batch { share: f64 },
}

/// One pass through a network. Takes parameters, buffers and dropout layers as they come: in the order of the layers, of a
/// residual block those of the body first, as `Network` names them.
pub(super) struct Pass<'a> {
    pub(super) lanes: i64,
    pub(super) parameters: std::slice::Iter<'a, Tensor>,
    pub(super) buffers: std::slice::Iter<'a, Tensor>,
    pub(super) norms: Norms,
    pub(super) drops: Drops<'a>,
    pub(super) products: Products,
}

impl<'a> Pass<'a> {
    /// The logits of all lanes, [lanes, images, classes].
    pub(super) fn logits(mut self, layers: &[Layer], input: Value) -> Result<Tensor> {
        match self.all(layers, input)? {
            Value::Row(logits) => Ok(logits),
            Value::Image(_) => bail!("a network that ends with an image"),
        }
    }

    fn all(&mut self, layers: &[Layer], mut x: Value) -> Result<Value> {
        for layer in layers {
            x = self.layer(layer, x)?;
        }
        Ok(x)
    }

    fn layer(&mut self, layer: &Layer, x: Value) -> Result<Value> {
        Ok(match (layer, x) {
            (Layer::Flatten, x) => Value::Row(self.row(x)?),
            (Layer::Linear { .. }, x) => {
                let x = self.row(x)?;
                Value::Row(self.linear(&x)?)
            }
            (&Layer::Conv { stride, padding, bias, .. }, Value::Image(x)) => {
                Value::Image(self.conv(&x, stride, padding, bias)?)
            }
            (Layer::BatchNorm { .. }, Value::Image(x)) => Value::Image(self.batch_norm(&x)?),
            (Layer::BatchNorm { .. }, Value::Row(x)) => {
                let (lanes, images, features) = x.size3()?;
                let channels = x.f_transpose(0, 1)?.f_reshape([images, lanes * features])?;
                let normed = self.batch_norm(&channels)?;
                Value::Row(normed.f_reshape([images, lanes, features])?.f_transpose(0, 1)?)
            }
            (Layer::Relu, Value::Image(x)) => Value::Image(x.f_relu()?),
            (Layer::Relu, Value::Row(x)) => Value::Row(x.f_relu()?),
            (&Layer::MaxPool { size, stride }, Value::Image(x)) => {
                let [size, stride] = [size, stride].map(|n| [n as i64, n as i64]);
                Value::Image(x.f_max_pool2d(size, stride, [0, 0], [1, 1], false)?)
            }
            (&Layer::AvgPool { size, stride }, Value::Image(x)) => {
                let [size, stride] = [size, stride].map(|n| [n as i64, n as i64]);
                Value::Image(x.f_avg_pool2d(size, stride, [0, 0], false, true, None)?)
            }
            (Layer::GlobalAvgPool, Value::Image(x)) => {
                let means = x.f_mean_dim([2, 3].as_slice(), false, None)?;
                Value::Row(self.row_of(&means)?)
            }
            (Layer::Dropout { .. }, Value::Image(x)) => Value::Image(self.drops.image(&x, self.lanes)?),
            (Layer::Dropout { .. }, Value::Row(x)) => Value::Row(self.drops.row(&x)?),
            (Layer::Residual { body, shortcut }, Value::Image(x)) => {
                let inner = self.all(body, Value::Image(x.shallow_clone()))?;
                let outer = self.all(shortcut, Value::Image(x))?;
                let (Value::Image(inner), Value::Image(outer)) = (inner, outer) else {
                    bail!("a block without an image")
                };
                Value::Image((inner).f_add(&outer)?)
            }
            (layer, Value::Row(_)) => bail!("{layer:?} needs an image and gets a row"),
        })
    }

    fn row(&self, x: Value) -> Result<Tensor> {
        match x {
            Value::Row(x) => Ok(x),
            Value::Image(x) => self.row_of(&x),
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
        if self.products != Products::Bf16 {
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
            Norms::Running => (false, 0.0),
            Norms::Batch { share } => (true, share),
        };
        // The last argument allows cuDNN.
        Ok(x.f_batch_norm(Some(&scale), Some(&shift), Some(mean), Some(variance), training, share, EPS, true)?)
    }

    fn parameter(&mut self) -> Result<&'a Tensor> {
        self.parameters.next().ok_or_else(|| anyhow!("a network with fewer parameters than its layers have"))
    }
}
