//! `mask_updates` of an arm: how its masks change during training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allocation::Allocation;
use super::checker::{Checker, is_positive};
use super::mask_source::TargetSize;
use super::training_time::TrainingTime;

/// How the mask of a network changes during its training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "MaskUpdatesKeys", into = "MaskUpdatesKeys")]
pub enum MaskUpdates {
    /// It does not change.
    Static,
    /// Each layer drops its smallest weights and grows as many others.
    Regrow(Regrowth),
    /// Weights are pruned in many small steps.
    Gmp(GradualPruning),
    /// The mask is trained, and the weights are not.
    Learn(MaskLearning),
}

/// Training of scores that determine the mask, while the weights stay as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaskLearning {
    /// How scores determine the mask.
    pub supermask: Supermask,
    /// The learning rate of scores; `None` for `train.lr`.
    pub lr: Option<f64>,
}

/// How scores determine a mask (a supermask: one that makes a good network of untrained weights).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Supermask {
    /// Each layer keeps as many weights as before: those whose scores have the largest magnitudes.
    EdgePopup,
    /// Each weight is kept with the probability σ(score).
    Bernoulli,
}

/// Updates that drop weights and grow as many others in the same layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regrowth {
    /// The weights that grow.
    pub growth: Growth,
    /// Iterations from one update to the next; the first is at the first iteration.
    pub every: TrainingTime,
    /// The share of a layer's weights that the first update drops, above 0 and below 1.
    pub drop: f64,
    /// The course of that share over the updates.
    pub decay: DropDecay,
    /// The share of the training after which the mask stays, above 0 and at most 1.
    pub until: f64,
}

/// Gradual magnitude pruning.
#[derive(Clone, Debug, PartialEq)]
pub struct GradualPruning {
    /// The size of the mask at the end.
    pub size: TargetSize,
    /// Iterations from one pruning to the next.
    pub every: TrainingTime,
    /// The share of the training before the first pruning, in 0..1.
    pub from: f64,
    /// The share of the training by whose end the last pruning has been made, above `from` and below 1.
    pub until: f64,
}

impl Supermask {
    /// Returns the name in configurations and keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EdgePopup => "edge_popup",
            Self::Bernoulli => "bernoulli",
        }
    }
}

/// The weights that grow at an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Random ones.
    Random,
    /// Those with the largest gradient.
    Gradient,
}

/// The course of the share of weights that an update drops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "DropDecay")]
pub enum DropDecay {
    /// It falls to 0 along half a cosine.
    #[default]
    Cosine,
    /// It stays the same.
    Constant,
}

/// A method by which masks change during training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "MaskUpdateMethod")]
enum Method {
    /// The mask stays as it is.
    Static,
    /// Sparse evolutionary training (Mocanu et al. 2018, arXiv 1707.04780), with magnitudes as in the code of `RigL`: after
    /// an optimizer step, each layer drops its smallest weights and grows as many random ones.
    Set,
    /// `RigL` (Evci et al. 2020, arXiv 1911.11134): instead of an optimizer step, each layer drops its smallest weights and
    /// grows as many of those with the largest gradient.
    Rigl,
    /// Gradual magnitude pruning (Zhu & Gupta 2017, arXiv 1710.01878): the share of pruned weights rises from that of the
    /// mask to that of the target, ever more slowly (cubically).
    Gmp,
    /// Edge-popup (Ramanujan et al. 2020, arXiv 1911.13299): the weights stay as they are, and a score of each weight is
    /// trained; each layer keeps the weights with the largest |score|.
    EdgePopup,
    /// A learned supermask (Zhou et al. 2019, arXiv 1905.01067): the weights stay as they are, and a score of each weight is
    /// trained; σ(score) is the probability with which the weight is kept, drawn for every batch. Evaluations are the mean of
    /// ten draws.
    Bernoulli,
}

/// How the mask of a network changes during its training.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MaskUpdates")]
struct MaskUpdatesKeys {
    /// The method.
    method: Method,
    /// With `gmp`: the size of the mask at the end, that of the named arm's mask at the same round. Either this or `cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    like: Option<String>,
    /// With `gmp`: the size of the mask at the end, a round per entry: the fraction pruned from the layers with the largest
    /// rate; the other layers are pruned in proportion to their rates. Either this or `like`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cut: Option<Vec<f64>>,
    /// With `set`, `rigl` and `gmp`: the time from one update to the next, in iterations (`100it`) or epochs. `100it` without
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<TrainingTime>,
    /// With `set` and `rigl`: the share of a layer's weights that the first update drops (0.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop: Option<f64>,
    /// With `set` and `rigl`: the course of that share over the updates (`cosine`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decay: Option<DropDecay>,
    /// With `gmp`: the share of the training before the first pruning (0.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<f64>,
    /// With `set`, `rigl` and `gmp`: the share of the training after which the mask stays (0.75).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<f64>,
    /// With `edge_popup` and `bernoulli`: the learning rate of scores at the start of its schedule; without it, `train.lr`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lr: Option<f64>,
}

/// Iterations from one update to the next, as in the paper on `RigL`.
const DEFAULT_EVERY: u64 = 100;
/// The share that the first update drops, as in the paper on `RigL`.
const DEFAULT_DROP: f64 = 0.3;
/// The share of the training before the first pruning: that of the paper on `RigL` for CIFAR-10, rounded.
const DEFAULT_FROM: f64 = 0.2;
/// The share of the training after which masks stay, as in the paper on `RigL`.
const DEFAULT_UNTIL: f64 = 0.75;

impl MaskUpdates {
    /// Returns the name of the method in configurations.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Regrow(Regrowth { growth: Growth::Random, .. }) => "set",
            Self::Regrow(Regrowth { growth: Growth::Gradient, .. }) => "rigl",
            Self::Gmp(_) => "gmp",
            Self::Learn(learning) => learning.supermask.as_str(),
        }
    }

    /// Returns the size that masks have at the end, if it is another one than at the start.
    pub fn size(&self) -> Option<&TargetSize> {
        match self {
            Self::Gmp(GradualPruning { size, .. }) => Some(size),
            Self::Static | Self::Regrow(_) | Self::Learn(_) => None,
        }
    }

    /// Returns whether the masks depend on random draws.
    pub fn is_random(&self) -> bool {
        match self {
            Self::Static | Self::Gmp(_) => false,
            Self::Regrow(regrowth) => regrowth.growth == Growth::Random,
            // Its scores begin at 0, and its masks are drawn by the random stream of the replicate.
            Self::Learn(learning) => learning.supermask == Supermask::EdgePopup,
        }
    }

    /// Returns whether any number of weights may be kept at the end.
    pub fn has_free_size(&self) -> bool {
        matches!(self, Self::Learn(MaskLearning { supermask: Supermask::Bernoulli, .. }))
    }

    /// Returns the usual division of weights among the layers: Erdős–Rényi-Kernel as in the comparisons of Evci et al. 2020;
    /// with edge-popup the same density in every layer (Ramanujan et al. 2020).
    pub(super) fn default_allocation(&self) -> Allocation {
        match self {
            Self::Static | Self::Regrow(_) | Self::Gmp(_) => Allocation::Erk,
            Self::Learn(_) => Allocation::Uniform,
        }
    }

    /// Checks the range of every value. `table` is the path of the table.
    pub(super) fn check(&self, table: &str, checker: &mut Checker) {
        let key = |name: &str| format!("{table}.{name}");
        let is_share = |share: f64| share > 0.0 && share < 1.0;
        match self {
            Self::Static => {}
            Self::Regrow(Regrowth { every, drop, until, .. }) => {
                check_every(*every, &key("every"), checker);
                checker.require(&key("drop"), is_share(*drop), "must be above 0 and below 1");
                checker.require(&key("until"), *until > 0.0 && *until <= 1.0, "must be above 0 and at most 1");
            }
            Self::Gmp(GradualPruning { size, every, from, until }) => {
                check_every(*every, &key("every"), checker);
                checker.require(&key("from"), (0.0..1.0).contains(from), "must be at least 0 and below 1");
                checker.require(&key("until"), is_share(*until), "must be above 0 and below 1");
                checker.require(&key("until"), from < until, "must be above `from`");
                size.check(table, checker);
            }
            Self::Learn(MaskLearning { lr, .. }) => {
                checker.require(&key("lr"), lr.is_none_or(is_positive), "must be above 0");
            }
        }
    }
}

fn check_every(every: TrainingTime, key: &str, checker: &mut Checker) {
    checker.require(key, every != TrainingTime::of_iterations(0), "must be at least `1it`");
}

impl TryFrom<MaskUpdatesKeys> for MaskUpdates {
    type Error = String;

    fn try_from(keys: MaskUpdatesKeys) -> Result<Self, String> {
        let MaskUpdatesKeys { method, like, cut, every, drop, decay, from, until, lr } = keys;
        let owners = [
            ("like", like.is_some(), &[Method::Gmp][..]),
            ("cut", cut.is_some(), &[Method::Gmp]),
            ("every", every.is_some(), &[Method::Set, Method::Rigl, Method::Gmp]),
            ("drop", drop.is_some(), &[Method::Set, Method::Rigl]),
            ("decay", decay.is_some(), &[Method::Set, Method::Rigl]),
            ("from", from.is_some(), &[Method::Gmp]),
            ("until", until.is_some(), &[Method::Set, Method::Rigl, Method::Gmp]),
            ("lr", lr.is_some(), &[Method::EdgePopup, Method::Bernoulli]),
        ];
        for (name, is_given, methods) in owners {
            if is_given && !methods.contains(&method) {
                let owners: Vec<String> = methods.iter().map(|owner| format!("`{}`", owner.as_str())).collect();
                let owners = owners.join(", ");
                return Err(format!("`{name}` belongs to {owners}, not to `{}`", method.as_str()));
            }
        }
        let every = every.unwrap_or(TrainingTime::of_iterations(DEFAULT_EVERY));
        let until = until.unwrap_or(DEFAULT_UNTIL);
        let regrow = |growth| {
            let (drop, decay) = (drop.unwrap_or(DEFAULT_DROP), decay.unwrap_or_default());
            Self::Regrow(Regrowth { growth, every, drop, decay, until })
        };
        let learn = |supermask| Self::Learn(MaskLearning { supermask, lr });
        Ok(match method {
            Method::EdgePopup => learn(Supermask::EdgePopup),
            Method::Bernoulli => learn(Supermask::Bernoulli),
            Method::Static => Self::Static,
            Method::Set => regrow(Growth::Random),
            Method::Rigl => regrow(Growth::Gradient),
            Method::Gmp => {
                let size = TargetSize::of_keys(like, cut)?;
                Self::Gmp(GradualPruning { size, every, from: from.unwrap_or(DEFAULT_FROM), until })
            }
        })
    }
}

impl Method {
    /// Returns the name in configurations.
    fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Set => "set",
            Self::Rigl => "rigl",
            Self::Gmp => "gmp",
            Self::EdgePopup => Supermask::EdgePopup.as_str(),
            Self::Bernoulli => Supermask::Bernoulli.as_str(),
        }
    }
}

impl From<MaskUpdates> for MaskUpdatesKeys {
    fn from(updates: MaskUpdates) -> Self {
        let unless_default =
            |every: TrainingTime| (every != TrainingTime::of_iterations(DEFAULT_EVERY)).then_some(every);
        let other = |value: f64, default: f64| (value != default).then_some(value);
        let plain = |method| Self {
            method,
            like: None,
            cut: None,
            every: None,
            drop: None,
            decay: None,
            from: None,
            until: None,
            lr: None,
        };
        match updates {
            MaskUpdates::Static => plain(Method::Static),
            MaskUpdates::Learn(MaskLearning { supermask, lr }) => Self {
                lr,
                ..plain(match supermask {
                    Supermask::EdgePopup => Method::EdgePopup,
                    Supermask::Bernoulli => Method::Bernoulli,
                })
            },
            MaskUpdates::Regrow(Regrowth { growth, every, drop, decay, until }) => Self {
                every: unless_default(every),
                drop: other(drop, DEFAULT_DROP),
                decay: (decay != DropDecay::default()).then_some(decay),
                until: other(until, DEFAULT_UNTIL),
                ..plain(if growth == Growth::Random { Method::Set } else { Method::Rigl })
            },
            MaskUpdates::Gmp(GradualPruning { size, every, from, until }) => {
                let (like, cut) = size.into_keys();
                Self {
                    like,
                    cut,
                    every: unless_default(every),
                    from: other(from, DEFAULT_FROM),
                    until: other(until, DEFAULT_UNTIL),
                    ..plain(Method::Gmp)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::{experiment, usage_error};

    const ARM: &str = "mask={at_init={method='random',cut=[0.5]}},weights='rewind'";

    fn updates(keys: &str) -> MaskUpdates {
        let arm =
            if keys.contains("gmp") || keys.contains("bernoulli") { "mask='dense',weights='rewind'" } else { ARM };
        let set = format!("arms={{a={{{arm},mask_updates={{{keys}}}}}}}");
        experiment(&[&set]).arms.0.remove(0).1.mask_updates.unwrap()
    }

    #[test]
    fn mask_updates_are_written_as_given() {
        for keys in [
            r#""method":"static""#,
            r#""method":"set""#,
            r#""method":"rigl","every":"1ep","drop":0.5,"decay":"constant","until":1.0"#,
            r#""method":"gmp","like":"b""#,
            r#""method":"edge_popup""#,
            r#""method":"bernoulli","lr":100.0"#,
            r#""method":"gmp","cut":[0.5],"every":"10it","from":0.0,"until":0.5"#,
        ] {
            let written = serde_json::to_string(&updates(&keys.replace("\":", "\"="))).unwrap();
            assert_eq!(written, format!("{{{keys}}}"));
        }
    }

    #[test]
    fn mask_updates_have_the_defaults_of_rigl() {
        let expected = Regrowth {
            growth: Growth::Gradient,
            every: "100it".parse().unwrap(),
            drop: 0.3,
            decay: DropDecay::Cosine,
            until: 0.75,
        };
        assert_eq!(updates("method='rigl'"), MaskUpdates::Regrow(expected));
        let random = Regrowth { growth: Growth::Random, ..expected };
        assert_eq!(updates("method='set'"), MaskUpdates::Regrow(random));
        let MaskUpdates::Gmp(GradualPruning { from, until, .. }) = updates("method='gmp',like='b'") else { panic!() };
        assert_eq!((from, until), (0.2, 0.75));
    }

    #[test]
    fn mask_updates_out_of_range_or_of_another_method_are_refused() {
        for (keys, message) in [
            ("method='static',every='5it'", "`every` belongs to `set`, `rigl`, `gmp`, not to `static`"),
            ("method='gmp',like='b',drop=0.1", "`drop` belongs to `set`, `rigl`, not to `gmp`"),
            ("method='rigl',like='b'", "`like` belongs to `gmp`, not to `rigl`"),
            ("method='gmp'", "it has no size"),
            ("method='gmp',like='b',cut=[0.5]", "both give its size"),
            ("method='gmp',cut=[1.5]", "above 0 and below 1"),
            ("method='gmp',like='b',from=0.8", "must be above `from`"),
            ("method='gmp',like='b',until=1.0", "must be above 0 and below 1"),
            ("method='rigl',drop=0.0", "must be above 0 and below 1"),
            ("method='rigl',every='0it'", "must be at least `1it`"),
            ("method='rigl',until=1.5", "must be above 0 and at most 1"),
            ("method='rigl',lr=0.1", "`lr` belongs to `edge_popup`, `bernoulli`, not to `rigl`"),
            ("method='bernoulli',every='5it'", "`every` belongs to `set`, `rigl`, `gmp`, not to `bernoulli`"),
            ("method='edge_popup',lr=0.0", "must be above 0"),
            ("method='rigel'", "did you mean `rigl`?"),
        ] {
            let error = usage_error(&[&format!("arms={{a={{{ARM},mask_updates={{{keys}}}}}}}")]);
            assert!(error.contains(message), "{keys}: {error}");
        }
    }
}
