//! Weights, optimizer moments and buffers in host memory. Independent of devices.

/// A named float32 tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Name of the tensor, such as `linear1.weight`.
    pub name: String,
    /// Sizes, outermost first; a linear weight is [out, in], a convolutional one [out, in, height, width].
    pub shape: Vec<usize>,
    /// Elements in row-major order; their number is the product of `shape`.
    pub values: Vec<f32>,
}

/// Named tensors in a fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorMap(pub Vec<NamedTensor>);

impl TensorMap {
    /// Returns the tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.0.iter().find(|tensor| tensor.name == name)
    }

    /// Returns whether every value is finite.
    pub fn is_finite(&self) -> bool {
        self.0.iter().all(|tensor| tensor.values.iter().all(|v| v.is_finite()))
    }
}

/// The state of one training run after an iteration: all that is needed to continue from there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Trained parameters: weights, biases, and scales and shifts of batch norms.
    pub weights: TensorMap,
    /// One map per moment of the optimizer, in its order, each with one tensor per parameter; empty if the moments are
    /// 0.
    pub moments: Vec<TensorMap>,
    /// State of the network that is not trained: running means and variances of batch norms.
    pub buffers: TensorMap,
    /// Number of iterations that led to this state; a training run that starts at iteration k counts on from k. A plain
    /// number, as in the interface of the engines and in the stored files.
    pub iteration: u64,
    /// Number of optimizer steps that led to the moments, by which Adam corrects their bias; 0 if the moments are 0.
    pub optimizer_steps: u64,
}

impl Snapshot {
    /// Returns the tensors that an evaluation needs: weights, then buffers.
    pub fn weights_and_buffers(&self) -> TensorMap {
        TensorMap(self.weights.0.iter().chain(&self.buffers.0).cloned().collect())
    }

    /// Returns the state at iteration 0 with these weights, without moments and buffers.
    pub fn initial(weights: TensorMap) -> Self {
        Self { weights, ..Self::default() }
    }
}
