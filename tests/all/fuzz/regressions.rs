//! Inputs that broke a reader, found by the mutations.
