//! One training, or several in lockstep: which images when, when to evaluate, and what was measured. Knows no arm and no file.

mod order;
mod schedule;
mod session;

pub use order::Order;
pub use schedule::{Schedule, check_schedule};
pub use session::{End, Lane, Session, Trained};
