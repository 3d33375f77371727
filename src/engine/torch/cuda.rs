//! CUDA: whether it can be had, by one rule that asks no library, and what libtorch finds once its part is opened.

use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, anyhow, ensure};
use tch::Device;

use crate::config::MatmulPrecision;
use crate::engine::trainer::TrainerSpec;
use crate::system::{env, machine};

/// Beside `libtorch_cpu` where libtorch was installed with CUDA.
const LIBRARY: &str = "libtorch_cuda.so";

/// Why CUDA cannot be used here; `None` where it should be there.
pub fn cuda_unavailable_reason() -> Option<String> {
    let libraries = machine::libraries();
    let cpu = libraries.iter().find(|path| path.file_name().is_some_and(|name| name == "libtorch_cpu.so"));
    reason(cpu.and_then(|path| path.parent()), machine::has_nvidia_driver(), env::hides_gpus())
}

fn reason(libtorch: Option<&Path>, driver: bool, hidden: bool) -> Option<String> {
    let library = libtorch.map(|folder| folder.join(LIBRARY));
    if !library.as_ref().is_some_and(|library| library.exists()) {
        let place = libtorch.map_or_else(String::new, |folder| format!(" in `{}`", folder.display()));
        return Some(format!("libtorch is installed without it (no {LIBRARY}{place})"));
    }
    if !driver {
        return Some("there is no NVIDIA driver (no /dev/nvidiactl)".to_owned());
    }
    hidden.then(|| "CUDA_VISIBLE_DEVICES hides every GPU".to_owned())
}

/// The number of GPUs that libtorch can use, or why it finds none.
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

/// The GPU of this number, ready to be used as `recipe` asks.
pub(super) fn device(gpu: usize, recipe: &TrainerSpec) -> Result<Device> {
    let devices = cuda_devices().map_err(|reason| anyhow!("CUDA cannot be used: {reason}"))?;
    ensure!(gpu < devices, "there is no GPU {gpu}: libtorch finds {devices}, counted from 0");
    set_up(recipe.products == MatmulPrecision::Tf32);
    Ok(Device::Cuda(gpu))
}

/// Products in TF32 or not, and sums in a fixed order where libtorch can.
#[expect(unsafe_code, reason = "libtorch's bindings have no function for it")]
fn set_up(tf32: bool) {
    unsafe extern "C" {
        /// In `context.cpp`.
        fn lth_set_up_cuda(tf32: bool);
    }
    // SAFETY: it sets flags of libtorch's global context, by libtorch's own functions.
    unsafe { lth_set_up_cuda(tf32) }
}

/// Opens libtorch's CUDA part where it can be had, whatever device is wanted: libtorch asks for it once, at the first
/// convolution or backward pass on any device, and remembers the answer. What is wrong with it is told by who wants a GPU.
pub(super) fn register_cuda_backend() {
    if cuda_unavailable_reason().is_none() {
        let _ = open();
    }
}

/// Opens libtorch's CUDA part, which makes itself known to the rest; once.
#[expect(unsafe_code, reason = "opening a library runs its initialisers")]
fn open() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    static OPENED: OnceLock<Result<(), String>> = OnceLock::new();
    OPENED
        .get_or_init(|| {
            // By its bare name: it is searched for where libtorch_cpu was found, along the same RPATH.
            // SAFETY: the library is libtorch's own, of the version this program is linked to; its initialisers
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
    fn every_reason_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        assert!(reason(None, true, false).unwrap().ends_with("(no libtorch_cuda.so)"));
        assert!(reason(Some(folder.path()), true, false).unwrap().contains("no libtorch_cuda.so in `"));
        crate::system::files::write(&folder.path().join(LIBRARY), b"").unwrap();
        assert!(reason(Some(folder.path()), false, false).unwrap().contains("driver"));
        assert!(reason(Some(folder.path()), true, true).unwrap().contains("CUDA_VISIBLE_DEVICES"));
        assert_eq!(reason(Some(folder.path()), true, false), None);
    }

    #[test]
    fn without_cuda_there_are_no_devices_and_a_reason() {
        match (cuda_unavailable_reason(), cuda_devices()) {
            (Some(reason), devices) => assert_eq!(devices, Err(reason)),
            (None, devices) => println!("skipped: CUDA may be there: {devices:?}"),
        }
    }
}
