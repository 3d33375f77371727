//! Bakes the place of libtorch into the binary, so that it starts with no environment variable, and compiles the few lines
//! of C++ that set what the bindings cannot.

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={CONTEXT}");
    let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") else { return };
    let include = Path::new(&lib).with_file_name("include");
    cc::Build::new().cpp(true).std("c++17").warnings(false).include(include).file(CONTEXT).compile("lth_context");
    // RPATH, not RUNPATH (`--disable-new-dtags`): libtorch's own dependencies (libcudart, libcupti) lie in the
    // same folder, and only RPATH is searched for the dependencies of dependencies.
    println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{lib}");
}

const CONTEXT: &str = "src/engine/torch/context.cpp";
