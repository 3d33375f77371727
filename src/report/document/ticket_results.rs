//! A ticket with its control and the results of its run: the input of the section on training accuracy and its parts.

use super::super::analysis::RunAnalysis;
use crate::artifacts::RoundGroup;
use crate::lottery::DENSE;
use crate::report::paired::PairedResults;

/// A ticket, its control with new initial weights, and the results of the run.
pub(super) struct TicketResults<'a> {
    pub(super) analysis: &'a RunAnalysis,
    pub(super) results: &'a PairedResults<'a>,
    pub(super) ticket: &'a str,
    pub(super) reinit: Option<&'a str>,
}

impl<'a> TicketResults<'a> {
    /// Returns the ticket and its control.
    pub(super) fn arms(&self) -> impl Iterator<Item = &'a str> {
        std::iter::once(self.ticket).chain(self.reinit)
    }

    /// Returns the training runs of the dense network, the ticket and its control, by arm and round.
    pub(super) fn groups(&self) -> Vec<RoundGroup<'a>> {
        let groups = RoundGroup::by_arm_and_round(&self.analysis.run.rounds);
        let of_arm = |arm: &str| groups.iter().filter(|group| group.arm == arm).cloned().collect::<Vec<_>>();
        std::iter::once(DENSE).chain(self.arms()).flat_map(of_arm).collect()
    }
}
