//! One binary for all integration tests.

mod bad_input;
mod contract;
mod lab;
mod layers;
mod real_data;
mod resume;
mod run;
mod support;
