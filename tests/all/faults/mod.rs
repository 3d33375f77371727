//! I/O errors, kills, signals and races, on the real binary: the same command then ends with the same bytes.

#[cfg(target_os = "linux")]
mod claims;
mod experiment;
#[cfg(target_os = "linux")]
mod injection;
#[cfg(unix)]
mod torture;
