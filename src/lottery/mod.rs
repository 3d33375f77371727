//! The algorithm: an experiment becomes a plan, and each training of the plan a mask with weights to start from.
//! Plain values; knows no file and no thread, and of engines which one a training takes.

mod arms;
mod audit;
mod check;
mod groups;
mod plan;
mod prepare;
mod profile;
mod setting;
mod sketch;
#[cfg(test)]
mod tests;
mod training;
mod weights;

pub use audit::{AuditError, audit_end, audit_start};
pub use check::check_arms;
pub use groups::{Group, groups};
pub use plan::{DENSE, Plan};
pub use prepare::{Context, Parents, all_ones, prepare};
pub use profile::profile;
pub use setting::Setting;
pub use training::{MaskRule, Need, RewindPoint, StartRule, Training};
