//! Which arm refers to which: the order to draw them in, and references that lead nowhere.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::config::{Arm, Arms, MaskFrom, Problem, WeightsFrom};

/// The arm that `arm` takes its mask from.
fn refers_to(arm: &Arm) -> Option<(&str, &'static str)> {
    match &arm.mask {
        MaskFrom::Of(name) => Some((name, "of")),
        MaskFrom::Random(name) => Some((name, "random")),
        MaskFrom::Dense | MaskFrom::Iterative => None,
    }
}

/// Whether following the references from arm `start` leads back to it.
fn comes_back(start: &str, arms: &Arms) -> bool {
    let mut here = start;
    for _ in &arms.0 {
        let arm = arms.0.iter().find(|(name, _)| name == here);
        match arm.and_then(|(_, arm)| refers_to(arm)) {
            Some((next, _)) if next == start => return true,
            Some((next, _)) => here = next,
            None => return false,
        }
    }
    false
}

/// Whether an arm's mask is dense, its own or by the arms it refers to; these must lead somewhere.
fn is_dense(arm: &Arm, arms: &Arms) -> bool {
    match refers_to(arm) {
        None => arm.mask == MaskFrom::Dense,
        Some((name, _)) => arms.0.iter().any(|(known, arm)| known == name && is_dense(arm, arms)),
    }
}

/// Every reference that leads nowhere, and every repeat without a draw.
pub fn check_arms(arms: &Arms) -> Vec<Problem> {
    in_order(arms).err().unwrap_or_default()
}

/// The arms so that each stands behind the one it refers to, else in the order of the file.
///
/// # Errors
/// Arms that refer to an arm that is not there or to each other in a circle, or that would draw nothing at random
/// several times.
pub(super) fn in_order(arms: &Arms) -> Result<Vec<&(String, Arm)>, Vec<Problem>> {
    let mut problems = Vec::new();
    for (name, arm) in &arms.0 {
        check_reference(name, arm, arms, &mut problems);
        check_repeats(name, arm, arms, &mut problems);
    }
    let mut ordered: Vec<&(String, Arm)> = Vec::new();
    let mut waiting: Vec<&(String, Arm)> = arms.0.iter().collect();
    while problems.is_empty() && !waiting.is_empty() {
        let drawn = |name: &str| ordered.iter().any(|(other, _)| other == name);
        let Some(next) = waiting.iter().position(|(_, arm)| refers_to(arm).is_none_or(|(name, _)| drawn(name))) else {
            let circle: Vec<&str> =
                waiting.iter().map(|(name, _)| name.as_str()).filter(|name| comes_back(name, arms)).collect();
            let message = format!("arms refer to each other in a circle: {}", circle.join(", "));
            let hint = "let one of them have `mask = \"iterative\"` or `mask = \"dense\"`";
            problems.push(Problem::new(format!("arms.{}.mask", circle[0]), message).hint(hint));
            break;
        };
        ordered.push(waiting.remove(next));
    }
    for (name, arm) in &ordered {
        if arm.weights == WeightsFrom::Rewind && is_dense(arm, arms) {
            let message =
                format!("`{name}` would train the dense networks once more: a dense mask and initial weights");
            let hint = "the dense networks are trained for every experiment; `reinit` would give others";
            problems.push(Problem::new(format!("arms.{name}"), message).hint(hint).about_the_key());
        }
    }
    if problems.is_empty() { Ok(ordered) } else { Err(problems) }
}

/// The rounds of each arm, by name. A dense mask has round 0 only, since there is nothing to prune; so has an arm that
/// takes its mask from such a one. The references must have passed [`in_order`].
pub(super) fn rounds(arms: &Arms, rounds: u32) -> BTreeMap<String, RangeInclusive<u32>> {
    let of = |arm: &Arm| if is_dense(arm, arms) { 0..=0 } else { 1..=rounds };
    arms.0.iter().map(|(name, arm)| (name.clone(), of(arm))).collect()
}

fn check_reference(name: &str, arm: &Arm, arms: &Arms, problems: &mut Vec<Problem>) {
    let Some((other, word)) = refers_to(arm) else { return };
    let key = format!("arms.{name}.mask.{word}");
    if !arms.0.iter().any(|(known, _)| known == other) {
        let known: Vec<&str> = arms.0.iter().map(|(known, _)| known.as_str()).filter(|known| *known != name).collect();
        let hint =
            if known.is_empty() { "there is no other arm".into() } else { format!("one of: {}", known.join(", ")) };
        problems.push(Problem::new(key, format!("there is no arm `{other}`")).hint(hint));
    }
}

/// Repeats need something to draw, and a partner each where the arm they refer to has repeats too.
fn check_repeats(name: &str, arm: &Arm, arms: &Arms, problems: &mut Vec<Problem>) {
    let source = refers_to(arm).and_then(|(other, _)| arms.0.iter().find(|(known, _)| known == other));
    let source_repeats = source.map_or(1, |(_, source)| source.repeats);
    let draws = arm.weights == WeightsFrom::Reinit || matches!(arm.mask, MaskFrom::Random(_)) || source_repeats > 1;
    let key = format!("arms.{name}.repeats");
    if arm.repeats > 1 && !draws {
        let message =
            format!("`{name}` would train the same network {} times: it draws nothing at random", arm.repeats);
        problems.push(Problem::new(key, message).hint("use `replicates` for independent repetitions"));
    } else if source_repeats > 1 && arm.repeats != source_repeats {
        let message = format!("`{name}` must have as many repeats as the arm it refers to: {source_repeats}");
        problems
            .push(Problem::new(key, message).hint("the j-th repeat of one takes the mask of the j-th of the other"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(mask: MaskFrom, weights: WeightsFrom, repeats: u32) -> Arm {
        Arm { mask, weights, repeats }
    }

    fn of(name: &str) -> MaskFrom {
        MaskFrom::Of(name.into())
    }

    fn keys(arms: Vec<(&str, Arm)>) -> Vec<String> {
        let arms = Arms(arms.into_iter().map(|(name, arm)| (name.to_owned(), arm)).collect());
        in_order(&arms).unwrap_err().into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn an_arm_stands_behind_the_one_it_refers_to() {
        let arms = Arms(vec![
            ("b".into(), arm(of("a"), WeightsFrom::Reinit, 3)),
            ("a".into(), arm(MaskFrom::Iterative, WeightsFrom::Rewind, 1)),
        ]);
        let names: Vec<&str> = in_order(&arms).unwrap().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn references_that_lead_nowhere() {
        let reinit = |mask| arm(mask, WeightsFrom::Reinit, 1);
        assert_eq!(keys(vec![("a", reinit(of("b")))]), ["arms.a.mask.of"]);
        assert_eq!(keys(vec![("a", reinit(of("b"))), ("b", reinit(MaskFrom::Random("a".into())))]), ["arms.a.mask"]);
        assert_eq!(keys(vec![("a", reinit(of("a")))]), ["arms.a.mask"]);
    }

    #[test]
    fn repeats_without_a_draw_or_a_partner() {
        let ticket = arm(MaskFrom::Iterative, WeightsFrom::Rewind, 2);
        assert_eq!(keys(vec![("a", ticket)]), ["arms.a.repeats"]);
        let ticket = ("a", arm(MaskFrom::Iterative, WeightsFrom::Rewind, 1));
        let random = ("r", arm(MaskFrom::Random("a".into()), WeightsFrom::Rewind, 3));
        assert_eq!(keys(vec![ticket, random, ("x", arm(of("r"), WeightsFrom::Reinit, 2))]), ["arms.x.repeats"]);
    }
}
