//! Data sets: files in every form, the `lth data` command, and the real files.

mod commands;
mod custom_folder;
mod files;
mod real;
