//! Weights, moments and buffers on the host. Knows no device.

/// A tensor by name, in float32, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Such as `linear1.weight`.
    pub name: String,
    /// Sizes, outermost first; a linear weight is [out, in].
    pub shape: Vec<usize>,
    /// As many as the product of `shape`.
    pub values: Vec<f32>,
}

/// Named tensors in a fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorMap(pub Vec<NamedTensor>);

impl TensorMap {
    /// The tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&NamedTensor> {
        self.0.iter().find(|tensor| tensor.name == name)
    }

    /// Whether every value is a finite number.
    pub fn is_finite(&self) -> bool {
        self.0.iter().all(|tensor| tensor.values.iter().all(|v| v.is_finite()))
    }
}

/// One network at one iteration: all that is needed to go on from there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Weights and biases.
    pub weights: TensorMap,
    /// Per moment of the optimizer, in its order, one tensor per parameter; empty where moments are fresh.
    pub moments: Vec<TensorMap>,
    /// What is not trained but belongs to the network, such as running statistics.
    pub buffers: TensorMap,
    /// Iterations behind this state, counted absolutely.
    pub iteration: u64,
    /// Steps that made the moments: 0 whenever they are fresh (Adam's bias correction counts from here).
    pub optimizer_steps: u64,
}

impl Snapshot {
    /// The network as it is, without what is needed to go on training it: weights, then buffers.
    pub fn weights_and_buffers(&self) -> TensorMap {
        TensorMap(self.weights.0.iter().chain(&self.buffers.0).cloned().collect())
    }

    /// A state with fresh moments at iteration 0.
    pub fn initial(weights: TensorMap) -> Self {
        Self { weights, ..Self::default() }
    }
}
