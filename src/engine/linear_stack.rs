//! A fully connected network as a list of linear layers: the form that the trainers of such networks are built from.

use anyhow::{Result, bail, ensure};

use super::dropout::Dropout;
use crate::network::{Layer, Network};

/// The sizes of a linear layer, and the layers without weights between it and the next linear layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearShape {
    /// Input features.
    pub(super) inputs: usize,
    /// Output features.
    pub(super) outputs: usize,
    /// Whether a `ReLU` follows the linear layer.
    pub(super) relu: bool,
    /// The dropout of the outputs; `None` without a dropout layer.
    pub(super) dropout: Option<Dropout>,
}

/// Linear layers, each with or without a `ReLU` and a dropout after it.
#[derive(Clone, Debug)]
pub(super) struct LinearStack {
    /// The dropout of the network's inputs; `None` without a dropout layer.
    pub(super) dropout: Option<Dropout>,
    /// The linear layers, at least one, in the order they are applied; the last has neither `ReLU` nor dropout.
    pub(super) layers: Vec<LinearShape>,
}

impl LinearStack {
    /// Converts a network to its linear layers. The `ReLU` and the dropout of a layer may stand in either order: they
    /// commute.
    ///
    /// # Errors
    /// Fails if the network has other layers than [`Layer::Flatten`] (before the first linear layer),
    /// [`Layer::Linear`], [`Layer::Relu`] and [`Layer::Dropout`], if two `ReLU`s or two dropout layers follow one
    /// linear layer, if a `ReLU` comes before the first linear layer, or if the last layer is not linear.
    pub(super) fn new(network: &Network) -> Result<Self> {
        let mut layers: Vec<LinearShape> = Vec::new();
        let mut input_dropout = None;
        let mut dropout_count = 0;
        for layer in &network.layers {
            match (*layer).clone() {
                Layer::Flatten if layers.is_empty() => {}
                Layer::Linear { inputs, outputs } => {
                    layers.push(LinearShape { inputs, outputs, relu: false, dropout: None });
                }
                Layer::Relu if layers.last().is_some_and(|layer| !layer.relu) => {
                    if let Some(layer) = layers.last_mut() {
                        layer.relu = true;
                    }
                }
                Layer::Dropout { rate } => {
                    // Before the first linear layer a dropout layer drops inputs.
                    let dropout = layers.last_mut().map_or(&mut input_dropout, |layer| &mut layer.dropout);
                    ensure!(dropout.is_none(), "two dropout layers behind one linear layer");
                    *dropout = Some(Dropout::new(dropout_count, rate));
                    dropout_count += 1;
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
