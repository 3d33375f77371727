//! The named architectures as lists of layers. Residual blocks exist only here: a configuration cannot list them.

use super::builder::NetworkBuilder;
use super::model::Network;
use crate::config::{self, Architecture, Diagnostic, LayerSpec, NamedNetwork, NetworkStructure};

/// Output channels of the convolutions of a VGG for CIFAR, by depth; 0 stands for 2×2 max-pooling.
const VGG_11: &[u32] = &[64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512];
const VGG_13: &[u32] = &[64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512];
const VGG_16: &[u32] = &[64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512];
const VGG_19: &[u32] = &[64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512];

/// Builds the network for images of shape `input` (channels, height, width).
///
/// # Errors
/// Fails if layers do not fit each other, the images or the classes: one diagnostic for each problem.
pub fn build(network: &config::NetworkConfig, input: [usize; 3], classes: usize) -> Result<Network, Vec<Diagnostic>> {
    let mut builder = NetworkBuilder::new(input);
    match &network.structure {
        NetworkStructure::Layers(layers) => builder.add_all(layers),
        NetworkStructure::Named(named) => add_named(&mut builder, named, classes as u32),
    }
    builder.finish(classes)
}

/// Adds the layers of a named architecture.
fn add_named(builder: &mut NetworkBuilder, named: &NamedNetwork, classes: u32) {
    // Diagnostics are about the architecture as a whole, not about an entry of a list.
    builder.set_named();
    let dropout = named.dropout();
    let batch_norm = named.batch_norm();
    let mut add_sequential = |convolutions: &[LayerSpec], hidden: &[u32]| {
        let dropout = if dropout > 0.0 { Some(LayerSpec::Dropout { rate: dropout }) } else { None };
        let unit = |&out: &u32| [Some(LayerSpec::Linear { out }), Some(LayerSpec::Relu), dropout.clone()];
        let hidden = hidden.iter().flat_map(unit).flatten();
        let output = LayerSpec::Linear { out: classes };
        let layers: Vec<LayerSpec> = convolutions.iter().cloned().chain(hidden).chain([output]).collect();
        builder.add_all(&layers);
    };
    match &named.architecture {
        Architecture::Lenet300100 => add_sequential(&[], &[300, 100]),
        Architecture::Mlp { hidden } => add_sequential(&[], hidden),
        Architecture::Lenet5 => {
            let first = [conv(6, 5, 2, true), LayerSpec::Relu, max_pool()];
            let second = [conv(16, 5, 0, true), LayerSpec::Relu, max_pool()];
            add_sequential(&[first, second].concat(), &[120, 84]);
        }
        Architecture::Conv2 => add_sequential(&pairs(&[64]), &[256, 256]),
        Architecture::Conv4 => add_sequential(&pairs(&[64, 128]), &[256, 256]),
        Architecture::Conv6 => add_sequential(&pairs(&[64, 128, 256]), &[256, 256]),
        Architecture::Resnet20 | Architecture::Resnet18Lth => resnet(builder, 3, classes),
        Architecture::Resnet32 => resnet(builder, 5, classes),
        Architecture::Resnet56 => resnet(builder, 9, classes),
        Architecture::Resnet110 => resnet(builder, 18, classes),
        &Architecture::WideResnet { depth, width } => wide_resnet(builder, depth.saturating_sub(4) / 6, width, classes),
        Architecture::Vgg11 => add_sequential(&vgg(VGG_11, batch_norm), &[]),
        Architecture::Vgg13 => add_sequential(&vgg(VGG_13, batch_norm), &[]),
        Architecture::Vgg16 => add_sequential(&vgg(VGG_16, batch_norm), &[]),
        Architecture::Vgg19 => add_sequential(&vgg(VGG_19, batch_norm), &[]),
    }
}

fn conv(out: u32, kernel: u32, padding: u32, bias: bool) -> LayerSpec {
    LayerSpec::Conv { out, kernel: Some(kernel), stride: None, padding: Some(padding), bias: Some(bias) }
}

fn max_pool() -> LayerSpec {
    LayerSpec::MaxPool { size: 2, stride: None }
}

/// Returns pairs of 3×3 convolutions with 2×2 max-pooling after each pair (Frankle & Carbin 2019, Figure 2).
fn pairs(widths: &[u32]) -> Vec<LayerSpec> {
    let pair =
        |&width: &u32| [conv(width, 3, 1, true), LayerSpec::Relu, conv(width, 3, 1, true), LayerSpec::Relu, max_pool()];
    widths.iter().flat_map(pair).collect()
}

/// Returns the layers of a VGG before its linear layer. The convolutions have no bias if a batch norm follows, because
/// batch norm adds a bias itself.
fn vgg(widths: &[u32], batch_norm: bool) -> Vec<LayerSpec> {
    let convolution = |&width: &u32| match width {
        0 => vec![max_pool()],
        _ if batch_norm => vec![conv(width, 3, 1, false), LayerSpec::BatchNorm, LayerSpec::Relu],
        _ => vec![conv(width, 3, 1, true), LayerSpec::Relu],
    };
    widths.iter().flat_map(convolution).chain([LayerSpec::GlobalAvgPool]).collect()
}

/// Adds a `ResNet` for CIFAR (He et al., arXiv 1512.03385, section 4.2): a convolution of 16 channels; `blocks`
/// residual blocks each of 16, 32 and 64 channels, of which the first of 32 and of 64 halve the image and have a 1×1
/// convolution on their shortcut; global average pooling; one linear layer.
fn resnet(builder: &mut NetworkBuilder, blocks: u32, classes: u32) {
    let body = |out, stride, is_last: bool| {
        let conv = LayerSpec::Conv { out, kernel: None, stride: Some(stride), padding: None, bias: Some(false) };
        let relu = if is_last { None } else { Some(LayerSpec::Relu) };
        [Some(conv), Some(LayerSpec::BatchNorm), relu].into_iter().flatten()
    };
    builder.add_all(&body(16, 1, false).collect::<Vec<_>>());
    for (stage, width) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..blocks {
            let changes_shape = stage > 0 && block == 0;
            let stride = if changes_shape { 2 } else { 1 };
            let inner: Vec<LayerSpec> = body(width, stride, false).chain(body(width, 1, true)).collect();
            let shortcut = [
                LayerSpec::Conv { out: width, kernel: Some(1), stride: Some(2), padding: Some(0), bias: Some(false) },
                LayerSpec::BatchNorm,
            ];
            builder.residual(&inner, if changes_shape { &shortcut } else { &[] });
            builder.add_all(&[LayerSpec::Relu]);
        }
    }
    builder.add_all(&[LayerSpec::GlobalAvgPool, LayerSpec::Linear { out: classes }]);
}

/// Adds a wide `ResNet` for CIFAR (Zagoruyko & Komodakis, arXiv 1605.07146): a convolution of 16 channels; three stages of
/// `blocks` residual blocks, of 16, 32 and 64 times `width` channels; batch norm, global average pooling, one linear layer.
/// Batch norm and `ReLU` are before the convolutions of a block. Where a block changes the number of channels, they are
/// before its shortcut, a 1×1 convolution, too.
fn wide_resnet(builder: &mut NetworkBuilder, blocks: u32, width: u32, classes: u32) {
    const ACTIVATION: [LayerSpec; 2] = [LayerSpec::BatchNorm, LayerSpec::Relu];
    let conv = |out, kernel, stride| LayerSpec::Conv {
        out,
        kernel: Some(kernel),
        stride: Some(stride),
        padding: Some(kernel / 2),
        bias: Some(false),
    };
    builder.add_all(&[conv(16, 3, 1)]);
    let mut channels = 16;
    for (stage, base) in [16, 32, 64].into_iter().enumerate() {
        let out = base * width;
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let second = ACTIVATION.into_iter().chain([conv(out, 3, 1)]);
            if out == channels {
                let body: Vec<LayerSpec> = ACTIVATION.into_iter().chain([conv(out, 3, stride)]).chain(second).collect();
                builder.residual(&body, &[]);
            } else {
                builder.add_all(&ACTIVATION);
                let body: Vec<LayerSpec> = [conv(out, 3, stride)].into_iter().chain(second).collect();
                builder.residual(&body, &[conv(out, 1, stride)]);
            }
            channels = out;
        }
    }
    builder.add_all(&ACTIVATION);
    builder.add_all(&[LayerSpec::GlobalAvgPool, LayerSpec::Linear { out: classes }]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::experiment;
    use crate::network::{Layer, TensorSpec, WeightKind};

    fn configured(network: &str, input: [usize; 3]) -> Result<Network, Vec<Diagnostic>> {
        let network = format!("network={network}");
        build(&experiment(&[&network]).network, input, 10)
    }

    fn built(network: &str) -> Result<Network, Vec<Diagnostic>> {
        configured(network, [1, 28, 28])
    }

    fn named(name: &str) -> Network {
        configured(&format!("{{architecture=\"{name}\"}}"), [3, 32, 32]).unwrap()
    }

    fn counts(network: &Network) -> Vec<usize> {
        network.weights().iter().map(|w| w.parameter.len()).collect()
    }

    fn total_of(network: &Network, kind: WeightKind) -> usize {
        network.weights().iter().filter(|w| w.kind == kind).map(|w| w.parameter.len()).sum()
    }

    #[test]
    fn lenet_has_the_papers_counts() {
        let lenet = built("{architecture=\"lenet_300_100\"}").unwrap();
        assert_eq!(counts(&lenet), [235_200, 30_000, 1_000]);
        assert_eq!((lenet.weights_total(), lenet.macs(&[235_200, 30_000, 1_000])), (266_200, 266_200));
        let names: Vec<_> = lenet.parameters().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(
            names,
            ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "output.weight", "output.bias"]
        );
        assert_eq!(lenet, built("{architecture={mlp={hidden=[300,100]}}}").unwrap());
        let layers = "[{linear={out=300}},\"relu\",{linear={out=100}},\"relu\",{linear={out=10}}]";
        assert_eq!(lenet, built(&format!("{{layers={layers}}}")).unwrap());
    }

    #[test]
    fn conv_networks_have_the_papers_counts() {
        // The sizes of Frankle & Carbin 2019, Figure 2, layer by layer (Conv-6: 2.26 million weights, where it prints
        // 1.7).
        let conv2 = named("conv2");
        assert_eq!(counts(&conv2), [1_728, 36_864, 4_194_304, 65_536, 2_560]);
        let totals = ["conv2", "conv4", "conv6"].map(|name| named(name).weights_total());
        assert_eq!(totals, [4_300_992, 2_425_024, 2_261_184]);
        let convs = ["conv2", "conv4", "conv6"].map(|name| total_of(&named(name), WeightKind::Conv));
        assert_eq!(convs, [38_592, 259_776, 1_144_512]);
        // 3×3 kernels at 32×32 positions, and every linear weight once.
        assert_eq!(conv2.macs(conv2.weight_counts()), (1_728 + 36_864) * 1_024 + 4_194_304 + 65_536 + 2_560);
        let lenet_5 = built("{architecture=\"lenet_5\"}").unwrap();
        assert_eq!(counts(&lenet_5), [150, 2_400, 48_000, 10_080, 840]);
        assert_eq!(lenet_5.weights()[0].macs_per_weight, 28 * 28);
    }

    #[test]
    fn deep_networks_have_the_papers_counts() {
        let resnet = named("resnet20");
        assert_eq!(resnet, named("resnet18_lth"));
        assert_eq!((resnet.weights_total(), total_of(&resnet, WeightKind::Shortcut)), (270_896, 2_560));
        assert_eq!((total_of(&resnet, WeightKind::Conv), total_of(&resnet, WeightKind::Output)), (267_696, 640));
        let layers: Vec<&str> = resnet.weights().iter().map(|w| w.layer.as_str()).collect();
        assert_eq!(layers.len(), 20 + 2);
        assert_eq!(layers[..4], ["conv1", "block1.conv1", "block1.conv2", "block2.conv1"]);
        assert_eq!(layers[7..10], ["block4.conv1", "block4.conv2", "block4.shortcut"]);
        assert_eq!(*layers.last().unwrap(), "output");
        let norms = resnet.buffers();
        assert_eq!((norms.len(), norms[0].name.as_str()), (2 * 21, "bn1.running_mean"));
        let last = &resnet.weights()[layers.len() - 2];
        assert_eq!(last.macs_per_weight, 64, "8 × 8 positions in the last stage");
        // Two weighted layers a block, one before and one after: 6n + 2.
        let depths = ["resnet32", "resnet56", "resnet110"].map(|name| named(name).weights().len() - 2);
        assert_eq!(depths, [32, 56, 110]);
        let vgg = named("vgg19");
        assert_eq!((vgg.weights_total(), total_of(&vgg, WeightKind::Output)), (20_024_000, 5_120));
        let depths = ["vgg11", "vgg13", "vgg16", "vgg19"].map(|name| named(name).weights().len());
        assert_eq!(depths, [9, 11, 14, 17], "two linear layers fewer than on ImageNet");
        let plain = configured("{architecture=\"vgg11\",batch_norm=false}", [3, 32, 32]).unwrap();
        assert_eq!((plain.buffers().len(), plain.weights_total()), (0, named("vgg11").weights_total()));
        assert!(plain.parameters().iter().any(|p| p.name == "conv1.bias"), "which batch norm would make redundant");
    }

    #[test]
    fn wide_networks_have_the_papers_counts() {
        let wide = |depth: u32, width: u32| {
            configured(&format!("{{architecture={{wide_resnet={{depth={depth},width={width}}}}}}}"), [3, 32, 32])
                .unwrap()
        };
        // The paper has 36.5 million parameters of WRN-28-10, and 2.7 of WRN-16-4; those of batch norms are among them.
        let parameters = |network: &Network| network.parameters().iter().map(TensorSpec::len).sum::<usize>();
        assert_eq!([wide(28, 10), wide(16, 4)].map(|network| parameters(&network)), [36_479_194, 2_748_890]);
        let network = wide(22, 2);
        let layers: Vec<&str> = network.weights().iter().map(|w| w.layer.as_str()).collect();
        assert_eq!(layers.len(), 1 + 9 * 2 + 3 + 1, "each stage has a convolution on one shortcut");
        assert_eq!(layers[..5], ["conv1", "block1.conv1", "block1.conv2", "block1.shortcut", "block2.conv1"]);
        assert_eq!(
            wide(10, 1).weights().len(),
            1 + 3 * 2 + 2 + 1,
            "the first stage of width 1 has 16 channels already"
        );
    }

    #[test]
    fn dropout_follows_hidden_linear_layers() {
        let with = configured("{architecture=\"conv2\",dropout=0.5}", [3, 32, 32]).unwrap();
        let dropouts: Vec<usize> =
            (0..with.layers.len()).filter(|&i| with.layers[i] == Layer::Dropout { rate: 0.5 }).collect();
        assert_eq!(dropouts.len(), 2);
        assert!(dropouts.iter().all(|&i| with.layers[i - 1] == Layer::Relu));
    }

    #[test]
    fn layers_keep_their_order() {
        let network =
            built("{layers=[{dropout={rate=0.2}},{linear={out=5}},{dropout={rate=0.5}},\"relu\",{linear={out=10}}]}");
        let expected = [
            Layer::Dropout { rate: 0.2 },
            Layer::Flatten,
            Layer::Linear { inputs: 784, outputs: 5 },
            Layer::Dropout { rate: 0.5 },
            Layer::Relu,
            Layer::Linear { inputs: 5, outputs: 10 },
        ];
        assert_eq!(network.unwrap().layers, expected);
    }

    #[test]
    fn shapes_follow_from_kernels_strides_and_padding() {
        let layers = "[{conv={out=4,kernel=5,stride=2}},\"batch_norm\",\"relu\",{max_pool={size=3,stride=2}},{avg_pool={size=2}},\"global_avg_pool\",{linear={out=10}}]";
        let network = built(&format!("{{layers={layers}}}")).unwrap();
        // 28 + 2·2 − 5 = 27 steps of 2: 14; pooled to 6, then to 3.
        assert_eq!(network.weights()[0].macs_per_weight, 14 * 14);
        assert_eq!(network.layers.last(), Some(&Layer::Linear { inputs: 4, outputs: 10 }));
        let flat = built("{layers=[{conv={out=4,kernel=5,padding=0}},{max_pool={size=2}},{linear={out=10}}]}").unwrap();
        assert_eq!(flat.layers.last(), Some(&Layer::Linear { inputs: 4 * 12 * 12, outputs: 10 }));
    }

    #[test]
    fn layers_that_do_not_fit_are_rejected() {
        let keys = |layers: &str| -> Vec<String> {
            let problems = built(&format!("{{layers={layers}}}")).unwrap_err();
            problems.into_iter().map(|problem| problem.key).collect()
        };
        assert_eq!(keys("[]"), ["network.layers"]);
        assert_eq!(keys("[{linear={out=9}}]"), ["network.layers[0].linear.out"]);
        assert_eq!(keys("[{linear={out=10}},\"relu\"]"), ["network.layers[1]"]);
        assert_eq!(
            keys("[\"relu\",\"flatten\",\"flatten\",{linear={out=10}}]"),
            [0, 2].map(|i| format!("network.layers[{i}]"))
        );
        let twice = "[{linear={out=3}},\"relu\",{dropout={rate=0.1}},\"relu\",{dropout={rate=0.1}},{linear={out=10}}]";
        assert_eq!(keys(twice), [3, 4].map(|i| format!("network.layers[{i}]")));
        let late = "[{linear={out=3}},{conv={out=3}},{max_pool={size=2}},\"global_avg_pool\",{linear={out=10}}]";
        assert_eq!(keys(late), [1, 2, 3].map(|i| format!("network.layers[{i}]")));
    }

    #[test]
    fn a_kernel_that_does_not_fit_is_rejected_with_its_shapes() {
        let large = built("{layers=[{max_pool={size=4}},{conv={out=3,kernel=9,padding=0}},{linear={out=10}}]}");
        let problems = large.unwrap_err();
        assert_eq!(problems[0].key, "network.layers[1]");
        assert!(
            problems[0].message.contains("9 × 9") && problems[0].message.contains("an image of 1 × 7 × 7"),
            "{problems:?}"
        );
        let small = configured("{architecture=\"conv6\"}", [3, 4, 4]).unwrap_err();
        assert_eq!((small.len(), small[0].key.as_str()), (1, "network.architecture"));
        assert!(small[0].message.contains("images of 3 × 4 × 4 do not fit"), "{small:?}");
    }

    #[test]
    fn architecture_facts_agree_with_the_layers() {
        let all = [
            Architecture::Lenet300100,
            Architecture::Lenet5,
            Architecture::Conv2,
            Architecture::Conv4,
            Architecture::Conv6,
            Architecture::Resnet20,
            Architecture::Resnet18Lth,
            Architecture::Resnet32,
            Architecture::Resnet56,
            Architecture::Resnet110,
            Architecture::Vgg11,
            Architecture::Vgg13,
            Architecture::Vgg16,
            Architecture::Vgg19,
            Architecture::WideResnet { depth: 10, width: 2 },
            Architecture::Mlp { hidden: vec![8] },
        ];
        let schema = config::schema();
        let variants = schema["$defs"]["Architecture"]["oneOf"].as_array().unwrap();
        assert_eq!(all.len(), variants.len(), "every architecture is in the list");
        for architecture in all {
            let spec = config::NetworkConfig::from(architecture.clone());
            let built = |spec: &config::NetworkConfig| build(spec, [3, 32, 32], 10).unwrap();
            let network = built(&spec);
            let has_kind = |kind| total_of(&network, kind) > 0;
            assert_eq!(architecture.has_convolutions(), has_kind(WeightKind::Conv), "{architecture:?}");
            assert_eq!(architecture.has_shortcuts(), has_kind(WeightKind::Shortcut), "{architecture:?}");
            assert_eq!(architecture.has_hidden_linear(), has_kind(WeightKind::Linear), "{architecture:?}");
            let without = NamedNetwork { architecture: architecture.clone(), batch_norm: Some(false), dropout: None };
            let without = built(&NetworkStructure::Named(without).into());
            assert_eq!(architecture.has_optional_batch_norm(), without != network, "{architecture:?}");
        }
    }
}
