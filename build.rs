//! Bakes the place of libtorch into the binary, so that it starts with no environment variable.

#[expect(clippy::disallowed_methods, reason = "cargo speaks to build scripts through the environment")]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(lib) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        // RPATH, not RUNPATH (`--disable-new-dtags`): libtorch's own dependencies (libcudart, libcupti) lie in the
        // same folder, and only RPATH is searched for the dependencies of dependencies.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{lib}");
    }
}
