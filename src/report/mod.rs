//! What runs came to, from their files alone: no engine, no data, no store. Knows no terminal.

mod find;
mod overview;
mod run;

pub use find::{NoSuchRun, all, find};
pub use overview::{Best, Overview};
pub use run::{Run, State};
