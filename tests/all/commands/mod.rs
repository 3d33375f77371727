//! The commands of the program, apart from errors in their arguments.

mod doctor;
mod foreign_files;
mod output;
mod plan;
mod run;
mod runs;
mod scripting;
mod stability;
mod sweep;
