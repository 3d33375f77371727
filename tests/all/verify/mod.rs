//! The integrity of stored files: `lth verify`, damage, locks.

mod command;
mod damage;
mod locks;
mod run_folder;
