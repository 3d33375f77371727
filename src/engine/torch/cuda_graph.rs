//! CUDA graphs: the kernels of a step, recorded once and started again by one call. A step of a small network has some
//! fifty kernels, and starting each costs the processor more time than the GPU needs to run it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use anyhow::{Result, ensure};
use tch::{Device, TchError};

// Defined in `cuda.cpp`. A message is null if all went well, else valid until the next call in this thread.
#[expect(unsafe_code, reason = "functions of C++ are declared")]
unsafe extern "C" {
    fn lth_use_cuda_stream(gpu: c_int) -> *const c_char;
    fn lth_begin_cuda_graph(graph: *mut *mut c_void) -> *const c_char;
    fn lth_end_cuda_graph(graph: *mut c_void) -> *const c_char;
    fn lth_replay_cuda_graph(graph: *mut c_void) -> *const c_char;
    fn lth_free_cuda_graph(graph: *mut c_void);
    fn lth_empty_cuda_cache() -> *const c_char;
}

/// Makes this GPU the current one of the calling thread, with a stream that no other thread has, so that steps can be
/// recorded in it and those of several threads run side by side.
///
/// # Errors
/// Fails if libtorch fails, or more than 32 threads use the GPU.
#[expect(unsafe_code, reason = "libtorch's bindings have no streams")]
pub(super) fn use_own_stream(gpu: usize) -> Result<()> {
    // SAFETY: it sets the current GPU and stream of this thread, and catches all exceptions.
    checked(unsafe { lth_use_cuda_stream(gpu as c_int) })
}

/// Held for writing by a recording, and for reading by all other work that uses cuDNN or may load kernels: libtorch runs
/// the backward passes of all threads in one thread per GPU, with one cuDNN handle, and to set that handle to another
/// stream during a recording is an error (`CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH`).
static RECORDING: RwLock<()> = RwLock::new(());

/// Returns a guard during whose life no thread records; `None` on the CPU, whose work does not disturb recordings.
pub(super) fn no_recording(device: Device) -> Option<RwLockReadGuard<'static, ()>> {
    device.is_cuda().then(|| RECORDING.read().unwrap_or_else(PoisonError::into_inner))
}

/// Set after a recording that could not be ended, with which libtorch's allocator has lost count.
static IS_BROKEN: AtomicBool = AtomicBool::new(false);

/// Recorded work on a GPU. It reads and writes the memory of the tensors that it was recorded with, which must stay
/// where they are.
pub(super) struct CudaGraph {
    graph: NonNull<c_void>,
}

impl CudaGraph {
    /// Records the kernels that `work` queues in this thread's own stream ([`use_own_stream`]), without running them.
    /// `work` must not wait for the GPU, and copy nothing from or to the host. Tensors that it makes lie in memory of
    /// the graph.
    ///
    /// # Errors
    /// Returns the error of `work`; fails if `work` cannot be recorded. Nothing of `work` has run on the GPU then.
    #[expect(unsafe_code, reason = "libtorch's bindings have no graphs")]
    pub(super) fn record(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let _guard = RECORDING.write().unwrap_or_else(PoisonError::into_inner);
        ensure!(!IS_BROKEN.load(Ordering::Relaxed), "an earlier recording could not be ended");
        let mut graph = std::ptr::null_mut();
        // SAFETY: `graph` is set to null or to a new graph. It is freed by `Self`, or never if libtorch may still refer
        // to it.
        let begun = checked(unsafe { lth_begin_cuda_graph(&raw mut graph) });
        if begun.is_err() {
            IS_BROKEN.store(!graph.is_null(), Ordering::Relaxed);
        }
        begun?;
        let worked = catch_unwind(AssertUnwindSafe(work));
        // SAFETY: a recording of this graph has begun in this thread.
        let ended = checked(unsafe { lth_end_cuda_graph(graph) });
        // A recording that has ended is freed, with its memory, also after an error of `work`.
        IS_BROKEN.fetch_or(ended.is_err(), Ordering::Relaxed);
        let recorded = NonNull::new(graph).filter(|_| ended.is_ok()).map(|graph| Self { graph });
        // The error of `work` is the cause of the other.
        worked.unwrap_or_else(|panic| resume_unwind(panic)).and(ended)?;
        Ok(recorded.expect("a recording that has begun has a graph"))
    }

    /// Queues the recorded work, without waiting for it.
    ///
    /// # Errors
    /// Fails if libtorch fails.
    #[expect(unsafe_code, reason = "libtorch's bindings have no graphs")]
    pub(super) fn replay(&self) -> Result<()> {
        // SAFETY: the graph was recorded, and its tensors are where they were (see `CudaGraph`).
        checked(unsafe { lth_replay_cuda_graph(self.graph.as_ptr()) })
    }
}

impl Drop for CudaGraph {
    #[expect(unsafe_code, reason = "libtorch's bindings have no graphs")]
    fn drop(&mut self) {
        // SAFETY: the graph was recorded without error, and is freed once.
        unsafe { lth_free_cuda_graph(self.graph.as_ptr()) }
    }
}

/// Gives the memory that libtorch holds for later tensors back to the GPUs, for graphs and cuDNN, which have memory of
/// their own. Waits for the GPUs, and for a recording in another thread.
///
/// # Errors
/// Fails if libtorch fails.
#[expect(unsafe_code, reason = "libtorch's bindings have no such function")]
pub(super) fn empty_cache() -> Result<()> {
    let _guard = RECORDING.read().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: it frees memory that no tensor uses, and catches all exceptions.
    checked(unsafe { lth_empty_cuda_cache() })
}

/// Returns a message of `cuda.cpp` as an error of libtorch.
#[expect(unsafe_code, reason = "a C string is read")]
pub(super) fn checked(message: *const c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: messages are C strings, valid until the next call in this thread.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    Err(TchError::Torch(text).into())
}

#[cfg(test)]
mod tests {
    use anyhow::bail;
    use tch::{Kind, Tensor};

    use super::super::cuda::cuda_devices;
    use super::*;

    /// They kept it: after too little memory for one recording there was none left for anything.
    #[test]
    #[cfg_attr(not(lth_gpu), ignore = "needs an NVIDIA GPU and libtorch with CUDA")]
    fn gpu_recordings_that_fail_free_their_memory() {
        cuda_devices().unwrap();
        use_own_stream(0).unwrap();
        let gigabyte = || Tensor::f_zeros([1 << 28], (Kind::Float, Device::Cuda(0)));
        // Together more than any GPU has.
        for _ in 0..400 {
            let recorded = CudaGraph::record(|| {
                let _memory = gigabyte()?;
                bail!("the work fails")
            });
            assert_eq!(recorded.err().unwrap().to_string(), "the work fails");
            // A recording cannot free what is in the cache.
            empty_cache().unwrap();
        }
        let _ = gigabyte().unwrap();
    }
}
