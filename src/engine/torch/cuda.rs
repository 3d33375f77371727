//! CUDA: whether it is available, which is decided without opening a library, and the devices that libtorch's CUDA
//! library finds.

use std::ffi::c_char;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, anyhow, ensure};
use tch::Device;

use super::cuda_graph;
use crate::config::MatmulPrecision;
use crate::engine::trainer::TrainerSpec;
use crate::system::{env, machine};

/// The file next to `libtorch_cpu.so` if libtorch was installed with CUDA.
const LIBRARY: &str = "libtorch_cuda.so";

/// Returns why CUDA cannot be used on this machine; `None` if it should be usable.
pub fn cuda_unavailable_reason() -> Option<String> {
    let libraries = machine::libraries();
    let cpu_library = libraries.iter().find(|path| path.file_name().is_some_and(|name| name == "libtorch_cpu.so"));
    unavailable_reason(cpu_library.and_then(|path| path.parent()), machine::has_nvidia_driver(), env::hides_gpus())
}

/// Like [`cuda_unavailable_reason`], for a libtorch in the folder `libtorch` (`None` if its library was not found),
/// with or without a driver, and with GPUs hidden by the environment or not.
fn unavailable_reason(libtorch: Option<&Path>, driver: bool, hidden: bool) -> Option<String> {
    let library = libtorch.map(|folder| folder.join(LIBRARY));
    if !library.as_ref().is_some_and(|library| library.exists()) {
        let folder = libtorch.map_or_else(String::new, |folder| format!(" in `{}`", folder.display()));
        return Some(format!("libtorch is installed without it (no {LIBRARY}{folder})"));
    }
    if !driver {
        return Some("there is no NVIDIA driver (no /dev/nvidiactl)".to_owned());
    }
    hidden.then(|| "CUDA_VISIBLE_DEVICES hides every GPU".to_owned())
}

/// Returns the number of GPUs that libtorch can use, at least 1.
///
/// # Errors
/// Returns the reason as an error if there is none.
pub fn cuda_devices() -> Result<usize, String> {
    if let Some(reason) = cuda_unavailable_reason() {
        return Err(reason);
    }
    open()?;
    match tch::Cuda::device_count() {
        0 => Err("libtorch's CUDA part finds no GPU; `nvidia-smi` tells what the driver sees".to_owned()),
        n => Ok(n as usize),
    }
}

/// Returns the GPU with index `gpu` (from 0), set up for the matrix precision of `spec`, which is one for the whole
/// process. Work on it is queued in a stream of the calling thread. Memory that libtorch has kept of earlier trainers is
/// free for a new one of any kind.
///
/// # Errors
/// Fails if CUDA cannot be used or the GPU does not exist.
pub(super) fn device(gpu: usize, spec: &TrainerSpec) -> Result<Device> {
    let devices = cuda_devices().map_err(|reason| anyhow!("CUDA cannot be used: {reason}"))?;
    ensure!(gpu < devices, "there is no GPU {gpu}: libtorch finds {devices}, counted from 0");
    set_up(spec.matmul_precision == MatmulPrecision::Tf32)?;
    cuda_graph::use_own_stream(gpu)?;
    cuda_graph::empty_cache()?;
    Ok(Device::Cuda(gpu))
}

/// Sets libtorch's global flags: products and convolutions in TF32 if `tf32`, and deterministic kernels where libtorch
/// has them.
#[expect(unsafe_code, reason = "libtorch's bindings have no function for these flags")]
fn set_up(tf32: bool) -> Result<()> {
    unsafe extern "C" {
        /// Defined in `cuda.cpp`.
        fn lth_set_up_cuda(tf32: bool) -> *const c_char;
    }
    // SAFETY: it sets flags of libtorch's global context by libtorch's own functions, and catches all exceptions.
    cuda_graph::checked(unsafe { lth_set_up_cuda(tf32) })
}

/// Opens libtorch's CUDA library if CUDA is available. Must be called before the first computation, on the CPU too:
/// libtorch looks for the library once, at the first convolution or backward pass on any device, and remembers the
/// result. Errors are ignored here; [`device`] reports them.
pub(super) fn register_cuda_backend() {
    if cuda_unavailable_reason().is_none() {
        let _ = open();
    }
}

/// Opens libtorch's CUDA library, which registers its kernels; only the first call does so.
#[expect(unsafe_code, reason = "opening a library runs its initializers")]
fn open() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    OPENED
        .get_or_init(|| {
            // By its file name alone: the loader then searches the RPATH by which it has found libtorch_cpu.
            // SAFETY: the library is libtorch's own, of the version this program is linked to; its initializers
            // register the CUDA kernels and touch nothing of ours. It is never closed.
            let opened = unsafe { Library::open(Some(LIBRARY), RTLD_NOW | RTLD_GLOBAL) };
            opened.map(std::mem::forget).map_err(|error| format!("{LIBRARY} could not be opened: {error}"))
        })
        .clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_reason_names_the_missing_part() {
        let folder = tempfile::tempdir().unwrap();
        assert!(unavailable_reason(None, true, false).unwrap().ends_with("(no libtorch_cuda.so)"));
        assert!(unavailable_reason(Some(folder.path()), true, false).unwrap().contains("no libtorch_cuda.so in `"));
        crate::system::files::write(&folder.path().join(LIBRARY), b"").unwrap();
        assert!(unavailable_reason(Some(folder.path()), false, false).unwrap().contains("driver"));
        assert!(unavailable_reason(Some(folder.path()), true, true).unwrap().contains("CUDA_VISIBLE_DEVICES"));
        assert_eq!(unavailable_reason(Some(folder.path()), true, false), None);
    }

    #[test]
    fn cuda_devices_give_the_reason_without_cuda() {
        match (cuda_unavailable_reason(), cuda_devices()) {
            (Some(reason), devices) => assert_eq!(devices, Err(reason)),
            (None, devices) => println!("skipped: CUDA may be there: {devices:?}"),
        }
    }
}
