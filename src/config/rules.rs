//! What one value of an experiment says about another: defaults that depend on it, and what contradicts it.

use super::checkpoints;
use super::count_or_auto::CountOrAuto;
use super::diagnostic::Diagnostic;
use super::experiment::{
    Arm, Augment, Criterion, DataConfig, DatasetSpec, Experiment, MaskSource, MatmulPrecision, OptimizerConfig,
    RateConfig, ScheduleConfig, Scope, TargetSize, TrainConfig, WeightSource,
};
use super::network::WeightInit;

/// Arm name that stands for the dense trainings themselves.
const RESERVED_ARM: &str = "dense";

/// Bounds that no experiment comes near; beyond them memory or counters would end before the work does.
const MAX_TRAININGS: u64 = 1_000_000;
const MAX_ITERATIONS: u64 = 1_000_000_000_000;
const MAX_IMAGES: u32 = 10_000_000;
const MAX_LANES: u32 = 1024;
/// A label is a byte.
const MAX_CLASSES: u32 = 256;
/// A file name may have 255 bytes; the folder of a run has this and nine more, `.old-<n>` included.
const MAX_NAME_LENGTH: usize = 100;

/// The defaults of parameters that stand beside a variant; the only place that knows them.
impl TrainConfig {
    /// Adam's β₁ and β₂.
    pub fn betas(&self) -> [f64; 2] {
        self.betas.unwrap_or([0.9, 0.999])
    }

    /// Adam's ε.
    pub fn eps(&self) -> f64 {
        self.eps.unwrap_or(1e-8)
    }

    /// SGD's μ.
    pub fn momentum(&self) -> f64 {
        self.momentum.unwrap_or(0.0)
    }

    /// Whether SGD looks ahead.
    pub fn nesterov(&self) -> bool {
        self.nesterov.unwrap_or(false)
    }
}

impl DataConfig {
    /// Images that `strokes` draws for training and validation.
    pub fn train_images(&self) -> u32 {
        self.train_images.unwrap_or(60_000)
    }

    /// Images that `strokes` draws for the test set.
    pub fn test_images(&self) -> u32 {
        self.test_images.unwrap_or(10_000)
    }

    /// The seed that `strokes` draws with.
    pub fn draw_seed(&self) -> u64 {
        self.draw_seed.unwrap_or(1)
    }

    /// Writes down which bytes own data were found to be, so that a resolved experiment refuses others.
    pub fn set_checksum(&mut self, sum: &str) {
        if let DatasetSpec::Idx { sha256, .. } | DatasetSpec::Images { sha256, .. } = &mut self.dataset {
            *sha256 = Some(sum.to_owned());
        }
    }
}

impl Augment {
    /// Whether images are shown as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl MatmulPrecision {
    /// Whether products are rounded no more than anything else.
    pub fn is_exact(&self) -> bool {
        *self == Self::Exact
    }
}

impl Criterion {
    /// Whether the score depends on an earlier value of the weight, beside or in place of the trained one.
    pub fn needs_reference_weights(self) -> bool {
        match self {
            Self::Magnitude | Self::Random | Self::SmallFinal => false,
            Self::MagnitudeIncrease | Self::Movement | Self::LargeInit | Self::LargeFinalSameSign => true,
        }
    }

    /// Whether many weights of one network commonly have the same score: weights whose sign has changed, or that training
    /// has not moved. With the other criteria two scores are equal only where two `f32` values coincide.
    pub fn gives_equal_scores(self) -> bool {
        match self {
            Self::Magnitude | Self::Random | Self::SmallFinal | Self::LargeInit => false,
            Self::MagnitudeIncrease | Self::Movement | Self::LargeFinalSameSign => true,
        }
    }
}

impl RateConfig {
    /// Over all included layers together.
    pub fn all(&self) -> f64 {
        self.all.unwrap_or(0.2)
    }

    /// Of convolutions.
    pub fn conv(&self) -> f64 {
        self.conv.unwrap_or(0.2)
    }

    /// Of convolutions on shortcuts.
    pub fn shortcut(&self) -> f64 {
        self.shortcut.unwrap_or(self.conv())
    }

    /// Of linear layers.
    pub fn linear(&self) -> f64 {
        self.linear.unwrap_or(0.2)
    }

    /// Of the output layer: half that of the others, as in the paper (Figure 2).
    pub fn output(&self) -> f64 {
        self.output.unwrap_or(self.linear() / 2.0)
    }
}

impl Experiment {
    /// Fills in every default that depends on another value, so that what is recorded is what was used.
    #[must_use]
    pub(super) fn resolved(mut self) -> Self {
        let train = &mut self.train;
        match train.optimizer {
            OptimizerConfig::Adam | OptimizerConfig::AdamW => {
                train.betas = Some(train.betas());
                train.eps = Some(train.eps());
            }
            OptimizerConfig::Sgd => {
                train.momentum = Some(train.momentum());
                train.nesterov = Some(train.nesterov());
            }
        }
        train.resolve_schedule();
        self.network.resolve();
        let data = &mut self.data;
        if data.dataset == DatasetSpec::Strokes {
            data.train_images = Some(data.train_images());
            data.test_images = Some(data.test_images());
            data.draw_seed = Some(data.draw_seed());
        }
        if self.prune.criterion.needs_reference_weights() {
            self.prune.reference_weights = Some(self.prune.reference_weights.unwrap_or_default());
        }
        let rate = &mut self.prune.rate;
        match self.prune.scope {
            Scope::Layerwise => {
                // Only of kinds that the network has: one file may serve several, and what changes nothing is not recorded.
                rate.shortcut = self.network.has_shortcuts().then(|| rate.shortcut());
                rate.conv = self.network.has_convolutions().then(|| rate.conv());
                rate.linear = Some(rate.linear());
                rate.output = Some(rate.output());
            }
            Scope::Global => rate.all = Some(rate.all()),
        }
        self
    }

    /// Everything in the file that contradicts itself or makes no sense, before the network or the data are known.
    pub(super) fn problems(&self) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        self.check_numbers(&mut problems);
        self.network.check(&mut problems);
        self.check_siblings(&mut problems);
        self.train.check_schedule(&mut problems);
        self.check_rates(&mut problems);
        self.check_arms(&mut problems);
        checkpoints::check(self, &mut problems);
        problems
    }

    fn check_numbers(&self, problems: &mut Vec<Diagnostic>) {
        let named = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
        };
        let mut need = |fine: bool, key: &str, message: &str| {
            if !fine {
                problems.push(Diagnostic::new(key, format!("`{key}` {message}")));
            }
        };
        let train = &self.train;
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let fraction = |x: f64| (0.0..1.0).contains(&x);
        need(named(&self.name), "name", "must be made of small letters, digits, `_` and `-`");
        need(self.name.len() <= MAX_NAME_LENGTH, "name", "must not be longer than 100 letters");
        need(self.replicates > 0, "replicates", "must be at least 1");
        let most_rounds = |arm: &Arm| match &arm.mask {
            MaskSource::OneShot(TargetSize::Cut(grid)) | MaskSource::MagnitudeAtInit(TargetSize::Cut(grid)) => {
                grid.len() as u64
            }
            _ => u64::from(self.rounds),
        };
        let of_arm = |arm: &Arm| u64::from(arm.repeats).saturating_mul(most_rounds(arm));
        let each = self.arms.0.iter().map(|(_, arm)| of_arm(arm)).fold(1, u64::saturating_add);
        let few = each.saturating_mul(u64::from(self.replicates)) <= MAX_TRAININGS;
        need(few, "replicates", "times repeats times rounds makes more than a million trainings");
        need(self.rounds <= 1000, "rounds", "must be at most 1000");
        need(self.data.validation > 0, "data.validation", "must be at least 1: the early stop is found on it");
        if let DatasetSpec::Idx { classes, first_label, prefix, .. } = &self.data.dataset {
            need((2..=MAX_CLASSES).contains(classes), "data.dataset.idx.classes", "must be from 2 to 256");
            // Labels are signed numbers of 32 bits.
            let fits = i32::try_from(*first_label).is_ok();
            need(fits, "data.dataset.idx.first_label", "must be at most 2147483647");
            let fits = prefix.as_ref().is_none_or(|prefix| !prefix.is_empty() && !prefix.contains(['/', '\\']));
            need(fits, "data.dataset.idx.prefix", "is the beginning of the files' names: not empty, and without `/`");
        }
        need(self.data.train_limit != Some(0), "data.train_limit", "must be at least 1");
        need(self.data.test_limit != Some(0), "data.test_limit", "must be at least 1");
        let drawn = |n: u32| (1..=MAX_IMAGES).contains(&n);
        need(self.data.train_images.is_none_or(drawn), "data.train_images", "must be from 1 to 10 million");
        need(self.data.test_images.is_none_or(drawn), "data.test_images", "must be from 1 to 10 million");
        need((1..=MAX_ITERATIONS).contains(&train.iterations), "train.iterations", "must be from 1 to 10^12");
        need(train.batch_size > 0, "train.batch_size", "must be at least 1");
        need(train.evaluate_every > 0, "train.evaluate_every", "must be at least 1");
        need(positive(train.lr), "train.lr", "must be above 0");
        need(train.weight_decay >= 0.0, "train.weight_decay", "must not be below 0");
        need(train.betas.is_none_or(|b| b.into_iter().all(fraction)), "train.betas", "must be at least 0 and below 1");
        need(train.eps.is_none_or(positive), "train.eps", "must be above 0");
        need(train.clip_norm.is_none_or(positive), "train.clip_norm", "must be above 0; leave it out to clip nothing");
        need(fraction(train.label_smoothing), "train.label_smoothing", "must be at least 0 and below 1");
        need(train.momentum.is_none_or(fraction), "train.momentum", "must be at least 0 and below 1");
        let nesterov = train.nesterov == Some(true);
        need(!nesterov || train.momentum.is_some_and(|m| m > 0.0), "train.nesterov", "needs `momentum` above 0");
        let few = !matches!(self.run.lanes, CountOrAuto::Number(lanes) if lanes > MAX_LANES);
        need(few, "run.lanes", "must be at most 1024");
        need((0.0..=100.0).contains(&self.report.margin), "report.margin", "must be from 0 to 100 percentage points");
        need(self.network.init_std.is_none_or(positive), "network.init_std", "must be above 0");
        let is_share = self.network.dropout.is_none_or(fraction);
        need(is_share, "network.dropout", "is the share set to 0: at least 0 and below 1");
    }

    /// A parameter that belongs to another variant than the one chosen is a mistake, not a thing to ignore.
    fn check_siblings(&self, problems: &mut Vec<Diagnostic>) {
        let mut only = |given: bool, key: &str, belongs: bool, owner: &str| {
            if given && !belongs {
                let instead = if owner.starts_with('`') { format!(", or choose {owner}") } else { String::new() };
                let problem = Diagnostic::new(key, format!("`{key}` belongs to {owner}"));
                problems.push(problem.hint(format!("leave it out{instead}")).on_key());
            }
        };
        let train = &self.train;
        let sgd = train.optimizer == OptimizerConfig::Sgd;
        only(train.betas.is_some(), "train.betas", !sgd, "`optimizer = \"adam\"` or `\"adamw\"`");
        only(train.eps.is_some(), "train.eps", !sgd, "`optimizer = \"adam\"` or `\"adamw\"`");
        only(train.momentum.is_some(), "train.momentum", sgd, "`optimizer = \"sgd\"`");
        only(train.nesterov.is_some(), "train.nesterov", sgd, "`optimizer = \"sgd\"`");
        let (step, multi_step) = (train.schedule == ScheduleConfig::Step, train.schedule == ScheduleConfig::MultiStep);
        let (cosine, steps) = (train.schedule == ScheduleConfig::Cosine, "`schedule = \"step\"` or `\"multi_step\"`");
        only(train.step_every.is_some(), "train.step_every", step, "`schedule = \"step\"`");
        only(train.milestones.is_some(), "train.milestones", multi_step, "`schedule = \"multi_step\"`");
        only(train.gamma.is_some(), "train.gamma", step || multi_step, steps);
        only(train.lr_min.is_some(), "train.lr_min", cosine, "`schedule = \"cosine\"`");
        let network = &self.network;
        only(network.init_std.is_some(), "network.init_std", network.init == WeightInit::Normal, "`init = \"normal\"`");
        only(network.batch_norm.is_some(), "network.batch_norm", network.is_vgg(), "a VGG by name, such as `vgg19`");
        let owner = "an architecture by name with hidden linear layers, such as `conv2`";
        only(network.dropout.is_some(), "network.dropout", network.has_hidden_linear(), owner);
        let own = matches!(self.data.dataset, DatasetSpec::Idx { .. } | DatasetSpec::Images { .. });
        only(self.data.dir.is_some(), "data.dir", !own, "the built-in data sets; own data have a `dir` in `dataset`");
        let strokes = self.data.dataset == DatasetSpec::Strokes;
        only(self.data.train_images.is_some(), "data.train_images", strokes, "`dataset = \"strokes\"`");
        only(self.data.test_images.is_some(), "data.test_images", strokes, "`dataset = \"strokes\"`");
        only(self.data.draw_seed.is_some(), "data.draw_seed", strokes, "`dataset = \"strokes\"`");
        let owner = "the criteria `magnitude_increase`, `movement`, `large_init` and `large_final_same_sign`";
        let looks_back = self.prune.criterion.needs_reference_weights();
        only(self.prune.reference_weights.is_some(), "prune.reference_weights", looks_back, owner);
        let (global, rate) = (self.prune.scope == Scope::Global, &self.prune.rate);
        only(rate.all.is_some(), "prune.rate.all", global, "`scope = \"global\"`");
        only(rate.conv.is_some(), "prune.rate.conv", !global, "`scope = \"layerwise\"`");
        only(rate.shortcut.is_some(), "prune.rate.shortcut", !global, "`scope = \"layerwise\"`");
        only(rate.linear.is_some(), "prune.rate.linear", !global, "`scope = \"layerwise\"`");
        only(rate.output.is_some(), "prune.rate.output", !global, "`scope = \"layerwise\"`");
        only(!rate.layers.is_empty(), "prune.rate.layers", !global, "`scope = \"layerwise\"`");
    }

    fn check_rates(&self, problems: &mut Vec<Diagnostic>) {
        let rate = &self.prune.rate;
        let conv = [("conv", rate.conv), ("shortcut", rate.shortcut)];
        let named = [("all", rate.all), ("linear", rate.linear), ("output", rate.output)].into_iter().chain(conv);
        let kinds = named.filter_map(|(name, rate)| Some((name.to_owned(), rate?)));
        let layers = rate.layers.iter().map(|(name, &rate)| (format!("layers.{name}"), rate));
        for (name, rate) in kinds.chain(layers) {
            if !(0.0..1.0).contains(&rate) {
                let key = format!("prune.rate.{name}");
                let message = format!("`{key}` is the fraction cut per round: at least 0 and below 1, not {rate}");
                let problem = Diagnostic::new(key, message);
                let is_percent = (1.0..100.0).contains(&rate) && rate > 1.0;
                let hint = format!("{rate} % is written {}", rate / 100.0);
                problems.push(if is_percent { problem.hint(hint) } else { problem });
            }
        }
    }

    fn check_arms(&self, problems: &mut Vec<Diagnostic>) {
        for (name, arm) in &self.arms.0 {
            let key = format!("arms.{name}");
            if name == RESERVED_ARM {
                let message = "the arm name `dense` is reserved for the dense networks themselves";
                problems.push(Diagnostic::new(&key, message).hint("name it otherwise").on_key());
            }
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                let message = format!("the arm name `{name}` must be made of small letters, digits and `_`");
                problems.push(Diagnostic::new(&key, message).on_key());
            }
            check_siblings_of_arm(&key, arm, problems);
            if arm.repeats == 0 {
                problems.push(Diagnostic::new(format!("{key}.repeats"), format!("`{key}.repeats` must be at least 1")));
            }
        }
    }
}

/// Parameters of an arm that belong to another mask or other weights than those chosen, or make no sense.
fn check_siblings_of_arm(arm_key: &str, arm: &Arm, problems: &mut Vec<Diagnostic>) {
    let mut only = |given: bool, name: &str, belongs: bool, owner: &str| {
        if given && !belongs {
            let key = format!("{arm_key}.{name}");
            problems.push(Diagnostic::new(&key, format!("`{key}` belongs to {owner}")).on_key());
        }
    };
    only(arm.rewind_to.is_some(), "rewind_to", arm.weights == WeightSource::Rewind, "`weights = \"rewind\"`");
    only(arm.rewind_moments.is_some(), "rewind_moments", arm.rewind_to.is_some(), "`rewind_to`");
    only(arm.lr_from.is_some(), "lr_from", arm.weights == WeightSource::Final, "`weights = \"final\"`");
    only(arm.noise.is_some(), "noise", arm.weights == WeightSource::Noise, "`weights = \"noise\"`");
    let chooses = !matches!(arm.mask, MaskSource::Iterative | MaskSource::Dense);
    let owner = "arms that choose among rounds: one that prunes its own previous round takes every round, and a dense \
                 mask has one";
    only(arm.at.is_some(), "at", chooses, owner);
    only(arm.every.is_some(), "every", chooses, owner);
    if arm.weights == WeightSource::Noise && arm.noise.is_none() {
        let key = format!("{arm_key}.noise");
        let missing = Diagnostic::new(&key, format!("`{key}` is missing")).on_key();
        problems
            .push(missing.hint("how strong the noise is, in standard deviations of the layer: such as `noise = 0.5`"));
    }
    let mut need = |fine: bool, name: &str, message: &str| {
        if !fine {
            let key = format!("{arm_key}.{name}");
            problems.push(Diagnostic::new(&key, format!("`{key}` {message}")));
        }
    };
    need(arm.noise.is_none_or(|noise| noise.is_finite() && noise > 0.0), "noise", "must be above 0");
    need(arm.at.is_none() || arm.every.is_none(), "every", "and `at` both choose rounds: leave one of them out");
    need(arm.every != Some(0), "every", "must be at least 1");
    let at = arm.at.as_deref().unwrap_or(&[0]);
    need(!at.is_empty(), "at", "names no round: leave it out for all of them");
    need((1..at.len()).all(|i| !at[..i].contains(&at[i])), "at", "names a round twice");
    if let MaskSource::OneShot(TargetSize::Cut(grid)) | MaskSource::MagnitudeAtInit(TargetSize::Cut(grid)) = &arm.mask {
        let word = if matches!(arm.mask, MaskSource::OneShot(_)) { "one_shot" } else { "magnitude_at_init" };
        let fits = |cut: &f64| *cut > 0.0 && *cut < 1.0;
        need(!grid.is_empty() && grid.len() <= 1000, &format!("mask.{word}.cut"), "must have from 1 to 1000 entries");
        if let Some(at) = grid.iter().position(|cut| !fits(cut)) {
            let message = "is the fraction that is cut: above 0 and below 1";
            need(false, &format!("mask.{word}.cut[{at}]"), message);
        }
    }
}
