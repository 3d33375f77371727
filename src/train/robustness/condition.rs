//! The conditions under which a network is evaluated.

use serde::{Deserialize, Serialize};

use super::attack::{Attack, AttackMethod, Norm};
use crate::data::Corruption;

/// A change of the test images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// A corruption of all test images.
    Corruption {
        /// The kind.
        corruption: Corruption,
        /// The level, from 1.
        level: u32,
        /// The strength of this level, in the unit of the corruption.
        strength: f64,
        /// The seed of the noise; 0 for corruptions without noise.
        seed: u64,
    },
    /// An attack on the first test images.
    Attack {
        /// The attack.
        attack: Attack,
        /// Number of images that are attacked.
        images: u32,
    },
}

impl Condition {
    /// Returns a number sequence by which conditions are sorted: corruptions before attacks, then by kind, norm, steps,
    /// number of images, seed and strength.
    pub fn rank(&self) -> [u64; 7] {
        match *self {
            // Numbers >= 0 have the order of their bits.
            Self::Corruption { corruption, level, strength, seed } => {
                [0, corruption as u64, 0, 0, seed, u64::from(level), strength.to_bits()]
            }
            Self::Attack { attack: Attack { method, norm, epsilon, steps, seed }, images } => {
                [1, method as u64, norm as u64, steps.into(), images.into(), seed, epsilon.to_bits()]
            }
        }
    }
}

/// Returns the sizes of attacks that are measured unless others are chosen, in units of pixels in [0, 1]: of images with
/// one channel, and smaller ones of colour images, which hold more detail.
pub fn default_epsilons(norm: Norm, channels: usize) -> [f64; 3] {
    match (norm, channels) {
        (Norm::Linf, 1) => [0.05, 0.1, 0.2],
        (Norm::Linf, _) => [0.01, 0.02, 0.03],
        (Norm::L2, 1) => [0.5, 1.0, 2.0],
        (Norm::L2, _) => [0.125, 0.25, 0.5],
    }
}

/// The options of an evaluation, from which its conditions follow.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationDefinition {
    /// Corruptions, each measured at all levels.
    pub corruptions: Vec<Corruption>,
    /// Methods of attack.
    pub attacks: Vec<AttackMethod>,
    /// The norm of all attacks.
    pub norm: Norm,
    /// The sizes of attacks in units of pixels in [0, 1], each finite and > 0.
    pub epsilons: Vec<f64>,
    /// Number of steps of [`AttackMethod::Pgd`], at least 1.
    pub steps: u32,
    /// Number of test images that are attacked, at least 1.
    pub attack_images: u32,
    /// The seed of noise and of random starts.
    pub seed: u64,
}

impl EvaluationDefinition {
    /// Returns the conditions: the corruptions by level, then the attacks by ε in ascending order, each attack first with
    /// ε = 0, which is the accuracy on the images that it attacks.
    pub fn conditions(&self) -> Vec<Condition> {
        let corruptions = self.corruptions.iter().flat_map(|&corruption| {
            let seed = if corruption.is_random() { self.seed } else { 0 };
            let levels = (1..).zip(corruption.strengths());
            levels.map(move |(level, strength)| Condition::Corruption { corruption, level, strength, seed })
        });
        let mut epsilons: Vec<f64> = self.epsilons.iter().copied().chain([0.0]).collect();
        epsilons.sort_by(f64::total_cmp);
        epsilons.dedup();
        let attacks = self.attacks.iter().flat_map(|&method| {
            epsilons.iter().map(move |&epsilon| {
                let (steps, seed) = match method {
                    AttackMethod::Fgsm => (1, 0),
                    AttackMethod::Pgd => (self.steps, self.seed),
                };
                let attack = Attack { method, norm: self.norm, epsilon, steps, seed };
                Condition::Attack { attack, images: self.attack_images }
            })
        });
        corruptions.chain(attacks).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_follow_from_the_options() {
        let definition = EvaluationDefinition {
            corruptions: vec![Corruption::Blur, Corruption::GaussianNoise],
            attacks: vec![AttackMethod::Fgsm, AttackMethod::Pgd],
            norm: Norm::Linf,
            epsilons: vec![0.2, 0.1, 0.2],
            steps: 10,
            attack_images: 100,
            seed: 3,
        };
        let conditions = definition.conditions();
        assert_eq!(conditions.len(), 2 * 5 + 2 * 3);
        let blur = Condition::Corruption { corruption: Corruption::Blur, level: 2, strength: 0.75, seed: 0 };
        assert_eq!(conditions[1], blur);
        let attacks = conditions.iter().filter_map(|condition| match condition {
            Condition::Attack { attack, .. } => Some((attack.epsilon, attack.steps, attack.seed)),
            Condition::Corruption { .. } => None,
        });
        let expected = [(0.0, 1, 0), (0.1, 1, 0), (0.2, 1, 0), (0.0, 10, 3), (0.1, 10, 3), (0.2, 10, 3)];
        assert_eq!(attacks.collect::<Vec<_>>(), expected);
    }
}
