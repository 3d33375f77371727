//! I/O errors, kills, signals and races, on the real binary: the same command then ends with the same bytes.

mod experiment;
#[cfg(target_os = "linux")]
mod injection;
#[cfg(unix)]
mod torture;
