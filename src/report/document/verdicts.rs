//! The answer of the report: which rounds are winning tickets, and which of the paper's claims held.

use super::super::analysis::RunAnalysis;
use super::{PageElement, test_note};
use crate::artifacts::first_seen;
use crate::base::format::{count_of, percent, with_thousands};
use crate::config::Experiment;
use crate::report::claims::{ClaimRow, ClaimStatus};
use crate::report::condition::{Answer, Condition, ConditionTest, Obstacle};
use crate::report::headline::{censoring_advice, replicates_needed, sentences};
use crate::report::method::method;
use crate::report::statistics::Interval;
use crate::report::table::{Cell, Table};
use crate::report::verdict::Verdict;

/// The mark of an answer that holds after Holm's correction.
const CORRECTED: &str = "‡";

/// Returns the verdicts: a paragraph for each arm, then a table and notes under a heading of `level`.
pub(super) fn verdicts(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let verdicts = &analysis.verdicts;
    let Some(experiment) = &analysis.experiment else {
        return vec![PageElement::Answer("No verdict: the configuration of the run cannot be read.".to_owned())];
    };
    if verdicts.is_empty() {
        let text = "No verdict: a verdict needs a ticket that has reached the end of training.";
        return vec![PageElement::Answer(text.to_owned())];
    }
    let mut elements: Vec<PageElement> =
        sentences(verdicts, &experiment.report).into_iter().map(PageElement::Answer).collect();
    elements.push(PageElement::Heading(level, "Verdicts".to_owned()));
    elements.push(PageElement::Table(verdict_table(verdicts)));
    elements.push(PageElement::Text(legend(verdicts, &test_note(analysis))));
    elements.extend(censoring_advice(&analysis.run.rounds, experiment).map(PageElement::Text));
    elements.extend(replicates_needed(verdicts).map(PageElement::Text));
    elements
}

/// Returns the section on the method of the verdicts and claims, under a heading of `level`: once for all runs of a
/// page. Empty if no configuration can be read.
pub(super) fn method_section(analyses: &[RunAnalysis], level: usize) -> Vec<PageElement> {
    let experiments: Vec<&Experiment> = analyses.iter().filter_map(|analysis| analysis.experiment.as_ref()).collect();
    let statements = method(&experiments);
    if statements.is_empty() {
        return Vec::new();
    }
    vec![PageElement::Heading(level, "Method".to_owned()), PageElement::List(statements)]
}

/// Returns how to read the table of verdicts: its cells, its marks, and why conditions are not tested.
fn legend(verdicts: &[Verdict], test_note: &str) -> String {
    let tests = verdicts.iter().flat_map(|verdict| &verdict.conditions);
    let obstacles = first_seen(tests.filter_map(|test| test.obstacle).map(Obstacle::as_str));
    let not_tested =
        if obstacles.is_empty() { String::new() } else { format!(" Not tested: {}.", obstacles.join("; ")) };
    format!(
        "Mean difference (one-sided 95% lower and upper bounds) and the answer to each condition of a winning ticket; \
         {CORRECTED} holds after Holm's correction for the rounds of the arm, and so does the corrected verdict.\
         {not_tested} See Method.{test_note}"
    )
}

/// Returns a table with a row for each verdict. The most important columns come first, because a small screen shows
/// only these.
fn verdict_table(verdicts: &[Verdict]) -> Table {
    let mut table = Table::new([
        "arm",
        "verdict",
        "verdict, corrected",
        "weights remaining",
        "round",
        "n",
        "test accuracy − dense (points)",
        "iterations to early stop − dense",
        "test accuracy − reinit (points)",
    ]);
    for verdict in verdicts {
        table.rows.push(vec![
            Cell::text(&verdict.arm),
            Cell::Decision(verdict.decision),
            Cell::Decision(verdict.corrected),
            Cell::number(percent(verdict.weights_remaining)),
            Cell::number(verdict.round),
            Cell::number(verdict.n),
            condition_cell(verdict.test(Condition::Accuracy), points),
            condition_cell(verdict.test(Condition::Speed), iterations),
            condition_cell(verdict.test(Condition::OverReinit), points),
        ]);
    }
    table
}

/// Returns the cell of a condition: the mean difference with its bounds, and the answer. `format`: formats a difference.
fn condition_cell(test: &ConditionTest, format: fn(f64) -> String) -> Cell {
    let holds = matches!(test.answer, Answer::Yes | Answer::No) && test.answer == test.corrected;
    let mark = if holds { CORRECTED } else { "" };
    let answer = format!("{}{mark}", test.answer.as_str());
    let Some(Interval { mean, low, high, .. }) = test.difference else {
        return Cell::text(answer);
    };
    // A censored early stop is a lower bound of the iterations of its side.
    let relation = match (test.censoring.ticket, test.censoring.reference) {
        (false, false) => "",
        (true, false) => "≥ ",
        (false, true) => "≤ ",
        (true, true) => return Cell::text(answer),
    };
    Cell::number(format!("{relation}{} ({} to {}) {answer}", format(mean), format(low), format(high)))
}

/// Returns the claims under a heading of `level`: how many have each status, and a table of those that have a number.
/// Empty if no claim applies to the run.
pub(super) fn claims(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let claims: &[ClaimRow] = &analysis.claims;
    if claims.is_empty() {
        return Vec::new();
    }
    let mut elements = vec![
        PageElement::Heading(level, "The paper's claims".to_owned()),
        PageElement::Text(claim_summary(claims, &test_note(analysis))),
    ];
    let mut table = Table::new(["claim", "status", "here", "paper", "why", "source"]);
    for claim in claims.iter().filter(|claim| claim.status != ClaimStatus::NotTested) {
        table.rows.push(vec![
            Cell::text(&claim.claim),
            Cell::Status(claim.status),
            Cell::number(&claim.here),
            Cell::text(&claim.paper),
            Cell::text(&claim.reason),
            Cell::text(&claim.source),
        ]);
    }
    if !table.rows.is_empty() {
        elements.push(PageElement::Table(table));
    }
    elements
}

/// Returns a paragraph with the number of claims of each status, what differs from the paper's setting, and why claims
/// are not tested.
fn claim_summary(claims: &[ClaimRow], test_note: &str) -> String {
    let count = |status: ClaimStatus| claims.iter().filter(|claim| claim.status == status).count();
    let total = count_of(claims.len() as u64, "claim");
    let is_judged = count(ClaimStatus::NotTested) + count(ClaimStatus::OtherSetting) < claims.len();
    let counts: Vec<String> = ClaimStatus::ALL
        .into_iter()
        .filter(|status| count(*status) > 0)
        .map(|status| format!("{} {}", count(status), status.as_str()))
        .collect();
    let summary = if is_judged { counts.join(", ") } else { "none is testable here".to_owned() };
    let differences = distinct(claims.iter().flat_map(|claim| &claim.differences));
    let not_tested = claims.iter().filter(|claim| claim.status == ClaimStatus::NotTested);
    let reasons = distinct(not_tested.map(|claim| &claim.reason));
    let sentence = |title: &str, texts: &[&str]| {
        if texts.is_empty() { String::new() } else { format!(" {title}: {}.", texts.join("; ")) }
    };
    format!(
        "{total} of the paper: {summary}.{}{}{test_note}",
        sentence("Other setting", &differences),
        sentence("Not tested", &reasons)
    )
}

/// Returns the distinct texts, in the order of their first occurrence.
fn distinct<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    first_seen(texts.map(String::as_str))
}

/// Formats a difference of shares in percentage points.
fn points(difference: f64) -> String {
    format!("{:+.2}", 100.0 * difference).replace('-', "\u{2212}")
}

/// Formats a difference of iterations.
fn iterations(difference: f64) -> String {
    let sign = match difference.round() {
        0.0 => "",
        negative if negative < 0.0 => "\u{2212}",
        _ => "+",
    };
    format!("{sign}{}", with_thousands(difference.abs().round() as u64))
}
