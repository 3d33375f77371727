//! Provenance of the numbers of a run. The text is independent of the machine's name and the number of workers.

use super::super::analysis::RunAnalysis;
use super::PageElement;
use crate::artifacts::{AuditSummary, RoundRow};
use crate::base::category::Category;
use crate::base::format::{count_of, with_thousands};
use crate::base::outcome::OutcomeKind;
use crate::report::run::Run;
use crate::system::paths::RunDir;
use std::collections::BTreeSet;

/// Returns a list of facts (seeds, outcomes, versions, device, audit, data) and the configuration.
pub(super) fn elements(analysis: &RunAnalysis) -> Vec<PageElement> {
    let run = &analysis.run;
    let mut facts = vec![format!("Run: {}", run.name())];
    if let Some(experiment) = &analysis.experiment {
        facts.push(format!(
            "Seeds: experiment {}, replicates 1 to {}; all random numbers derive from these",
            experiment.seed, experiment.replicates
        ));
    }
    facts.push(format!("Training runs: {}", outcomes(run)));
    let devices = distinct(run, |row| row.device.as_str());
    let engines = distinct(run, |row| row.engine.as_str());
    facts.push(format!("Device: {devices}; engine: {engines}"));
    facts.extend(manifest_facts(run));
    let machine = format!("Processor, host, commands and times are in {} and {}.", RunDir::MANIFEST, RunDir::TIMINGS);
    let mut elements = vec![PageElement::List(facts), PageElement::Text(machine)];
    if let Some(text) = &analysis.resolved_config {
        elements.push(PageElement::Code("The configuration, every value with its origin".to_owned(), text.clone()));
    }
    elements
}

/// Returns the facts that the manifest contains: versions, audit, notes, failures.
fn manifest_facts(run: &Run) -> Vec<String> {
    let Some(manifest) = &run.manifest else {
        return vec![format!(
            "Versions and integrity checks: unknown, because {} is missing or of another version",
            RunDir::MANIFEST
        )];
    };
    let versions = &manifest.versions;
    let mut facts = vec![
        format!("Versions: lth {}, tch {}, libtorch {}", versions.lth, versions.tch, versions.libtorch),
        format!("Integrity checks: {}", audit(&manifest.audit)),
    ];
    facts.extend(manifest.audit.broken.iter().map(|broken| format!("Failed integrity check: {broken}")));
    facts.extend(manifest.notes.iter().map(|note| format!("Data: {note}")));
    facts.extend(manifest.failures.iter().map(|failure| format!("Failed: {failure}")));
    facts.extend(manifest.blocked.iter().map(|blocked| format!("Blocked: {blocked}")));
    facts
}

/// Returns how many training runs passed the audit, and how many did not, as text.
fn audit(audit: &AuditSummary) -> String {
    let passed = format!("{} passed", count_of(audit.passed as u64, "training run"));
    if audit.broken.is_empty() {
        return passed;
    }
    format!("{passed}, {} failed", with_thousands(audit.broken.len() as u64))
}

/// Returns the distinct values of a column, sorted and joined by `and`.
fn distinct(run: &Run, word: impl Fn(&RoundRow) -> &str) -> String {
    let words: BTreeSet<&str> = run.rounds.iter().map(word).collect();
    words.into_iter().collect::<Vec<_>>().join(" and ")
}

/// Returns the number of training runs by outcome, such as `57 done, 2 diverged`, and of those that have not ended.
fn outcomes(run: &Run) -> String {
    let done: Category<OutcomeKind> = OutcomeKind::Done.into();
    let mut others: BTreeSet<&Category<OutcomeKind>> = run.rounds.iter().map(|row| &row.outcome).collect();
    others.remove(&done);
    let mut parts: Vec<String> = std::iter::once(&done)
        .chain(others)
        .map(|outcome| {
            let count = run.rounds.iter().filter(|row| row.outcome == *outcome).count();
            format!("{} {}", with_thousands(count as u64), outcome.as_str())
        })
        .collect();
    let not_ended = run.trainings().map_or(0, |trainings| trainings.saturating_sub(run.rounds.len()));
    if not_ended > 0 {
        parts.push(format!("{} not complete", with_thousands(not_ended as u64)));
    }
    parts.join(", ")
}
