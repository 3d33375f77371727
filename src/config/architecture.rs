//! The architectures that have names, and the facts about each that other keys depend on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An architecture by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Architecture {
    /// `LeNet-300-100`: 784–300–100–10 with `ReLU` (`LeCun` et al. 1998; Frankle & Carbin 2019, Figure 2).
    #[serde(rename = "lenet_300_100")]
    Lenet300100,
    /// `LeNet-5` as it is trained today: 5×5 convolutions of 6 (padded by 2) and 16 channels, each with `ReLU` and 2×2
    /// max-pooling, then 120–84–10 with `ReLU` (`LeCun` et al. 1998 had trained pooling, tanh and fewer connections).
    #[serde(rename = "lenet_5")]
    Lenet5,
    /// Conv-2 (Frankle & Carbin 2019, Figure 2): two 3×3 convolutions of 64 channels, 2×2 max-pooling, then 256–256–10; all
    /// with `ReLU`.
    Conv2,
    /// Conv-4: Conv-2 with a second pair of convolutions, of 128 channels, and pooling.
    Conv4,
    /// Conv-6: Conv-4 with a third pair, of 256 channels, and pooling; 2.26 million weights (the paper prints 1.7 million,
    /// which its description does not give).
    Conv6,
    /// `ResNet-20` for CIFAR (He et al., arXiv 1512.03385, section 4.2) with convolutions on the shortcuts where the shape
    /// changes; the "Resnet-18" of Frankle & Carbin 2019.
    Resnet20,
    /// Another name of `resnet20`, used in the lottery ticket papers.
    Resnet18Lth,
    /// `ResNet-32` for CIFAR.
    Resnet32,
    /// `ResNet-56` for CIFAR.
    Resnet56,
    /// `ResNet-110` for CIFAR.
    Resnet110,
    /// VGG-11 for CIFAR: 3×3 convolutions with `ReLU` in five groups, 2×2 max-pooling after four of them and the mean of
    /// each channel after the last, one linear layer (Simonyan & Zisserman, arXiv 1409.1556; Liu et al. 2019).
    Vgg11,
    /// VGG-13 for CIFAR.
    Vgg13,
    /// VGG-16 for CIFAR.
    Vgg16,
    /// VGG-19 for CIFAR, as in Frankle & Carbin 2019.
    Vgg19,
    /// Wide `ResNet` for CIFAR (Zagoruyko & Komodakis, arXiv 1605.07146): residual blocks of two 3×3 convolutions, each after
    /// a batch norm and `ReLU`. WRN-22-2 has depth 22 and width 2.
    WideResnet {
        /// Number of layers with weights on the main branch: 4 more than a multiple of 6, at least 10.
        depth: u32,
        /// Multiple of the channels 16, 32 and 64 of the three stages, at least 1.
        width: u32,
    },
    /// A fully connected network with `ReLU`.
    Mlp {
        /// Number of units of each hidden layer, from the first to the last.
        hidden: Vec<u32>,
    },
}

/// A family of architectures with the same kinds of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ArchitectureFamily {
    /// Linear layers only.
    FullyConnected,
    /// Convolutions without batch norm, then hidden linear layers.
    ConvThenLinear,
    /// Residual blocks with convolutions on some shortcuts, then the output layer.
    ResNet,
    /// Convolutions with optional batch norm, then the output layer.
    Vgg,
}

/// Facts that decide which keys of a configuration apply to an architecture. A test in `network/architectures.rs` compares
/// them with the layers.
impl Architecture {
    /// Returns the family. The match has no wildcard, so that a new architecture must state its family.
    fn family(&self) -> ArchitectureFamily {
        match self {
            Self::Lenet300100 | Self::Mlp { .. } => ArchitectureFamily::FullyConnected,
            Self::Lenet5 | Self::Conv2 | Self::Conv4 | Self::Conv6 => ArchitectureFamily::ConvThenLinear,
            Self::Resnet18Lth
            | Self::Resnet20
            | Self::Resnet32
            | Self::Resnet56
            | Self::Resnet110
            | Self::WideResnet { .. } => ArchitectureFamily::ResNet,
            Self::Vgg11 | Self::Vgg13 | Self::Vgg16 | Self::Vgg19 => ArchitectureFamily::Vgg,
        }
    }

    /// Returns whether the main branch has convolutions. (Those on shortcuts do not count.)
    pub fn has_convolutions(&self) -> bool {
        match self.family() {
            ArchitectureFamily::FullyConnected => false,
            ArchitectureFamily::ConvThenLinear | ArchitectureFamily::ResNet | ArchitectureFamily::Vgg => true,
        }
    }

    /// Returns whether shortcuts have convolutions.
    pub fn has_shortcuts(&self) -> bool {
        match self.family() {
            ArchitectureFamily::ResNet => true,
            ArchitectureFamily::FullyConnected | ArchitectureFamily::ConvThenLinear | ArchitectureFamily::Vgg => false,
        }
    }

    /// Returns whether there are linear layers before the output layer.
    pub fn has_hidden_linear(&self) -> bool {
        match self.family() {
            ArchitectureFamily::FullyConnected | ArchitectureFamily::ConvThenLinear => true,
            ArchitectureFamily::ResNet | ArchitectureFamily::Vgg => false,
        }
    }

    /// Returns whether batch norm can be left out.
    pub fn has_optional_batch_norm(&self) -> bool {
        match self.family() {
            ArchitectureFamily::Vgg => true,
            ArchitectureFamily::FullyConnected | ArchitectureFamily::ConvThenLinear | ArchitectureFamily::ResNet => {
                false
            }
        }
    }
}
