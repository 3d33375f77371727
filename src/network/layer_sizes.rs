//! Input sizes of layers, and what depends on them or on the order of the layers: the input sizes of batch norms,
//! dropout rates, and warnings about even kernels.

use super::layer::Layer;
use super::model::Network;
use crate::config::{self, LayerSpec};

/// A batch norm of a network and the size of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchNormSize {
    /// The layer's name, such as `bn1` or `block1.bn2`.
    pub name: String,
    /// Height and width of its input; 1 × 1 after a linear layer.
    pub input_size: [usize; 2],
}

impl Network {
    /// Returns every batch norm, in the order of the layers.
    pub fn batch_norms(&self) -> Vec<BatchNormSize> {
        let mut sizes = Vec::new();
        walk(&self.layers, [self.input[1], self.input[2]], &mut |layer, input_size| {
            if matches!(layer, Layer::BatchNorm { .. }) {
                sizes.push(input_size);
            }
        });
        // Buffers come in pairs: the running mean and the running variance of each batch norm, in the same order.
        let means = self.buffers().iter().step_by(2);
        let layer_name = |tensor: &str| tensor.rsplit_once('.').map_or(tensor, |(layer, _)| layer).to_owned();
        means.zip(sizes).map(|(mean, input_size)| BatchNormSize { name: layer_name(&mean.name), input_size }).collect()
    }

    /// Returns the rate of every dropout layer, in the order of the layers; of a residual block the body comes first.
    pub fn dropout_rates(&self) -> Vec<f64> {
        let mut rates = Vec::new();
        walk(&self.layers, [self.input[1], self.input[2]], &mut |layer, _| {
            if let Layer::Dropout { rate } = layer {
                rates.push(*rate);
            }
        });
        rates
    }
}

/// Calls `visit` with each layer and the height and width of its input; returns those of the last layer's output.
fn walk(layers: &[Layer], mut size: [usize; 2], visit: &mut dyn FnMut(&Layer, [usize; 2])) -> [usize; 2] {
    for layer in layers {
        visit(layer, size);
        size = match layer {
            Layer::Conv { size, .. } => *size,
            Layer::MaxPool { size: square, stride } | Layer::AvgPool { size: square, stride } => {
                size.map(|length| (length - square) / stride + 1)
            }
            Layer::Flatten | Layer::Linear { .. } | Layer::GlobalAvgPool => [1, 1],
            Layer::Residual { body, shortcut } => {
                let output_size = walk(body, size, visit);
                walk(shortcut, size, visit);
                output_size
            }
            Layer::BatchNorm { .. } | Layer::Relu | Layer::Dropout { .. } => size,
        };
    }
    size
}

/// Returns a warning for each convolution with an even kernel whose default padding makes the image larger than an odd
/// kernel would. `spec` is the configuration that `network` was built from.
pub fn even_kernel_warnings(spec: &config::NetworkConfig, network: &Network) -> Vec<String> {
    let mut convolutions = Vec::new();
    walk(&network.layers, [network.input[1], network.input[2]], &mut |layer, input_size| {
        if let Layer::Conv { kernel, stride, padding, size, .. } = *layer {
            convolutions.push((kernel, stride, padding, input_size, size));
        }
    });
    // Named architectures have odd kernels only.
    let specs = spec.layers().iter().filter(|layer| matches!(layer, LayerSpec::Conv { .. }));
    let has_default_padding = specs.map(|layer| matches!(layer, LayerSpec::Conv { padding: None, .. }));
    let mut warnings = Vec::new();
    for (index, ((kernel, stride, padding, input_size, output_size), is_default)) in
        convolutions.into_iter().zip(has_default_padding).enumerate()
    {
        let odd_kernel_size = input_size.map(|length| length.div_ceil(stride));
        if is_default && kernel % 2 == 0 && output_size != odd_kernel_size {
            let less_padding =
                input_size.map(|length| (length + 2 * (padding - 1)).saturating_sub(kernel) / stride + 1);
            let input = describe_size(input_size);
            let output = describe_size(output_size);
            let with_less_padding = describe_size(less_padding);
            warnings.push(format!(
                "layer `conv{}` makes {output} of {input}: its kernel is even, and the default padding is {padding} on \
                 each side; set `padding` (`padding = {}` gives {with_less_padding}) or take an odd kernel",
                index + 1,
                padding - 1
            ));
        }
    }
    warnings
}

fn describe_size([height, width]: [usize; 2]) -> String {
    format!("{height} × {width}")
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;
    use crate::config::{ConfigDocument, read};

    fn network(layers: &str) -> (config::NetworkConfig, Network) {
        let set = format!("network={{layers={layers}}}");
        let text = include_str!("../../configs/smoke.toml");
        let spec = read(&ConfigDocument::parse("smoke.toml", text, &[set]).unwrap()).unwrap().network;
        let network = build(&spec, [1, 28, 28], 10).unwrap();
        (spec, network)
    }

    #[test]
    fn batch_norms_have_the_input_sizes_of_their_images() {
        let layers = "[{conv={out=4,stride=2}},\"batch_norm\",{max_pool={size=2}},\"batch_norm\",{linear={out=8}},\
                      \"batch_norm\",\"relu\",{linear={out=10}}]";
        let norms: Vec<_> =
            network(layers).1.batch_norms().into_iter().map(|norm| (norm.name, norm.input_size)).collect();
        assert_eq!(norms, [("bn1".into(), [14, 14]), ("bn2".into(), [7, 7]), ("bn3".into(), [1, 1])]);
        let resnet =
            build(&config::NetworkConfig::from(config::Architecture::Resnet20), [3, 32, 32], 10).unwrap().batch_norms();
        let input_size = |name: &str| resnet.iter().find(|norm| norm.name == name).unwrap().input_size;
        let names = ["bn1", "block4.bn1", "block4.shortcut_bn", "block9.bn2"];
        assert_eq!(names.map(input_size), [[32; 2], [16; 2], [16; 2], [8; 2]]);
    }

    #[test]
    fn even_kernels_with_default_padding_get_a_warning_with_their_sizes() {
        let warnings = |layers: &str| {
            let (spec, network) = network(layers);
            even_kernel_warnings(&spec, &network)
        };
        let two = warnings("[{conv={out=4,kernel=2}},{conv={out=4}},{conv={out=4,kernel=4}},{linear={out=10}}]");
        assert_eq!(two.len(), 2);
        assert!(two[0].starts_with("layer `conv1` makes 29 × 29 of 28 × 28"), "{two:?}");
        assert!(two[1].contains("`conv3` makes 30 × 30 of 29 × 29") && two[1].contains("`padding = 1` gives 28 × 28"));
        let stride = warnings("[{conv={out=4,kernel=4,stride=2}},{linear={out=10}}]");
        assert!(stride[0].contains("makes 15 × 15 of 28 × 28") && stride[0].contains("`padding = 1` gives 14 × 14"));
        assert_eq!(warnings("[{conv={out=4,kernel=2,padding=1}},{conv={out=4,kernel=5}},{linear={out=10}}]"), [""; 0]);
    }
}
