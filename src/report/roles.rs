//! Which arm is what to the paper: its ticket, and the controls of a ticket.

use serde::Deserialize;

use crate::config::{Arm, Experiment, MaskFrom, WeightsFrom};

/// A part that an arm plays in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Role {
    /// Iteratively pruned, back at its initial weights: the winning ticket.
    Ticket,
    /// The ticket's mask with fresh weights.
    Reinit,
    /// A random mask with the ticket's counts, and fresh weights.
    Random,
}

/// Whether an arm is a candidate for a winning ticket: pruned by what training found, back at its initial weights.
pub(super) fn is_ticket(arm: &Arm) -> bool {
    let is_pruned = match &arm.mask {
        MaskFrom::Iterative => true,
        MaskFrom::Dense | MaskFrom::Of(_) | MaskFrom::Random(_) => false,
    };
    is_pruned && arm.weights == WeightsFrom::Rewind
}

/// The arm with the mask of `ticket` and fresh weights.
pub(super) fn reinit_of<'a>(ticket: &str, experiment: &'a Experiment) -> Option<&'a str> {
    control(experiment, &MaskFrom::Of(ticket.to_owned()))
}

/// The arm that plays a part: the first ticket of its kind, or that one's control.
pub(super) fn player(role: Role, experiment: &Experiment) -> Option<&str> {
    let ticket = || {
        let is_it = |(_, arm): &&(String, Arm)| is_ticket(arm) && arm.mask == MaskFrom::Iterative;
        experiment.arms.0.iter().find(is_it).map(|(name, _)| name.as_str())
    };
    match role {
        Role::Ticket => ticket(),
        Role::Reinit => reinit_of(ticket()?, experiment),
        Role::Random => control(experiment, &MaskFrom::Random(ticket()?.to_owned())),
    }
}

fn control<'a>(experiment: &'a Experiment, mask: &MaskFrom) -> Option<&'a str> {
    let is_it = |(_, arm): &&(String, Arm)| arm.mask == *mask && arm.weights == WeightsFrom::Reinit;
    experiment.arms.0.iter().find(is_it).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::testing::experiment;
    use super::*;

    #[test]
    fn arms_play_the_parts_that_their_cells_give_them() {
        let arms = "arms={x={mask={of=\"t\"},weights=\"rewind\"},r={mask={of=\"t\"},weights=\"reinit\"},\
                    t={mask=\"iterative\",weights=\"rewind\"},fresh={mask=\"iterative\",weights=\"reinit\"}}";
        let some = experiment(&[arms]);
        let all = [Role::Ticket, Role::Reinit, Role::Random].map(|role| player(role, &some));
        assert_eq!(all, [Some("t"), Some("r"), None]);
        assert_eq!(reinit_of("fresh", &some), None);
    }
}
