//! One-line messages for libtorch's errors, whose text ends with a trace through libtorch's C++ code.

use anyhow::{Error, anyhow};
use tch::TchError;

use crate::engine::trainer::TrainerSpec;

/// Parts of libtorch's messages for errors that are caused by too little memory.
const OUT_OF_MEMORY: [&str; 3] = ["out of memory", "can't allocate memory", "ALLOC_FAILED"];

/// Parts of messages of cuDNN and cuBLAS for errors of which too little memory is the most frequent cause: they allocate
/// for themselves, beside libtorch's allocator.
const PERHAPS_OUT_OF_MEMORY: [&str; 3] =
    ["CUDNN_STATUS_INTERNAL_ERROR", "CUDNN_STATUS_NOT_INITIALIZED", "CUBLAS_STATUS_NOT_INITIALIZED"];

/// Returns an error of libtorch with its message in one line, without the trace; if there was too little memory, the
/// message names the options to make smaller. `lanes` is the number of networks of the trainer, which was built for
/// `spec`. Errors that are not libtorch's are returned as they are.
pub fn friendly_torch_error(error: Error, spec: &TrainerSpec, lanes: usize) -> Error {
    let Some(text) = torch_text(&error) else { return error };
    let networks = if lanes == 1 { "one network".to_owned() } else { format!("{lanes} networks at a time") };
    let device = spec.gpu.map_or_else(|| "this machine".to_owned(), |gpu| format!("GPU {gpu}"));
    let lanes_option = if lanes > 1 { "`run.lanes`, " } else { "" };
    let options = format!("{lanes_option}`run.workers` or `train.batch_size`");
    let batch_size = spec.batch_size;
    let too_little = format!("too little memory for {networks} in batches of {batch_size}");
    let message = first_line(text);
    if contains_any(text, &OUT_OF_MEMORY) {
        let request = memory_request(message).map(|request| format!(" ({request})")).unwrap_or_default();
        anyhow!("{device} has {too_little}{request}: make {options} smaller")
    } else if contains_any(text, &PERHAPS_OUT_OF_MEMORY) {
        anyhow!("libtorch: {message}. Perhaps {device} has {too_little}: make {options} smaller")
    } else {
        anyhow!("libtorch: {message}")
    }
}

/// Returns whether `error` is libtorch's and the cause is, or is likely to be, too little memory.
pub fn is_out_of_memory(error: &Error) -> bool {
    torch_text(error)
        .is_some_and(|text| contains_any(text, &OUT_OF_MEMORY) || contains_any(text, &PERHAPS_OUT_OF_MEMORY))
}

/// Returns the error of libtorch that caused a panic with this message; `None` if the panic has another cause. Functions
/// of the bindings that return no `Result` panic if libtorch fails.
pub fn torch_error_of_panic(message: &str) -> Option<Error> {
    let (_, quoted) = message.split_once("on an `Err` value: Torch(\"")?;
    // The text is written as a string literal, with `\n` for the end of a line. The trace begins in the second line.
    let first_line = quoted.split("\\n").next().unwrap_or_default();
    Some(TchError::Torch(first_line.trim_end_matches("\")").to_owned()).into())
}

/// Returns the message of an error of libtorch, with its trace; `None` if the error is not libtorch's.
fn torch_text(error: &Error) -> Option<&str> {
    match error.downcast_ref::<TchError>() {
        Some(TchError::Torch(text)) => Some(text),
        _ => None,
    }
}

fn contains_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Returns the part of libtorch's message that says how much memory was asked for and how much was free: "Tried to
/// allocate 20.00 MiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 MiB is free".
fn memory_request(message: &str) -> Option<&str> {
    const END: &str = " is free";
    let start = message.find("Tried to allocate")?;
    let end = start + message[start..].find(END)? + END.len();
    Some(&message[start..end])
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
        let on_gpu = |text: &str| {
            let error = Error::from(TchError::Torch(text.to_owned()));
            assert!(is_out_of_memory(&error));
            message(error, Some(0))
        };
        let cuda = "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 8.00 GiB of which 1.00 \
                    MiB is free. Process 9 has …\nException raised from malloc\nframe #0: …";
        assert_eq!(
            on_gpu(cuda),
            "GPU 0 has too little memory for 16 networks at a time in batches of 60 (Tried to allocate 20.00 MiB. GPU 0 \
             has a total capacity of 8.00 GiB of which 1.00 MiB is free): make `run.lanes`, `run.workers` or \
             `train.batch_size` smaller"
        );
        // What cuDNN says where libtorch's allocator has taken all memory (libtorch 2.11.0, H100).
        let text = on_gpu("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR");
        assert!(text.starts_with("libtorch: cuDNN error: CUDNN_STATUS_INTERNAL_ERROR. Perhaps GPU 0 has"), "{text}");
    }

    #[test]
    fn panics_of_the_bindings_are_errors_of_libtorch() {
        let panic = std::panic::catch_unwind(|| Tensor::zeros([1 << 45], (Kind::Float, Device::Cpu))).unwrap_err();
        let error = torch_error_of_panic(panic.downcast_ref::<String>().unwrap()).unwrap();
        assert!(is_out_of_memory(&error));
        let text = message(error, None);
        assert!(text.starts_with("this machine has too little memory for 16 networks at a time"), "{text}");
        // What cuBLAS says where libtorch's allocator has taken all memory (libtorch 2.11.0, H100).
        let cublas = "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA error: CUBLAS_STATUS_ALLOC_FAILED when \
                      calling `cublasCreate(handle)`\\nException raised from createCublasHandle\\n\")";
        let text = message(torch_error_of_panic(cublas).unwrap(), Some(0));
        assert!(text.starts_with("GPU 0 has too little memory for 16 networks"), "{text}");
        assert!(torch_error_of_panic("called `Option::unwrap()` on a `None` value").is_none());
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
