//! From a name, or layers as a person writes them, to a network whose shapes fit.

use super::layer::{Layer, Network};
use crate::config::{self, Architecture, LayerSpec, Problem};

/// Builds the network for images of shape `input` (channels, height, width).
///
/// # Errors
/// Layers that do not fit together, or not to the classes.
pub fn build(network: &config::Network, input: [usize; 3], classes: usize) -> Result<Network, Vec<Problem>> {
    let plain = |hidden: &[u32]| -> Vec<LayerSpec> {
        let hidden = hidden.iter().flat_map(|&out| [LayerSpec::Linear { out }, LayerSpec::Relu]);
        hidden.chain([LayerSpec::Linear { out: classes as u32 }]).collect()
    };
    let layers = match (&network.architecture, &network.layers) {
        (_, Some(layers)) => layers.clone(),
        (Some(Architecture::Mlp { hidden }), None) => plain(hidden),
        // Without either the experiment has been refused before.
        (Some(Architecture::Lenet300100) | None, None) => plain(&[300, 100]),
    };
    let mut sketch = Sketch { width: input.iter().product(), stage: Stage::Image, layers: vec![], problems: vec![] };
    for (at, layer) in layers.iter().enumerate() {
        sketch.add(at, layer);
    }
    sketch.end(layers.len(), classes);
    let Sketch { layers, problems, .. } = sketch;
    if problems.is_empty() { Ok(Network { input, classes, layers }) } else { Err(problems) }
}

/// What stands before the next layer.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The image itself.
    Image,
    /// A row of numbers: behind a linear layer or the flattened image; what has been done to them since.
    Row { is_input: bool, relu: bool, dropout: bool },
}

/// A network being put together.
struct Sketch {
    /// Numbers per image that the next layer gets.
    width: usize,
    stage: Stage,
    layers: Vec<Layer>,
    problems: Vec<Problem>,
}

impl Sketch {
    fn add(&mut self, at: usize, layer: &LayerSpec) {
        let mut refuse = |message: &str, hint: &str| {
            let key = format!("network.layers[{at}]");
            self.problems.push(Problem::new(&key, format!("`{key}`: {message}")).hint(hint));
        };
        match (layer, self.stage) {
            (LayerSpec::Flatten, Stage::Image) => self.flatten(),
            (LayerSpec::Flatten, Stage::Row { .. }) => {
                refuse("`flatten` gets a row of numbers, which is flat already", "leave it out");
            }
            (LayerSpec::Relu, Stage::Image | Stage::Row { is_input: true, .. }) => {
                refuse("`relu` stands before the first linear layer", "put a `{ linear = { out = … } }` before it");
            }
            (LayerSpec::Relu, Stage::Row { relu: true, .. }) => {
                refuse("this `relu` changes nothing: there is one since the last linear layer", "leave it out");
            }
            (LayerSpec::Dropout { .. }, Stage::Row { dropout: true, .. }) => {
                refuse(
                    "a second `dropout` since the last linear layer",
                    "give one: rates a and b together are 1 − (1 − a)·(1 − b)",
                );
            }
            (LayerSpec::Relu, Stage::Row { is_input, dropout, .. }) => {
                self.layers.push(Layer::Relu);
                self.stage = Stage::Row { is_input, relu: true, dropout };
            }
            (&LayerSpec::Dropout { rate }, stage) => {
                self.flatten_if(stage);
                self.layers.push(Layer::Dropout { rate });
                let (is_input, relu) = match stage {
                    Stage::Image => (true, false),
                    Stage::Row { is_input, relu, .. } => (is_input, relu),
                };
                self.stage = Stage::Row { is_input, relu, dropout: true };
            }
            (&LayerSpec::Linear { out }, stage) => {
                self.flatten_if(stage);
                self.layers.push(Layer::Linear { inputs: self.width, outputs: out as usize });
                self.width = out as usize;
                self.stage = Stage::Row { is_input: false, relu: false, dropout: false };
            }
        }
    }

    fn flatten_if(&mut self, stage: Stage) {
        if stage == Stage::Image {
            self.flatten();
        }
    }

    fn flatten(&mut self) {
        self.layers.push(Layer::Flatten);
        self.stage = Stage::Row { is_input: true, relu: false, dropout: false };
    }

    /// The last layer gives one number per class, and nothing is done to it.
    fn end(&mut self, count: usize, classes: usize) {
        let key = format!("network.layers[{}]", count.saturating_sub(1));
        match self.layers.last() {
            Some(&Layer::Linear { outputs, .. }) if outputs == classes => {}
            Some(&Layer::Linear { outputs, .. }) => {
                let message = format!("the last layer has {outputs} outputs for a data set of {classes} classes");
                let hint = format!("end with `{{ linear = {{ out = {classes} }} }}`");
                self.problems.push(Problem::new(format!("{key}.linear.out"), message).hint(hint));
            }
            last => {
                let (key, what) = match last {
                    None => ("network.layers".to_owned(), "there is no layer"),
                    Some(_) => (key, "the last layer is not linear"),
                };
                let hint = format!("end with `{{ linear = {{ out = {classes} }} }}`, one output for each class");
                self.problems.push(Problem::new(key, what).hint(hint));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, read};

    fn built(network: &str) -> Result<Network, Vec<Problem>> {
        let sets = [format!("network={network}")];
        let text = include_str!("../../configs/smoke.toml");
        let experiment = read(&Document::parse("smoke.toml", text, &sets).unwrap()).unwrap();
        build(&experiment.network, [1, 28, 28], 10)
    }

    #[test]
    fn lenet_has_the_papers_counts() {
        let lenet = built("{architecture=\"lenet_300_100\"}").unwrap();
        let weights = lenet.weights();
        let counts: Vec<usize> = weights.iter().map(|w| w.parameter.len()).collect();
        assert_eq!(counts, [235_200, 30_000, 1_000]);
        assert_eq!((lenet.weights_total(), lenet.macs(&[235_200, 30_000, 1_000])), (266_200, 266_200));
        let names: Vec<_> = lenet.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias", "output.weight", "output.bias"]
        );
        assert_eq!(lenet, built("{architecture={mlp={hidden=[300,100]}}}").unwrap());
        let layers = "[{linear={out=300}},\"relu\",{linear={out=100}},\"relu\",{linear={out=10}}]";
        assert_eq!(lenet, built(&format!("{{layers={layers}}}")).unwrap());
    }

    #[test]
    fn layers_in_their_order() {
        let network =
            built("{layers=[{dropout={rate=0.2}},{linear={out=5}},{dropout={rate=0.5}},\"relu\",{linear={out=10}}]}");
        let expected = [
            Layer::Flatten,
            Layer::Dropout { rate: 0.2 },
            Layer::Linear { inputs: 784, outputs: 5 },
            Layer::Dropout { rate: 0.5 },
            Layer::Relu,
            Layer::Linear { inputs: 5, outputs: 10 },
        ];
        assert_eq!(network.unwrap().layers, expected);
    }

    #[test]
    fn layers_that_do_not_fit() {
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
    }
}
