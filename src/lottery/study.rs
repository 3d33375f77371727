//! A study: an experiment resolved and planned, as one value.

use super::plan::Plan;
use super::resolved::ResolvedExperiment;
use super::rules::MaskRule;
use super::surroundings::Surroundings;
use super::training::TrainingSpec;
use super::update_rule::MaskUpdateRule;
use super::validate_arms::validate_arms;
use crate::base::format::{count_of, with_thousands};
use crate::base::units::Iteration;
use crate::config::{Allocation, Arm, Criterion, Diagnostic, Experiment, TrainConfig, WeightSource};
use crate::network::even_kernel_warnings;

/// An experiment, resolved and planned: plain values, computed and checked once, before anything runs.
#[derive(Clone, Debug)]
pub struct Study {
    /// The experiment, with the checksum of custom data filled in.
    pub experiment: Experiment,
    /// The network, the rates, the data set, the device and the engines that the experiment names.
    pub resolved: ResolvedExperiment,
    /// Its training runs.
    pub plan: Plan,
}

impl Study {
    /// Resolves the names of an experiment, validates its arms and builds its plan.
    ///
    /// # Errors
    /// Fails with every mistake found, by its key: data that cannot be used, names that do not exist, arms that do not
    /// fit together, rounds that would prune nothing, and an engine or a device that does not support the experiment.
    pub fn resolve(mut experiment: Experiment, surroundings: Surroundings) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let arms = validate_arms(&experiment).map_err(|found| mistakes.extend(found)).ok();
        let resolved = ResolvedExperiment::new(&experiment, surroundings).map_err(|found| mistakes.extend(found)).ok();
        let (Some(arms), Some(resolved)) = (arms, resolved) else { return Err(mistakes) };
        if let Some(checksum) = &resolved.dataset.sha256 {
            experiment.data.set_checksum(checksum);
        }
        experiment.train = experiment.train.with_length_in_iterations(resolved.iterations_per_epoch);
        let plan = Plan::build(&experiment, &arms, &resolved)?;
        Ok(Self { experiment, resolved, plan })
    }

    /// Returns whether a mask is made with gradients or activations on the training images.
    pub fn needs_probe(&self, mask: &MaskRule) -> bool {
        match mask {
            MaskRule::AtInit { scoring, .. } => scoring.needs_gradients(),
            MaskRule::Prune { .. } | MaskRule::OneShot { .. } => self.experiment.prune.criterion == Criterion::Wanda,
            MaskRule::Dense
            | MaskRule::EarlyBird { .. }
            | MaskRule::Of { .. }
            | MaskRule::Random { .. }
            | MaskRule::File(_) => false,
        }
    }

    /// Returns warnings about settings that are valid, but probably do not do what the user expects: even kernels that
    /// change the size of an image, few validation images, networks without weights, and evaluations that are further
    /// apart than the training is long.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = even_kernel_warnings(&self.experiment.network, &self.resolved.network);
        warnings.extend(self.resolved.images.warning());
        warnings.extend(self.no_weights_warning());
        warnings.extend(self.lamp_warning());
        warnings.extend(self.few_updates_warning());
        warnings.extend(self.resolved.files.notes());
        let TrainConfig { iterations, evaluate_every, .. } = self.experiment.train;
        if evaluate_every > iterations {
            let [iterations, evaluate_every] = [iterations, evaluate_every].map(with_thousands);
            warnings.push(format!(
                "`train.evaluate_every` is {evaluate_every}, more than the {iterations} iterations: networks are \
                 evaluated only before the first and after the last iteration, so that the early stop is one of the two"
            ));
        }
        warnings
    }

    /// Returns a warning if LAMP scores are ranked within layers, where they have the order of magnitudes.
    fn lamp_warning(&self) -> Option<String> {
        let is_ranked_within_layers = |(_, arm): &&(String, Arm)| {
            arm.mask.prunes_trained_weights() && arm.allocation.as_ref().is_some_and(|by| *by != Allocation::Global)
        };
        let (name, _) = self.experiment.arms.0.iter().find(is_ranked_within_layers)?;
        (self.experiment.prune.criterion == Criterion::Lamp).then(|| {
            format!(
                "`arms.{name}.allocation` gives the numbers of weights by layer, and within a layer `lamp` is the same as \
                 `magnitude`: leave it out, or set it to `global`"
            )
        })
    }

    /// Returns a warning if masks that change during training do so a few times only.
    fn few_updates_warning(&self) -> Option<String> {
        const FEW: u64 = 5;
        let updates = |spec: &TrainingSpec| spec.updates.as_ref().map(|updates| updates.schedule.count);
        let spec = self.plan.trainings.iter().find(|spec| updates(spec).is_some_and(|count| count < FEW))?;
        Some(format!(
            "the masks of `{}` change {} in training: lower `arms.{}.mask_updates.every`, or train longer",
            spec.arm,
            count_of(updates(spec).unwrap_or_default(), "time"),
            spec.arm
        ))
    }

    /// Returns a warning if all weights of a network are pruned; it then gives every image the same output.
    fn no_weights_warning(&self) -> Option<String> {
        let spec = self.plan.trainings.iter().find(|spec| spec.counts.kept == 0)?;
        Some(format!(
            "no weight remains in round {} of `{}`: set fewer `rounds` or a lower `prune.rate`",
            spec.round.0, spec.arm
        ))
    }

    /// Returns what may keep training runs from diverging: smaller values of the settings that make weights large.
    pub fn divergence_hint(&self) -> String {
        let Experiment { train, network, arms, .. } = &self.experiment;
        let noisy = arms.0.iter().find(|(_, arm)| matches!(arm.weights, WeightSource::Noise { .. }));
        let settings = [
            Some("`train.lr`".to_owned()),
            (train.weight_decay > 0.0).then(|| "`train.weight_decay`".to_owned()),
            network.init_std.map(|_| "`network.init_std`".to_owned()),
            noisy.map(|(name, _)| format!("`arms.{name}.noise`")),
        ];
        let settings: Vec<String> = settings.into_iter().flatten().collect();
        format!("a training run that diverges needs a smaller {}", settings.join(" or "))
    }

    /// Returns whether a training run starts from trained weights, so that the evaluation at its start may be the early
    /// stop: see [`StartRule::is_trained`](super::StartRule::is_trained). Pretrained initial weights are trained.
    pub fn starts_trained(&self, training: &TrainingSpec) -> bool {
        training.start.is_trained() || self.resolved.files.is_pretrained() && training.start.is_initial()
    }

    /// Returns the first iteration at which an evaluation may be the early stop. That at the start counts only if training
    /// starts from trained weights, because an untrained network is not a result of training. A mask that is pruned during
    /// training has its size from the last pruning on.
    pub fn first_result(&self, training: &TrainingSpec) -> Iteration {
        let start = training.start.iteration().0;
        let first = if self.starts_trained(training) { start } else { start + 1 };
        let pruned = training.updates.as_ref().and_then(MaskUpdateRule::last_pruning).map_or(0, |last| last.0 + 1);
        Iteration(first.max(pruned))
    }

    /// Returns the training configuration of a training run: that of the experiment, stretched to its length.
    pub fn train_config(&self, training: &TrainingSpec) -> TrainConfig {
        self.experiment.train.stretched(training.length)
    }

    /// Returns the number of weights of each layer that a training run computes with, on average over its iterations; the
    /// expected number where it depends on trained weights.
    pub fn mean_per_layer(&self, training: &TrainingSpec) -> Vec<u64> {
        let between = [training.start.iteration(), training.last_iteration];
        self.resolved.mean_per_layer(&training.counts, training.updates.as_ref(), between)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::study;

    #[test]
    fn networks_without_weights_are_a_warning() {
        let warnings = |rate: &str, rounds: &str| study(&["data.validation=500", rate, rounds]).warnings();
        assert_eq!(warnings("prune.rate={linear=0.4,output=0.2}", "rounds=3"), [""; 0]);
        let warning = warnings("prune.rate={linear=0.9999999,output=0.9999999}", "rounds=1").remove(0);
        let expected = "no weight remains in round 1 of `winning_ticket`: set fewer `rounds` or a lower `prune.rate`";
        assert_eq!(warning, expected);
    }

    #[test]
    fn lamp_within_layers_is_a_warning() {
        let warnings = |arm: &str| {
            let arms = format!("arms={{a={{{arm}}}}}");
            study(&["data.validation=500", "prune={criterion='lamp',scope='global',rate={all=0.5}}", &arms]).warnings()
        };
        assert_eq!(warnings("mask='iterative',weights='rewind'"), [""; 0]);
        assert_eq!(warnings("mask='iterative',allocation='global',weights='rewind'"), [""; 0]);
        let warning = warnings("mask='iterative',allocation='erk',weights='rewind'").remove(0);
        assert!(warning.starts_with("`arms.a.allocation` gives the numbers of weights by layer"), "{warning}");
    }

    #[test]
    fn masks_that_change_a_few_times_only_are_a_warning() {
        let warnings = |every: &str| {
            let updates = format!("mask_updates={{method='rigl',every='{every}'}}");
            let arms =
                format!("arms={{a={{mask={{at_init={{method='random',cut=[0.5]}}}},{updates},weights='rewind'}}}}");
            study(&["data.validation=500", &arms]).warnings()
        };
        // Until iteration 90.
        assert_eq!(warnings("18it"), [""; 0]);
        assert!(warnings("50it")[0].starts_with("the masks of `a` change 2 times in training"));
        assert!(warnings("500it")[0].contains("change 1 time in training"));
    }

    #[test]
    fn divergence_hint_names_the_settings_that_make_weights_large() {
        let hint = |sets: &[&str]| study(sets).divergence_hint();
        assert_eq!(hint(&[]), "a training run that diverges needs a smaller `train.lr`");
        let sets = ["train.weight_decay=1e9", "network.init=normal", "arms.n={mask='dense',weights='noise',noise=9}"];
        let expected = "a training run that diverges needs a smaller `train.lr` or `train.weight_decay` or \
                        `network.init_std` or `arms.n.noise`";
        assert_eq!(hint(&sets), expected);
    }

    #[test]
    fn evaluations_further_apart_than_training_is_long_are_a_warning() {
        // `configs/smoke.toml` has 120 iterations and 300 validation images.
        let warnings = |sets: &[&str]| study(sets).warnings();
        let few_images = warnings(&[]);
        assert!(few_images.len() == 1 && few_images[0].contains("300 validation images"), "{few_images:?}");
        assert_eq!(warnings(&["data.validation=500", "train.evaluate_every=120"]), [""; 0]);
        let rare = warnings(&["data.validation=500", "train.evaluate_every=5000"]);
        assert!(
            rare.len() == 1 && rare[0].starts_with("`train.evaluate_every` is 5,000, more than the 120"),
            "{rare:?}"
        );
    }
}
