//! Data sets: files in every form, the `lth data` command, and the real files.

mod commands;
mod files;
mod real;
