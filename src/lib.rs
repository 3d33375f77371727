//! Runs Lottery Ticket Hypothesis experiments, from a configuration to training runs, CSV files and a report. The
//! command line `lth` is built on this library.
//!
//! # Example
//!
//! ```
//! # let runs = tempfile::tempdir()?;
//! # let runs = runs.path();
//! let text = r#"
//!     name = "tiny"
//!     rounds = 2
//!     data = { dataset = "strokes", train_images = 600, test_images = 100, validation = 100 }
//!     network.architecture = { mlp = { hidden = [16] } }
//!     train = { iterations = 40, batch_size = 20, optimizer = "adam", lr = 2e-3 }
//!     arms.winning_ticket = { mask = "iterative", weights = "rewind" }
//! "#;
//! let run = lth::open(text, &["seed=7"])?.run(runs, &|_: &lth::Event<'_>| {})?;
//! for row in run.rows() {
//!     println!("{} round {}: {:?}", row.arm, row.round, row.final_test_accuracy);
//! }
//! let last = run.rows().last().expect("one row for each training run");
//! let (mask, ticket) = (run.mask(last)?, run.ticket(last)?);
//! assert_eq!(mask.kept_total(), last.weights_kept);
//! assert!(mask.is_respected_by(&ticket));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Modules
//!
//! Programs need [`open`], [`open_run`] and the types that these return. Four modules are meant to be used beside them:
//! [`config`] (experiments as types), [`lottery`] (plans, masks, starting states), [`artifacts`] (the rows of the CSV
//! files) and [`base`] (masks, tensors, curves). The other modules are public for the tests and benchmarks of this
//! repository. The crate is not published, and nothing in it is stable between versions; the files of runs stay readable.
//!
//! Each module may import only modules before it in this order: [`base`], [`system`], [`config`], [`data`], [`network`],
//! [`prune`], [`compute`], [`engine`], [`train`], [`lottery`], [`artifacts`], [`runner`], [`plot`], [`report`], [`ui`],
//! [`cli`]. The functions of this page use them all.
//!
//! # libtorch
//!
//! A crate that depends on this one needs libtorch 2.11.0 when it is built, and again when it is started:
//!
//! 1. Build with `LIBTORCH` set to the folder of libtorch, for instance in `.cargo/config.toml`:
//!    `[env] LIBTORCH = "/path/to/lth/.libtorch"`. `scripts/setup` of this repository makes that folder.
//! 2. Give the binary the place of the libraries. Cargo does not pass linker arguments on to dependent crates, so either
//!    set `LD_LIBRARY_PATH` to `$LIBTORCH/lib` when the program starts, or add this `build.rs`:
//!
//! ```text
//! fn main() {
//!     let libraries = std::env::var("DEP_LTH_LIBTORCH").unwrap();
//!     println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags,-rpath,{libraries}");
//! }
//! ```
//!
#![doc = include_str!("ARCHITECTURE.md")]

mod api;

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

pub use api::{Error, PlannedExperiment, RunReader, open, open_run};
pub use runner::{Event, EventSink};
