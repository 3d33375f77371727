//! The analysis of a run: its verdicts, the paper's claims, and its figures.

use anyhow::Result;

use super::checkpoints::Checkpoints;
use super::claims::{ClaimRow, claims};
use super::figures::{FigureData, run_figures};
use super::headline::answer_lines;
use super::robustness::RobustnessData;
use super::run::{Run, experiment_from, resolved_config};
use super::verdict::{Verdict, verdicts};
use crate::artifacts::{LastEvaluations, StabilityRow};
use crate::config::Experiment;
use crate::plot::Figure;

/// A run and its analysis.
#[derive(Clone, Debug)]
pub struct RunAnalysis {
    /// The run.
    pub run: Run,
    /// The text of its `resolved.toml`; `None` if it has no such file.
    pub(super) resolved_config: Option<String>,
    /// Its experiment; `None` if its configuration is missing, or of another version.
    pub experiment: Option<Experiment>,
    /// Verdicts on the rounds of its tickets; empty if its configuration cannot be read.
    pub verdicts: Vec<Verdict>,
    /// The paper's claims about its network, data set and arms; empty if its configuration cannot be read.
    pub(super) claims: Vec<ClaimRow>,
    /// Test accuracies at the iterations of `report.checkpoints`.
    pub(super) checkpoints: Checkpoints,
    /// Rows of `stability.csv`; empty before `lth stability` has measured the run.
    pub stability: Vec<StabilityRow>,
    /// Rows of the files of `lth evaluate`; empty before it has measured the run.
    pub robustness: RobustnessData,
    /// The figures, in the order of the page.
    pub(super) figures: Vec<Figure>,
}

impl RunAnalysis {
    /// Returns the analysis of a run.
    ///
    /// # Errors
    /// Fails if a file of the run is damaged.
    pub fn of(run: Run) -> Result<Self> {
        let resolved_config = resolved_config(&run.dir)?;
        let experiment = resolved_config.as_deref().and_then(experiment_from);
        let verdicts = experiment.as_ref().map_or_else(Vec::new, |experiment| verdicts(&run, experiment));
        let claims = experiment.as_ref().map_or_else(Vec::new, |experiment| claims(&run, experiment));
        let checkpoints = Checkpoints::read(&run, experiment.as_ref())?;
        let stability = run.stability()?;
        let robustness = run.robustness()?;
        let figures = run_figures(&FigureData::new(&run, experiment.as_ref(), &checkpoints, &stability, &robustness))?;
        Ok(Self { run, resolved_config, experiment, verdicts, claims, checkpoints, stability, robustness, figures })
    }

    /// Returns the end of the run's training runs.
    pub(super) fn end(&self) -> LastEvaluations {
        LastEvaluations::of_experiment(&self.run.rounds, self.experiment.as_ref())
    }

    /// Returns the answer of the run as lines for the terminal; empty if its configuration cannot be read.
    pub fn answer_lines(&self) -> Vec<String> {
        let lines = |experiment: &Experiment| answer_lines(&self.verdicts, &self.run.rounds, experiment);
        self.experiment.as_ref().map_or_else(Vec::new, lines)
    }
}
