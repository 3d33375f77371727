//! The commands of the program, apart from errors in their arguments.

mod at_init;
mod built_in_sweep;
mod doctor;
mod early_bird;
mod foreign_files;
mod jobs;
mod landscape;
mod mask_updates;
mod output;
mod plan;
mod run;
mod runs;
mod scripting;
mod evaluate;
mod stability;
mod sweep;
