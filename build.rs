//! Writes the folders of libtorch into the binary, so that it starts with no environment variable, and passes it on to
//! dependent crates as `DEP_LTH_LIBTORCH`. Compiles the few lines of C++ that set flags of libtorch for which the crate
//! `tch` has no function. Sets `cfg(lth_gpu)` for tests that need a GPU.

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={CUDA_SOURCE}");
    println!("cargo:rustc-check-cfg=cfg(lth_gpu)");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    set_gpu_cfg(Path::new(&lib));
    let include = Path::new(&lib).with_file_name("include");
    cc::Build::new().cpp(true).std("c++17").warnings(false).include(include).file(CUDA_SOURCE).compile("lth_cuda");
    // RPATH, not RUNPATH (`--disable-new-dtags`): libtorch's own dependencies (libcudart, libcupti) lie in the
    // same folder, and only RPATH is searched for the dependencies of dependencies.
    println!("cargo:libtorch={lib}");
    // `lib` beside the binary comes first: `scripts/package` puts the libraries there.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,$ORIGIN/lib:{lib}");
}

const CUDA_SOURCE: &str = "src/engine/torch/cuda.cpp";

/// Devices that exist if the driver of NVIDIA GPUs is installed (`dxg` in the Linux subsystem of Windows). The same list as in
/// `system::machine`.
const DRIVER_DEVICES: [&str; 2] = ["/dev/nvidiactl", "/dev/dxg"];

/// Sets `cfg(lth_gpu)` if libtorch was installed with CUDA, the NVIDIA driver is installed, and `CUDA_VISIBLE_DEVICES`
/// does not hide its GPUs. Without the flag, tests that need a GPU are reported as ignored.
///
/// Only files that exist are watched: cargo takes a watched file that is missing for a changed one, and would compile
/// everything again on each build without a GPU. After a driver has been installed, touch `build.rs`.
#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn set_gpu_cfg(libtorch: &Path) {
    println!("cargo:rerun-if-env-changed=CUDA_VISIBLE_DEVICES");
    let hides_gpus = std::env::var("CUDA_VISIBLE_DEVICES").is_ok_and(|gpus| gpus.is_empty() || gpus.starts_with('-'));
    let driver = DRIVER_DEVICES.into_iter().find(|device| Path::new(device).exists());
    let cuda = libtorch.join("libtorch_cuda.so");
    if let Some(driver) = driver.filter(|_| cuda.exists() && !hides_gpus) {
        println!("cargo:rerun-if-changed={driver}");
        println!("cargo:rerun-if-changed={}", cuda.display());
        println!("cargo:rustc-cfg=lth_gpu");
    }
}
