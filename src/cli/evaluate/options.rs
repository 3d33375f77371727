//! The options of `lth evaluate` that define what is measured.

use clap::Args;

use crate::base::category::Categorical;
use crate::data::Corruption;
use crate::train::robustness::{AttackMethod, EvaluationDefinition, Norm, default_epsilons};

#[derive(Debug, Args)]
pub(super) struct EvaluationOptions {
    /// Corruptions of test images, each at five levels, separated by commas: `gaussian_noise`, `blur`, `contrast`,
    /// `brightness`, `rotation`, `translation`, `pixelation`; or `none` [default: all].
    #[arg(long, value_name = "LIST", value_parser = word_list::<Corruption>)]
    corruption: Option<Chosen<Corruption>>,
    /// Attacks, separated by commas: `fgsm` (one step along the gradient), `pgd` (several, from a random start); or
    /// `none` [default: both].
    #[arg(long, value_name = "LIST", value_parser = word_list::<AttackMethod>)]
    attack: Option<Chosen<AttackMethod>>,
    /// Norm of the change by an attack: `linf` or `l2`.
    #[arg(long, value_name = "NORM", default_value = "linf", value_parser = word::<Norm>)]
    norm: Norm,
    /// Largest norms of the change by an attack, in units of pixels in [0, 1], separated by commas [default: for images
    /// with one channel 0.05,0.1,0.2 in the norm `linf` and 0.5,1,2 in `l2`; with several 0.01,0.02,0.03 and
    /// 0.125,0.25,0.5].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, value_parser = epsilon_list)]
    epsilon: Option<Chosen<f64>>,
    /// Number of steps of `pgd`.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Number of test images that are attacked, the first of the test set; all, if there are fewer.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    attack_images: u32,
    /// Seed of noise and of random starts; the same numbers for every network.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl EvaluationOptions {
    /// Returns what is measured on images with a number of channels.
    pub(super) fn definition(&self, channels: usize) -> EvaluationDefinition {
        let chosen_epsilons = self.epsilon.as_ref().map(|chosen| chosen.0.clone());
        EvaluationDefinition {
            corruptions: self.corruption.as_ref().map_or_else(|| Corruption::ALL.to_vec(), |chosen| chosen.0.clone()),
            attacks: self.attack.as_ref().map_or_else(|| AttackMethod::ALL.to_vec(), |chosen| chosen.0.clone()),
            norm: self.norm,
            epsilons: chosen_epsilons.unwrap_or_else(|| default_epsilons(self.norm, channels).to_vec()),
            steps: self.steps,
            attack_images: self.attack_images,
            seed: self.seed,
        }
    }
}

/// The values of a list, each once.
#[derive(Clone, Debug, PartialEq)]
struct Chosen<T>(Vec<T>);

/// Returns the value that a word stands for.
fn word<T: Categorical>(text: &str) -> Result<T, String> {
    let found = T::ALL.iter().copied().find(|value| value.as_str() == text);
    found.ok_or_else(|| {
        let words: Vec<&str> = T::ALL.iter().map(|value| value.as_str()).collect();
        format!("there is no `{text}`; one of: {}", words.join(", "))
    })
}

/// Returns the values of a list of words; none for `none`.
fn word_list<T: Categorical>(text: &str) -> Result<Chosen<T>, String> {
    if text == "none" { Ok(Chosen(Vec::new())) } else { list(text, word) }
}

/// Returns the numbers of a list of sizes of attacks.
fn epsilon_list(text: &str) -> Result<Chosen<f64>, String> {
    list(text, |number| match number.parse::<f64>() {
        Ok(epsilon) if epsilon.is_finite() && epsilon >= 0.0 => Ok(epsilon.abs()),
        Ok(_) => Err(format!("`{number}` is not a finite number of at least 0")),
        Err(_) => Err(format!("`{number}` is not a number")),
    })
}

/// Returns the values of a list that is separated by commas, each once.
fn list<T: PartialEq>(text: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Chosen<T>, String> {
    let mut values = Vec::new();
    for part in text.split(',') {
        let value = parse(part.trim())?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(Chosen(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_or_refused() {
        assert_eq!(word_list("pgd,fgsm,pgd"), Ok(Chosen(vec![AttackMethod::Pgd, AttackMethod::Fgsm])));
        assert_eq!(word_list::<Corruption>("none"), Ok(Chosen(vec![])));
        assert_eq!(word_list::<AttackMethod>("cw").unwrap_err(), "there is no `cw`; one of: fgsm, pgd");
        assert_eq!(word::<Norm>("l1").unwrap_err(), "there is no `l1`; one of: linf, l2");
        assert_eq!(epsilon_list("0.1, 0.2"), Ok(Chosen(vec![0.1, 0.2])));
        assert!(epsilon_list("-0.0").unwrap().0[0].is_sign_positive());
        for (text, problem) in
            [("-0.1", "at least 0"), ("inf", "finite"), ("NaN", "finite"), ("", "not a number"), ("1e", "not a number")]
        {
            assert!(epsilon_list(text).unwrap_err().contains(problem), "{text}");
        }
    }
}
