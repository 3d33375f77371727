//! Validates arms: each must train something new, and have something to start from.

use super::arm_graph::{is_dense, possible_rounds, reference, referenced_arm, topological_order};
use crate::config::{
    Arm, Arms, Criterion, Diagnostic, Experiment, MaskSource, ReferenceWeights, TargetSize, WeightSource,
};

/// The arms of an experiment that have been validated, each after the one it refers to, else in the order of the file: numbers
/// of [`Arms`]. Only [`validate_arms`] makes one, so that no plan is built of arms that were not validated.
#[derive(Clone, Debug)]
pub(super) struct ValidArms {
    order: Vec<usize>,
}

impl ValidArms {
    /// Returns name and definition of each arm, in this order.
    pub(super) fn iter<'a>(&self, arms: &'a Arms) -> impl Iterator<Item = &'a (String, Arm)> {
        self.order.iter().map(|&number| &arms.0[number])
    }
}

/// Validates the arms of an experiment.
///
/// # Errors
/// Every mistake in them.
pub(super) fn validate_arms(experiment: &Experiment) -> Result<ValidArms, Vec<Diagnostic>> {
    let (order, mut problems) = match topological_order(&experiment.arms) {
        Ok(order) => (Some(order), Vec::new()),
        Err(problems) => (None, problems),
    };
    for (name, arm) in &experiment.arms.0 {
        problems.extend(repeats(name, arm, experiment));
        if order.is_some() {
            problems.extend(dense_again(name, arm, experiment));
            problems.extend(nothing_to_start_from(name, arm, experiment));
            problems.extend(no_initial_values(name, arm, experiment));
            problems.extend(rounds_that_are_not_there(name, arm, experiment));
        }
    }
    match order {
        Some(order) if problems.is_empty() => Ok(ValidArms { order }),
        _ => Err(problems),
    }
}

/// Reports repeats of an arm that draws nothing at random, and repeats that differ in number from those of the arm it refers to.
fn repeats(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let partners = referenced_arm(arm, &experiment.arms).filter(|_| takes_mask(arm)).map_or(1, |source| source.repeats);
    let key = format!("arms.{name}.repeats");
    if arm.repeats > 1 && partners == 1 && !draws(arm, experiment.prune.criterion) {
        let message =
            format!("`{name}` would train the same network {} times: it draws nothing at random", arm.repeats);
        Some(Diagnostic::new(key, message).hint("use `replicates` for independent repetitions"))
    } else if partners > 1 && arm.repeats != partners {
        let message = format!("`{name}` must have as many repeats as the arm it refers to: {partners}");
        Some(Diagnostic::new(key, message).hint("the j-th repeat of one takes the mask of the j-th of the other"))
    } else {
        None
    }
}

/// Whether an arm takes the masks of the arm it refers to, and not only their sizes.
fn takes_mask(arm: &Arm) -> bool {
    matches!(arm.mask, MaskSource::Of(_) | MaskSource::Random(_))
}

/// Whether an arm draws anything at random itself, so that its repeats differ.
fn draws(arm: &Arm, criterion: Criterion) -> bool {
    let by_weights = matches!(arm.weights, WeightSource::Reinit | WeightSource::Shuffle | WeightSource::Noise { .. });
    by_weights
        || match arm.mask {
            MaskSource::Random(_) => true,
            MaskSource::Iterative | MaskSource::OneShot(_) => criterion.is_random(),
            MaskSource::Dense | MaskSource::Of(_) | MaskSource::MagnitudeAtInit(_) => false,
        }
}

/// Reports an arm that would train the dense networks, which are trained for every experiment.
fn dense_again(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    if !is_dense(arm, &experiment.arms) {
        return None;
    }
    if let Some((other, word)) = reference(arm).filter(|_| !takes_mask(arm)) {
        let message = format!("there is nothing to be cut like `{other}`, whose mask is dense");
        return Some(Diagnostic::new(format!("arms.{name}.mask.{word}"), message).hint("name an arm that prunes"));
    }
    let message = format!("`{name}` would train the dense networks once more: a dense mask and initial weights");
    let hint = "the dense networks are trained for every experiment; `reinit` would give others";
    let again = matches!(arm.weights, WeightSource::Rewind { .. });
    again.then(|| Diagnostic::new(format!("arms.{name}"), message).hint(hint).on_key())
}

/// Reports an arm that continues from trained weights although its mask was pruned by none.
fn nothing_to_start_from(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    if !matches!(arm.weights, WeightSource::Final { .. }) || is_pruned_by_training(arm, &experiment.arms) {
        return None;
    }
    let message = format!("`{name}` has no trained weights to go on from: its mask was not cut from any");
    let hint = "`final` goes with the masks `iterative` and `one_shot`, and with masks of such arms";
    Some(Diagnostic::new(format!("arms.{name}.weights"), message).hint(hint))
}

/// Whether an arm's mask was pruned by trained weights, directly or through the arm it takes it from.
fn is_pruned_by_training(arm: &Arm, arms: &Arms) -> bool {
    match arm.mask {
        MaskSource::Iterative | MaskSource::OneShot(_) => true,
        MaskSource::Dense | MaskSource::MagnitudeAtInit(_) => false,
        MaskSource::Of(_) | MaskSource::Random(_) => {
            referenced_arm(arm, arms).is_some_and(|arm| is_pruned_by_training(arm, arms))
        }
    }
}

/// Reports a chain that starts each round from other weights than those of iteration 0, if the criterion compares with these.
fn no_initial_values(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let looks_at_initial = experiment.prune.reference_weights == Some(ReferenceWeights::Initial);
    let keeps_initial = matches!(arm.weights, WeightSource::Rewind { .. } | WeightSource::Final { .. });
    if arm.mask != MaskSource::Iterative || keeps_initial || !looks_at_initial {
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
fn rounds_that_are_not_there(name: &str, arm: &Arm, experiment: &Experiment) -> Option<Diagnostic> {
    let possible = possible_rounds(arm, experiment);
    let list = || possible.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let hint = || if possible.is_empty() { "there are none".to_owned() } else { format!("its rounds: {}", list()) };
    let stray = arm.at.iter().flatten().position(|round| !possible.contains(round));
    if let (Some(place), Some(at)) = (stray, &arm.at) {
        let message = format!("`{name}` has no round {}", at[place]);
        return Some(Diagnostic::new(format!("arms.{name}.at[{place}]"), message).hint(hint()));
    }
    let every = arm.every.filter(|&every| !possible.iter().any(|round| round.is_multiple_of(every.max(1))))?;
    let message = format!("`{name}` would have no round: none is a multiple of {every}");
    Some(Diagnostic::new(format!("arms.{name}.every"), message).hint(hint()))
}

/// Returns the grid of an arm: the fraction to prune in each of its rounds, if it has one.
pub(super) fn grid(arm: &Arm) -> Option<&[f64]> {
    match &arm.mask {
        MaskSource::OneShot(TargetSize::Cut(grid)) | MaskSource::MagnitudeAtInit(TargetSize::Cut(grid)) => Some(grid),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::test_support;
    use super::*;

    /// Arms that several tests use, as inline tables.
    pub(in crate::lottery) mod arm {
        pub(in crate::lottery) const TICKET: &str = "mask='iterative',weights='rewind'";
    }

    /// The smoke experiment with four rounds and these arms, each an inline table.
    pub(in crate::lottery) fn experiment(arms: &[(&str, &str)]) -> Experiment {
        with(arms, &[])
    }

    pub(in crate::lottery) fn with(arms: &[(&str, &str)], more: &[&str]) -> Experiment {
        let all: Vec<String> = arms.iter().map(|(name, arm)| format!("{name}={{{arm}}}")).collect();
        let arms = format!("arms={{{}}}", all.join(","));
        test_support::experiment(&[&[arms.as_str(), "rounds=4"], more].concat())
    }

    fn keys(arms: &[(&str, &str)], more: &[&str]) -> Vec<String> {
        let mistakes = validate_arms(&with(arms, more)).err().unwrap_or_default();
        mistakes.into_iter().map(|mistake| mistake.key).collect()
    }

    #[test]
    fn arm_repeats_need_a_draw_or_a_partner() {
        let twice = [("a", "mask='iterative',weights='rewind',repeats=2")];
        assert_eq!(keys(&twice, &[]), ["arms.a.repeats"]);
        assert_eq!(keys(&twice, &["prune.criterion=random"]), [""; 0], "a random criterion draws");
        let ticket = ("a", arm::TICKET);
        let random = ("r", "mask={random='a'},weights='rewind',repeats=3");
        assert_eq!(keys(&[ticket, random, ("x", "mask={of='r'},weights='reinit',repeats=2")], &[]), ["arms.x.repeats"]);
        assert_eq!(keys(&[ticket, random, ("x", "mask={of='r'},weights='rewind',repeats=3")], &[]), [""; 0]);
        // The size of a mask has no repeats.
        assert_eq!(keys(&[ticket, random, ("x", "mask={one_shot={like='r'}},weights='rewind'")], &[]), [""; 0]);
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
        for mask in ["'dense'", "{magnitude_at_init={like='t'}}", "{magnitude_at_init={cut=[0.5]}}"] {
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
    fn arm_rounds_outside_of_its_range_are_refused() {
        let control =
            |more: &str| keys(&[("t", arm::TICKET), ("a", &format!("mask={{of='t'}},weights='reinit',{more}"))], &[]);
        assert_eq!(control("at=[1,5]"), ["arms.a.at[1]"]);
        assert_eq!(control("every=5"), ["arms.a.every"]);
        assert_eq!(control("at=[4]"), [""; 0]);
    }
}
