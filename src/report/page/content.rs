//! What the page says, and in which order: the answer first.

use super::{Block, Page, answer, provenance, tables};
use crate::base::words::several;
use crate::report::figures::{self, Figure};
use crate::report::make::Finding;
use crate::report::run::Run;

/// The page of one run, or of several one after another.
pub(crate) fn page(findings: &[Finding]) -> Page {
    if let [one] = findings {
        let mut page = Page { title: name(&one.run), blocks: Vec::new() };
        section(one, 2, one.figures.clone(), &mut page.blocks);
        return page;
    }
    let mut page = Page { title: several(findings.len() as u64, "run"), blocks: Vec::new() };
    let runs: Vec<&Run> = findings.iter().map(|finding| &finding.run).collect();
    page.blocks.push(Block::List(findings.iter().map(|finding| finding.run.name()).collect()));
    page.blocks.extend(figures::together(&runs).into_iter().map(|figure| Block::Figure(3, figure)));
    for finding in findings {
        page.blocks.push(Block::Heading(2, finding.run.name()));
        let own = |figure: Figure| Figure { name: format!("{}_{}", finding.run.name(), figure.name), ..figure };
        let figures = finding.figures.iter().cloned().map(own).collect();
        section(finding, 3, figures, &mut page.blocks);
    }
    page
}

/// The name of a run's experiment.
fn name(run: &Run) -> String {
    let told = run.manifest.as_ref().map(|manifest| manifest.experiment.clone());
    told.or_else(|| run.rounds.first().map(|row| row.experiment.clone())).unwrap_or_else(|| run.name())
}

fn section(finding: &Finding, level: usize, figures: Vec<Figure>, blocks: &mut Vec<Block>) {
    blocks.push(Block::Text(provenance::summary(finding)));
    blocks.push(Block::Heading(level, "Answer".to_owned()));
    answer::verdicts(finding, level + 1, blocks);
    answer::claims(&finding.claims, level + 1, blocks);
    if !figures.is_empty() {
        blocks.push(Block::Heading(level, "Figures".to_owned()));
        blocks.extend(figures.into_iter().map(|figure| Block::Figure(level + 1, figure)));
    }
    blocks.push(Block::Heading(level, "Results by arm and round".to_owned()));
    blocks.extend(tables::results(&finding.run));
    blocks.push(Block::Heading(level, "Where these numbers come from".to_owned()));
    blocks.extend(provenance::blocks(finding));
}
