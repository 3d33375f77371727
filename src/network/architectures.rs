//! The architectures by name, as lists of layers.

use super::layer::{Layer, Network};
use crate::config::Architecture;

/// Builds `architecture` for images of shape `input` (channels, height, width).
pub fn build(architecture: &Architecture, input: [usize; 3], classes: usize) -> Network {
    let hidden: &[u32] = match architecture {
        Architecture::Lenet300100 => &[300, 100],
        Architecture::Mlp { hidden } => hidden,
    };
    let mut layers = vec![Layer::Flatten];
    let mut inputs = input.iter().product();
    for &units in hidden {
        layers.extend([Layer::Linear { inputs, outputs: units as usize }, Layer::Relu]);
        inputs = units as usize;
    }
    layers.push(Layer::Linear { inputs, outputs: classes });
    Network { input, classes, layers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenet_has_the_papers_counts() {
        let lenet = build(&Architecture::Lenet300100, [1, 28, 28], 10);
        let weights = lenet.weights();
        let counts: Vec<usize> = weights.iter().map(|w| w.parameter.len()).collect();
        assert_eq!(counts, [235_200, 30_000, 1_000]);
        assert_eq!((lenet.weights_total(), lenet.macs(&[235_200, 30_000, 1_000])), (266_200, 266_200));
        let names: Vec<_> = lenet.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "output.weight", "output.bias"]
        );
        assert_eq!(lenet, build(&Architecture::Mlp { hidden: vec![300, 100] }, [1, 28, 28], 10));
    }
}
