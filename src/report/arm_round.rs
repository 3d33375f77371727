//! An arm at a round: the unit that results are grouped by.

/// An arm at a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ArmRound<'a> {
    /// Name of the arm.
    pub(crate) arm: &'a str,
    /// Index of the mask size, from 0 (dense): the number of prunings, or with a grid the number of its entry.
    pub(crate) round: u32,
}

impl<'a> ArmRound<'a> {
    /// Returns `arm` at `round`.
    pub(crate) fn new(arm: &'a str, round: u32) -> Self {
        Self { arm, round }
    }
}
