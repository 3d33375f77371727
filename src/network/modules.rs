//! The description of a network in exported files: its layers as modules of `torch.nn`, so that `PyTorch` builds the
//! network from the description alone, and this program reads it back.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::builder::ActivationShape;
use super::layer::Layer;
use super::model::Network;

/// Largest number of layers of a description, those in residual blocks included.
const MAX_MODULES: usize = 2000;
/// Largest size of a layer: inputs, outputs, pixels. With it, no count of weights overflows.
const MAX_SIZE: usize = 1 << 24;

/// A network as a list of modules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkDescription {
    /// Shape of an image: channels, height, width.
    pub input: [usize; 3],
    /// Number of logits.
    pub classes: usize,
    /// The modules in the order they are applied, each with its name. The name of a tensor is the name of its module
    /// (within a residual block, after that of the block and a dot) and the name that `PyTorch` gives it there.
    pub modules: Vec<(String, Module)>,
}

/// A module of `torch.nn` with its arguments; or a residual block, which `torch.nn` does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names of variants and fields are those of torch.nn, which describes them")]
pub enum Module {
    Flatten {},
    Linear {
        in_features: usize,
        out_features: usize,
    },
    Conv2d {
        in_channels: usize,
        out_channels: usize,
        kernel_size: usize,
        stride: usize,
        padding: usize,
        bias: bool,
    },
    BatchNorm1d {
        num_features: usize,
    },
    BatchNorm2d {
        num_features: usize,
    },
    ReLU {},
    MaxPool2d {
        kernel_size: usize,
        stride: usize,
    },
    AvgPool2d {
        kernel_size: usize,
        stride: usize,
    },
    /// With output size 1 and followed by `Flatten`: [`Layer::GlobalAvgPool`].
    AdaptiveAvgPool2d {
        output_size: usize,
    },
    Dropout {
        p: f64,
    },
    /// body(x) + shortcut(x); an empty shortcut is the identity. The names of its modules are within the block.
    Residual {
        body: Vec<(String, Self)>,
        shortcut: Vec<(String, Self)>,
    },
}

/// The reason why a description is not that of a network of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its network cannot be built: {0}")]
pub struct InvalidDescription(String);

impl NetworkDescription {
    /// Returns the description of a network.
    pub fn of(network: &Network) -> Self {
        let mut names = LayerNames::of(network);
        let (modules, _) = describe(&network.layers, true, &mut names);
        Self { input: network.input, classes: network.classes, modules }
    }

    /// Builds the network.
    ///
    /// # Errors
    /// Fails if the layers do not fit each other, the input or the classes, and if their names are not those that this
    /// program gives them.
    pub fn network(&self) -> Result<Network, InvalidDescription> {
        let mut reader = ModuleReader { modules_left: MAX_MODULES };
        check_size("input", self.input.iter().product())?;
        let (layers, output) = reader.layers(&self.modules, ActivationShape::Image(self.input))?;
        if output != ActivationShape::Features(self.classes) {
            return refuse(format!("its last layer does not have {} outputs, one for each class", self.classes));
        }
        let network = Network::new(self.input, self.classes, layers);
        if Self::of(&network).modules != self.modules {
            return refuse("its layers have other names than those of this program");
        }
        Ok(network)
    }
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, InvalidDescription> {
    Err(InvalidDescription(reason.into()))
}

/// Checks a size of a layer.
fn check_size(name: &str, size: usize) -> Result<(), InvalidDescription> {
    if (1..=MAX_SIZE).contains(&size) { Ok(()) } else { refuse(format!("a size of `{name}` is {size}")) }
}

/// The names of the layers of a network: those with tensors as the tensors have them, others numbered by kind.
struct LayerNames {
    /// Names of the layers with tensors that come next.
    with_tensors: VecDeque<String>,
    /// Number of residual blocks, and of each kind of layer without tensors, so far.
    counts: BTreeMap<&'static str, usize>,
}

impl LayerNames {
    fn of(network: &Network) -> Self {
        Self { with_tensors: network.layer_names().into(), counts: BTreeMap::new() }
    }

    /// Returns the name of the next layer with tensors, within its block.
    fn next_with_tensors(&mut self) -> String {
        let name = self.with_tensors.pop_front().unwrap_or_default();
        name.rsplit_once('.').map_or(name.as_str(), |(_, name)| name).to_owned()
    }

    /// Returns the name of the next layer of a kind without tensors.
    fn numbered(&mut self, kind: &'static str) -> String {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        format!("{kind}{count}")
    }
}

/// Returns the modules of `layers`, and whether their output is an image. `is_image`: whether their input is one.
fn describe(layers: &[Layer], mut is_image: bool, names: &mut LayerNames) -> (Vec<(String, Module)>, bool) {
    let mut modules = Vec::new();
    for layer in layers {
        let module = match *layer {
            Layer::Flatten => (names.numbered("flatten"), Module::Flatten {}),
            Layer::Linear { inputs, outputs } => {
                (names.next_with_tensors(), Module::Linear { in_features: inputs, out_features: outputs })
            }
            Layer::Conv { inputs, outputs, kernel, stride, padding, bias, size: _ } => {
                let [in_channels, out_channels, kernel_size] = [inputs, outputs, kernel];
                let conv = Module::Conv2d { in_channels, out_channels, kernel_size, stride, padding, bias };
                (names.next_with_tensors(), conv)
            }
            Layer::BatchNorm { channels: num_features } if is_image => {
                (names.next_with_tensors(), Module::BatchNorm2d { num_features })
            }
            Layer::BatchNorm { channels: num_features } => {
                (names.next_with_tensors(), Module::BatchNorm1d { num_features })
            }
            Layer::Relu => (names.numbered("relu"), Module::ReLU {}),
            Layer::MaxPool { size: kernel_size, stride } => {
                (names.numbered("pool"), Module::MaxPool2d { kernel_size, stride })
            }
            Layer::AvgPool { size: kernel_size, stride } => {
                (names.numbered("pool"), Module::AvgPool2d { kernel_size, stride })
            }
            Layer::GlobalAvgPool => {
                modules.push((names.numbered("pool"), Module::AdaptiveAvgPool2d { output_size: 1 }));
                (names.numbered("flatten"), Module::Flatten {})
            }
            Layer::Dropout { rate: p } => (names.numbered("dropout"), Module::Dropout { p }),
            Layer::Residual { ref body, ref shortcut } => {
                let name = names.numbered("block");
                let (body, _) = describe(body, is_image, names);
                let (shortcut, _) = describe(shortcut, is_image, names);
                (name, Module::Residual { body, shortcut })
            }
        };
        is_image &= !matches!(layer, Layer::Flatten | Layer::GlobalAvgPool);
        modules.push(module);
    }
    (modules, is_image)
}

/// Reads modules as layers, and checks that their shapes fit.
struct ModuleReader {
    /// Number of modules that may still be read, so that a description of any depth is bounded.
    modules_left: usize,
}

impl ModuleReader {
    /// Returns the layers of `modules` and the shape of their output; `shape` is that of their input.
    fn layers(
        &mut self,
        modules: &[(String, Module)],
        mut shape: ActivationShape,
    ) -> Result<(Vec<Layer>, ActivationShape), InvalidDescription> {
        let mut layers = Vec::new();
        let mut modules = modules.iter();
        while let Some((name, module)) = modules.next() {
            let Some(left) = self.modules_left.checked_sub(1) else {
                return refuse(format!("it has more than {MAX_MODULES} layers"));
            };
            self.modules_left = left;
            // A global average pooling is two modules.
            let flattens = matches!(module, Module::AdaptiveAvgPool2d { output_size: 1 });
            let is_flattened = flattens && matches!(modules.next(), Some((_, Module::Flatten {})));
            if flattens && !is_flattened {
                return refuse(format!("`{name}` is not followed by `Flatten`"));
            }
            let (layer, output) = self.layer(name, module, shape)?;
            layers.push(layer);
            shape = output;
        }
        Ok((layers, shape))
    }

    /// Returns the layer of a module and the shape of its output.
    fn layer(
        &mut self,
        name: &str,
        module: &Module,
        shape: ActivationShape,
    ) -> Result<(Layer, ActivationShape), InvalidDescription> {
        let unfit = || refuse(format!("`{name}` does not fit the layer before it"));
        let sized = |sizes: &[usize]| sizes.iter().try_for_each(|&size| check_size(name, size));
        Ok(match (module, shape) {
            (Module::Flatten {}, ActivationShape::Image(image)) => {
                (Layer::Flatten, ActivationShape::Features(image.iter().product()))
            }
            (&Module::Linear { in_features: inputs, out_features: outputs }, ActivationShape::Features(features)) => {
                sized(&[outputs])?;
                if inputs != features {
                    return unfit();
                }
                (Layer::Linear { inputs, outputs }, ActivationShape::Features(outputs))
            }
            (
                &Module::Conv2d {
                    in_channels: inputs,
                    out_channels: outputs,
                    kernel_size: kernel,
                    stride,
                    padding,
                    bias,
                },
                ActivationShape::Image(image),
            ) => {
                sized(&[outputs, kernel, stride, padding + 1])?;
                let Some(size) = window_sizes(image, kernel, stride, padding).filter(|_| inputs == image[0]) else {
                    return unfit();
                };
                let conv = Layer::Conv { inputs, outputs, kernel, stride, padding, bias, size };
                (conv, ActivationShape::Image([outputs, size[0], size[1]]))
            }
            (&Module::BatchNorm1d { num_features: channels }, ActivationShape::Features(found))
            | (&Module::BatchNorm2d { num_features: channels }, ActivationShape::Image([found, ..])) => {
                if channels != found {
                    return unfit();
                }
                (Layer::BatchNorm { channels }, shape)
            }
            (Module::ReLU {}, _) => (Layer::Relu, shape),
            (&Module::Dropout { p: rate }, _) if (0.0..1.0).contains(&rate) => (Layer::Dropout { rate }, shape),
            (
                &(Module::MaxPool2d { kernel_size: size, stride } | Module::AvgPool2d { kernel_size: size, stride }),
                ActivationShape::Image(image),
            ) => {
                sized(&[size, stride])?;
                let Some([height, width]) = window_sizes(image, size, stride, 0) else { return unfit() };
                let is_max = matches!(module, Module::MaxPool2d { .. });
                let layer = if is_max { Layer::MaxPool { size, stride } } else { Layer::AvgPool { size, stride } };
                (layer, ActivationShape::Image([image[0], height, width]))
            }
            (Module::AdaptiveAvgPool2d { output_size: 1 }, ActivationShape::Image([channels, ..])) => {
                (Layer::GlobalAvgPool, ActivationShape::Features(channels))
            }
            (Module::Residual { body, shortcut }, _) => {
                let (body, output) = self.layers(body, shape)?;
                let (shortcut, other) = self.layers(shortcut, shape)?;
                if output != other {
                    return refuse(format!("the two branches of `{name}` have outputs of different shapes"));
                }
                (Layer::Residual { body, shortcut }, output)
            }
            _ => return unfit(),
        })
    }
}

/// Returns height and width of the output of a window that moves over an image; `None` if it does not fit in.
fn window_sizes([_, height, width]: [usize; 3], size: usize, stride: usize, padding: usize) -> Option<[usize; 2]> {
    let length = |length: usize| Some((length + 2 * padding).checked_sub(size)? / stride + 1);
    Some([length(height)?, length(width)?])
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;
    use crate::config::{Architecture, NetworkConfig};

    fn network(architecture: Architecture, input: [usize; 3]) -> Network {
        build(&NetworkConfig::from(architecture), input, 10).unwrap()
    }

    #[test]
    fn description_gives_the_same_network_for_every_kind_of_architecture() {
        for (architecture, input) in [
            (Architecture::Lenet300100, [1, 28, 28]),
            (Architecture::Lenet5, [1, 28, 28]),
            (Architecture::Conv2, [3, 32, 32]),
            (Architecture::Resnet20, [3, 32, 32]),
            (Architecture::WideResnet { depth: 10, width: 2 }, [3, 32, 32]),
            (Architecture::Vgg11, [3, 32, 32]),
        ] {
            let network = network(architecture, input);
            let description = NetworkDescription::of(&network);
            assert_eq!(description.network().unwrap(), network);
            let text = serde_json::to_string(&description).unwrap();
            assert_eq!(serde_json::from_str::<NetworkDescription>(&text).unwrap(), description);
        }
    }

    #[test]
    fn description_names_modules_as_tensors_are_named() {
        let description = NetworkDescription::of(&network(Architecture::Lenet300100, [1, 28, 28]));
        let names: Vec<&str> = description.modules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["flatten1", "linear1", "relu1", "linear2", "relu2", "output"]);
        let text = serde_json::to_string(&description.modules[1]).unwrap();
        assert_eq!(text, r#"["linear1",{"Linear":{"in_features":784,"out_features":300}}]"#);
    }

    #[test]
    fn descriptions_that_do_not_fit_are_refused() {
        let whole = NetworkDescription::of(&network(Architecture::Lenet300100, [1, 28, 28]));
        let reason = |change: &dyn Fn(&mut NetworkDescription)| {
            let mut description = whole.clone();
            change(&mut description);
            description.network().unwrap_err().0
        };
        assert_eq!(reason(&|net| net.input = [1, 28, 29]), "`linear1` does not fit the layer before it");
        assert_eq!(reason(&|net| net.classes = 11), "its last layer does not have 11 outputs, one for each class");
        assert_eq!(reason(&|net| net.input = [0, 28, 28]), "a size of `input` is 0");
        let renamed = reason(&|net| net.modules[1].0 = "fc1".to_owned());
        assert_eq!(renamed, "its layers have other names than those of this program");
        let nested = reason(&|net| {
            let modules = vec![("relu".to_owned(), Module::ReLU {}); MAX_MODULES];
            net.modules.insert(0, ("block1".to_owned(), Module::Residual { body: modules, shortcut: vec![] }));
        });
        assert_eq!(nested, "it has more than 2000 layers");
    }
}
