//! The files of a report, made from runs.

use anyhow::Result;

use super::checkpoints::Checkpoints;
use super::claims::{ClaimRow, claims};
use super::document;
use super::document::PageElement;
use super::figures;
use super::figures::Figure;
use super::run::Run;
use super::verdict::{Verdict, verdicts};
use crate::artifacts::StabilityRow;
use crate::config::Experiment;
use crate::system::paths::ReportDir;

/// Of a figure's files: the drawing, and its numbers.
const EXTENSIONS: [&str; 2] = ["svg", "csv"];

/// A run with all that a report says about it.
#[derive(Clone, Debug)]
pub struct RunAnalysis {
    /// The run.
    pub run: Run,
    pub(super) experiment: Option<Experiment>,
    /// Its verdicts.
    pub verdicts: Vec<Verdict>,
    pub(super) claims: Vec<ClaimRow>,
    pub(super) checkpoints: Checkpoints,
    /// What lies between copies of its trainings; empty where nobody asked.
    pub stability: Vec<StabilityRow>,
    pub(super) figures: Vec<Figure>,
}

impl RunAnalysis {
    /// Looks into a run.
    ///
    /// # Errors
    /// A file of the run that is damaged.
    pub fn of(run: Run) -> Result<Self> {
        let experiment = run.experiment();
        let verdicts = experiment.as_ref().map_or_else(Vec::new, |experiment| verdicts(&run, experiment));
        let claims = experiment.as_ref().map_or_else(Vec::new, |experiment| claims(&run, experiment));
        let checkpoints = Checkpoints::read(&run, experiment.as_ref())?;
        let stability = run.stability()?;
        let figures = figures::all(&run, experiment.as_ref(), &checkpoints, &stability)?;
        Ok(Self { run, experiment, verdicts, claims, checkpoints, stability, figures })
    }
}

/// The files of a report by their names in its folder: the page twice, and each figure as a drawing and as numbers. The
/// same runs give the same bytes.
///
/// # Errors
/// Numbers that cannot be written, which is nobody's fault but ours.
pub fn files(findings: &[RunAnalysis]) -> Result<Vec<(String, Vec<u8>)>> {
    let page = document::page(findings);
    let mut files = vec![
        (ReportDir::INDEX.to_owned(), document::html(&page).into_bytes()),
        (ReportDir::MARKDOWN.to_owned(), document::markdown(&page).into_bytes()),
    ];
    for block in &page.blocks {
        if let PageElement::Figure(_, figure) = block {
            files.extend(drawn(figure)?);
        }
    }
    Ok(files)
}

fn drawn(figure: &Figure) -> Result<[(String, Vec<u8>); 2]> {
    let [drawing, numbers] = EXTENSIONS.map(|extension| ReportDir::figure(&figure.name, extension));
    Ok([(drawing, figures::whole(figure).into_bytes()), (numbers, figure.to_csv()?)])
}
