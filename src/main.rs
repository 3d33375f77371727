//! The command line: parse, do, exit code.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    ExitCode::from(lth::cli::main(&lth::cli::Cli::parse()).code())
}
