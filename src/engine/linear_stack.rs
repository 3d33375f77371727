//! A fully connected network as its linear layers: what both engines for such networks are built from.

use anyhow::{Result, bail, ensure};

use super::dropout::Dropout;
use crate::network::{Layer, Network};

/// A linear layer, and what follows it before the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearLayout {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) relu: bool,
    pub(super) dropout: Option<Dropout>,
}

/// Linear layers, each with or without a `ReLU` and a dropout behind it.
#[derive(Clone, Debug)]
pub(super) struct LinearStack {
    /// Of the inputs.
    pub(super) dropout: Option<Dropout>,
    /// At least one; the last has neither `ReLU` nor dropout.
    pub(super) layers: Vec<LinearLayout>,
}

impl LinearStack {
    /// Reads the list of layers. A `ReLU` and a dropout may stand in either order: they commute.
    ///
    /// # Errors
    /// Where the network is of another form.
    pub(super) fn new(network: &Network) -> Result<Self> {
        let mut layers: Vec<LinearLayout> = Vec::new();
        let (mut of_inputs, mut dropouts) = (None, 0);
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
                    let dropout = layers.last_mut().map_or(&mut of_inputs, |layer| &mut layer.dropout);
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
        Ok(Self { dropout: of_inputs, layers })
    }
}
