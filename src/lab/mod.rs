//! Runs a plan: ready trainings on workers, longest chain first; the store; resume; stop; failures. Knows no method by
//! name.

mod board;
mod clean;
mod costs;
mod forecast;
mod fresh;
mod health;
mod listing;
mod lane;
mod run;
mod stability;
mod store;
mod turn;
mod view;
mod worker;

pub use board::Summary;
pub use clean::{Cleaning, Freed, Needless, Reason, cleaning, free};
pub use forecast::{Forecast, Round, Time};
pub use fresh::set_aside;
pub use health::Health;
pub use run::{Build, Lab, Report};
pub use stability::{Pair, Stability};
pub use store::{Finished, Store};
pub use view::View;
