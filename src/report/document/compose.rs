//! Composition of the page: its sections in their order. The section on a run begins with the answer.

use super::super::analysis::RunAnalysis;
use super::{
    Page, PageElement, mask_table, provenance, published, robustness, setting, tables, training_accuracy, transfer,
    verdicts,
};
use crate::artifacts::{ConfigDifference, RunLabels, config_differences, config_values, experiment_name};
use crate::base::format::{count_of, percent};
use crate::plot::Figure;
use crate::report::figures::{ComparedRun, SweptKey, comparison_figures, sweep_heat_map};
use crate::report::overview::BestRound;
use crate::report::run::Run;
use crate::report::run_names::run_names;
use crate::report::table::{Cell, Table};

/// Returns the page on one run, or on several runs: first their answers, the differences between their configurations
/// and figures of all of them, then the part on each run, folded, and notes that apply to more than one run.
pub fn page(analyses: &[RunAnalysis]) -> Page {
    if let [analysis] = analyses {
        let mut elements = run_section(analysis, 2, analysis.figures.clone());
        elements.extend(verdicts::method_section(analyses, 2));
        return Page { title: experiment_name(&analysis.run.dir), elements };
    }
    let names = distinct_names(analyses);
    let runs: Vec<&Run> = analyses.iter().map(|analysis| &analysis.run).collect();
    let configs: Vec<_> = runs.iter().map(|run| config_values(&run.dir)).collect();
    let differences = config_differences(&configs);
    let keys = SweptKey::all(&RunLabels::of(&configs));
    let labels = run_names(&runs, &configs);
    let mut sections: Vec<Vec<PageElement>> =
        analyses.iter().zip(&names).map(|(analysis, name)| named_section(analysis, name)).collect();
    let notes = take_repeated_texts(&mut sections);
    let mut elements = vec![PageElement::Heading(2, "Answers".to_owned()), answers(&sections, &labels)];
    elements.push(PageElement::Heading(2, "Differences in configuration".to_owned()));
    elements.push(difference_table(&differences, &names));
    let compared = compared_runs(analyses, &labels);
    let heat_map = sweep_heat_map(&compared, &keys);
    let figures: Vec<Figure> = heat_map.into_iter().chain(comparison_figures(&compared, &keys)).collect();
    if !figures.is_empty() {
        elements.push(PageElement::Heading(2, "Runs compared".to_owned()));
        elements.extend(best_run(&runs, &labels).map(PageElement::Text));
        elements.extend(figures.into_iter().map(|figure| PageElement::Figure(3, figure)));
    }
    for ((section, name), label) in sections.into_iter().zip(&names).zip(&labels) {
        let title = if label == name { name.clone() } else { format!("{label} ({name})") };
        elements.push(PageElement::Folded(title, section));
    }
    elements.extend(verdicts::method_section(analyses, 2));
    if !notes.is_empty() {
        elements.push(PageElement::Heading(2, "Notes on all runs".to_owned()));
        elements.extend(notes.into_iter().map(PageElement::Text));
    }
    Page { title: comparison_title(analyses, &keys), elements }
}

/// Returns a sentence on the run with the best validation accuracy; `None` if no training run reached its last iteration.
fn best_run(runs: &[&Run], labels: &[String]) -> Option<String> {
    let (run, best) = BestRound::of_runs(runs.iter().copied())?;
    Some(format!(
        "The best run by validation accuracy at early stop is {}: {} round {} ({} of the weights) has {}, the mean over \
         {}. Test accuracy plays no part in this choice.",
        labels[run],
        best.arm,
        best.round,
        percent(best.weights_remaining),
        percent(best.validation_accuracy),
        count_of(best.n as u64, "training run")
    ))
}

/// Returns the title of a page on several runs: their experiments, their number, and the keys in which they differ.
fn comparison_title(analyses: &[RunAnalysis], keys: &[SweptKey]) -> String {
    let mut experiments: Vec<String> = analyses.iter().map(|analysis| experiment_name(&analysis.run.dir)).collect();
    experiments.sort();
    experiments.dedup();
    let keys: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
    let swept = if (1..=3).contains(&keys.len()) { format!(" by {}", keys.join(" and ")) } else { String::new() };
    format!("{}: {}{swept}", experiments.join(", "), count_of(analyses.len() as u64, "run"))
}

/// Returns the runs for their common figures.
fn compared_runs<'a>(analyses: &'a [RunAnalysis], labels: &'a [String]) -> Vec<ComparedRun<'a>> {
    let compared = |(label, analysis): (&'a String, &'a RunAnalysis)| ComparedRun {
        label,
        run: &analysis.run,
        checkpoints: &analysis.checkpoints,
        end: analysis.end(),
    };
    labels.iter().zip(analyses).map(compared).collect()
}

/// Returns the section on a run among several. The names of its figures begin with `name`.
fn named_section(analysis: &RunAnalysis, name: &str) -> Vec<PageElement> {
    let figures = analysis.figures.iter().cloned();
    let named = figures.map(|figure| Figure { name: format!("{name}_{}", figure.name), ..figure });
    run_section(analysis, 3, named.collect())
}

/// Removes the texts that more than one section has, and returns each of them once.
fn take_repeated_texts(sections: &mut [Vec<PageElement>]) -> Vec<String> {
    let has = |section: &Vec<PageElement>, text: &str| {
        section.iter().any(|element| matches!(element, PageElement::Text(other) if other == text))
    };
    let mut repeated: Vec<String> = Vec::new();
    for element in sections.iter().flatten() {
        if let PageElement::Text(text) = element
            && !repeated.contains(text)
            && sections.iter().filter(|section| has(section, text)).count() > 1
        {
            repeated.push(text.clone());
        }
    }
    for section in sections {
        section.retain(|element| !matches!(element, PageElement::Text(text) if repeated.contains(text)));
    }
    repeated
}

/// Returns the answers of all sections as one list, each after the label of its run.
fn answers(sections: &[Vec<PageElement>], labels: &[String]) -> PageElement {
    let mut answers = Vec::new();
    for (section, label) in sections.iter().zip(labels) {
        answers.extend(section.iter().filter_map(|element| match element {
            PageElement::Answer(text) => Some(format!("{label}: {text}")),
            _ => None,
        }));
    }
    PageElement::List(answers)
}

/// Returns the names of the runs: those of their folders, followed by `.2`, `.3`, … if an earlier run has the same
/// name.
fn distinct_names(analyses: &[RunAnalysis]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for analysis in analyses {
        let name = analysis.run.name();
        let mut candidates = std::iter::once(name.clone()).chain((2..).map(|n| format!("{name}.{n}")));
        names.extend(candidates.find(|candidate| !names.contains(candidate)));
    }
    names
}

/// Returns the table of the configuration values that differ between the runs, with the runs or the values as rows,
/// whichever are more; a sentence if no value differs.
fn difference_table(differences: &[ConfigDifference], names: &[String]) -> PageElement {
    if differences.is_empty() {
        return PageElement::Text("The configurations do not differ, or cannot be read.".to_owned());
    }
    let cells: Vec<Vec<Cell>> = differences.iter().map(|difference| difference.cells().collect()).collect();
    let keys = differences.iter().map(|difference| difference.key.as_str());
    if names.len() < differences.len() {
        let mut table = Table::new(std::iter::once("key").chain(names.iter().map(String::as_str)));
        table.rows = keys.zip(cells).map(|(key, cells)| [vec![Cell::text(key)], cells].concat()).collect();
        return PageElement::Table(table);
    }
    let mut table = Table::new(std::iter::once("run").chain(keys));
    for (index, name) in names.iter().enumerate() {
        let values = cells.iter().map(|cells| cells[index].clone());
        table.rows.push(std::iter::once(Cell::text(name)).chain(values).collect());
    }
    PageElement::Table(table)
}

/// Returns the section on one run, with `figures`. `level`: the level of its main headings.
fn run_section(analysis: &RunAnalysis, level: usize, figures: Vec<Figure>) -> Vec<PageElement> {
    let mut elements =
        vec![PageElement::Facts(setting::facts(analysis)), PageElement::Heading(level, "Answer".to_owned())];
    elements.extend(verdicts::verdicts(analysis, level + 1));
    elements.extend(transfer::transfer(analysis, level + 1));
    elements.extend(verdicts::claims(analysis, level + 1));
    if !figures.is_empty() {
        elements.push(PageElement::Heading(level, "Figures".to_owned()));
        elements.extend(figures.into_iter().map(|figure| PageElement::Figure(level + 1, figure)));
    }
    elements.push(PageElement::Heading(level, "Results by arm and round".to_owned()));
    elements.extend(tables::results(analysis));
    elements.extend(mask_table::masks(analysis, level));
    elements.extend(published::published(analysis, level));
    elements.extend(training_accuracy::section(analysis, level));
    elements.extend(tables::stability(analysis, level));
    elements.extend(robustness::robustness(analysis, level));
    elements.push(PageElement::Heading(level, "Where these numbers come from".to_owned()));
    elements.extend(provenance::elements(analysis));
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_texts_are_taken_once() {
        let text = |text: &str| PageElement::Text(text.to_owned());
        let mut sections = vec![vec![text("a"), text("b")], vec![text("b"), text("c")], vec![text("b")]];
        assert_eq!(take_repeated_texts(&mut sections), ["b"]);
        let counts: Vec<usize> = sections.iter().map(Vec::len).collect();
        assert_eq!(counts, [1, 1, 0]);
    }

    #[test]
    fn table_of_differences_has_fewer_columns_than_rows() {
        let difference =
            |key: &str| ConfigDifference { key: key.to_owned(), values: vec![Some(1.into()), Some(2.into())] };
        let names = ["x", "y"].map(str::to_owned);
        let header = |differences: &[ConfigDifference]| match difference_table(differences, &names) {
            PageElement::Table(table) => table.header.join(" "),
            other => format!("{other:?}"),
        };
        assert_eq!(header(&[difference("lr")]), "run lr");
        assert_eq!(header(&["a", "b", "c"].map(difference)), "key x y");
    }
}
