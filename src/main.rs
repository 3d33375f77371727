//! Runs the command line and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lth::cli::main(std::env::args_os()).code())
}
