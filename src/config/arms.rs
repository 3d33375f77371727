//! `[arms]`: the compared arms. Each is the combination of a source of masks and a source of initial weights.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::allocation::Allocation;
use super::at_init::AtInitMethod;
use super::checker::{Checker, is_positive};
use super::mask_source::{MaskSource, TargetSize};
use super::mask_updates::MaskUpdates;
use super::mistakes::diagnostic::Diagnostic;
use super::source_file::{FileWeights, NamedOrFile};
use super::training_time::TrainingTime;
use super::weight_source::{RewindOptimizerState, RewindTarget, WeightSource, WeightSourceKind};

/// The arm name that stands for the dense training run of a replicate; no arm of a configuration may have it.
pub const DENSE_ARM: &str = "dense";

/// The largest `length` of an arm.
const MAX_LENGTH: u32 = 100;

/// The arms by name, in the order of the file. `A`: `ArmKeys` as written in the file, [`Arm`] after checking.
#[derive(Clone, Debug, PartialEq)]
pub struct Arms<A = Arm>(pub Vec<(String, A)>);

/// One arm: the source of its masks and of its initial weights. Written as the flat keys of `[arms.NAME]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "ArmKeys")]
pub struct Arm {
    /// The source of the masks.
    pub mask: MaskSource,
    /// How the number of weights is divided among the layers; `None` for what the mask's source and `[prune]` say.
    pub allocation: Option<Allocation>,
    /// The source of the initial weights.
    pub weights: WeightSource,
    /// How the masks change during training; `None` if they do not.
    pub mask_updates: Option<MaskUpdates>,
    /// Whether the networks are trained, or only evaluated.
    pub train: bool,
    /// The length of its training runs, as a multiple of `train.iterations`; at least 1.
    pub length: u32,
    /// Repetitions of this arm within a replicate, at least 1.
    pub repeats: u32,
    /// The only rounds of the arm; `None` for all.
    pub at: Option<Vec<u32>>,
    /// The rounds of the arm are multiples of this, at least 1; `None` for all rounds.
    pub every: Option<u32>,
}

/// One arm: the source of its masks and of its initial weights.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Arm")]
pub(super) struct ArmKeys {
    /// The source of the masks.
    mask: MaskSource,
    /// With the masks `iterative`, `one_shot`, `at_init` and `early_bird`, and with `mask_updates` by `gmp`: how the number of weights is
    /// divided among the layers. Without it, for random masks with `mask_updates` and for `gmp`: `erk` (`uniform` with
    /// `edge_popup`); else as the arm that `like` names, or by the rates and the scope of `[prune]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allocation: Option<Allocation>,
    /// The source of the initial weights: a name, or weights in a file.
    weights: NamedOrFile<WeightSourceKind>,
    /// With `rewind`: the time of the dense training run to rewind to, in iterations (`500it`) or epochs (`2ep`); without
    /// it, the initial values. Learning rate and data continue from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rewind_to: Option<TrainingTime>,
    /// With `rewind_to`: state of the optimizer's moments after the rewind (`restore`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rewind_optimizer: Option<RewindOptimizerState>,
    /// With `final`: the time from which learning rate and data continue (`0it`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lr_from: Option<TrainingTime>,
    /// With `noise`: standard deviation of the noise, in standard deviations of the layer's initial weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    noise: Option<f64>,
    /// How the masks change during training (sparse-to-sparse training); without it, they do not. Other arms that take the
    /// masks of this one take those at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mask_updates: Option<MaskUpdates>,
    /// Whether the networks are trained. With `false`, mask and weights are evaluated as they are.
    #[serde(default = "default_train", skip_serializing_if = "is_true")]
    train: bool,
    /// The length of the training runs of this arm, as a multiple of `train.iterations`. Learning rates, and `from` and `until`
    /// of `mask_updates`, are stretched; the intervals `evaluate_every` and `every` are not.
    #[serde(default = "default_length", skip_serializing_if = "is_one")]
    length: u32,
    /// Repetitions of this arm within a replicate, each with its own random draws.
    #[serde(default = "default_repeats")]
    repeats: u32,
    /// The only rounds of the arm; not for an arm that prunes its own previous round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Vec<u32>>,
    /// The rounds of the arm are multiples of this number; not for an arm that prunes its own previous round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    every: Option<u32>,
}

impl Arm {
    /// Returns the arms that this one refers to, and the config key of each reference below the arm's table: first those
    /// that its mask or the size of its mask comes from.
    pub fn references(&self) -> Vec<(&str, String)> {
        let of_mask = self.mask.reference().map(|(name, key)| (name, format!("mask.{key}")));
        let of_updates = self.mask_updates.as_ref().and_then(MaskUpdates::size).and_then(TargetSize::like);
        let of_updates = of_updates.map(|name| (name, "mask_updates.like".to_owned()));
        let like = self.allocation.as_ref().and_then(Allocation::like);
        let of_allocation = like.map(|name| (name, "allocation.like".to_owned()));
        of_mask.into_iter().chain(of_updates).chain(of_allocation).collect()
    }

    /// Returns the size that the masks have at the end of training, if the arm names one.
    pub fn size(&self) -> Option<&TargetSize> {
        self.updated_size().or(self.mask.size())
    }

    /// Returns the size to which the masks are pruned during training.
    pub fn updated_size(&self) -> Option<&TargetSize> {
        self.mask_updates.as_ref()?.size()
    }
}

impl<A> Default for Arms<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Arms<ArmKeys> {
    /// Checks every arm by itself. References between arms are checked where the plan is made.
    pub(super) fn check(&self, checker: &mut Checker) {
        if !checker.require_length("arms", self.0.len()) {
            return;
        }
        for (name, arm) in &self.0 {
            let key = format!("arms.{name}");
            check_name(&key, name, checker);
            arm.check_combinations(&key, checker);
            arm.check_values(&key, checker);
        }
    }

    /// Returns the largest number of training runs of one replicate, the dense one included. `rounds`: rounds of pruning.
    pub(super) fn max_trainings(&self, rounds: u32) -> u64 {
        let trainings = self.0.iter().map(|(_, arm)| u64::from(arm.repeats).saturating_mul(arm.max_rounds(rounds)));
        trainings.fold(1, u64::saturating_add)
    }

    /// Converts the keys of every arm to an [`Arm`].
    ///
    /// # Errors
    /// Fails if a key that a source of weights requires is missing.
    pub(super) fn resolve(self) -> Result<Arms, Diagnostic> {
        let resolve = |(name, arm): (String, ArmKeys)| {
            let arm = arm.resolve(&format!("arms.{name}"))?;
            Ok((name, arm))
        };
        Ok(Arms(self.0.into_iter().map(resolve).collect::<Result<_, _>>()?))
    }
}

/// Checks an arm's name; `key` is the path of its table.
fn check_name(key: &str, name: &str, checker: &mut Checker) {
    if name == DENSE_ARM {
        let message = "the arm name `dense` is reserved for the dense networks themselves";
        checker.push(Diagnostic::new(key, message).hint("name it otherwise").on_key());
    }
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        let message = format!("the arm name `{name}` must be made of small letters, digits and `_`");
        checker.push(Diagnostic::new(key, message).on_key());
    }
}

impl ArmKeys {
    /// Returns the largest number of rounds that the arm may have. `rounds`: rounds of pruning of the experiment.
    fn max_rounds(&self, rounds: u32) -> u64 {
        let size = self.mask_updates.as_ref().and_then(MaskUpdates::size).or(self.mask.size());
        size.and_then(TargetSize::grid).map_or(u64::from(rounds), |grid| grid.len() as u64)
    }

    /// Checks that no key belongs to another source of masks or weights, and that no required key is missing. `key` is
    /// the path of the arm's table, such as `arms.winning_ticket`.
    fn check_combinations(&self, key: &str, checker: &mut Checker) {
        let is_source = |kind: WeightSourceKind| self.weights == NamedOrFile::Named(kind);
        let keys = [
            ("rewind_to", self.rewind_to.is_some(), is_source(WeightSourceKind::Rewind), "`weights = \"rewind\"`"),
            ("rewind_optimizer", self.rewind_optimizer.is_some(), self.rewind_to.is_some(), "`rewind_to`"),
            ("lr_from", self.lr_from.is_some(), is_source(WeightSourceKind::Final), "`weights = \"final\"`"),
            ("noise", self.noise.is_some(), is_source(WeightSourceKind::Noise), "`weights = \"noise\"`"),
        ];
        for (name, is_given, is_chosen, owner) in keys {
            checker.only_with_owner_unhinted(&format!("{key}.{name}"), is_given, is_chosen, owner);
        }
        let is_pruned_in_training = self.mask_updates.as_ref().is_some_and(|updates| updates.size().is_some());
        let can_choose_rounds =
            is_pruned_in_training || !matches!(self.mask, MaskSource::Iterative | MaskSource::Dense);
        let owner = "arms that choose among rounds: one that prunes its own previous round takes every round, and a dense \
                     mask has one";
        checker.only_with_owner_unhinted(&format!("{key}.at"), self.at.is_some(), can_choose_rounds, owner);
        checker.only_with_owner_unhinted(&format!("{key}.every"), self.every.is_some(), can_choose_rounds, owner);
        let is_evaluated_only = !self.train && self.mask == MaskSource::Iterative;
        let message = "would leave nothing trained to prune: take the mask of a trained arm (`mask = { of = \"…\" }`)";
        checker.require(&format!("{key}.train"), !is_evaluated_only, message);
        self.check_mask_updates(key, is_pruned_in_training, checker);
        let is_pruned = is_pruned_in_training || self.mask == MaskSource::Iterative || self.mask.size().is_some();
        let owner = "the masks `iterative`, `one_shot`, `at_init` and `early_bird`, and to `mask_updates` by `gmp`";
        match &self.mask {
            MaskSource::Random(other) if self.allocation.is_some() && !is_pruned_in_training => {
                let message =
                    format!("`{key}.allocation` belongs to {owner}; `random` has the layers of the named arm");
                let hint = format!("write `mask = {{ at_init = {{ method = \"random\", like = \"{other}\" }} }}`");
                checker.push(Diagnostic::new(format!("{key}.allocation"), message).hint(hint).on_key());
            }
            _ => {
                let is_given = self.allocation.is_some();
                checker.only_with_owner_unhinted(&format!("{key}.allocation"), is_given, is_pruned, owner);
            }
        }
        let is_given = matches!(self.allocation, Some(Allocation::Like(_) | Allocation::File(_)));
        if is_given && self.mask == MaskSource::Iterative {
            let message = "`{ like = … }` and `{ file = … }` cannot be used with `iterative`: where a density rose from a \
                           round to the next, pruned weights would have to come back";
            let hint = "choose an allocation by name, such as `erk`, whose densities only fall";
            checker.push(Diagnostic::new(format!("{key}.allocation"), message).hint(hint));
        }
        checker.push_error(self.weight_source(key));
    }

    /// Checks that mask updates have a training and a mask that they can change. `key` is the path of the arm's table.
    fn check_mask_updates(&self, key: &str, is_pruned_in_training: bool, checker: &mut Checker) {
        let is_trained = self.train || self.mask_updates.is_none();
        checker.require(
            &format!("{key}.mask_updates"),
            is_trained,
            "changes masks in training, and `train` is `false`",
        );
        let is_short = self.train || self.length == 1;
        checker.require(&format!("{key}.length"), is_short, "is that of training, and `train` is `false`");
        if is_pruned_in_training && (self.mask == MaskSource::Iterative || self.mask.size().is_some()) {
            let message = format!(
                "`{key}`: `gmp` prunes to its own size, and begins with a mask of another arm, a file, or a dense one"
            );
            let hint = "write `mask = \"dense\"` (or `{ of = \"…\" }`)";
            checker.push(Diagnostic::new(format!("{key}.mask"), message).hint(hint));
        }
        let has_free_size = self.mask_updates.as_ref().is_some_and(MaskUpdates::has_free_size);
        let is_fixed = self.mask_updates.is_some() && !is_pruned_in_training && !has_free_size;
        if has_free_size && self.mask != MaskSource::Dense {
            let message = format!("`{key}`: `bernoulli` begins with all weights, each kept with the probability 1/2");
            checker.push(Diagnostic::new(format!("{key}.mask"), message).hint("write `mask = \"dense\"`"));
        }
        if self.mask == MaskSource::Dense && is_fixed {
            let message = format!(
                "`{key}`: `set`, `rigl`, `edge_popup` and `static` keep the number of weights, and a dense mask has all"
            );
            let hint = "such as `mask = { at_init = { method = \"random\", like = \"…\" } }`";
            checker.push(Diagnostic::new(format!("{key}.mask"), message).hint(hint));
        }
        let is_chain = self.mask == MaskSource::Iterative;
        let message = "is not for an arm that prunes its own previous round: round 1 would prune the dense network, which is \
                       trained for `train.iterations`";
        checker.require(&format!("{key}.length"), !is_chain || self.length == 1, message);
        if matches!(self.mask_updates, Some(MaskUpdates::Learn(_))) {
            self.check_scores(key, checker);
        }
        let late = ("rewind_to", self.rewind_to.is_some());
        for (name, is_given) in [late, ("lr_from", self.lr_from.is_some())] {
            let message = "and `length` cannot both be given: a longer training has other learning rates at that time";
            checker.require(&format!("{key}.{name}"), !is_given || self.length == 1, message);
        }
    }

    /// Checks that there are weights whose scores can be trained. `key` is the path of the arm's table.
    fn check_scores(&self, key: &str, checker: &mut Checker) {
        let is_chain = self.mask == MaskSource::Iterative;
        let message = "cannot be `iterative` where scores are trained: there would be no trained weights to prune";
        checker.require(&format!("{key}.mask"), !is_chain, message);
        let is_final = self.weights == NamedOrFile::Named(WeightSourceKind::Final);
        let message = "cannot be `final` where scores are trained: pruned weights are 0 there";
        checker.require(&format!("{key}.weights"), !is_final, message);
        let restores = self.rewind_optimizer == Some(RewindOptimizerState::Restore);
        let message = "cannot be `restore` where scores are trained: the moments are those of weights";
        checker.require(&format!("{key}.rewind_optimizer"), !restores, message);
    }

    /// Checks the range of every value. `key` is the path of the arm's table.
    fn check_values(&self, key: &str, checker: &mut Checker) {
        let key = |name: &str| format!("{key}.{name}");
        checker.require(&key("noise"), self.noise.is_none_or(is_positive), "must be above 0");
        checker.require_float32(&key("noise"), self.noise);
        let is_single_choice = self.at.is_none() || self.every.is_none();
        checker.require(&key("every"), is_single_choice, "and `at` both choose rounds: leave one of them out");
        checker.require(&key("every"), self.every != Some(0), "must be at least 1");
        if let Some(rounds) = &self.at {
            checker.require(&key("at"), !rounds.is_empty(), "names no round: leave it out for all of them");
            let is_short = checker.require_length(&key("at"), rounds.len());
            let are_distinct = !is_short || (1..rounds.len()).all(|i| !rounds[..i].contains(&rounds[i]));
            checker.require(&key("at"), are_distinct, "names a round twice");
        }
        self.mask.check(&key("mask"), checker);
        if let Some(updates) = &self.mask_updates {
            updates.check(&key("mask_updates"), checker);
        }
        let is_length = (1..=MAX_LENGTH).contains(&self.length);
        checker.require(&key("length"), is_length, "must be from 1 to 100");
        if let NamedOrFile::File(FileWeights { file, .. }) = &self.weights {
            file.check(&key("weights.file"), checker);
        }
        checker.require(&key("repeats"), self.repeats > 0, "must be at least 1");
    }

    /// Returns the source of the weights with the keys that belong to it. `key` is the path of the arm's table.
    ///
    /// # Errors
    /// Fails if a key that the source requires is missing.
    fn weight_source(&self, key: &str) -> Result<WeightSource, Diagnostic> {
        let kind = match &self.weights {
            NamedOrFile::Named(kind) => kind,
            NamedOrFile::File(file) => return Ok(WeightSource::File(file.clone())),
        };
        Ok(match kind {
            WeightSourceKind::Rewind => {
                let target = |time| RewindTarget { time, optimizer_state: self.rewind_optimizer };
                WeightSource::Rewind { to: self.rewind_to.map(target) }
            }
            WeightSourceKind::Reinit => WeightSource::Reinit,
            WeightSourceKind::Shuffle => WeightSource::Shuffle,
            WeightSourceKind::ConstantSign => WeightSource::ConstantSign,
            WeightSourceKind::Final => WeightSource::Final { lr_from: self.lr_from },
            WeightSourceKind::Noise => {
                let hint = "how strong the noise is, in standard deviations of the layer: such as `noise = 0.5`";
                let missing = || Diagnostic::missing_key(format!("{key}.noise")).hint(hint);
                WeightSource::Noise { factor: self.noise.ok_or_else(missing)? }
            }
        })
    }

    /// Converts the keys to an [`Arm`]. `key` is the path of the arm's table.
    ///
    /// # Errors
    /// Fails if a key that the source of the weights requires is missing.
    fn resolve(self, key: &str) -> Result<Arm, Diagnostic> {
        let weights = self.weight_source(key)?;
        // The layers of masks that are pruned by scores stay those of the scores.
        let is_random = matches!(&self.mask, MaskSource::AtInit(mask) if mask.scoring.method == AtInitMethod::Random);
        let is_usual = |updates: &&MaskUpdates| is_random || updates.size().is_some();
        let usual = self.mask_updates.as_ref().filter(is_usual).map(MaskUpdates::default_allocation);
        Ok(Arm {
            weights,
            mask: self.mask,
            allocation: self.allocation.or(usual),
            mask_updates: self.mask_updates,
            train: self.train,
            length: self.length,
            repeats: self.repeats,
            at: self.at,
            every: self.every,
        })
    }
}

impl From<Arm> for ArmKeys {
    fn from(arm: Arm) -> Self {
        let Arm { mask, allocation, weights, mask_updates, train, length, repeats, at, every } = arm;
        let source = match &weights {
            WeightSource::Rewind { .. } => NamedOrFile::Named(WeightSourceKind::Rewind),
            WeightSource::Reinit => NamedOrFile::Named(WeightSourceKind::Reinit),
            WeightSource::Shuffle => NamedOrFile::Named(WeightSourceKind::Shuffle),
            WeightSource::ConstantSign => NamedOrFile::Named(WeightSourceKind::ConstantSign),
            WeightSource::Final { .. } => NamedOrFile::Named(WeightSourceKind::Final),
            WeightSource::Noise { .. } => NamedOrFile::Named(WeightSourceKind::Noise),
            WeightSource::File(file) => NamedOrFile::File(file.clone()),
        };
        let (rewind, lr_from, noise) = match weights {
            WeightSource::Rewind { to } => (to, None, None),
            WeightSource::Final { lr_from } => (None, lr_from, None),
            WeightSource::Noise { factor } => (None, None, Some(factor)),
            _ => (None, None, None),
        };
        Self {
            mask,
            allocation,
            weights: source,
            rewind_to: rewind.map(|target| target.time),
            rewind_optimizer: rewind.and_then(|target| target.optimizer_state),
            lr_from,
            noise,
            mask_updates,
            train,
            length,
            repeats,
            at,
            every,
        }
    }
}

fn default_train() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_true(option: &bool) -> bool {
    *option
}

fn default_repeats() -> u32 {
    1
}

fn default_length() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out a reference")]
fn is_one(length: &u32) -> bool {
    *length == 1
}

impl<A: JsonSchema> JsonSchema for Arms<A> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Arms".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <BTreeMap<String, A>>::json_schema(generator)
    }
}

impl<A: Serialize> Serialize for Arms<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, arm) in &self.0 {
            map.serialize_entry(name, arm)?;
        }
        map.end()
    }
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Arms<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ArmsVisitor(PhantomData))
    }
}

/// Reads a table into a list, because a `BTreeMap` would lose the order of the entries.
struct ArmsVisitor<A>(PhantomData<A>);

impl<'de, A: Deserialize<'de>> Visitor<'de> for ArmsVisitor<A> {
    type Value = Arms<A>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of arms")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Arms<A>, M::Error> {
        let mut arms = Vec::new();
        while let Some(entry) = map.next_entry()? {
            arms.push(entry);
        }
        Ok(Arms(arms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::{experiment, usage_error};

    fn arm(keys: &str) -> Arm {
        let set = format!("arms={{a={{{keys}}}}}");
        experiment(&[&set]).arms.0.remove(0).1
    }

    #[test]
    fn arm_is_written_as_it_was_given() {
        for keys in [
            r#""mask":"iterative","weights":"rewind","repeats":1"#,
            r#""mask":"iterative","weights":"rewind","rewind_to":"0it","rewind_optimizer":"restore","repeats":1"#,
            r#""mask":{"of":"b"},"weights":"rewind","rewind_to":"2ep","repeats":1,"at":[1,2]"#,
            r#""mask":{"one_shot":{"cut":[0.5]}},"weights":"final","lr_from":"1ep","repeats":1"#,
            r#""mask":{"random":"b"},"weights":"noise","noise":0.5,"repeats":3,"every":2"#,
            r#""mask":{"of":"b"},"weights":"constant_sign","repeats":1"#,
            r#""mask":{"of":"b"},"weights":"constant_sign","train":false,"repeats":1"#,
        ] {
            let written = serde_json::to_string(&arm(&keys.replace("\":", "\"="))).unwrap();
            assert_eq!(written, format!("{{{keys}}}"));
        }
    }

    #[test]
    fn weight_source_has_its_parameters() {
        let weights = |keys: &str| arm(&format!("mask='iterative',weights={keys}")).weights;
        assert_eq!(weights("'rewind'"), WeightSource::Rewind { to: None });
        let target = RewindTarget { time: "2ep".parse().unwrap(), optimizer_state: Some(RewindOptimizerState::Reset) };
        let rewind = weights("'rewind',rewind_to='2ep',rewind_optimizer='reset'");
        assert_eq!(rewind, WeightSource::Rewind { to: Some(target) });
        assert_eq!(weights("'noise',noise=0.5"), WeightSource::Noise { factor: 0.5 });
        assert_eq!(weights("'final'"), WeightSource::Final { lr_from: None });
    }

    #[test]
    fn arm_keys_of_another_weight_source_are_reported() {
        let error = usage_error(&["arms={a={mask='iterative',weights='noise',rewind_to='5it',lr_from='1ep'}}"]);
        for message in [
            "`arms.a.rewind_to` belongs to `weights = \"rewind\"`",
            "`arms.a.lr_from` belongs to `weights = \"final\"`",
            "`arms.a.noise` is missing",
        ] {
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn arms_are_in_the_order_of_the_file() {
        let arms = experiment(&[]).arms;
        let names: Vec<&str> = arms.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["winning_ticket", "random_reinit", "random_mask"]);
    }
}
