//! One binary for all integration tests.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking, and say what they skip")]

mod arms;
mod bad_input;
mod checkpoints;
mod compare;
mod contract;
mod conv;
mod contract_conv;
mod data;
mod data_commands;
mod doctor;
mod fake;
mod given_paths;
mod grid;
mod lab;
mod lanes;
mod generate;
mod hints;
mod layers;
mod mistakes;
mod made_up;
mod names;
mod oracle;
mod paper;
mod plan;
mod readme;
mod real_data;
mod report;
mod resume;
mod run;
mod runs;
mod schedule;
mod stability;
mod stdin;
mod support;
mod test_images;
