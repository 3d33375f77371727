//! Weights, optimizer moments and buffers in host memory. Independent of devices.
//!
//! Everything is float32, unless another type is named: scores, masks, results and snapshots at rewind points. Only the
//! state of a network that is trained in float64 has that type ([`LaneState`]), so that training goes on from it bit
//! for bit.

use std::fmt::Debug;

/// The type of the values of a tensor: float32 or float64.
pub trait Float: Copy + Debug + Default + PartialEq {
    /// Converts from float64, rounding to the nearest.
    fn from_f64(x: f64) -> Self;
    /// Converts exactly: float64 holds all values of the types here.
    fn to_f64(self) -> f64;
}

impl Float for f32 {
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x as Self
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Float for f64 {
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

/// A named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor<T = f32> {
    /// Name of the tensor, such as `linear1.weight`.
    pub name: String,
    /// Sizes, outermost first; a linear weight is [out, in], a convolutional one [out, in, height, width].
    pub shape: Vec<usize>,
    /// Elements in row-major order; their number is the product of `shape`.
    pub values: Vec<T>,
}

/// Named tensors in a fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorMap<T = f32>(pub Vec<NamedTensor<T>>);

impl<T: Float> TensorMap<T> {
    /// Returns the tensor called `name`.
    pub fn get(&self, name: &str) -> Option<&NamedTensor<T>> {
        self.0.iter().find(|tensor| tensor.name == name)
    }

    /// Returns whether every value is finite.
    pub fn is_finite(&self) -> bool {
        self.0.iter().all(|tensor| tensor.values.iter().all(|value| value.to_f64().is_finite()))
    }

    /// Returns the tensors in float32, rounded to the nearest.
    pub fn to_float32(&self) -> TensorMap {
        let tensor = |tensor: &NamedTensor<T>| NamedTensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            values: tensor.values.iter().map(|value| value.to_f64() as f32).collect(),
        };
        TensorMap(self.0.iter().map(tensor).collect())
    }
}

/// The state of one training run after an iteration: all that is needed to continue from there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot<T = f32> {
    /// Trained parameters: weights, biases, and scales and shifts of batch norms.
    pub weights: TensorMap<T>,
    /// One map per moment of the optimizer, in its order, each with one tensor per parameter; empty if the moments are
    /// 0.
    pub moments: Vec<TensorMap<T>>,
    /// State of the network that is not trained: running means and variances of batch norms.
    pub buffers: TensorMap<T>,
    /// One score per prunable weight, where scores are trained instead of weights; else empty. The moments are those of the
    /// scores then, and the weights are those before any mask.
    pub scores: TensorMap<T>,
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

/// The exact state of one lane of a trainer: a snapshot in the type that the network is trained in.
#[derive(Clone, Debug, PartialEq)]
pub enum LaneState {
    /// That of a network in float32.
    Float32(Snapshot),
    /// That of a network in float64.
    Float64(Snapshot<f64>),
}

impl LaneState {
    /// Returns the iteration of the state.
    pub fn iteration(&self) -> u64 {
        match self {
            Self::Float32(state) => state.iteration,
            Self::Float64(state) => state.iteration,
        }
    }

    /// Returns the state with another iteration.
    #[must_use]
    pub fn at_iteration(mut self, iteration: u64) -> Self {
        match &mut self {
            Self::Float32(state) => state.iteration = iteration,
            Self::Float64(state) => state.iteration = iteration,
        }
        self
    }

    /// Returns the state with the buffers of another one of the same type.
    #[must_use]
    pub fn with_buffers_of(mut self, other: Self) -> Self {
        match (&mut self, other) {
            (Self::Float32(state), Self::Float32(other)) => state.buffers = other.buffers,
            (Self::Float64(state), Self::Float64(other)) => state.buffers = other.buffers,
            _ => {}
        }
        self
    }

    /// Returns the state in float32, rounded to the nearest, without moments.
    pub fn without_moments(&self) -> Snapshot {
        match self {
            Self::Float32(state) => Snapshot { moments: Vec::new(), ..state.clone() },
            Self::Float64(state) => Snapshot {
                weights: state.weights.to_float32(),
                buffers: state.buffers.to_float32(),
                iteration: state.iteration,
                ..Snapshot::default()
            },
        }
    }
}
