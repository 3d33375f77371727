#![doc = include_str!("ARCHITECTURE.md")]

// Each layer may import only the layers before it in this list; tests/all/docs/layers.rs enforces it.
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
