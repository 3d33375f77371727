//! libtorch's errors in a sentence: it tells them with a trace through its own C++.

use anyhow::{Error, Result, anyhow};
use tch::TchError;

use crate::base::curve::Score;
use crate::base::mask::Mask;
use crate::base::tensors::Snapshot;
use crate::data::Split;
use crate::engine::trainer::{Batch, Trainer, TrainerSpec};

/// A trainer whose errors are told so that a person knows what to do.
pub(super) struct Told<T> {
    trainer: T,
    place: Place,
}

/// Where it trains what, for the sentence.
pub(super) struct Place {
    gpu: Option<usize>,
    lanes: usize,
    batch_size: usize,
}

impl Place {
    pub(super) fn new(recipe: &TrainerSpec, lanes: usize) -> Self {
        Self { gpu: recipe.gpu, lanes, batch_size: recipe.batch_size }
    }

    /// The error, without what only libtorch's authors can read.
    pub(super) fn tell(&self, error: Error) -> Error {
        let Some(TchError::Torch(text)) = error.downcast_ref::<TchError>() else { return error };
        let is_memory =
            ["out of memory", "can't allocate memory", "ALLOC_FAILED"].iter().any(|sign| text.contains(sign));
        if !is_memory {
            return anyhow!("libtorch: {}", first_line(text));
        }
        let Self { lanes, batch_size, .. } = self;
        let networks = if *lanes == 1 { "one network".to_owned() } else { format!("{lanes} networks at a time") };
        let who = self.gpu.map_or_else(|| "this machine".to_owned(), |gpu| format!("GPU {gpu}"));
        let first = if *lanes > 1 { "`run.lanes`, " } else { "" };
        let what = format!("{first}`run.workers` or `train.batch_size`");
        anyhow!("{who} has too little memory for {networks} in batches of {batch_size}: make {what} smaller")
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches("Internal torch error: ")
}

impl<T> Told<T> {
    pub(super) fn new(trainer: T, place: Place) -> Self {
        Self { trainer, place }
    }
}

impl<T: Trainer> Trainer for Told<T> {
    fn lanes(&self) -> usize {
        self.trainer.lanes()
    }

    fn load(&mut self, lane: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        self.trainer.load(lane, from, mask).map_err(|error| self.place.tell(error))
    }

    fn step(&mut self, batches: &[Batch], lr: &[f64]) -> Result<()> {
        self.trainer.step(batches, lr).map_err(|error| self.place.tell(error))
    }

    fn evaluate(&mut self, split: Split) -> Result<Vec<Score>> {
        self.trainer.evaluate(split).map_err(|error| self.place.tell(error))
    }

    fn recompute_statistics(&mut self, images: &[u32]) -> Result<()> {
        self.trainer.recompute_statistics(images).map_err(|error| self.place.tell(error))
    }

    fn set_threads(&mut self, threads: usize) {
        self.trainer.set_threads(threads);
    }

    fn snapshot(&self, lane: usize) -> Result<Snapshot> {
        self.trainer.snapshot(lane).map_err(|error| self.place.tell(error))
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;

    fn place(gpu: Option<usize>) -> Place {
        Place { gpu, lanes: 16, batch_size: 60 }
    }

    #[test]
    fn what_does_not_fit_is_a_sentence_and_a_suggestion() {
        // More bytes than any machine has.
        let real = Tensor::f_zeros([1 << 45], (Kind::Float, Device::Cpu)).unwrap_err();
        let told = place(None).tell(real.into()).to_string();
        assert!(told.starts_with("this machine has too little memory for 16 networks at a time"), "{told}");
        let text =
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has …\nException raised from malloc\nframe #0: …";
        let told = place(Some(0)).tell(TchError::Torch(text.to_owned()).into()).to_string();
        assert!(told.starts_with("GPU 0 has too little memory") && told.contains("`run.lanes`"), "{told}");
    }

    #[test]
    fn no_trace_through_c_is_told() {
        let real = Tensor::f_zeros([2], (Kind::Float, Device::Cpu)).unwrap().f_view([3]).unwrap_err();
        let told = place(None).tell(real.into()).to_string();
        assert!(told.starts_with("libtorch: shape '[3]' is invalid"), "{told}");
        assert!(!told.contains("frame #") && told.lines().count() == 1, "{told}");
        assert_eq!(place(None).tell(anyhow!("an empty batch")).to_string(), "an empty batch");
    }
}
