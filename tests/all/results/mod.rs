//! Values that tables, figures and reports derive from the evaluations.

mod checkpoints;
mod early_stop;
mod partial_test;
mod tensorboard;
