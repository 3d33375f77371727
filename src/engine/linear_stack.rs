//! A fully connected network as its linear layers: the form that both trainers of such networks are built from.

use anyhow::{Result, bail, ensure};

use super::dropout::Dropout;
use crate::network::{Layer, Network};

/// A linear layer, and the layers without weights between it and the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearLayout {
    /// Input features.
    pub(super) inputs: usize,
    /// Output features.
    pub(super) outputs: usize,
    /// Whether a `ReLU` follows.
    pub(super) relu: bool,
    /// The dropout of the outputs, if there is one.
    pub(super) dropout: Option<Dropout>,
}

/// Linear layers, each with or without a `ReLU` and a dropout after it.
#[derive(Clone, Debug)]
pub(super) struct LinearStack {
    /// The dropout of the network's inputs, if there is one.
    pub(super) dropout: Option<Dropout>,
    /// At least one; the last has neither `ReLU` nor dropout.
    pub(super) layers: Vec<LinearLayout>,
}

impl LinearStack {
    /// Reads the layers of a network. A `ReLU` and a dropout may stand in either order: they commute.
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
