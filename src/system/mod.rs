//! The operating system: files and their names, paths that users give, environment, machine, signals, time and
//! exit codes. Names the files of runs and training runs, but is independent of their contents.

pub mod cancel;
pub mod clock;
mod cpu_limits;
pub mod env;
pub mod exit;
pub mod files;
pub mod job_control;
pub mod local_time;
pub mod machine;
pub mod parallel;
pub mod paths;
pub mod retry;
pub mod user_path;
pub mod written_files;
