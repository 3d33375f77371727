//! `lth` runs experiments on the Lottery Ticket Hypothesis (Frankle & Carbin, arXiv 1803.03635).
//!
//! The modules are rooms, listed from the ground up: each may use the rooms above it in this list, never one below.
//! The algorithm is [`lottery`]; start there.

pub mod base;
pub mod config;
pub mod record;
pub mod data;
pub mod network;
pub mod prune;
pub mod engine;
pub mod train;
pub mod lottery;
pub mod lab;
pub mod report;
pub mod ui;
pub mod cli;
