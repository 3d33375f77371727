//! One binary for all integration tests.

mod contract;
mod layers;
