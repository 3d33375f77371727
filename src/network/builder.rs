//! Builds a network from configured layers and checks that their shapes fit.

use super::layer::Layer;
use super::model::Network;
use crate::config::{Diagnostic, LayerSpec};

/// Largest height and width of padded images: far beyond any data set, and small enough that counts do not overflow.
const MAX_PIXELS: usize = 10_000;

/// The shape of the activations before the next layer, without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActivationShape {
    /// Channels, height, width.
    Image([usize; 3]),
    /// Number of features.
    Features(usize),
}

/// Tracks whether a `ReLU` or a dropout has followed the last linear, convolution, batch-norm or residual layer; a
/// second one is rejected.
#[derive(Clone, Copy, Debug, PartialEq)]
struct AppliedActivations {
    /// Whether the network has no such layer yet, so that the activations are pixels.
    is_input: bool,
    /// Whether a `ReLU` has followed.
    relu: bool,
    /// Whether a dropout has followed, with no pooling after it.
    dropout: bool,
}

impl AppliedActivations {
    /// The state directly after a linear, convolution, batch-norm or residual layer.
    const NONE: Self = Self { is_input: false, relu: false, dropout: false };
}

/// A network under construction. Problems are collected, so that all of them can be reported at once.
pub(super) struct NetworkBuilder {
    /// Shape of an image: channels, height, width.
    input: [usize; 3],
    /// The shape of the activations after `layers`.
    shape: ActivationShape,
    /// The element-wise layers since the last layer with new values.
    applied: AppliedActivations,
    layers: Vec<Layer>,
    /// Number of configured layers that were added or rejected so far: the index of the next one. It differs from the
    /// length of `layers`, because some are rejected and some add a [`Layer::Flatten`].
    configured_layers: usize,
    /// Whether the layers belong to a named architecture.
    is_named: bool,
    problems: Vec<Diagnostic>,
}

/// The reason why a layer is rejected.
struct LayerError {
    message: String,
    hint: String,
}

impl NetworkBuilder {
    /// Returns a network without layers for images of shape `input` (channels, height, width).
    pub(super) fn new(input: [usize; 3]) -> Self {
        Self {
            input,
            shape: ActivationShape::Image(input),
            applied: AppliedActivations { is_input: true, ..AppliedActivations::NONE },
            layers: vec![],
            configured_layers: 0,
            is_named: false,
            problems: vec![],
        }
    }

    /// Marks the layers as those of a named architecture: diagnostics then name the architecture instead of a layer.
    pub(super) fn set_named(&mut self) {
        self.is_named = true;
    }

    /// Adds layers; those that do not fit are left out and become diagnostics.
    pub(super) fn add_all(&mut self, layers: &[LayerSpec]) {
        for layer in layers {
            if let Err(error) = self.add(layer) {
                self.refuse(&error.message, &error.hint);
            }
            self.configured_layers += 1;
        }
    }

    /// Adds a block that computes body(x) + shortcut(x), or body(x) + x if `shortcut` is empty.
    pub(super) fn residual(&mut self, body: &[LayerSpec], shortcut: &[LayerSpec]) {
        let input_shape = self.shape;
        let input_applied = self.applied;
        let outer_layers = std::mem::take(&mut self.layers);
        self.add_all(body);
        let output = self.shape;
        let body = std::mem::take(&mut self.layers);
        self.shape = input_shape;
        self.applied = input_applied;
        self.add_all(shortcut);
        let shortcut = std::mem::replace(&mut self.layers, outer_layers);
        if self.shape != output {
            let message = format!("a residual block adds {} to {}", describe_shape(self.shape), describe_shape(output));
            self.refuse(&message, "");
        }
        self.push_layer(Layer::Residual { body, shortcut }, output);
    }

    /// Adds a diagnostic about the layer that is being added.
    fn refuse(&mut self, message: &str, hint: &str) {
        // Later problems of an architecture follow from the first one.
        if self.is_named && !self.problems.is_empty() {
            return;
        }
        let [channels, height, width] = self.input;
        let (key, message) = if self.is_named {
            let images = format!("images of {channels} × {height} × {width} do not fit this architecture");
            ("network.architecture".to_owned(), format!("{images}: {message}"))
        } else {
            let key = format!("network.layers[{}]", self.configured_layers);
            (key.clone(), format!("`{key}`: {message}"))
        };
        let problem = Diagnostic::new(key, message);
        self.problems.push(if hint.is_empty() || self.is_named { problem } else { problem.hint(hint) });
    }

    /// Adds a layer if it fits the activations before it, else returns the reason.
    fn add(&mut self, layer: &LayerSpec) -> Result<(), LayerError> {
        match (layer, self.shape) {
            (LayerSpec::Flatten, ActivationShape::Image(_)) => self.flatten(),
            (LayerSpec::Flatten, ActivationShape::Features(_)) => {
                return fault("`flatten` gets a row of numbers, which is flat already", "leave it out");
            }
            (LayerSpec::Relu, _) if self.applied.is_input => {
                let hint = "put a `{ linear = { out = … } }` or a `{ conv = { out = … } }` before it";
                return fault("`relu` stands before the first layer that computes something", hint);
            }
            (LayerSpec::Relu, _) if self.applied.relu => {
                return fault(
                    "this `relu` changes nothing: there is one since the last layer that computes",
                    "leave it out",
                );
            }
            (LayerSpec::Relu, _) => {
                self.layers.push(Layer::Relu);
                self.applied.relu = true;
            }
            (LayerSpec::Dropout { .. }, _) if self.applied.dropout => {
                let hint = "give one: rates a and b together are 1 − (1 − a)·(1 − b)";
                return fault("a second `dropout` since the last layer that computes", hint);
            }
            (&LayerSpec::Dropout { rate }, _) => {
                self.layers.push(Layer::Dropout { rate });
                self.applied.dropout = true;
            }
            (&LayerSpec::Linear { out }, _) => {
                let inputs = self.flatten_if_image();
                self.push_layer(
                    Layer::Linear { inputs, outputs: out as usize },
                    ActivationShape::Features(out as usize),
                );
            }
            (LayerSpec::BatchNorm, shape) => {
                let (ActivationShape::Image([channels, ..]) | ActivationShape::Features(channels)) = shape;
                self.push_layer(Layer::BatchNorm { channels }, shape);
            }
            (&LayerSpec::Conv { out, kernel, stride, padding, bias }, ActivationShape::Image(image @ [inputs, ..])) => {
                let kernel = kernel.unwrap_or(3);
                let stride = stride.unwrap_or(1) as usize;
                let padding = padding.unwrap_or(kernel / 2) as usize;
                let outputs = out as usize;
                let kernel = kernel as usize;
                let size = window_output_size(image, kernel, stride, padding)?;
                let bias = bias.unwrap_or(true);
                let conv = Layer::Conv { inputs, outputs, kernel, stride, padding, bias, size };
                self.push_layer(conv, ActivationShape::Image([outputs, size[0], size[1]]));
            }
            (&LayerSpec::MaxPool { size, stride }, ActivationShape::Image(_)) => {
                let (size, stride) = self.pool(size, stride)?;
                self.layers.push(Layer::MaxPool { size, stride });
            }
            (&LayerSpec::AvgPool { size, stride }, ActivationShape::Image(_)) => {
                let (size, stride) = self.pool(size, stride)?;
                self.layers.push(Layer::AvgPool { size, stride });
            }
            (LayerSpec::GlobalAvgPool, ActivationShape::Image([channels, ..])) => {
                self.layers.push(Layer::GlobalAvgPool);
                self.applied.dropout = false;
                self.shape = ActivationShape::Features(channels);
            }
            (LayerSpec::Conv { .. }, ActivationShape::Features(n)) => return no_image("conv", n),
            (LayerSpec::MaxPool { .. }, ActivationShape::Features(n)) => return no_image("max_pool", n),
            (LayerSpec::AvgPool { .. }, ActivationShape::Features(n)) => return no_image("avg_pool", n),
            (LayerSpec::GlobalAvgPool, ActivationShape::Features(n)) => return no_image("global_avg_pool", n),
        }
        Ok(())
    }

    /// Appends a linear, convolution, batch-norm or residual layer with outputs of shape `shape`.
    fn push_layer(&mut self, layer: Layer, shape: ActivationShape) {
        self.layers.push(layer);
        self.shape = shape;
        self.applied = AppliedActivations::NONE;
    }

    /// Updates the shape for a pooling layer and returns its size and stride.
    fn pool(&mut self, size: u32, stride: Option<u32>) -> Result<(usize, usize), LayerError> {
        let stride = stride.unwrap_or(size) as usize;
        let size = size as usize;
        if let ActivationShape::Image(image) = self.shape {
            let [height, width] = window_output_size(image, size, stride, 0)?;
            // A dropout after the pooling drops other values than one before it.
            self.applied.dropout = false;
            self.shape = ActivationShape::Image([image[0], height, width]);
        }
        Ok((size, stride))
    }

    /// Flattens an image and returns the number of features that a linear layer gets.
    fn flatten_if_image(&mut self) -> usize {
        match self.shape {
            ActivationShape::Features(features) => features,
            ActivationShape::Image(shape) => {
                self.flatten();
                shape.iter().product()
            }
        }
    }

    /// Appends a [`Layer::Flatten`] if the activations are an image.
    fn flatten(&mut self) {
        if let ActivationShape::Image(shape) = self.shape {
            self.layers.push(Layer::Flatten);
            self.shape = ActivationShape::Features(shape.iter().product());
        }
    }

    /// Returns the network.
    ///
    /// # Errors
    /// Fails if a layer was rejected, or if the last layer is not linear with one output per class.
    pub(super) fn finish(mut self, classes: usize) -> Result<Network, Vec<Diagnostic>> {
        let key = format!("network.layers[{}]", self.configured_layers.saturating_sub(1));
        let hint = format!("end with `{{ linear = {{ out = {classes} }} }}`");
        match self.layers.last() {
            Some(&Layer::Linear { outputs, .. }) if outputs == classes => {}
            Some(&Layer::Linear { outputs, .. }) => {
                let message = format!("the last layer has {outputs} outputs for a data set of {classes} classes");
                self.problems.push(Diagnostic::new(format!("{key}.linear.out"), message).hint(hint));
            }
            last => {
                let (key, what) = match last {
                    None => ("network.layers".to_owned(), "there is no layer"),
                    Some(_) => (key, "the last layer is not linear"),
                };
                let hint = hint + ", one output for each class";
                self.problems.push(Diagnostic::new(key, what).hint(hint));
            }
        }
        let Self { input, layers, problems, .. } = self;
        if problems.is_empty() { Ok(Network::new(input, classes, layers)) } else { Err(problems) }
    }
}

/// Returns the error of a layer that does not fit.
fn fault<T>(message: &str, hint: &str) -> Result<T, LayerError> {
    Err(LayerError { message: message.to_owned(), hint: hint.to_owned() })
}

/// Returns the error of the layer `word`, which needs an image, after a layer with `features` outputs.
fn no_image<T>(word: &str, features: usize) -> Result<T, LayerError> {
    let message = format!("`{word}` needs an image and gets a row of {features} numbers");
    fault(&message, "put it before the first `flatten`, `global_avg_pool` or `linear`")
}

/// Returns [height, width] of the output of a square window of `size` that moves in steps of `stride` over an image
/// (channels, height, width) with `padding` zeros on each side.
fn window_output_size(image: [usize; 3], size: usize, stride: usize, padding: usize) -> Result<[usize; 2], LayerError> {
    let [_, height, width] = image.map(|length| length + 2 * padding);
    if height.max(width) > MAX_PIXELS {
        let message = format!("padding makes an image of {height} × {width} here, more than this program holds");
        return fault(&message, &format!("at most {MAX_PIXELS} in each direction"));
    }
    if size <= height.min(width) {
        return Ok([height, width].map(|length| (length - size) / stride + 1));
    }
    let around = if padding > 0 { format!(" ({height} × {width} with its padding)") } else { String::new() };
    let message =
        format!("a square of {size} × {size} does not fit {}{around}", describe_shape(ActivationShape::Image(image)));
    fault(&message, "smaller squares, more padding, or less pooling before it")
}

fn describe_shape(shape: ActivationShape) -> String {
    match shape {
        ActivationShape::Image([channels, height, width]) => format!("an image of {channels} × {height} × {width}"),
        ActivationShape::Features(features) => format!("a row of {features} numbers"),
    }
}
