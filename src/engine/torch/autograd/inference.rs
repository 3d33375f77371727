//! A trained network that only computes logits, on the CPU in float32.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tch::{Device, Kind, Tensor};

use super::device_images::DeviceImages;
use super::dropout::DropoutMasks;
use super::lane_tensors::lane_shape;
use super::layers::{BatchNormMode, Forward};
use super::memory::Memory;
use super::{dropouts, takes_features};
use crate::base::tensors::{NamedTensor, TensorMap};
use crate::config::MatmulPrecision;
use crate::data::Dataset;
use crate::engine::dropout::Dropout;
use crate::engine::param_layout::{ParamLayout, ParamSlot};
use crate::network::Network;

/// A network that computes the logits of images with libtorch: every weight is multiplied, pruned or not.
pub struct DenseInference {
    network: Network,
    images: DeviceImages,
    /// The parameters in the network's order, in their shapes for one lane.
    parameters: Vec<Tensor>,
    /// Running statistics [channels] each.
    buffers: Vec<Tensor>,
    dropouts: Vec<Dropout>,
}

impl DenseInference {
    /// Returns a network with these weights and buffers, for the images of `dataset`. Limits libtorch's computations in
    /// this thread to one thread.
    ///
    /// # Errors
    /// Fails if images or tensors do not fit the network, or libtorch fails.
    pub fn new(network: &Network, tensors: &TensorMap, dataset: &Arc<Dataset>) -> Result<Self> {
        ensure!(dataset.shape == network.input, "images of another shape than the network's");
        tch::set_num_threads(1);
        let (weights, buffers) = network.split_buffers(tensors.clone());
        let parameter = |(slot, tensor): (&ParamSlot, &NamedTensor)| {
            Ok(Tensor::from_slice(&tensor.values).f_view(lane_shape(&slot.spec, 1).as_slice())?)
        };
        let layout = ParamLayout::new(network.parameters(), 1, 1);
        let parameters = layout.tensors(&weights)?.into_iter().map(parameter).collect::<Result<_>>()?;
        let layout = ParamLayout::new(network.buffers(), 1, 1);
        let buffers =
            layout.tensors(&buffers)?.into_iter().map(|(_, tensor)| Tensor::from_slice(&tensor.values)).collect();
        Ok(Self {
            network: network.clone(),
            images: DeviceImages::new(dataset, (Device::Cpu, Memory::Host), Kind::Float, true)?,
            parameters,
            buffers,
            dropouts: dropouts(network),
        })
    }

    /// Returns the logits [images, classes] of images, which are indices into the data set; not empty.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub fn logits(&self, images: &[u32]) -> Result<Vec<f32>> {
        let _guard = tch::no_grad_guard();
        let (input, _) = self.images.plain_batch(images, 1, takes_features(&self.network))?;
        let forward = Forward {
            lanes: 1,
            parameters: self.parameters.iter(),
            buffers: self.buffers.iter(),
            batch_norm: BatchNormMode::Eval,
            dropout: DropoutMasks::new(&self.dropouts, None),
            matmul_precision: MatmulPrecision::Exact,
            on_linear_input: None,
        };
        let logits = forward.logits(&self.network.layers, input)?.f_reshape([-1])?;
        Ok(Vec::try_from(logits)?)
    }
}
