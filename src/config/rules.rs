//! What one value of an experiment says about another: defaults that depend on it, and what contradicts it.

use super::experiment::{Architecture, DatasetName, Experiment, Init, Optimizer, Scope};
use super::problem::Problem;

/// Arm name that stands for the dense trainings themselves.
const RESERVED: &str = "dense";

impl Experiment {
    /// Fills in every default that depends on another value, so that what is recorded is what was used.
    #[must_use]
    pub(super) fn resolved(mut self) -> Self {
        match self.train.optimizer {
            Optimizer::Adam => {
                self.train.betas.get_or_insert([0.9, 0.999]);
                self.train.eps.get_or_insert(1e-8);
            }
            Optimizer::Sgd => {
                self.train.momentum.get_or_insert(0.0);
                self.train.nesterov.get_or_insert(false);
            }
        }
        if self.network.init == Init::Normal {
            self.network.init_std.get_or_insert(0.1);
        }
        if self.data.dataset == DatasetName::Strokes {
            self.data.train_images.get_or_insert(60_000);
            self.data.test_images.get_or_insert(10_000);
            self.data.draw_seed.get_or_insert(1);
        }
        let rate = &mut self.prune.rate;
        match self.prune.scope {
            Scope::Layerwise => {
                let linear = *rate.linear.get_or_insert(0.2);
                // The paper prunes the output layer at half the rate of the others (Figure 2).
                rate.output.get_or_insert(linear / 2.0);
            }
            Scope::Global => {
                rate.all.get_or_insert(0.2);
            }
        }
        self
    }

    /// Everything in the file that contradicts itself or makes no sense, before the network or the data are known.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_numbers(&mut problems);
        self.check_siblings(&mut problems);
        self.check_rates(&mut problems);
        self.check_arms(&mut problems);
        problems
    }

    fn check_numbers(&self, problems: &mut Vec<Problem>) {
        let named = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c))
        };
        let mut need = |fine: bool, key: &str, message: &str| {
            if !fine {
                problems.push(Problem::new(key, format!("`{key}` {message}")));
            }
        };
        let train = &self.train;
        let positive = |x: f64| x.is_finite() && x > 0.0;
        let fraction = |x: f64| (0.0..1.0).contains(&x);
        need(named(&self.name), "name", "must be made of small letters, digits, `_` and `-`");
        need(self.replicates > 0, "replicates", "must be at least 1");
        need(self.rounds <= 1000, "rounds", "must be at most 1000");
        need(self.data.validation > 0, "data.validation", "must be at least 1: the early stop is found on it");
        need(self.data.train_limit != Some(0), "data.train_limit", "must be at least 1");
        need(self.data.test_limit != Some(0), "data.test_limit", "must be at least 1");
        need(self.data.train_images.is_none_or(|n| n > 0), "data.train_images", "must be at least 1");
        need(self.data.test_images.is_none_or(|n| n > 0), "data.test_images", "must be at least 1");
        need(train.iterations > 0, "train.iterations", "must be at least 1");
        need(train.batch_size > 0, "train.batch_size", "must be at least 1");
        need(train.evaluate_every > 0, "train.evaluate_every", "must be at least 1");
        need(positive(train.lr), "train.lr", "must be above 0");
        need(train.weight_decay >= 0.0, "train.weight_decay", "must not be below 0");
        need(train.betas.is_none_or(|b| b.into_iter().all(fraction)), "train.betas", "must be at least 0 and below 1");
        need(train.eps.is_none_or(|x| x >= 0.0), "train.eps", "must not be below 0");
        need(train.momentum.is_none_or(fraction), "train.momentum", "must be at least 0 and below 1");
        let nesterov = train.nesterov == Some(true);
        need(!nesterov || train.momentum.is_some_and(|m| m > 0.0), "train.nesterov", "needs `momentum` above 0");
        need(self.network.init_std.is_none_or(positive), "network.init_std", "must be above 0");
        if let Architecture::Mlp { hidden } = &self.network.architecture {
            need(!hidden.contains(&0), "network.architecture.mlp.hidden", "must have at least 1 unit in each layer");
        }
    }

    /// A parameter that belongs to another variant than the one chosen is a mistake, not a thing to ignore.
    fn check_siblings(&self, problems: &mut Vec<Problem>) {
        let mut only = |given: bool, key: &str, belongs: bool, owner: &str| {
            if given && !belongs {
                problems.push(Problem::new(key, format!("`{key}` belongs to {owner}")).about_the_key());
            }
        };
        let train = &self.train;
        let adam = train.optimizer == Optimizer::Adam;
        only(train.betas.is_some(), "train.betas", adam, "`optimizer = \"adam\"`");
        only(train.eps.is_some(), "train.eps", adam, "`optimizer = \"adam\"`");
        only(train.momentum.is_some(), "train.momentum", !adam, "`optimizer = \"sgd\"`");
        only(train.nesterov.is_some(), "train.nesterov", !adam, "`optimizer = \"sgd\"`");
        let normal = self.network.init == Init::Normal;
        only(self.network.init_std.is_some(), "network.init_std", normal, "`init = \"normal\"`");
        let strokes = self.data.dataset == DatasetName::Strokes;
        only(self.data.train_images.is_some(), "data.train_images", strokes, "`dataset = \"strokes\"`");
        only(self.data.test_images.is_some(), "data.test_images", strokes, "`dataset = \"strokes\"`");
        only(self.data.draw_seed.is_some(), "data.draw_seed", strokes, "`dataset = \"strokes\"`");
        let (global, rate) = (self.prune.scope == Scope::Global, &self.prune.rate);
        only(rate.all.is_some(), "prune.rate.all", global, "`scope = \"global\"`");
        only(rate.linear.is_some(), "prune.rate.linear", !global, "`scope = \"layerwise\"`");
        only(rate.output.is_some(), "prune.rate.output", !global, "`scope = \"layerwise\"`");
        only(!rate.layers.is_empty(), "prune.rate.layers", !global, "`scope = \"layerwise\"`");
    }

    fn check_rates(&self, problems: &mut Vec<Problem>) {
        let rate = &self.prune.rate;
        let named = [("all", rate.all), ("linear", rate.linear), ("output", rate.output)];
        let kinds = named.into_iter().filter_map(|(name, rate)| Some((name.to_owned(), rate?)));
        let layers = rate.layers.iter().map(|(name, &rate)| (format!("layers.{name}"), rate));
        for (name, rate) in kinds.chain(layers) {
            if !(0.0..1.0).contains(&rate) {
                let key = format!("prune.rate.{name}");
                let message = format!("`{key}` is the fraction cut per round: at least 0 and below 1, not {rate}");
                problems.push(Problem::new(key, message));
            }
        }
    }

    fn check_arms(&self, problems: &mut Vec<Problem>) {
        for (name, arm) in &self.arms.0 {
            let key = format!("arms.{name}");
            if name == RESERVED {
                let message = "the arm name `dense` is reserved for the dense networks themselves";
                problems.push(Problem::new(&key, message).about_the_key());
            }
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
                let message = format!("the arm name `{name}` must be made of small letters, digits and `_`");
                problems.push(Problem::new(&key, message).about_the_key());
            }
            if arm.repeats == 0 {
                problems.push(Problem::new(format!("{key}.repeats"), format!("`{key}.repeats` must be at least 1")));
            }
        }
    }
}
