//! What part each arm plays: which are tickets, which are controls, and whose.

use super::roles;
use super::run::Run;
use crate::artifacts::arms;
use crate::config::{Experiment, MaskSource};
use crate::lottery::DENSE;

/// An arm's part in the experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArmRole {
    /// The arm's name.
    pub(crate) arm: String,
    /// Whether it may be a winning ticket. All others but the dense network are controls.
    pub(crate) is_ticket: bool,
    /// The arm whose mask it has, where it has no own.
    pub(crate) of: Option<String>,
}

/// The parts of a run's arms in the order of its rows, the dense network first. Where the run does not tell what its
/// arms are, the first one counts as the ticket and the others as its controls.
pub(crate) fn arm_roles(run: &Run, experiment: Option<&Experiment>) -> Vec<ArmRole> {
    let mut names = arms(&run.rounds);
    names.sort_by_key(|name| *name != DENSE);
    let first = names.iter().copied().find(|name| *name != DENSE);
    names.iter().map(|name| arm_role(name, experiment, first)).collect()
}

fn arm_role(name: &str, experiment: Option<&Experiment>, first: Option<&str>) -> ArmRole {
    let arm = experiment.and_then(|it| Some((it, it.arms.0.iter().find(|(known, _)| known == name)?)));
    let Some((experiment, (_, arm))) = arm else {
        let is_first = first == Some(name);
        let of = first.filter(|_| !is_first && name != DENSE).map(str::to_owned);
        return ArmRole { arm: name.to_owned(), is_ticket: is_first, of };
    };
    let of = match &arm.mask {
        MaskSource::Of(other) | MaskSource::Random(other) => Some(other.clone()),
        _ => None,
    };
    ArmRole { arm: name.to_owned(), is_ticket: roles::is_ticket(arm, experiment), of }
}
