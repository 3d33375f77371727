//! Which arm is what to the paper: its ticket, and the controls of a ticket.

use serde::Deserialize;

use crate::config::{Arm, Experiment, MaskSource, WeightSource};
use crate::lottery::DENSE;

/// A part that an arm plays in the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaperRole {
    /// The dense network.
    Dense,
    /// Iteratively pruned, back at its initial weights: the winning ticket.
    Ticket,
    /// Pruned straight to a size, back at its initial weights.
    OneShot,
    /// The ticket's mask with fresh weights.
    Reinit,
    /// A random mask with the ticket's counts, and fresh weights.
    RandomMask,
}

/// Whether an arm is a candidate for a winning ticket: pruned by what training found, back at its initial weights. So is
/// the mask of a chain that was trained on, tried from the start (the paper, Appendix B).
pub(super) fn is_ticket(arm: &Arm, experiment: &Experiment) -> bool {
    let is_chain_of = |name: &String| {
        let chain = experiment.arms.0.iter().find(|(known, _)| known == name);
        chain.is_some_and(|(_, arm)| {
            arm.mask == MaskSource::Iterative && matches!(arm.weights, WeightSource::Final { .. })
        })
    };
    let is_pruned = match &arm.mask {
        MaskSource::Iterative | MaskSource::OneShot(_) => true,
        MaskSource::Of(name) => is_chain_of(name),
        MaskSource::Dense | MaskSource::Random(_) | MaskSource::MagnitudeAtInit(_) => false,
    };
    is_pruned && matches!(arm.weights, WeightSource::Rewind { .. })
}

/// The arm with the mask of `ticket` and fresh weights.
pub(super) fn reinit_of<'a>(ticket: &str, experiment: &'a Experiment) -> Option<&'a str> {
    let mask = MaskSource::Of(ticket.to_owned());
    find(experiment, |arm| arm.mask == mask && arm.weights == WeightSource::Reinit)
}

/// The arm that plays a part: the first ticket of its kind, or that one's control.
pub(super) fn arm_with_role(role: PaperRole, experiment: &Experiment) -> Option<&str> {
    // The paper's tickets go back to the initial weights.
    let is_papers = |arm: &Arm| is_ticket(arm, experiment) && arm.weights == WeightSource::Rewind { to: None };
    let ticket = || find(experiment, |arm| is_papers(arm) && arm.mask == MaskSource::Iterative);
    match role {
        PaperRole::Dense => Some(DENSE),
        PaperRole::Ticket => ticket(),
        PaperRole::OneShot => find(experiment, |arm| is_papers(arm) && matches!(arm.mask, MaskSource::OneShot(_))),
        PaperRole::Reinit => reinit_of(ticket()?, experiment),
        PaperRole::RandomMask => {
            let mask = MaskSource::Random(ticket()?.to_owned());
            find(experiment, |arm| arm.mask == mask && arm.weights == WeightSource::Reinit)
        }
    }
}

fn find(experiment: &Experiment, is_it: impl Fn(&Arm) -> bool) -> Option<&str> {
    experiment.arms.0.iter().find(|(_, arm)| is_it(arm)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::experiment;
    use super::*;

    #[test]
    fn arms_play_the_parts_that_their_cells_give_them() {
        let arms = "arms={x={mask={of=\"t\"},weights=\"rewind\"},r={mask={of=\"t\"},weights=\"reinit\"},\
                    t={mask=\"iterative\",weights=\"rewind\"},fresh={mask=\"iterative\",weights=\"reinit\"}}";
        let some = experiment(&[arms]);
        let all = [PaperRole::Ticket, PaperRole::Reinit, PaperRole::RandomMask].map(|role| arm_with_role(role, &some));
        assert_eq!(all, [Some("t"), Some("r"), None]);
        assert_eq!(reinit_of("fresh", &some), None);
        let arms = "arms={late={mask=\"iterative\",weights=\"rewind\",rewind_to=\"9it\"},\
                    chain={mask=\"iterative\",weights=\"final\"},tried={mask={of=\"chain\"},weights=\"rewind\"},\
                    shot={mask={one_shot={like=\"late\"}},weights=\"rewind\"},of={mask={of=\"shot\"},weights=\"rewind\"}}";
        let more = experiment(&[arms]);
        let tickets = more.arms.0.iter().filter(|(_, arm)| is_ticket(arm, &more)).map(|(name, _)| name.as_str());
        assert_eq!(tickets.collect::<Vec<_>>(), ["late", "tried", "shot"]);
        assert_eq!(
            (arm_with_role(PaperRole::Ticket, &more), arm_with_role(PaperRole::OneShot, &more)),
            (None, Some("shot"))
        );
    }
}
