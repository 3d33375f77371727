//! A fully connected network as a chain of linear layers, for the two trainers of such networks.

use anyhow::{Result, bail, ensure};

use super::dropout::Dropout;
use crate::network::{Layer, Network};

/// A linear layer and the elementwise layers after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearLayout {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Whether a `ReLU` follows.
    pub(super) relu: bool,
    /// The dropout layer that follows.
    pub(super) dropout: Option<Dropout>,
}

/// A chain of linear layers, each with or without a `ReLU` and a dropout after it.
#[derive(Clone, Debug)]
pub(super) struct LinearStack {
    /// Dropout of the network's inputs.
    pub(super) dropout: Option<Dropout>,
    /// At least one layer; the last has neither `ReLU` nor dropout.
    pub(super) layers: Vec<LinearLayout>,
}

impl LinearStack {
    /// Returns the layers of `network` as a chain. `ReLU` and dropout may follow a layer in either order: they commute.
    ///
    /// # Errors
    /// If the network has another form.
    pub(super) fn new(network: &Network) -> Result<Self> {
        let mut layers: Vec<LinearLayout> = Vec::new();
        let mut input_dropout = None;
        let mut dropouts = 0;
        for layer in &network.layers {
            match (*layer).clone() {
                Layer::Flatten if layers.is_empty() => {}
                Layer::Linear { inputs, outputs } => {
                    layers.push(LinearLayout { inputs, outputs, relu: false, dropout: None });
                }
                Layer::Relu if layers.last().is_some_and(|layer| !layer.relu) => {
                    layers.last_mut().into_iter().for_each(|layer| layer.relu = true);
                }
                Layer::Dropout { rate } => {
                    let dropout = layers.last_mut().map_or(&mut input_dropout, |layer| &mut layer.dropout);
                    ensure!(dropout.is_none(), "two dropout layers behind one linear layer");
                    *dropout = Some(Dropout::new(dropouts, rate));
                    dropouts += 1;
                }
                other => bail!("no trainer knows a network with {other:?} at this place"),
            }
        }
        ensure!(
            layers.last().is_some_and(|last| !last.relu && last.dropout.is_none()),
            "the last layer must be linear"
        );
        Ok(Self { dropout: input_dropout, layers })
    }
}
