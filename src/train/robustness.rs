//! Robustness, calibration and accuracy by class of one trained network: on the test images as they are, corrupted, and
//! changed by adversarial attacks. Independent of arms, files and the way in which the network was trained.
//!
//! `condition` says what is measured, `attack` changes images against a network, `test_images` corrupts them, and
//! `evaluated_network` measures.

mod attack;
mod condition;
mod evaluated_network;
mod test_images;

pub use attack::{Attack, AttackMethod, Norm};
pub use condition::{Condition, EvaluationDefinition, default_epsilons};
pub use evaluated_network::{ClassCount, CleanMeasurement, ConditionMeasurement, EvaluatedNetwork};
pub use test_images::TestImages;
