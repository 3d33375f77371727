//! The measures of the weights that a mask keeps.

use crate::base::category::Categorical;

/// A measure of the weights of one layer under a mask; θ0 is a weight's initial value, θT its value at the end of the
/// dense training run (Frankle & Carbin 2019, Appendix F).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightMeasure {
    /// θ0 of the weights that the mask keeps.
    Initial,
    /// |θT − θ0| of the weights that the mask keeps.
    MovedKept,
    /// |θT − θ0| of the weights that the mask prunes.
    MovedPruned,
    /// |θT| − |θ0| of the weights that the mask keeps.
    GrownKept,
    /// |θT| − |θ0| of the weights that the mask prunes.
    GrownPruned,
    /// The share of incoming connections that each unit keeps (linear layers).
    Incoming,
    /// The share of outgoing connections that each input keeps (linear layers).
    Outgoing,
}

impl Categorical for WeightMeasure {
    const ALL: &'static [Self] = &[
        Self::Initial,
        Self::MovedKept,
        Self::MovedPruned,
        Self::GrownKept,
        Self::GrownPruned,
        Self::Incoming,
        Self::Outgoing,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::MovedKept => "moved_kept",
            Self::MovedPruned => "moved_pruned",
            Self::GrownKept => "grown_kept",
            Self::GrownPruned => "grown_pruned",
            Self::Incoming => "incoming",
            Self::Outgoing => "outgoing",
        }
    }
}
