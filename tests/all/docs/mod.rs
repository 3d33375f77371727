//! Texts that must agree with the program: README, schema, reference, manual pages, and the layers of the modules.

mod generate;
mod layers;
mod readme;
mod shells;
