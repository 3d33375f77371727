//! Agreement with the paper (Frankle & Carbin 2019): sizes, schedules, and the headers of the configurations.

mod config_headers;
mod schedules;
mod sizes;
