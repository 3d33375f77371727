//! The optimizer and its hyper-parameters: keys of `[train]` on one level in a file, an enum with payload in memory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checker::{Checker, is_below_one, is_positive};

/// Default β₁ and β₂ of Adam.
const DEFAULT_BETAS: [f64; 2] = [0.9, 0.999];
/// Default ε of Adam.
const DEFAULT_EPS: f64 = 1e-8;

/// The optimizer with its hyper-parameters. Weight decay is common to all and is a field of
/// [`TrainConfig`](super::TrainConfig).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerConfig {
    /// Adam (Kingma & Ba, arXiv 1412.6980).
    Adam {
        /// β₁ and β₂: decay rates of the first and second moment, in [0, 1).
        betas: [f64; 2],
        /// ε: added to the denominator, above 0.
        eps: f64,
    },
    /// Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101).
    AdamW {
        /// β₁ and β₂: decay rates of the first and second moment, in [0, 1).
        betas: [f64; 2],
        /// ε: added to the denominator, above 0.
        eps: f64,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// μ: in [0, 1), 0 for plain gradient descent.
        momentum: f64,
        /// Whether the momentum has Nesterov's form; only with `momentum` above 0.
        nesterov: bool,
    },
}

impl OptimizerConfig {
    /// Returns the name of the optimizer, without its hyper-parameters.
    pub fn kind(&self) -> OptimizerKind {
        match self {
            Self::Adam { .. } => OptimizerKind::Adam,
            Self::AdamW { .. } => OptimizerKind::AdamW,
            Self::Sgd { .. } => OptimizerKind::Sgd,
        }
    }
}

/// An optimizer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Optimizer")]
pub enum OptimizerKind {
    /// Adam (Kingma & Ba, arXiv 1412.6980).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), in `PyTorch`'s form. The default of
    /// `weight_decay` is 0 here too.
    #[serde(rename = "adamw")]
    AdamW,
    /// Stochastic gradient descent, with optional momentum.
    Sgd,
}

/// The keys of `[train]` that describe the optimizer, as they are written.
#[derive(Clone, Copy)]
pub(super) struct OptimizerKeys {
    pub(super) optimizer: OptimizerKind,
    pub(super) betas: Option<[f64; 2]>,
    pub(super) eps: Option<f64>,
    pub(super) momentum: Option<f64>,
    pub(super) nesterov: Option<bool>,
}

impl OptimizerKeys {
    /// Checks the range of Adam's numbers.
    pub(super) fn check_adam(self, checker: &mut Checker) {
        let are_fractions = self.betas.is_none_or(|betas| betas.into_iter().all(is_below_one));
        checker.require("train.betas", are_fractions, "must be at least 0 and below 1");
        checker.require("train.eps", self.eps.is_none_or(is_positive), "must be above 0");
        checker.require_float32("train.eps", self.eps);
    }

    /// Like [`check_adam`](Self::check_adam), but for the numbers of SGD.
    pub(super) fn check_sgd(self, checker: &mut Checker) {
        let is_valid = self.momentum.is_none_or(is_below_one);
        checker.require("train.momentum", is_valid, "must be at least 0 and below 1");
        let has_momentum = self.momentum.is_some_and(|momentum| momentum > 0.0);
        let is_nesterov = self.nesterov == Some(true);
        checker.require("train.nesterov", !is_nesterov || has_momentum, "needs `momentum` above 0");
    }

    /// Checks that no key belongs to another optimizer.
    pub(super) fn check_combinations(self, checker: &mut Checker) {
        let is_sgd = self.optimizer == OptimizerKind::Sgd;
        let adam = "`optimizer = \"adam\"` or `\"adamw\"`";
        let sgd = "`optimizer = \"sgd\"`";
        checker.only_with_choice("train.betas", self.betas.is_some(), !is_sgd, adam);
        checker.only_with_choice("train.eps", self.eps.is_some(), !is_sgd, adam);
        checker.only_with_choice("train.momentum", self.momentum.is_some(), is_sgd, sgd);
        checker.only_with_choice("train.nesterov", self.nesterov.is_some(), is_sgd, sgd);
    }

    /// Returns the optimizer with its defaults filled in.
    pub(super) fn resolve(self) -> OptimizerConfig {
        let betas = self.betas.unwrap_or(DEFAULT_BETAS);
        let eps = self.eps.unwrap_or(DEFAULT_EPS);
        match self.optimizer {
            OptimizerKind::Adam => OptimizerConfig::Adam { betas, eps },
            OptimizerKind::AdamW => OptimizerConfig::AdamW { betas, eps },
            OptimizerKind::Sgd => OptimizerConfig::Sgd {
                momentum: self.momentum.unwrap_or(0.0),
                nesterov: self.nesterov.unwrap_or(false),
            },
        }
    }
}

impl From<OptimizerConfig> for OptimizerKeys {
    fn from(config: OptimizerConfig) -> Self {
        let bare = Self { optimizer: config.kind(), betas: None, eps: None, momentum: None, nesterov: None };
        match config {
            OptimizerConfig::Adam { betas, eps } | OptimizerConfig::AdamW { betas, eps } => {
                Self { betas: Some(betas), eps: Some(eps), ..bare }
            }
            OptimizerConfig::Sgd { momentum, nesterov } => {
                Self { momentum: Some(momentum), nesterov: Some(nesterov), ..bare }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::{experiment, usage_error};

    #[test]
    fn optimizer_defaults_are_filled_in() {
        let optimizer = |sets: &[&str]| experiment(sets).train.optimizer;
        let (betas, eps) = (DEFAULT_BETAS, DEFAULT_EPS);
        assert_eq!(optimizer(&[]), OptimizerConfig::Adam { betas, eps });
        assert_eq!(optimizer(&["train.optimizer=adamw"]), OptimizerConfig::AdamW { betas, eps });
        let sgd = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false };
        assert_eq!(optimizer(&["train.optimizer=sgd"]), sgd);
    }

    #[test]
    fn optimizer_keys_keep_their_places_when_written() {
        let sets = ["train.optimizer=sgd", "train.momentum=0.9", "train.nesterov=true"];
        let written = serde_json::to_string(&experiment(&sets).train).unwrap();
        assert!(written.contains(r#""optimizer":"sgd","lr":0.002,"momentum":0.9,"nesterov":true,"#), "{written}");
        assert!(!written.contains("betas") && !written.contains("eps"), "{written}");
    }

    #[test]
    fn optimizer_keys_of_another_optimizer_are_all_reported() {
        let error = usage_error(&["train.optimizer=sgd", "train.betas=[0.9,0.99]", "train.eps=1e-3"]);
        assert!(error.contains("`train.betas` belongs to `optimizer = \"adam\"` or `\"adamw\"`"), "{error}");
        assert!(error.contains("`train.eps` belongs to"), "{error}");
    }
}
