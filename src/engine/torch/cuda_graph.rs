//! CUDA graphs: the kernels of a step, recorded once and started again by one call. A step of a small network has some
//! fifty kernels, and starting each costs the processor more time than the GPU needs to run it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::NonNull;
use std::sync::{PoisonError, RwLock};

use anyhow::{Result, bail};
use tch::TchError;

// Defined in `cuda.cpp`. A message is null if all went well, else valid until the next call in this thread.
#[expect(unsafe_code, reason = "functions of C++ are declared")]
unsafe extern "C" {
    fn lth_use_cuda_stream(gpu: c_int) -> *const c_char;
    fn lth_begin_cuda_graph(graph: *mut *mut c_void) -> *const c_char;
    fn lth_end_cuda_graph(graph: *mut c_void) -> *const c_char;
    fn lth_replay_cuda_graph(graph: *mut c_void) -> *const c_char;
    fn lth_free_cuda_graph(graph: *mut c_void);
}

/// Gives the calling thread a stream of its own on this GPU, so that steps can be recorded in it, and those of several
/// threads run side by side. Does nothing if the thread has one.
///
/// # Errors
/// Fails if libtorch fails.
#[expect(unsafe_code, reason = "libtorch's bindings have no streams")]
pub(super) fn use_own_stream(gpu: usize) -> Result<()> {
    thread_local! {
        static GPU: Cell<Option<usize>> = const { Cell::new(None) };
    }
    if GPU.get() != Some(gpu) {
        // SAFETY: it sets the current stream of this thread, and catches all exceptions.
        checked(unsafe { lth_use_cuda_stream(gpu as c_int) })?;
        GPU.set(Some(gpu));
    }
    Ok(())
}

/// Held for reading by backward passes that are not recorded, and for writing by a recording: libtorch runs the backward
/// passes of all threads in one thread per GPU, whose cuDNN must not be given another stream during a recording
/// (`CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH`).
static RECORDING: RwLock<()> = RwLock::new(());

/// Runs `work`, which may compute a backward pass, while no thread records.
pub(super) fn while_nothing_is_recorded<R>(work: impl FnOnce() -> R) -> R {
    let _guard = RECORDING.read().unwrap_or_else(PoisonError::into_inner);
    work()
}

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
    /// Returns the error of `work`; fails if `work` cannot be recorded.
    #[expect(unsafe_code, reason = "libtorch's bindings have no graphs")]
    pub(super) fn record(work: impl FnOnce() -> Result<()>) -> Result<Self> {
        let _guard = RECORDING.write().unwrap_or_else(PoisonError::into_inner);
        let mut graph = std::ptr::null_mut();
        // SAFETY: `graph` is set to null or to a new graph, which `Self` frees.
        let begun = checked(unsafe { lth_begin_cuda_graph(&raw mut graph) });
        let Some(graph) = NonNull::new(graph).map(|graph| Self { graph }) else {
            begun?;
            bail!("libtorch made no CUDA graph");
        };
        begun?;
        let worked = work();
        // SAFETY: a recording of this graph has begun in this thread.
        let ended = checked(unsafe { lth_end_cuda_graph(graph.graph.as_ptr()) });
        worked?;
        ended?;
        Ok(graph)
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
        // SAFETY: the graph was made by `lth_begin_cuda_graph` and is freed once.
        unsafe { lth_free_cuda_graph(self.graph.as_ptr()) }
    }
}

/// Returns a message of `cuda.cpp` as an error of libtorch.
#[expect(unsafe_code, reason = "a C string is read")]
fn checked(message: *const c_char) -> Result<()> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: messages are C strings, valid until the next call in this thread.
    let text = unsafe { CStr::from_ptr(message) }.to_string_lossy().into_owned();
    Err(TchError::Torch(text).into())
}
