//! `lth` runs experiments on the Lottery Ticket Hypothesis (Frankle & Carbin, arXiv 1803.03635).
//!
//! The modules are layers, listed from the ground up: each may import only the layers before it in this list. The algorithm
//! is [`lottery`]; start there.

pub mod base;
pub mod system;
pub mod config;
pub mod data;
pub mod network;
pub mod prune;
pub mod compute;
pub mod engine;
pub mod train;
pub mod lottery;
pub mod artifacts;
pub mod runner;
pub mod plot;
pub mod report;
pub mod ui;
pub mod cli;
