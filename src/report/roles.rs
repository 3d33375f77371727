//! Roles of arms: ticket, or control of which ticket.

use serde::Deserialize;

use super::run::Run;
use crate::artifacts::arms;
use crate::config::{Arm, Experiment, FileTensors, FileWeights, MaskSource, WeightSource};
use crate::lottery::DENSE;

/// The role of an arm in its experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArmRole {
    /// The arm's name.
    pub(crate) arm: String,
    /// Whether the arm may be a winning ticket. All other arms but the dense network are controls.
    pub(crate) is_ticket: bool,
    /// The arm whose mask, or number of kept weights per layer, this arm copies; `None` if it is pruned itself, or
    /// dense.
    pub(crate) mask_of: Option<String>,
}

/// Returns the roles of a run's arms: the dense network first, then in the order of the run's rows. An arm that
/// `experiment` does not describe gets an assumed role: the first arm counts as the ticket, the others as its controls.
pub(crate) fn arm_roles(run: &Run, experiment: Option<&Experiment>) -> Vec<ArmRole> {
    let mut names = arms(&run.rounds);
    names.sort_by_key(|name| *name != DENSE);
    let first = names.iter().copied().find(|name| *name != DENSE);
    names.iter().map(|name| known_role(name, experiment).unwrap_or_else(|| assumed_role(name, first))).collect()
}

/// An arm of one of several experiments.
#[derive(Clone, Copy, Debug)]
pub struct ForeignArm<'a> {
    /// What its name begins with in rows; empty if all arms are of one experiment.
    pub prefix: &'a str,
    /// The arm's name in its experiment.
    pub arm: &'a str,
    /// The experiment.
    pub experiment: &'a Experiment,
}

/// Returns the roles of arms of several experiments, each arm once, the dense networks first.
pub(crate) fn roles_in_experiments(arms: &[ForeignArm<'_>]) -> Vec<ArmRole> {
    let mut roles: Vec<ArmRole> = Vec::new();
    for ForeignArm { prefix, arm, experiment } in arms {
        let shown = format!("{prefix}{arm}");
        if roles.iter().all(|role| role.arm != shown) {
            let role = known_role(arm, Some(experiment));
            let mask_of = role.as_ref().and_then(|role| role.mask_of.as_ref()).map(|other| format!("{prefix}{other}"));
            roles.push(ArmRole { arm: shown, is_ticket: role.is_some_and(|role| role.is_ticket), mask_of });
        }
    }
    roles.sort_by_key(|role| !is_dense(&role.arm));
    roles
}

/// Returns the name of the dense network that an arm is compared with: that of its run, where arms of several runs are
/// called `RUN/ARM`.
pub(crate) fn dense_of(arm: &str) -> String {
    arm.rsplit_once('/').map_or_else(|| DENSE.to_owned(), |(run, _)| format!("{run}/{DENSE}"))
}

/// Returns whether an arm is the dense network of its run.
pub(crate) fn is_dense(arm: &str) -> bool {
    arm == dense_of(arm)
}

/// Returns the role that the experiment gives an arm; `None` if it has no arm of this name.
fn known_role(name: &str, experiment: Option<&Experiment>) -> Option<ArmRole> {
    let experiment = experiment?;
    let (_, arm) = experiment.arms.0.iter().find(|(other, _)| other == name)?;
    let mask_of = arm.mask.copied_arm().map(str::to_owned);
    Some(ArmRole { arm: name.to_owned(), is_ticket: is_ticket(arm, experiment), mask_of })
}

/// Returns the role of an arm that no experiment describes; `first` is the first arm but the dense network.
fn assumed_role(name: &str, first: Option<&str>) -> ArmRole {
    let is_first = first == Some(name);
    let mask_of = first.filter(|_| !is_first && name != DENSE).map(str::to_owned);
    ArmRole { arm: name.to_owned(), is_ticket: is_first, mask_of }
}

/// A role in the paper's experiments, as `claims.toml` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PaperRole {
    /// The dense network.
    Dense,
    /// Iteratively pruned and rewound to its initial weights: the winning ticket.
    Ticket,
    /// Pruned in one step and rewound to its initial weights.
    OneShot,
    /// The ticket's mask with new initial weights.
    Reinit,
    /// A random mask with as many weights per layer as the ticket's, and new initial weights.
    RandomMask,
}

/// Returns whether an arm may be a winning ticket: its mask is pruned by trained weights, and its weights are rewound.
/// The mask may also be that of another arm that continues training instead of rewinding, as in the paper's Appendix B.
/// A ticket of another experiment has its mask and the weights that its training started from in a file.
pub(super) fn is_ticket(arm: &Arm, experiment: &Experiment) -> bool {
    let is_transferred = |weights: &FileWeights| weights.which == FileTensors::Start;
    let is_pruned = match &arm.mask {
        MaskSource::File(_) => return matches!(&arm.weights, WeightSource::File(weights) if is_transferred(weights)),
        MaskSource::Of(name) => continues_training(name, experiment),
        mask => mask.prunes_trained_weights(),
    };
    is_pruned && arm.train && matches!(arm.weights, WeightSource::Rewind { .. })
}

/// Returns whether an arm is pruned iteratively without rewinding: each round continues with the final weights of the
/// round before.
fn continues_training(name: &str, experiment: &Experiment) -> bool {
    let named = experiment.arms.0.iter().find(|(other, _)| other == name);
    named.is_some_and(|(_, arm)| arm.mask == MaskSource::Iterative && matches!(arm.weights, WeightSource::Final { .. }))
}

/// Returns the arm with the mask of `ticket` and new initial weights; `None` if the experiment has none.
pub(super) fn reinit_of<'a>(ticket: &str, experiment: &'a Experiment) -> Option<&'a str> {
    let mask = MaskSource::Of(ticket.to_owned());
    find(experiment, |arm| arm.mask == mask && arm.weights == WeightSource::Reinit)
}

/// Returns the arms that the section on training accuracy compares: the dense network, each ticket, and after it its
/// control with new initial weights, if the experiment has one.
pub fn measured_arms(experiment: &Experiment) -> Vec<&str> {
    let tickets = experiment.arms.0.iter().filter(|(_, arm)| is_ticket(arm, experiment));
    let names = tickets.flat_map(|(name, _)| [Some(name.as_str()), reinit_of(name, experiment)]);
    std::iter::once(DENSE).chain(names.flatten()).collect()
}

/// Returns the arm with a role: the first ticket of its kind, or the control of that ticket; `None` if the experiment
/// has none.
pub(super) fn arm_with_role(role: PaperRole, experiment: &Experiment) -> Option<&str> {
    // The paper's tickets are rewound to iteration 0, not to a later iteration.
    let is_paper_ticket = |arm: &Arm| is_ticket(arm, experiment) && arm.weights == WeightSource::Rewind { to: None };
    let ticket = || find(experiment, |arm| is_paper_ticket(arm) && arm.mask == MaskSource::Iterative);
    match role {
        PaperRole::Dense => Some(DENSE),
        PaperRole::Ticket => ticket(),
        PaperRole::OneShot => {
            find(experiment, |arm| is_paper_ticket(arm) && matches!(arm.mask, MaskSource::OneShot(_)))
        }
        PaperRole::Reinit => reinit_of(ticket()?, experiment),
        PaperRole::RandomMask => {
            let mask = MaskSource::Random(ticket()?.to_owned());
            find(experiment, |arm| arm.mask == mask && arm.weights == WeightSource::Reinit)
        }
    }
}

/// Returns the name of the first arm that matches.
fn find(experiment: &Experiment, matches: impl Fn(&Arm) -> bool) -> Option<&str> {
    experiment.arms.0.iter().find(|(_, arm)| matches(arm)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::super::test_fixtures::{experiment, row};
    use super::*;
    use crate::system::paths::RunDir;

    #[test]
    fn arms_of_several_runs_have_the_dense_network_and_the_ticket_of_their_run() {
        let experiment =
            experiment(&["arms={t={mask='iterative',weights='rewind'},r={mask={of='t'},weights='reinit'}}"]);
        let of_run = |prefix| ["t", "r", "dense"].map(|arm| ForeignArm { prefix, arm, experiment: &experiment });
        let roles = roles_in_experiments(&[of_run("a/"), of_run("b/"), of_run("b/")].concat());
        let names: Vec<&str> = roles.iter().map(|role| role.arm.as_str()).collect();
        assert_eq!(names, ["a/dense", "b/dense", "a/t", "a/r", "b/t", "b/r"]);
        assert_eq!((roles[4].is_ticket, roles[5].mask_of.as_deref()), (true, Some("b/t")));
        assert_eq!((dense_of("b/r"), dense_of("r")), ("b/dense".to_owned(), "dense".to_owned()));
    }

    #[test]
    fn roles_follow_from_masks_and_weights() {
        let arms = "arms={x={mask={of=\"t\"},weights=\"rewind\"},r={mask={of=\"t\"},weights=\"reinit\"},\
                    t={mask=\"iterative\",weights=\"rewind\"},fresh={mask=\"iterative\",weights=\"reinit\"}}";
        let one_ticket = experiment(&[arms]);
        let roles = [PaperRole::Ticket, PaperRole::Reinit, PaperRole::RandomMask];
        assert_eq!(roles.map(|role| arm_with_role(role, &one_ticket)), [Some("t"), Some("r"), None]);
        assert_eq!(reinit_of("fresh", &one_ticket), None);
        assert_eq!(measured_arms(&one_ticket), ["dense", "t", "r"]);
        let arms = "arms={late={mask=\"iterative\",weights=\"rewind\",rewind_to=\"9it\"},\
                    chain={mask=\"iterative\",weights=\"final\"},tried={mask={of=\"chain\"},weights=\"rewind\"},\
                    shot={mask={one_shot={like=\"late\"}},weights=\"rewind\"},of={mask={of=\"shot\"},weights=\"rewind\"}}";
        let several = experiment(&[arms]);
        let tickets = several.arms.0.iter().filter(|(_, arm)| is_ticket(arm, &several)).map(|(name, _)| name.as_str());
        assert_eq!(tickets.collect::<Vec<_>>(), ["late", "tried", "shot"]);
        assert_eq!(arm_with_role(PaperRole::Ticket, &several), None);
        assert_eq!(arm_with_role(PaperRole::OneShot, &several), Some("shot"));
    }

    #[test]
    fn roles_of_arms_without_a_configuration_follow_their_order() {
        let rounds = ["a", "b", "dense"].map(|arm| row(arm, 0, 1, (100, 0.5))).to_vec();
        let run = Run { dir: RunDir("x".into()), rounds, manifest: None };
        let role = |arm: &str, is_ticket, mask_of: Option<&str>| ArmRole {
            arm: arm.to_owned(),
            is_ticket,
            mask_of: mask_of.map(str::to_owned),
        };
        let roles = [role("dense", false, None), role("a", true, None), role("b", false, Some("a"))];
        assert_eq!(arm_roles(&run, None), roles);
    }
}
