//! References between arms: the order in which the plan is built, and the rounds of each arm.

use crate::config::{Arm, Arms, Diagnostic, Experiment, MaskSource, TargetSize};

/// Returns the name of the arm whose mask, or whose mask size, `arm` takes, and the config key of the reference, for
/// messages.
pub(super) fn mask_reference(arm: &Arm) -> Option<(&str, &'static str)> {
    match &arm.mask {
        MaskSource::Of(name) => Some((name, "of")),
        MaskSource::Random(name) => Some((name, "random")),
        MaskSource::OneShot(TargetSize::Like(name)) => Some((name, "one_shot.like")),
        MaskSource::MagnitudeAtInit(TargetSize::Like(name)) => Some((name, "magnitude_at_init.like")),
        MaskSource::Dense
        | MaskSource::Iterative
        | MaskSource::OneShot(TargetSize::Cut(_))
        | MaskSource::MagnitudeAtInit(TargetSize::Cut(_)) => None,
    }
}

/// Returns the arm that `arm` refers to.
pub(super) fn referenced_arm<'a>(arm: &Arm, arms: &'a Arms) -> Option<&'a Arm> {
    let (name, _) = mask_reference(arm)?;
    arms.0.iter().find(|(candidate, _)| candidate == name).map(|(_, arm)| arm)
}

/// Returns whether the mask of an arm is dense, directly or through the arms it refers to. The references must be
/// valid.
pub(super) fn is_dense(arm: &Arm, arms: &Arms) -> bool {
    referenced_arm(arm, arms).map_or(arm.mask == MaskSource::Dense, |source| is_dense(source, arms))
}

/// Returns the indices of the arms, each after the one it refers to, else in the order of the file.
///
/// # Errors
/// Fails if an arm refers to an arm that does not exist, or if arms refer to each other in a circle.
pub(super) fn topological_order(arms: &Arms) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let problems: Vec<Diagnostic> = arms.0.iter().filter_map(|(name, arm)| dangling(name, arm, arms)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut ordered: Vec<usize> = Vec::new();
    let mut waiting: Vec<usize> = (0..arms.0.len()).collect();
    while !waiting.is_empty() {
        let is_ordered = |name: &str| ordered.iter().any(|&index| arms.0[index].0 == name);
        let is_ready = |index: &usize| mask_reference(&arms.0[*index].1).is_none_or(|(name, _)| is_ordered(name));
        match waiting.iter().position(is_ready) {
            Some(next) => ordered.push(waiting.remove(next)),
            None => return Err(vec![cycle(&waiting, arms)]),
        }
    }
    Ok(ordered)
}

/// Reports a reference to an arm that does not exist.
fn dangling(name: &str, arm: &Arm, arms: &Arms) -> Option<Diagnostic> {
    let (other, reference_key) = mask_reference(arm)?;
    if referenced_arm(arm, arms).is_some() {
        return None;
    }
    let names: Vec<&str> = arms.0.iter().map(|(other, _)| other.as_str()).filter(|other| *other != name).collect();
    let hint = if names.is_empty() { "there is no other arm".into() } else { format!("one of: {}", names.join(", ")) };
    Some(Diagnostic::new(format!("arms.{name}.mask.{reference_key}"), format!("there is no arm `{other}`")).hint(hint))
}

/// Reports the arms among `waiting` (indices) that refer to themselves by way of others.
fn cycle(waiting: &[usize], arms: &Arms) -> Diagnostic {
    let names = waiting.iter().map(|&index| arms.0[index].0.as_str());
    let circle: Vec<&str> = names.filter(|name| refers_to_itself(name, arms)).collect();
    let message = format!("arms refer to each other in a circle: {}", circle.join(", "));
    let hint = "let one of them have `mask = \"iterative\"` or `mask = \"dense\"`";
    Diagnostic::new(format!("arms.{}.mask", circle[0]), message).hint(hint)
}

/// Returns whether the references that begin with the arm `start` lead back to it.
fn refers_to_itself(start: &str, arms: &Arms) -> bool {
    let mut name = start;
    for _ in &arms.0 {
        match arms.0.iter().find(|(candidate, _)| candidate == name).and_then(|(_, arm)| mask_reference(arm)) {
            Some((next, _)) if next == start => return true,
            Some((next, _)) => name = next,
            None => return false,
        }
    }
    false
}

/// Returns the rounds of an arm: its [`possible_rounds`], restricted by its `at` and `every`.
pub(super) fn rounds(arm: &Arm, experiment: &Experiment) -> Vec<u32> {
    let mut rounds = possible_rounds(arm, experiment);
    rounds.retain(|round| {
        arm.at.as_ref().is_none_or(|at| at.contains(round))
            && arm.every.is_none_or(|every| round.is_multiple_of(every.max(1)))
    });
    rounds
}

/// Returns the rounds that an arm could have. A dense mask has round 0 only; an arm that prunes iteratively has the
/// rounds of the experiment, from 1; a grid has a round per entry, from 1; other arms have the rounds of the arm they
/// refer to.
pub(super) fn possible_rounds(arm: &Arm, experiment: &Experiment) -> Vec<u32> {
    match &arm.mask {
        MaskSource::Dense => vec![0],
        MaskSource::Iterative => (1..=experiment.rounds).collect(),
        MaskSource::OneShot(TargetSize::Cut(grid)) | MaskSource::MagnitudeAtInit(TargetSize::Cut(grid)) => {
            (1..=grid.len() as u32).collect()
        }
        MaskSource::Of(_) | MaskSource::Random(_) | MaskSource::OneShot(_) | MaskSource::MagnitudeAtInit(_) => {
            referenced_arm(arm, &experiment.arms).map_or(Vec::new(), |source| rounds(source, experiment))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::validate_arms::tests::{arm, experiment};
    use super::*;

    #[test]
    fn arms_are_ordered_after_those_they_refer_to() {
        let experiment = experiment(&[("b", "mask={of='a'},weights='reinit'"), ("a", arm::TICKET)]);
        assert_eq!(topological_order(&experiment.arms).unwrap(), [1, 0]);
    }

    #[test]
    fn arm_references_to_missing_arms_or_in_a_circle_are_refused() {
        let keys = |arms: &[(&str, &str)]| -> Vec<String> {
            topological_order(&experiment(arms).arms).unwrap_err().into_iter().map(|problem| problem.key).collect()
        };
        let of_b = ("a", "mask={of='b'},weights='reinit'");
        assert_eq!(keys(&[of_b]), ["arms.a.mask.of"]);
        assert_eq!(keys(&[of_b, ("b", "mask={random='a'},weights='reinit'")]), ["arms.a.mask"]);
        assert_eq!(keys(&[of_b, ("b", "mask={one_shot={like='a'}},weights='rewind'")]), ["arms.a.mask"]);
        assert_eq!(keys(&[("a", "mask={of='a'},weights='reinit'")]), ["arms.a.mask"]);
        assert_eq!(keys(&[("a", "mask={one_shot={like='b'}},weights='rewind'")]), ["arms.a.mask.one_shot.like"]);
    }

    #[test]
    fn rounds_of_arms_of_every_mask_source() {
        let experiment = experiment(&[
            ("ticket", arm::TICKET),
            ("fresh", "mask='dense',weights='reinit'"),
            ("grid", "mask={one_shot={cut=[0.1,0.5,0.9]}},weights='rewind'"),
            ("of_grid", "mask={of='grid'},weights='reinit',at=[3,1]"),
            ("every", "mask={random='ticket'},weights='reinit',every=2"),
            ("of_every", "mask={of='every'},weights='rewind'"),
            ("of_fresh", "mask={of='fresh'},weights='reinit'"),
        ]);
        let rounds_of = |name: &str| {
            let (_, arm) = experiment.arms.0.iter().find(|(candidate, _)| candidate == name).unwrap();
            rounds(arm, &experiment)
        };
        assert_eq!(rounds_of("ticket"), [1, 2, 3, 4]);
        assert_eq!(rounds_of("fresh"), [0]);
        assert_eq!(rounds_of("grid"), [1, 2, 3]);
        assert_eq!(rounds_of("of_grid"), [1, 3]);
        assert_eq!(rounds_of("every"), [2, 4]);
        assert_eq!(rounds_of("of_every"), [2, 4]);
        assert_eq!(rounds_of("of_fresh"), [0]);
    }
}
