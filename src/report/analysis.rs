//! The analysis of a run: its verdicts, the paper's claims, and its figures.

use anyhow::Result;

use super::checkpoints::Checkpoints;
use super::claims::{ClaimRow, claims};
use super::equal_iterations::EqualIterations;
use super::figures::{FigureData, MeasuredRows, run_figures};
use super::headline::answer_lines;
use super::run::{Run, experiment_from, resolved_config};
use super::transfer::{TransferComparison, transfer_comparisons, transfer_sentences};
use super::verdict::{Verdict, verdicts};
use crate::artifacts::{LandscapeRow, LastEvaluations, RobustnessData, StabilityRow};
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
    /// Comparisons of transferred networks; empty if the experiment has none.
    pub(super) transfer: Vec<TransferComparison>,
    /// Test accuracies at the iterations of `report.checkpoints`.
    pub(super) checkpoints: Checkpoints,
    /// Accuracies at equal iterations; empty if its configuration cannot be read.
    pub(super) equal: EqualIterations,
    /// Rows of `landscape.csv`; empty before `lth landscape` has measured the run.
    pub landscape: Vec<LandscapeRow>,
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
        let transfer = experiment.as_ref().map_or_else(Vec::new, |e| transfer_comparisons(&run.rounds, e));
        let checkpoints = Checkpoints::read(&run, experiment.as_ref())?;
        let equal = match &experiment {
            Some(experiment) => EqualIterations::read(&run, experiment)?,
            None => EqualIterations::default(),
        };
        let landscape = run.landscape()?;
        let stability = run.stability()?;
        let robustness = run.robustness()?;
        let measured = MeasuredRows {
            equal: &equal,
            landscape: &landscape,
            stability: &stability,
            transfer: &transfer,
            robustness: &robustness,
        };
        let figures = run_figures(&FigureData::new(&run, experiment.as_ref(), &checkpoints, measured))?;
        Ok(Self {
            run,
            resolved_config,
            experiment,
            verdicts,
            claims,
            transfer,
            checkpoints,
            equal,
            landscape,
            stability,
            robustness,
            figures,
        })
    }

    /// Returns the end of the run's training runs.
    pub(super) fn end(&self) -> LastEvaluations {
        LastEvaluations::of_experiment(&self.run.rounds, self.experiment.as_ref())
    }

    /// Returns the answer of the run as lines for the terminal; empty if its configuration cannot be read.
    pub fn answer_lines(&self) -> Vec<String> {
        let lines = |experiment: &Experiment| answer_lines(&self.verdicts, &self.run.rounds, experiment);
        let lines = self.experiment.as_ref().map_or_else(Vec::new, lines);
        lines.into_iter().chain(transfer_sentences(&self.transfer)).collect()
    }
}
