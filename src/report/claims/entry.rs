//! The entries of `claims.toml`, and which experiment they speak of.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::super::paired::Metric;
use crate::base::format::with_thousands;
use crate::config::{
    Architecture, DatasetSpec, Experiment, OptimizerKind, PruneConfig, Scope, TrainingTime, WeightInit,
};
use crate::network::build;
use crate::report::roles::PaperRole;
use crate::report::statistics::Interval;

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimFile {
    #[serde(rename = "setting")]
    pub(super) settings: Vec<ClaimSetting>,
    #[serde(rename = "claim")]
    pub(super) claims: Vec<Claim>,
}

/// What the paper trained.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimSetting {
    pub(super) name: String,
    /// By its name in a configuration; this version need not know it.
    pub(super) architecture: String,
    pub(super) dataset: DatasetSpec,
    pub(super) iterations: u64,
    pub(super) batch_size: u32,
    pub(super) optimizer: OptimizerKind,
    pub(super) lr: f64,
    #[serde(default)]
    pub(super) scope: Scope,
    /// Whether its claims are about this learning rate with this warm-up, and no other.
    #[serde(default)]
    pub(super) of_this_lr: bool,
    /// Other values of `[train]`, by their keys.
    #[serde(default)]
    pub(super) train: Map<String, Value>,
}

/// What the paper claims.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) setting: String,
    pub(super) text: String,
    pub(super) source: String,
    pub(super) paper: String,
    pub(super) of: PaperRole,
    pub(super) against: Option<PaperRole>,
    pub(super) measure: Metric,
    /// A share of weights remaining; without it and `between`, round 0.
    pub(super) at: Option<f64>,
    /// All shares from the first to the second.
    pub(super) between: Option<[f64; 2]>,
    /// With `between`.
    #[serde(default)]
    pub(super) rounds: Quantifier,
    pub(super) at_least: Option<f64>,
    pub(super) at_most: Option<f64>,
}

/// How many of several rounds a claim speaks of.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quantifier {
    #[default]
    Every,
    Some,
}

impl ClaimFile {
    /// All of them.
    pub(super) fn all() -> Self {
        toml::from_str(include_str!("claims.toml")).expect("a file of the program, which its tests read")
    }

    /// The setting that a claim speaks of.
    pub(super) fn setting(&self, claim: &Claim) -> Option<&ClaimSetting> {
        self.settings.iter().find(|setting| setting.name == claim.setting)
    }
}

impl Claim {
    /// Whether the bounds lie where the claim has them.
    pub(super) fn holds(&self, it: &Interval) -> bool {
        self.at_least.is_none_or(|least| it.low >= least) && self.at_most.is_none_or(|most| it.high <= most)
    }

    /// Whether the bounds exclude it.
    pub(super) fn excluded(&self, it: &Interval) -> bool {
        self.at_least.is_some_and(|least| it.high < least) || self.at_most.is_some_and(|most| it.low > most)
    }
}

impl ClaimSetting {
    /// Whether an experiment trains this network, under whatever name, on this data set.
    pub(super) fn matches(&self, experiment: &Experiment) -> bool {
        // Only 28×28 grey and 32×32 coloured sets with 10 classes appear in the paper.
        let input = if self.dataset == DatasetSpec::Cifar10 { [3, 32, 32] } else { [1, 28, 28] };
        let named = serde_json::from_value::<Architecture>(self.architecture.clone().into());
        let own = build(&experiment.network, input, 10);
        let is_rate = experiment.train.lr == self.lr && told(experiment, "warmup") == self.train.get("warmup").cloned();
        experiment.data.dataset == self.dataset
            && (is_rate || !self.of_this_lr)
            && named.is_ok_and(|named| own.is_ok_and(|own| build(&named.into(), input, 10) == Ok(own)))
    }

    /// What an experiment does otherwise than the paper.
    pub(super) fn deviations(&self, experiment: &Experiment) -> Vec<String> {
        let train = &experiment.train;
        let mut all = Vec::new();
        let mut differ = |here: String, paper: String| {
            if here != paper {
                all.push(format!("{here} here, {paper} in the paper"));
            }
        };
        let iterations = |n: u64| format!("{} iterations", with_thousands(n));
        differ(iterations(train.iterations), iterations(self.iterations));
        differ(format!("batches of {}", train.batch_size), format!("batches of {}", self.batch_size));
        let optimizer = |optimizer: OptimizerKind, lr: f64| format!("{} with lr {lr}", word(&optimizer));
        differ(optimizer(train.optimizer.kind(), train.lr), optimizer(self.optimizer, self.lr));
        for (key, value) in &self.train {
            let words = |value: Option<Value>| {
                value.map_or(format!("no `{key}`"), |value| format!("{key} {}", self.plain(&value)))
            };
            differ(words(told(experiment, key)), words(Some(value.clone())));
        }
        // What a setting does not name was not used there.
        let is_unnamed = |key: &str| !self.train.contains_key(key);
        if is_unnamed("schedule") {
            differ(format!("schedule `{}`", word(&train.lr_schedule.kind())), "schedule `constant`".to_owned());
        }
        let decay = Some(train.weight_decay).filter(|decay| *decay > 0.0);
        let smoothing = Some(train.label_smoothing).filter(|share| *share > 0.0);
        let more = [
            ("warmup", train.warmup.map(|warmup| format!("a warm-up over {warmup}"))),
            ("weight_decay", decay.map(|decay| format!("weight decay {decay}"))),
            ("clip_norm", train.clip_norm.map(|norm| format!("gradients clipped at {norm}"))),
            ("label_smoothing", smoothing.map(|share| format!("label smoothing {share}"))),
        ];
        let unnamed = more.into_iter().filter(|(key, _)| is_unnamed(key));
        unnamed.filter_map(|(_, here)| here).for_each(|here| differ(here, "none".to_owned()));
        let ways = |init: WeightInit, prune: &PruneConfig| {
            [
                format!("initial weights `{}`", word(&init)),
                format!("criterion `{}`", word(&prune.criterion)),
                format!("scope `{}`", word(&prune.scope)),
            ]
        };
        // What has a default is the paper's by default, for every network it speaks of here.
        let paper = PruneConfig { scope: self.scope, ..PruneConfig::default() };
        let here = ways(experiment.network.init, &experiment.prune);
        here.into_iter().zip(ways(WeightInit::default(), &paper)).for_each(|(here, paper)| differ(here, paper));
        if let Some(limit) = experiment.data.train_limit {
            differ(format!("{} training images", with_thousands(limit.into())), "all of them".to_owned());
        }
        all
    }

    /// A value as a person reads it, moments of training in iterations: of CIFAR-10 the paper trains on 45,000 images.
    fn plain(&self, value: &Value) -> String {
        let per_epoch = u64::from(45_000 / self.batch_size.max(1));
        match value {
            Value::String(text) => text
                .parse::<TrainingTime>()
                .map_or_else(|()| text.clone(), |step| with_thousands(step.iterations(per_epoch))),
            Value::Array(all) => all.iter().map(|value| self.plain(value)).collect::<Vec<_>>().join(" and "),
            other => other.to_string(),
        }
    }
}

/// A value of `[train]` by its key, where it is given; this version need not know the key.
fn told(experiment: &Experiment, key: &str) -> Option<Value> {
    serde_json::to_value(&experiment.train).ok()?.get(key).cloned()
}

/// How a value is called in a configuration.
fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}
