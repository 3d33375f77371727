//! The entries of `claims.toml`, and the experiments that they apply to. The claims are those of Frankle & Carbin
//! (arXiv 1803.03635v5), called "the paper".

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use crate::artifacts::Metric;
use crate::base::format::with_thousands;
use crate::config::{
    Architecture, DatasetSpec, Experiment, OptimizerKind, PruneConfig, Scope, TrainingTime, WeightInit,
};
use crate::network::build;
use crate::report::roles::PaperRole;
use crate::report::statistics::Interval;

/// Training images of CIFAR-10 in the paper: 50,000, minus 5,000 for validation.
const CIFAR10_TRAINING_IMAGES: u32 = 45_000;

/// The contents of `claims.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimFile {
    /// The paper's experiments.
    #[serde(rename = "setting")]
    pub(super) settings: Vec<ClaimSetting>,
    /// The claims, in the order of the report.
    #[serde(rename = "claim")]
    pub(super) claims: Vec<Claim>,
}

/// An experiment of the paper.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimSetting {
    /// Name that claims refer to.
    pub(super) name: String,
    /// Name of the paper's network, as in a configuration; this version of the program may lack it, and then has no
    /// such claims.
    pub(super) architecture: String,
    /// The data set in the paper.
    pub(super) dataset: DatasetSpec,
    /// Iterations of each training run in the paper.
    pub(super) iterations: u64,
    /// Images per iteration in the paper.
    pub(super) batch_size: u32,
    /// The optimizer in the paper.
    pub(super) optimizer: OptimizerKind,
    /// The learning rate in the paper.
    pub(super) lr: f64,
    /// Scope of pruning in the paper.
    #[serde(default)]
    pub(super) scope: Scope,
    /// Whether the claims apply only to experiments with the learning rate and warm-up of this setting.
    #[serde(default, rename = "of_this_lr")]
    pub(super) only_this_lr: bool,
    /// Other values of `[train]` in the paper, by their keys.
    #[serde(default)]
    pub(super) train: Map<String, Value>,
}

/// A claim of the paper.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    /// Unique short name.
    pub(super) id: String,
    /// Name of the [`ClaimSetting`].
    pub(super) setting: String,
    /// The claim, as a sentence.
    pub(super) text: String,
    /// Section or figure of the paper.
    pub(super) source: String,
    /// The paper's number.
    pub(super) paper: String,
    /// Role of the arm that the claim is about.
    pub(super) of: PaperRole,
    /// Role of the arm that it is compared with; `None` if the claim compares nothing.
    pub(super) against: Option<PaperRole>,
    /// The metric that the claim is about, called `measure` in the file; with `against`, the difference between both
    /// arms in it.
    #[serde(rename = "measure", deserialize_with = "metric_by_name")]
    pub(super) metric: &'static Metric,
    /// The share of weights remaining, 0..=1, of the round that the claim is about. Without `at` and `between`, the
    /// claim is about round 0.
    pub(super) at: Option<f64>,
    /// The range of shares of weights remaining, 0..=1, both ends included, of the rounds that the claim is about.
    pub(super) between: Option<[f64; 2]>,
    /// How many of the rounds of `between` the claim is about.
    #[serde(default)]
    pub(super) rounds: Quantifier,
    /// The claim holds for values of the metric that are at least this. Accuracies are shares of 1.
    pub(super) at_least: Option<f64>,
    /// The claim holds for values of the metric that are at most this.
    pub(super) at_most: Option<f64>,
}

/// Reads the name of a metric.
fn metric_by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Metric, D::Error> {
    let name = String::deserialize(deserializer)?;
    Metric::named(&name).ok_or_else(|| de::Error::custom(format!("no metric is called `{name}`")))
}

/// How many of several rounds a claim is about.
#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quantifier {
    /// Each of them.
    #[default]
    Every,
    /// At least one of them, `some` in the file.
    #[serde(rename = "some")]
    AtLeastOne,
}

impl ClaimFile {
    /// Reads the file, which is part of the program.
    pub(super) fn load() -> Self {
        toml::from_str(include_str!("claims.toml")).expect("a file of the program, which its tests read")
    }

    /// Returns the setting of a claim.
    pub(super) fn setting(&self, claim: &Claim) -> Option<&ClaimSetting> {
        self.settings.iter().find(|setting| setting.name == claim.setting)
    }
}

impl Claim {
    /// Returns whether the bounds confirm the claim.
    pub(super) fn holds(&self, interval: &Interval) -> bool {
        self.at_least.is_none_or(|least| interval.low >= least) && self.at_most.is_none_or(|most| interval.high <= most)
    }

    /// Returns whether the bounds exclude the claim.
    pub(super) fn is_excluded_by(&self, interval: &Interval) -> bool {
        self.at_least.is_some_and(|least| interval.high < least) || self.at_most.is_some_and(|most| interval.low > most)
    }
}

/// A property of an experiment in words.
struct Property {
    /// Its value in the run.
    run: String,
    /// Its value in the paper's experiment.
    paper: String,
}

impl Property {
    /// Returns a property with its values in words.
    fn new(run: String, paper: String) -> Self {
        Self { run, paper }
    }

    /// Like [`new`](Self::new), but from values, which `describe` puts into words.
    fn described<T>(describe: impl Fn(T) -> String, run: T, paper: T) -> Self {
        Self { run: describe(run), paper: describe(paper) }
    }
}

impl ClaimSetting {
    /// Returns whether the claims of this setting apply to an experiment: it trains the same network, under any name,
    /// on the same data set, with [`only_this_lr`](Self::only_this_lr) also at the same learning rate and warm-up.
    pub(super) fn matches(&self, experiment: &Experiment) -> bool {
        // Data sets of the paper have 10 classes, and grey images of 28×28 or colour images of 32×32 pixels.
        let input = if self.dataset == DatasetSpec::Cifar10 { [3, 32, 32] } else { [1, 28, 28] };
        let paper_architecture = serde_json::from_value::<Architecture>(self.architecture.clone().into()).ok();
        let paper_network = paper_architecture.map(|architecture| build(&architecture.into(), input, 10));
        let network = build(&experiment.network, input, 10);
        let is_same_network = network.is_ok() && paper_network == Some(network);
        let is_same_lr =
            experiment.train.lr == self.lr && train_value(experiment, "warmup") == self.train.get("warmup").cloned();
        experiment.data.dataset == self.dataset && (is_same_lr || !self.only_this_lr) && is_same_network
    }

    /// Returns the differences between an experiment and the paper's, in words.
    pub(super) fn differences(&self, experiment: &Experiment) -> Vec<String> {
        let mut properties = self.training_properties(experiment);
        properties.extend(self.unnamed_training_properties(experiment));
        properties.extend(self.other_properties(experiment));
        let differences = properties.into_iter().filter(|property| property.run != property.paper);
        differences.map(|Property { run, paper }| format!("{run} here, {paper} in the paper")).collect()
    }

    /// Returns the properties of training that the setting names.
    fn training_properties(&self, experiment: &Experiment) -> Vec<Property> {
        let train = &experiment.train;
        let optimizer = |optimizer: OptimizerKind, lr: f64| format!("{} with lr {lr}", config_word(&optimizer));
        let mut properties = vec![
            Property::described(
                |iterations| format!("{} iterations", with_thousands(iterations)),
                train.iterations,
                self.iterations,
            ),
            Property::described(|images| format!("batches of {images}"), train.batch_size, self.batch_size),
            Property::new(optimizer(train.optimizer.kind(), train.lr), optimizer(self.optimizer, self.lr)),
        ];
        properties.extend(self.train.iter().map(|(key, value)| {
            let describe = |value: Option<Value>| {
                value.map_or(format!("no {key}"), |value| format!("{key} {}", self.value_text(&value)))
            };
            Property::described(describe, train_value(experiment, key), Some(value.clone()))
        }));
        properties
    }

    /// Returns the properties of training that the experiment uses and the setting does not name, because the paper
    /// does not use them.
    fn unnamed_training_properties(&self, experiment: &Experiment) -> Vec<Property> {
        let train = &experiment.train;
        let is_unnamed = |key: &str| !self.train.contains_key(key);
        let mut properties = Vec::new();
        if is_unnamed("schedule") {
            let schedule = format!("schedule {}", config_word(&train.lr_schedule.kind()));
            properties.push(Property::new(schedule, "schedule constant".to_owned()));
        }
        let decay = Some(train.weight_decay).filter(|decay| *decay > 0.0);
        let smoothing = Some(train.label_smoothing).filter(|share| *share > 0.0);
        let used = [
            ("warmup", train.warmup.map(|warmup| format!("a warm-up over {warmup}"))),
            ("weight_decay", decay.map(|decay| format!("weight decay {decay}"))),
            ("clip_norm", train.clip_norm.map(|norm| format!("gradients clipped at {norm}"))),
            ("label_smoothing", smoothing.map(|share| format!("label smoothing {share}"))),
        ];
        let unnamed = used.into_iter().filter(|(key, _)| is_unnamed(key)).filter_map(|(_, text)| text);
        properties.extend(unnamed.map(|text| Property::new(text, "none".to_owned())));
        properties
    }

    /// Returns the properties of initialization, pruning and data. Their defaults are the paper's for every network of
    /// the claims.
    fn other_properties(&self, experiment: &Experiment) -> Vec<Property> {
        let paper_prune = PruneConfig { scope: self.scope, ..PruneConfig::default() };
        let prune = &experiment.prune;
        let init = |init: WeightInit| format!("initial weights {}", config_word(&init));
        let mut properties = vec![
            Property::described(init, experiment.network.init, WeightInit::default()),
            Property::new(
                format!("criterion {}", config_word(&prune.criterion)),
                format!("criterion {}", config_word(&paper_prune.criterion)),
            ),
            Property::new(
                format!("scope {}", config_word(&prune.scope)),
                format!("scope {}", config_word(&paper_prune.scope)),
            ),
        ];
        if let Some(limit) = experiment.data.train_limit {
            let images = format!("{} training images", with_thousands(limit.into()));
            properties.push(Property::new(images, "all of them".to_owned()));
        }
        properties
    }

    /// Returns a value of `[train]` in words; training times are converted to iterations of the paper's experiment
    /// (of CIFAR-10, the only data set with times in claims).
    fn value_text(&self, value: &Value) -> String {
        let iterations_per_epoch = u64::from(CIFAR10_TRAINING_IMAGES / self.batch_size.max(1));
        match value {
            Value::String(text) => text
                .parse::<TrainingTime>()
                .map_or_else(|()| text.clone(), |time| with_thousands(time.to_iterations(iterations_per_epoch))),
            Value::Array(values) => values.iter().map(|value| self.value_text(value)).collect::<Vec<_>>().join(" and "),
            other => other.to_string(),
        }
    }
}

/// Returns a value of `[train]` by its key; `None` if the experiment does not set it, or this version of the program
/// has no such key.
fn train_value(experiment: &Experiment, key: &str) -> Option<Value> {
    serde_json::to_value(&experiment.train).ok()?.get(key).cloned()
}

/// Returns the word that stands for the value of an enum in a configuration.
fn config_word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}
