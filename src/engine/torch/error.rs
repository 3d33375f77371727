//! One-line messages for libtorch's errors, whose text ends with a trace through libtorch's C++ code.

use anyhow::{Error, anyhow};
use tch::TchError;

use crate::engine::trainer::TrainerSpec;

/// Parts of libtorch's messages for errors that are caused by too little memory.
const OUT_OF_MEMORY: [&str; 3] = ["out of memory", "can't allocate memory", "ALLOC_FAILED"];

/// Returns an error of libtorch with its message in one line, without the trace; if there was too little memory, the
/// message names the options to make smaller. `lanes` is the number of networks of the trainer, which was built for
/// `spec`. Errors that are not libtorch's are returned as they are.
pub fn friendly_torch_error(error: Error, spec: &TrainerSpec, lanes: usize) -> Error {
    let Some(text) = torch_text(&error) else { return error };
    if !is_out_of_memory(&error) {
        return anyhow!("libtorch: {}", first_line(text));
    }
    let networks = if lanes == 1 { "one network".to_owned() } else { format!("{lanes} networks at a time") };
    let device = spec.gpu.map_or_else(|| "this machine".to_owned(), |gpu| format!("GPU {gpu}"));
    let lanes_option = if lanes > 1 { "`run.lanes`, " } else { "" };
    let options = format!("{lanes_option}`run.workers` or `train.batch_size`");
    let batch_size = spec.batch_size;
    anyhow!("{device} has too little memory for {networks} in batches of {batch_size}: make {options} smaller")
}

/// Returns whether `error` is libtorch's and says that there was too little memory, on the processor or on a GPU.
pub fn is_out_of_memory(error: &Error) -> bool {
    torch_text(error).is_some_and(|text| OUT_OF_MEMORY.iter().any(|part| text.contains(part)))
}

/// Returns the message of an error of libtorch, with its trace; `None` if the error is not libtorch's.
fn torch_text(error: &Error) -> Option<&str> {
    match error.downcast_ref::<TchError>() {
        Some(TchError::Torch(text)) => Some(text),
        _ => None,
    }
}

/// Returns the first line of an error message of libtorch, without the prefix that the bindings add.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim_start_matches("Internal torch error: ")
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::engine::optim::{Optimizer, Sgd};
    use crate::network::Network;

    fn message(error: Error, gpu: Option<usize>) -> String {
        let optimizer = Optimizer::Sgd(Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 });
        let spec = TrainerSpec { gpu, ..TrainerSpec::plain(Network::new([1, 1, 1], 1, vec![]), optimizer, 60) };
        friendly_torch_error(error, &spec, 16).to_string()
    }

    #[test]
    fn friendly_torch_error_names_options_if_memory_is_too_small() {
        // More bytes than any machine has.
        let error = Tensor::f_zeros([1 << 45], (Kind::Float, Device::Cpu)).unwrap_err();
        let error = Error::from(error);
        assert!(is_out_of_memory(&error) && !is_out_of_memory(&anyhow!("out of memory")));
        let text = message(error, None);
        assert!(text.starts_with("this machine has too little memory for 16 networks at a time"), "{text}");
        let cuda =
            "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has …\nException raised from malloc\nframe #0: …";
        let text = message(TchError::Torch(cuda.to_owned()).into(), Some(0));
        assert!(text.starts_with("GPU 0 has too little memory") && text.contains("`run.lanes`"), "{text}");
    }

    #[test]
    fn friendly_torch_error_cuts_traces() {
        let error = Tensor::f_zeros([2], (Kind::Float, Device::Cpu)).unwrap().f_view([3]).unwrap_err();
        let text = message(error.into(), None);
        assert!(text.starts_with("libtorch: shape '[3]' is invalid"), "{text}");
        assert!(!text.contains("frame #") && text.lines().count() == 1, "{text}");
        assert_eq!(message(anyhow!("an empty batch"), None), "an empty batch");
    }
}
