//! One binary for all integration tests.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking, and print what they skip")]

mod cli_errors;
mod commands;
mod compare;
mod data;
mod docs;
mod fake;
mod faults;
mod fuzz;
mod library;
mod synthetic_run;
mod paper;
mod planted;
mod report;
mod results;
mod runner;
mod support;
mod tickets;
mod trainer_contract;
mod verify;
