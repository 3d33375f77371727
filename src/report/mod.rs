//! What runs came to, from their files alone: no engine, no data, no store. Knows no terminal.

mod run;

pub use run::Run;
