//! Composition of the page: its sections in their order. The section on a run begins with the answer.

use super::super::analysis::RunAnalysis;
use super::{Page, PageElement, provenance, tables, verdicts};
use crate::base::format::count_of;
use crate::plot::Figure;
use crate::report::compare::compare;
use crate::report::figures::{ComparedRun, comparison_figures};
use crate::report::run::Run;
use crate::report::table::{Cell, Table};

/// Returns the page on one run, or on several runs: first the differences between their configurations and the figures
/// of all of them, then each run in sequence.
pub fn page(analyses: &[RunAnalysis]) -> Page {
    if let [analysis] = analyses {
        let mut elements = run_section(analysis, 2, analysis.figures.clone());
        elements.extend(verdicts::method_section(analyses, 2));
        return Page { title: experiment_name(&analysis.run), elements };
    }
    let names = run_names(analyses);
    let mut elements = vec![PageElement::List(names.clone())];
    elements.extend(differences(analyses, &names));
    let compared: Vec<ComparedRun<'_>> = names
        .iter()
        .zip(analyses)
        .map(|(name, analysis)| ComparedRun { name, run: &analysis.run, checkpoints: &analysis.checkpoints })
        .collect();
    elements.extend(comparison_figures(&compared).into_iter().map(|figure| PageElement::Figure(3, figure)));
    for (analysis, name) in analyses.iter().zip(&names) {
        elements.push(PageElement::Heading(2, name.clone()));
        let figures = analysis.figures.iter().cloned();
        let named = figures.map(|figure| Figure { name: format!("{name}_{}", figure.name), ..figure });
        elements.extend(run_section(analysis, 3, named.collect()));
    }
    elements.extend(verdicts::method_section(analyses, 2));
    Page { title: count_of(analyses.len() as u64, "run"), elements }
}

/// Returns the names of the runs: those of their folders, followed by `.2`, `.3`, … if an earlier run has the same
/// name.
fn run_names(analyses: &[RunAnalysis]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for analysis in analyses {
        let name = analysis.run.name();
        let mut candidates = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}.{n}")));
        names.extend(candidates.find(|candidate| !names.contains(candidate)));
    }
    names
}

/// Returns the section with a table of the configuration values that differ between the runs; empty if none differs.
fn differences(analyses: &[RunAnalysis], names: &[String]) -> Vec<PageElement> {
    let runs: Vec<Run> = analyses.iter().map(|analysis| analysis.run.clone()).collect();
    let differences = compare(&runs, |_| false).config;
    if differences.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new(std::iter::once("value").chain(names.iter().map(String::as_str)));
    for difference in differences {
        table.rows.push(std::iter::once(Cell::text(&difference.key)).chain(difference.cells()).collect());
    }
    vec![PageElement::Heading(2, "What the runs do differently".to_owned()), PageElement::Table(table)]
}

/// Returns the name of a run's experiment.
fn experiment_name(run: &Run) -> String {
    let in_manifest = run.manifest.as_ref().map(|manifest| manifest.experiment.clone());
    let in_rows = || run.rounds.first().map(|row| row.experiment.clone());
    in_manifest.or_else(in_rows).unwrap_or_else(|| run.name())
}

/// Returns the section on one run, with `figures`. `level`: the level of its main headings.
fn run_section(analysis: &RunAnalysis, level: usize, figures: Vec<Figure>) -> Vec<PageElement> {
    let mut elements =
        vec![PageElement::Text(provenance::summary(analysis)), PageElement::Heading(level, "Answer".to_owned())];
    elements.extend(verdicts::verdicts(analysis, level + 1));
    elements.extend(verdicts::claims(analysis, level + 1));
    if !figures.is_empty() {
        elements.push(PageElement::Heading(level, "Figures".to_owned()));
        elements.extend(figures.into_iter().map(|figure| PageElement::Figure(level + 1, figure)));
    }
    elements.push(PageElement::Heading(level, "Results by arm and round".to_owned()));
    elements.extend(tables::results(analysis));
    elements.extend(tables::stability(analysis, level));
    elements.push(PageElement::Heading(level, "Where these numbers come from".to_owned()));
    elements.extend(provenance::elements(analysis));
    elements
}
