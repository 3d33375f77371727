//! The command line: parse, do, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lth::cli::main(std::env::args_os()).code())
}
