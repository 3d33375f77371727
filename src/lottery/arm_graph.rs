//! References between arms: the order in which the plan is built, and the rounds of each arm.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{Arm, Arms, DENSE_ARM, Diagnostic, Experiment, MaskSource, MaskUpdates};

/// Returns the arm that the mask of `arm` at the end of training, or the size of that mask, comes from.
pub(super) fn referenced_arm<'a>(arm: &Arm, arms: &'a Arms) -> Option<&'a Arm> {
    let name = match arm.updated_size() {
        Some(size) => size.like(),
        None => arm.mask.reference().map(|(name, _)| name),
    };
    find(name?, arms)
}

/// Returns the arm called `name`.
pub(super) fn find<'a>(name: &str, arms: &'a Arms) -> Option<&'a Arm> {
    arms.0.iter().find(|(candidate, _)| candidate == name).map(|(_, arm)| arm)
}

/// Returns whether the mask of an arm is dense, directly or through the arms it refers to. The references must be
/// valid.
pub(super) fn is_dense(arm: &Arm, arms: &Arms) -> bool {
    let is_pruned = arm.updated_size().is_some() || arm.mask_updates.as_ref().is_some_and(MaskUpdates::has_free_size);
    let is_own = arm.mask == MaskSource::Dense && !is_pruned;
    referenced_arm(arm, arms).map_or(is_own, |source| is_dense(source, arms))
}

/// Largest number of references from an arm to another, from there to the next, and so on. Each is followed again for
/// every arm.
const MAX_REFERENCES: usize = 20;

/// Returns the indices of the arms, each after the one it refers to, else in the order of the file.
///
/// # Errors
/// Fails if an arm refers to an arm that does not exist, if arms refer to each other in a circle, or through more than
/// [`MAX_REFERENCES`] others.
pub(super) fn topological_order(arms: &Arms) -> Result<Vec<usize>, Vec<Diagnostic>> {
    let problems: Vec<Diagnostic> = arms.0.iter().flat_map(|(name, arm)| dangling(name, arm, arms)).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let indices: BTreeMap<&str, usize> = arms.0.iter().zip(0..).map(|((name, _), index)| (&**name, index)).collect();
    let sources_of = |(_, arm): &(String, Arm)| -> Vec<usize> {
        arm.references().into_iter().filter_map(|(name, _)| indices.get(name).copied()).collect()
    };
    let sources: Vec<Vec<usize>> = arms.0.iter().map(sources_of).collect();
    let mut ordered: Vec<usize> = Vec::new();
    // Largest number of references that lead from each arm to one without a reference; `None` before the arm is ordered.
    let mut lengths: Vec<Option<usize>> = vec![None; arms.0.len()];
    let mut waiting: Vec<usize> = (0..arms.0.len()).collect();
    while !waiting.is_empty() {
        let is_ready = |index: &usize| sources[*index].iter().all(|&source| lengths[source].is_some());
        let Some(position) = waiting.iter().position(is_ready) else {
            return Err(vec![cycle(&waiting, &sources, arms)]);
        };
        let next = waiting.remove(position);
        let length = sources[next].iter().filter_map(|&source| lengths[source]).max().map_or(0, |length| length + 1);
        if length > MAX_REFERENCES {
            return Err(vec![long_chain(&arms.0[next].0)]);
        }
        lengths[next] = Some(length);
        ordered.push(next);
    }
    Ok(ordered)
}

/// Reports an arm that refers to another through too many others.
fn long_chain(name: &str) -> Diagnostic {
    let message = format!("`{name}` refers to an arm through more than {MAX_REFERENCES} others");
    Diagnostic::new(format!("arms.{name}.mask"), message).hint("name the first of them, whose mask it is")
}

/// Reports references to arms that do not exist.
fn dangling(name: &str, arm: &Arm, arms: &Arms) -> Vec<Diagnostic> {
    let names: Vec<&str> = arms.0.iter().map(|(other, _)| other.as_str()).filter(|other| *other != name).collect();
    let hint = if names.is_empty() { "there is no other arm".into() } else { format!("one of: {}", names.join(", ")) };
    let missing = arm.references().into_iter().filter(|(other, _)| find(other, arms).is_none());
    let problem = |(other, key): (&str, String)| {
        if other == DENSE_ARM {
            let message = "the dense networks have no mask to refer to: nothing of them is pruned";
            return Diagnostic::new(format!("arms.{name}.{key}"), message).hint("name an arm that prunes");
        }
        Diagnostic::new(format!("arms.{name}.{key}"), format!("there is no arm `{other}`")).hint(hint.clone())
    };
    missing.map(problem).collect()
}

/// Reports the arms among `waiting` (indices) that refer to themselves by way of others. `sources`: the indices of the
/// arms that each arm refers to.
fn cycle(waiting: &[usize], sources: &[Vec<usize>], arms: &Arms) -> Diagnostic {
    let refers_to_itself = |start: &usize| {
        let mut seen = BTreeSet::new();
        let mut next = sources[*start].clone();
        while let Some(index) = next.pop() {
            if seen.insert(index) {
                next.extend(&sources[index]);
            }
        }
        seen.contains(start)
    };
    let circle: Vec<usize> = waiting.iter().copied().filter(refers_to_itself).collect();
    let names: Vec<&str> = circle.iter().map(|&index| arms.0[index].0.as_str()).collect();
    let message = format!("arms refer to each other in a circle: {}", names.join(", "));
    let (name, arm) = &arms.0[circle[0]];
    let is_circular = |(other, _): &(&str, String)| names.contains(other);
    let key = arm.references().into_iter().find(is_circular).map_or("mask".to_owned(), |(_, key)| key);
    let section = key.split('.').next().unwrap_or_default();
    let hint = if section == "allocation" {
        "let one of them have another allocation, such as `erk`"
    } else {
        "let one of them have `mask = \"iterative\"` or `mask = \"dense\"`"
    };
    Diagnostic::new(format!("arms.{name}.{section}"), message).hint(hint)
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
/// rounds of the experiment, from 1, and so has a mask file for each round; a single mask file has round 1; a grid has a
/// round per entry, from 1; other arms have the rounds of the arm they refer to. Of an arm whose mask is pruned during
/// training, the size at the end counts.
pub(super) fn possible_rounds(arm: &Arm, experiment: &Experiment) -> Vec<u32> {
    let of_mask = rounds_of_mask(arm, experiment);
    let Some(size) = arm.updated_size() else { return of_mask };
    let of_size = match (size.grid(), referenced_arm(arm, &experiment.arms)) {
        (Some(grid), _) => (1..=grid.len() as u32).collect(),
        (None, Some(source)) => rounds(source, experiment),
        (None, None) => Vec::new(),
    };
    let has_mask = |round: &u32| arm.mask == MaskSource::Dense || of_mask.contains(round);
    of_size.into_iter().filter(has_mask).collect()
}

/// Returns the rounds for which there is a mask to start with.
fn rounds_of_mask(arm: &Arm, experiment: &Experiment) -> Vec<u32> {
    match &arm.mask {
        MaskSource::Dense => vec![0],
        MaskSource::Iterative => (1..=experiment.rounds).collect(),
        MaskSource::File(file) if file.has_rounds() => (1..=experiment.rounds).collect(),
        MaskSource::File(_) => vec![1],
        MaskSource::Of(_)
        | MaskSource::Random(_)
        | MaskSource::OneShot(_)
        | MaskSource::AtInit(_)
        | MaskSource::EarlyBird(_) => {
            let source = arm.mask.reference().and_then(|(name, _)| find(name, &experiment.arms));
            match (arm.mask.grid(), source) {
                (Some(grid), _) => (1..=grid.len() as u32).collect(),
                (None, Some(source)) => rounds(source, experiment),
                (None, None) => Vec::new(),
            }
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
        let like_b = ("a", "mask={one_shot={cut=[0.5]}},allocation={like='b'},weights='rewind'");
        assert_eq!(keys(&[like_b]), ["arms.a.allocation.like"]);
        assert_eq!(keys(&[like_b, ("b", "mask={of='a'},weights='reinit'")]), ["arms.a.allocation"]);
        assert_eq!(keys(&[("a", "mask={one_shot={like='b'}},weights='rewind'")]), ["arms.a.mask.one_shot.like"]);
    }

    // regression: a chain of 4,000 arms took 50 s to plan
    #[test]
    fn arms_that_refer_to_each_other_in_a_long_chain_are_refused_at_once() {
        let chain = |length: usize| {
            let arms: Vec<(String, String)> = (1..length)
                .rev()
                .map(|n| (format!("a{n}"), format!("mask={{of='a{}'}},weights='reinit'", n - 1)))
                .chain([("a0".to_owned(), arm::TICKET.to_owned())])
                .collect();
            let arms: Vec<(&str, &str)> = arms.iter().map(|(name, arm)| (&**name, &**arm)).collect();
            topological_order(&experiment(&arms).arms)
        };
        assert_eq!(chain(MAX_REFERENCES + 1).unwrap().len(), MAX_REFERENCES + 1);
        let start = std::time::Instant::now();
        let problem = chain(900).unwrap_err().remove(0);
        assert_eq!(problem.message, "`a21` refers to an arm through more than 20 others");
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
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
