//! What the page says, and in which order: the answer first.

use super::super::analysis::RunAnalysis;
use super::{Page, PageElement, provenance, tables, verdicts};
use crate::base::format::pluralize;
use crate::report::compare::{ConfigDifference, compare};
use crate::report::figures::{self, Figure};
use crate::report::run::Run;

/// The page of one run, or of several one after another.
pub(crate) fn page(findings: &[RunAnalysis]) -> Page {
    if let [one] = findings {
        let mut page = Page { title: name(&one.run), blocks: Vec::new() };
        section(one, 2, one.figures.clone(), &mut page.blocks);
        return page;
    }
    let names = names(findings);
    let mut page =
        Page { title: pluralize(findings.len() as u64, "run"), blocks: vec![PageElement::List(names.clone())] };
    page.blocks.extend(differences(findings, &names));
    let runs: Vec<(&str, &RunAnalysis)> = names.iter().map(String::as_str).zip(findings).collect();
    page.blocks.extend(figures::comparison_figures(&runs).into_iter().map(|figure| PageElement::Figure(3, figure)));
    for (finding, name) in findings.iter().zip(&names) {
        page.blocks.push(PageElement::Heading(2, name.clone()));
        let own = |figure: Figure| Figure { name: format!("{name}_{}", figure.name), ..figure };
        let figures = finding.figures.iter().cloned().map(own).collect();
        section(finding, 3, figures, &mut page.blocks);
    }
    page
}

/// What the runs are called: their folders' names, with a number where one came before.
fn names(findings: &[RunAnalysis]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for finding in findings {
        let name = finding.run.name();
        let mut all = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}.{n}")));
        names.extend(all.find(|name| !names.contains(name)));
    }
    names
}

/// The values of the configurations that are not the same in all runs.
fn differences(findings: &[RunAnalysis], names: &[String]) -> Vec<PageElement> {
    let runs: Vec<Run> = findings.iter().map(|finding| finding.run.clone()).collect();
    let differences = compare(&runs, |_| false).config;
    if differences.is_empty() {
        return Vec::new();
    }
    let header = std::iter::once("value").chain(names.iter().map(String::as_str)).map(str::to_owned).collect();
    let row = |it: ConfigDifference| std::iter::once(it.key.clone()).chain(it.words()).collect();
    let rows = differences.into_iter().map(row);
    let table = PageElement::Table(std::iter::once(header).chain(rows).collect());
    vec![PageElement::Heading(2, "What the runs do differently".to_owned()), table]
}

/// The name of a run's experiment.
fn name(run: &Run) -> String {
    let told = run.manifest.as_ref().map(|manifest| manifest.experiment.clone());
    told.or_else(|| run.rounds.first().map(|row| row.experiment.clone())).unwrap_or_else(|| run.name())
}

fn section(finding: &RunAnalysis, level: usize, figures: Vec<Figure>, blocks: &mut Vec<PageElement>) {
    blocks.push(PageElement::Text(provenance::summary(finding)));
    blocks.push(PageElement::Heading(level, "Answer".to_owned()));
    verdicts::verdicts(finding, level + 1, blocks);
    verdicts::claims(finding, level + 1, blocks);
    if !figures.is_empty() {
        blocks.push(PageElement::Heading(level, "Figures".to_owned()));
        blocks.extend(figures.into_iter().map(|figure| PageElement::Figure(level + 1, figure)));
    }
    blocks.push(PageElement::Heading(level, "Results by arm and round".to_owned()));
    blocks.extend(tables::results(finding));
    blocks.extend(tables::stability(finding, level));
    blocks.push(PageElement::Heading(level, "Where these numbers come from".to_owned()));
    blocks.extend(provenance::blocks(finding));
}
