//! A network as a list of layers, and what derives from it.

use serde::Serialize;

/// A layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// [images, channels, height, width] to [images, features].
    Flatten,
    /// [images, in] to [images, out]: x·Wᵀ + b.
    Linear {
        /// Features that come in.
        inputs: usize,
        /// Features that go out.
        outputs: usize,
    },
    /// max(x, 0).
    Relu,
    /// In training, each value becomes 0 with probability `rate`, else value / (1 − `rate`); in evaluation nothing
    /// happens (Srivastava et al. 2014, scaled in training).
    Dropout {
        /// Below 1.
        rate: f64,
    },
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Network {
    /// Channels, height, width of an image.
    pub input: [usize; 3],
    /// Logits that come out.
    pub classes: usize,
    /// In the order they are applied.
    pub layers: Vec<Layer>,
}

/// What kind of weight a layer has; rates are given per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A linear layer that is not the last.
    Linear,
    /// The last linear layer.
    Output,
}

impl Kind {
    /// The word in configurations and CSVs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Output => "output",
        }
    }
}

/// Something that is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Such as `linear1.weight`.
    pub name: String,
    /// Sizes; a linear weight is [out, in].
    pub shape: Vec<usize>,
}

impl Parameter {
    /// The number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A weight tensor that masks speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The layer's name, such as `linear1` or `output`.
    pub layer: String,
    /// Its kind.
    pub kind: Kind,
    /// The parameter.
    pub parameter: Parameter,
    /// Multiply-adds that each weight takes part in, per image.
    pub uses: u64,
}

impl Network {
    /// Every conv and linear weight, in the order of the layers.
    pub fn weights(&self) -> Vec<Weight> {
        let last = self.layers.iter().rposition(|layer| matches!(layer, Layer::Linear { .. }));
        let mut weights = Vec::new();
        for (at, layer) in self.layers.iter().enumerate() {
            if let Layer::Linear { inputs, outputs } = *layer {
                let (name, kind) = if Some(at) == last {
                    ("output".to_owned(), Kind::Output)
                } else {
                    (format!("linear{}", weights.len() + 1), Kind::Linear)
                };
                let parameter = Parameter { name: format!("{name}.weight"), shape: vec![outputs, inputs] };
                weights.push(Weight { layer: name, kind, parameter, uses: 1 });
            }
        }
        weights
    }

    /// Everything that is trained: of each layer the weight, then the bias.
    pub fn parameters(&self) -> Vec<Parameter> {
        let with_bias = |weight: Weight| {
            let bias = Parameter { name: format!("{}.bias", weight.layer), shape: vec![weight.parameter.shape[0]] };
            [weight.parameter, bias]
        };
        self.weights().into_iter().flat_map(with_bias).collect()
    }

    /// The number of weights of each conv and linear layer.
    pub fn sizes(&self) -> Vec<u64> {
        self.weights().iter().map(|weight| weight.parameter.len() as u64).collect()
    }

    /// The number of conv and linear weights.
    pub fn weights_total(&self) -> u64 {
        self.sizes().iter().sum()
    }

    /// Multiply-adds for one image where each layer keeps so many weights; biases are not counted.
    pub fn macs(&self, kept: &[u64]) -> u64 {
        self.weights().iter().zip(kept).map(|(weight, kept)| weight.uses * kept).sum()
    }
}
