//! Validates arms: each must train networks that no other arm trains already, and have weights to start from.

use super::arm_graph::{find, is_dense, possible_rounds, rounds, topological_order};
use crate::config::{
    Allocation, Arm, Arms, Criterion, Diagnostic, Experiment, MaskSource, MaskUpdates, ReferenceWeights, TargetSize,
    WeightSource,
};

/// The arms of an experiment that have been validated, each after the one it refers to, else in the order of the file.
/// Only [`validate_arms`] makes this value, so that no plan is built of arms that were not validated.
#[derive(Clone, Debug)]
pub(super) struct ValidArms {
    /// Indices into [`Arms`].
    order: Vec<usize>,
}

impl ValidArms {
    /// Returns name and definition of each arm, in the order of [`ValidArms`]. `arms` must be those that were
    /// validated.
    pub(super) fn iter<'a>(&self, arms: &'a Arms) -> impl Iterator<Item = &'a (String, Arm)> {
        self.order.iter().map(|&index| &arms.0[index])
    }
}

/// Validates the arms of an experiment.
///
/// # Errors
/// Fails with every mistake found. If references between arms are not valid, the checks that follow them are left out.
pub(super) fn validate_arms(experiment: &Experiment) -> Result<ValidArms, Vec<Diagnostic>> {
    let (order, mut problems) = match topological_order(&experiment.arms) {
        Ok(order) => (Some(order), Vec::new()),
        Err(problems) => (None, problems),
    };
    for (name, arm) in &experiment.arms.0 {
        problems.extend(check_repeats(name, arm, experiment));
        if order.is_some() {
            problems.extend(check_not_dense(name, arm, experiment));
            problems.extend(check_final_weights(name, arm, experiment));
            problems.extend(check_reference_weights(name, arm, experiment));
            problems.extend(check_rounds(name, arm, experiment));
            problems.extend(check_allocation(name, arm, experiment));
            problems.extend(check_known_size(name, arm, experiment));
        }
    }
    match order {
        Some(order) if problems.is_empty() => Ok(ValidArms { order }),
        _ => Err(problems),
    }
}

/// Reports repeats of an arm that draws nothing at random, and repeats that differ in number from those of the arm it
/// refers to.
fn check_repeats(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let like = arm.allocation.as_ref().and_then(Allocation::like);
    let source = arm.mask.copied_arm().or(like).and_then(|other| find(other, &experiment.arms));
    let source_repeats = source.map_or(1, |source| source.repeats);
    let key = format!("arms.{name}.repeats");
    if arm.repeats > 1 && source_repeats == 1 && !is_random(arm, experiment.prune.criterion) {
        let message =
            format!("`{name}` would train the same network {} times: it draws nothing at random", arm.repeats);
        Some(Diagnostic::new(key, message).hint("use `replicates` for independent repetitions"))
    } else if source_repeats > 1 && arm.repeats != source_repeats {
        let message = format!("`{name}` must have as many repeats as the arm it refers to: {source_repeats}");
        Some(Diagnostic::new(key, message).hint("the j-th repeat of one takes the mask of the j-th of the other"))
    } else {
        None
    }
}

/// Returns whether the weights or the masks of an arm are drawn at random, so that its repeats differ. A random mask
/// that it takes from another arm does not count.
fn is_random(arm: &Arm, criterion: Criterion) -> bool {
    let has_random_weights =
        matches!(arm.weights, WeightSource::Reinit | WeightSource::Shuffle | WeightSource::Noise { .. });
    has_random_weights
        || arm.mask_updates.as_ref().is_some_and(MaskUpdates::is_random)
        || match &arm.mask {
            MaskSource::Random(_) => true,
            MaskSource::Iterative | MaskSource::OneShot(_) => criterion.is_random(),
            MaskSource::AtInit(mask) => mask.scoring.is_random(),
            MaskSource::Dense | MaskSource::Of(_) | MaskSource::EarlyBird(_) | MaskSource::File(_) => false,
        }
}

/// Reports an arm that would train the dense networks, which are trained for every experiment.
fn check_not_dense(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    if !is_dense(arm, &experiment.arms) {
        return None;
    }
    let sized = arm.mask.reference().filter(|_| arm.mask.size().is_some());
    let sized = sized.map(|(other, key)| (other, format!("mask.{key}")));
    let updated = arm.updated_size().and_then(TargetSize::like).map(|other| (other, "mask_updates.like".to_owned()));
    if let Some((other, reference_key)) = updated.or(sized) {
        let message = format!("there is nothing to be cut like `{other}`, whose mask is dense");
        return Some(Diagnostic::new(format!("arms.{name}.{reference_key}"), message).hint("name an arm that prunes"));
    }
    let message = format!("`{name}` would train the dense networks once more: a dense mask and initial weights");
    let hint = "the dense networks are trained for every experiment; `reinit` would give others";
    let is_rewound = matches!(arm.weights, WeightSource::Rewind { .. });
    // A longer training of the dense networks is another one.
    (is_rewound && arm.train && arm.length == 1)
        .then(|| Diagnostic::new(format!("arms.{name}"), message).hint(hint).on_key())
}

/// Reports an arm that continues from trained weights although its mask was not pruned by trained weights.
fn check_final_weights(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    if !matches!(arm.weights, WeightSource::Final { .. }) {
        return None;
    }
    if let Some(other) = updating_arm(arm, &experiment.arms) {
        let message = format!(
            "`{name}` would go on from weights that its mask was not pruned from: `{other}` has changed the mask in training"
        );
        return Some(Diagnostic::new(format!("arms.{name}.weights"), message).hint("choose `rewind` or `reinit`"));
    }
    if is_pruned_by_training(arm, &experiment.arms) {
        return None;
    }
    let message = format!("`{name}` has no trained weights to go on from: its mask was not cut from any");
    let hint = "`final` goes with the masks `iterative` and `one_shot`, and with masks of such arms";
    Some(Diagnostic::new(format!("arms.{name}.weights"), message).hint(hint))
}

/// Returns the arm from which an arm takes its mask, directly or through others, and which changes it during training.
fn updating_arm<'a>(arm: &Arm, arms: &'a Arms) -> Option<&'a str> {
    let other = arm.mask.copied_arm()?;
    let (name, source) = arms.0.iter().find(|(name, _)| name == other)?;
    let changes = source.mask_updates.as_ref().is_some_and(|updates| *updates != MaskUpdates::Static);
    if changes { Some(name) } else { updating_arm(source, arms) }
}

/// Returns whether an arm's mask was pruned by trained weights, directly or through the arm that it takes the mask
/// from.
fn is_pruned_by_training(arm: &Arm, arms: &Arms) -> bool {
    let copied = arm.mask.copied_arm().and_then(|other| find(other, arms));
    arm.mask.prunes_trained_weights() || copied.is_some_and(|arm| is_pruned_by_training(arm, arms))
}

/// Reports a chain that starts each round from weights that are neither θ₀ nor trained from θ₀ (such as `reinit`), if
/// the criterion compares with the weights of iteration 0.
fn check_reference_weights(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let has_initial_reference = experiment.prune.reference_weights == Some(ReferenceWeights::Initial);
    let keeps_initial = matches!(arm.weights, WeightSource::Rewind { .. } | WeightSource::Final { .. });
    let changes_mask = arm.mask_updates.as_ref().is_some_and(|updates| *updates != MaskUpdates::Static);
    if arm.mask == MaskSource::Iterative && changes_mask && experiment.prune.criterion.needs_reference_weights() {
        let message = format!(
            "`{name}` prunes by earlier values of weights, and those that grow in training have none: `prune.criterion` does not \
             go with `iterative` and `mask_updates`"
        );
        let hint = "choose `criterion = \"magnitude\"`, or another mask";
        return Some(Diagnostic::new(format!("arms.{name}.mask_updates"), message).hint(hint));
    }
    if arm.mask != MaskSource::Iterative || keeps_initial || !has_initial_reference {
        return None;
    }
    let message = format!(
        "`{name}` starts each round from other weights than the initial ones, which `prune.reference_weights` names"
    );
    let hint = "set `prune.reference_weights = \"training_start\"`, or prune with `rewind` or `final` and take that arm's \
                mask here: `mask = { of = \"…\" }`";
    Some(Diagnostic::new(format!("arms.{name}.weights"), message).hint(hint))
}

/// Reports rounds in `at` that the arm cannot have, and an `every` that leaves no round.
fn check_rounds(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let possible = possible_rounds(arm, experiment);
    let listed = || possible.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let hint = || if possible.is_empty() { "there are none".to_owned() } else { format!("its rounds: {}", listed()) };
    let impossible = arm.at.iter().flatten().position(|round| !possible.contains(round));
    if let (Some(index), Some(at)) = (impossible, &arm.at) {
        let message = format!("`{name}` has no round {}", at[index]);
        return Some(Diagnostic::new(format!("arms.{name}.at[{index}]"), message).hint(hint()));
    }
    let every = arm.every.filter(|&every| !possible.iter().any(|round| round.is_multiple_of(every.max(1))))?;
    let message = format!("`{name}` would have no round: none is a multiple of {every}");
    Some(Diagnostic::new(format!("arms.{name}.every"), message).hint(hint()))
}

/// Reports an arm that takes a mask, or its size, whose size is known after training only.
fn check_known_size(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let has_free_size = |other: &Arm| other.mask_updates.as_ref().is_some_and(MaskUpdates::has_free_size);
    let is_unknown = |(other, _): &(&str, String)| find(other, &experiment.arms).is_some_and(has_free_size);
    let (other, key) = arm.references().into_iter().find(is_unknown)?;
    let message =
        format!("the masks of `{other}` have a size that is known after training only, and `{name}` needs it before");
    let hint = "take the mask of an arm with `edge_popup`, whose size is given";
    Some(Diagnostic::new(format!("arms.{name}.{key}"), message).hint(hint))
}

/// Reports an arm that divides its weights like the masks of an arm that does not have all of its rounds.
fn check_allocation(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let other = arm.allocation.as_ref()?.like()?;
    let of_other = rounds(find(other, &experiment.arms)?, experiment);
    let missing = rounds(arm, experiment).into_iter().find(|round| !of_other.contains(round))?;
    let message = format!("`{other}` has no round {missing}, whose layers `{name}` would be like");
    let hint = "name an arm with the same rounds, or choose rounds with `at`";
    Some(Diagnostic::new(format!("arms.{name}.allocation.like"), message).hint(hint))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::test_support;
    use super::*;

    /// Arms that several tests use, as inline tables.
    pub(in crate::lottery) mod arm {
        pub(in crate::lottery) const TICKET: &str = "mask='iterative',weights='rewind'";
    }

    /// Returns the smoke experiment with four rounds and these arms, each an inline table.
    pub(in crate::lottery) fn experiment(arms: &[(&str, &str)]) -> Experiment {
        experiment_with(arms, &[])
    }

    /// Like [`experiment`], but with more overrides.
    fn experiment_with(arms: &[(&str, &str)], overrides: &[&str]) -> Experiment {
        let tables: Vec<String> = arms.iter().map(|(name, arm)| format!("{name}={{{arm}}}")).collect();
        let arms = format!("arms={{{}}}", tables.join(","));
        test_support::experiment(&[&[arms.as_str(), "rounds=4"], overrides].concat())
    }

    fn keys(arms: &[(&str, &str)], overrides: &[&str]) -> Vec<String> {
        let mistakes = validate_arms(&experiment_with(arms, overrides)).err().unwrap_or_default();
        mistakes.into_iter().map(|mistake| mistake.key).collect()
    }

    #[test]
    fn arm_repeats_need_random_draws_or_repeats_of_the_arm_referred_to() {
        let twice = [("a", "mask='iterative',weights='rewind',repeats=2")];
        assert_eq!(keys(&twice, &[]), ["arms.a.repeats"]);
        assert_eq!(keys(&twice, &["prune.criterion=random"]), [""; 0], "a random criterion draws");
        let ticket = ("a", arm::TICKET);
        let random = ("r", "mask={random='a'},weights='rewind',repeats=3");
        assert_eq!(keys(&[ticket, random, ("x", "mask={of='r'},weights='reinit',repeats=2")], &[]), ["arms.x.repeats"]);
        assert_eq!(keys(&[ticket, random, ("x", "mask={of='r'},weights='rewind',repeats=3")], &[]), [""; 0]);
        // The size of a mask has no repeats.
        assert_eq!(keys(&[ticket, random, ("x", "mask={one_shot={like='r'}},weights='rewind'")], &[]), [""; 0]);
        // The images for scores are drawn.
        let scored =
            |method: &str| format!("mask={{at_init={{method='{method}',like='a'}}}},weights='rewind',repeats=2");
        assert_eq!(keys(&[ticket, ("x", &scored("snip"))], &[]), [""; 0]);
        assert_eq!(keys(&[ticket, ("x", &scored("synflow"))], &[]), ["arms.x.repeats"]);
    }

    #[test]
    fn arms_that_train_the_dense_networks_are_refused() {
        assert_eq!(keys(&[("a", "mask='dense',weights='rewind'")], &[]), ["arms.a"]);
        let fresh = ("f", "mask='dense',weights='reinit'");
        assert_eq!(keys(&[fresh, ("a", "mask={of='f'},weights='rewind'")], &[]), ["arms.a"]);
        let like = ("a", "mask={one_shot={like='f'}},weights='rewind'");
        assert_eq!(keys(&[fresh, like], &[]), ["arms.a.mask.one_shot.like"]);
    }

    #[test]
    fn final_weights_need_a_mask_pruned_by_training() {
        let finals = |mask: &str| keys(&[("t", arm::TICKET), ("a", &format!("mask={mask},weights='final'"))], &[]);
        for mask in ["'iterative'", "{of='t'}", "{random='t'}", "{one_shot={like='t'}}", "{one_shot={cut=[0.5]}}"] {
            assert_eq!(finals(mask), [""; 0], "{mask}");
        }
        for mask in ["'dense'", "{at_init={method='snip',like='t'}}", "{at_init={method='magnitude',cut=[0.5]}}"] {
            assert_eq!(finals(mask), ["arms.a.weights"], "{mask}");
        }
    }

    #[test]
    fn reference_weights_of_iteration_0_need_a_chain_that_starts_from_them() {
        let chain = |weights: &str, criterion: &str, reference: &str| {
            let prune = format!("prune={{criterion=\"{criterion}\",reference_weights=\"{reference}\"}}");
            keys(&[("a", &format!("mask='iterative',weights={weights}"))], &[&prune])
        };
        for criterion in ["movement", "magnitude_increase", "large_init", "large_final_same_sign"] {
            for weights in ["'reinit'", "'shuffle'"] {
                assert_eq!(chain(weights, criterion, "initial"), ["arms.a.weights"], "{criterion} {weights}");
                assert_eq!(chain(weights, criterion, "training_start"), [""; 0], "{criterion} {weights}");
            }
            assert_eq!(chain("'rewind'", criterion, "initial"), [""; 0], "{criterion}");
            assert_eq!(chain("'final'", criterion, "initial"), [""; 0], "{criterion}");
        }
    }

    #[test]
    fn allocation_like_an_arm_needs_its_rounds() {
        let like = |more: &str| {
            let arm = format!(
                "mask={{one_shot={{cut=[0.1,0.2,0.3,0.4,0.5]}}}},allocation={{like='t'}},weights='rewind'{more}"
            );
            keys(&[("t", arm::TICKET), ("a", &arm)], &[])
        };
        assert_eq!(like(""), ["arms.a.allocation.like"]);
        assert_eq!(like(",at=[1,4]"), [""; 0]);
    }

    #[test]
    fn arm_rounds_out_of_range_are_refused() {
        let control =
            |more: &str| keys(&[("t", arm::TICKET), ("a", &format!("mask={{of='t'}},weights='reinit',{more}"))], &[]);
        assert_eq!(control("at=[1,5]"), ["arms.a.at[1]"]);
        assert_eq!(control("every=5"), ["arms.a.every"]);
        assert_eq!(control("at=[4]"), [""; 0]);
    }
}
