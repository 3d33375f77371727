//! The verification of a run: compares everything that is stored with what it is made from. Changes no file of the run
//! or of the store.
//!
//! `entries` compares the files of the store with their checksums, `invariants` checks masks and weights as the audit
//! does, `run_files` makes the files of the run again, `evaluation` evaluates stored weights again,
//! `gradient_masks` makes masks again that need the data, and `retraining` trains again.

mod check;
mod entries;
mod evaluation;
mod gradient_masks;
mod invariants;
mod retraining;
mod run_files;
mod verifier;

pub use check::{Check, CheckState, Difference, WRITE_AGAIN};
pub use entries::archived_entries;
pub use evaluation::re_evaluate;
pub use gradient_masks::remake_gradient_masks;
pub use retraining::{Retraining, retrain};
pub use run_files::listed_checksums;
pub use verifier::Verifier;
