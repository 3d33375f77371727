//! Errors of the command line and of configurations: messages, places, hints, exit codes.

mod bad_input;
mod given_paths;
mod hints;
mod hostile;
mod mistakes;
mod names;
mod network_sizes;
mod overrides;
mod stdin;
