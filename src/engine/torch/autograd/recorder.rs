//! The recorded steps of a trainer on a GPU: one for each size of batch, up to two.

use anyhow::Result;
use tch::Device;

use super::super::cuda_graph::{self, CudaGraph};
use super::step_inputs::{HostInputs, InputsShape, StepInputs};

/// Steps of a shape that are taken kernel by kernel before one is recorded: libtorch's libraries set themselves up in
/// the first ones.
const STEPS_BEFORE_RECORDING: u32 = 2;

/// Shapes of inputs that are recorded: whole batches, and the last batch of an epoch.
const MAX_SHAPES: usize = 2;

/// The recorded steps since a network was loaded. What is recorded reads the masks of that network.
#[derive(Default)]
pub(super) struct Recorder {
    shapes: Vec<RecordedShape>,
    /// Whether a recording failed, so that none is tried until a network is loaded.
    has_failed: bool,
}

struct RecordedShape {
    shape: InputsShape,
    /// Steps of this shape that were not replayed.
    steps: u32,
    /// The recorded step, and the inputs that it reads.
    recording: Option<(CudaGraph, StepInputs)>,
}

impl Recorder {
    /// Forgets all recordings: another network is loaded.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes a step by a recorded one for inputs of this shape; returns whether there is one.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    pub(super) fn replay(&mut self, inputs: &HostInputs, shape: InputsShape) -> Result<bool> {
        let mut fitting = self.shapes.iter_mut().filter(|entry| entry.shape.serves(shape));
        let Some((graph, recorded)) = fitting.find_map(|entry| entry.recording.as_mut()) else {
            return Ok(false);
        };
        recorded.replace(inputs)?;
        graph.replay()?;
        Ok(true)
    }

    /// Counts a step of this shape that is not replayed; returns whether it should be recorded.
    pub(super) fn should_record(&mut self, shape: InputsShape, device: Device) -> bool {
        if !device.is_cuda() || self.has_failed {
            return false;
        }
        let index = self.shapes.iter().position(|entry| entry.shape == shape).unwrap_or(self.shapes.len());
        if index == self.shapes.len() {
            self.shapes.push(RecordedShape { shape, steps: 0, recording: None });
        }
        self.shapes[index].steps += 1;
        index < MAX_SHAPES && self.shapes[index].steps > STEPS_BEFORE_RECORDING
    }

    /// Records the kernels of `work`, which reads `inputs`, and runs them; returns whether they were recorded. If not,
    /// nothing has run.
    ///
    /// # Errors
    /// Fails if the recorded kernels cannot be run.
    pub(super) fn record(
        &mut self,
        inputs: StepInputs,
        mut work: impl FnMut(&StepInputs) -> Result<()>,
    ) -> Result<bool> {
        let recorded = CudaGraph::record(|| work(&inputs)).or_else(|_| {
            // There may have been too little memory.
            cuda_graph::empty_cache()?;
            CudaGraph::record(|| work(&inputs))
        });
        let Ok(graph) = recorded else {
            self.has_failed = true;
            return Ok(false);
        };
        graph.replay()?;
        let shape = inputs.shape();
        if let Some(entry) = self.shapes.iter_mut().find(|entry| entry.shape == shape) {
            entry.recording = Some((graph, inputs));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(images: i64, factors: [f64; 2]) -> InputsShape {
        let images = (0..images).collect();
        HostInputs { images, augmentations: vec![], draw_keys: vec![], factors: factors.to_vec() }.shape(2)
    }

    #[test]
    fn third_step_of_a_shape_is_recorded() {
        let (whole, last) = (shape(8, [0.1, 0.1]), shape(6, [0.1, 0.1]));
        let mut recorder = Recorder::default();
        let mut should_record = |shape| recorder.should_record(shape, Device::Cuda(0));
        assert_eq!(
            [whole, last, whole, last, whole, last].map(&mut should_record),
            [false, false, false, false, true, true]
        );
        // A third size of batches is not recorded.
        assert_eq!([shape(4, [0.1, 0.1]); 4].map(should_record), [false; 4]);
        recorder.clear();
        assert!(!recorder.should_record(whole, Device::Cuda(0)));
    }

    #[test]
    fn nothing_is_recorded_on_the_cpu() {
        let mut recorder = Recorder::default();
        assert!((0..9).all(|_| !recorder.should_record(shape(8, [0.1, 0.1]), Device::Cpu)));
    }

    #[test]
    fn recording_with_separate_factors_serves_shared_ones() {
        let (shared, separate) = (shape(8, [0.1, 0.1]), shape(8, [0.1, 0.2]));
        assert!(separate.serves(shared) && separate.serves(separate) && shared.serves(shared));
        assert!(!shared.serves(separate) && !shape(6, [0.1, 0.2]).serves(separate));
    }
}
