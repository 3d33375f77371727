//! Where the numbers come from. Nothing here depends on the hour, the machine's name or the number of workers.

use std::collections::BTreeSet;
use std::fs;

use super::super::analysis::RunAnalysis;
use super::PageElement;
use crate::base::format::{pluralize, with_thousands};
use crate::base::outcome::Outcome;
use crate::report::run::Run;
use crate::system::paths::RunDir;

/// The run in a line.
pub(super) fn summary(finding: &RunAnalysis) -> String {
    let run = &finding.run;
    let replicates: BTreeSet<u32> = run.rounds.iter().map(|row| row.replicate).collect();
    let n = replicates.len() as u64;
    let mut parts = vec![pluralize(n, "replicate")];
    if n == 1 {
        parts[0] += " only: no spread over seeds is known";
    }
    if let Some(experiment) = &finding.experiment {
        let dataset = serde_json::to_value(&experiment.data.dataset).unwrap_or_default();
        let dataset = dataset.as_str().map(str::to_owned);
        let own = dataset.is_none().then(|| "own data".to_owned());
        parts.extend(dataset.or(own));
        parts.push(format!("{} iterations a training", with_thousands(experiment.train.iterations)));
    }
    let ended = run.rounds.len();
    let known = run.trainings().map_or(String::new(), |all| format!(" of {}", with_thousands(all as u64)));
    parts.push(format!("{}{known} trainings have ended", with_thousands(ended as u64)));
    let missing = ended - run.done();
    if missing > 0 {
        parts.push(format!("{} of them without a result", with_thousands(missing as u64)));
    }
    parts.join(" · ")
}

/// Versions, device, seeds, data, outcomes, the audit and the configuration.
pub(super) fn blocks(finding: &RunAnalysis) -> Vec<PageElement> {
    let run = &finding.run;
    let mut facts = vec![format!("Run: {}", run.name())];
    facts.extend(finding.experiment.as_ref().map(|experiment| {
        format!(
            "Seeds: experiment {}, replicates 1 to {}; every random stream is keyed by these",
            experiment.seed, experiment.replicates
        )
    }));
    facts.push(format!("Trainings: {}", outcomes(run)));
    let words = |of: fn(&crate::artifacts::RoundRow) -> &str| {
        run.rounds.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ")
    };
    facts.push(format!("Device: {}; engine: {}", words(|row| &row.device), words(|row| &row.engine)));
    let mut blocks = Vec::new();
    if let Some(manifest) = &run.manifest {
        let versions = &manifest.versions;
        facts.push(format!("Versions: lth {}, tch {}, libtorch {}", versions.lth, versions.tch, versions.libtorch));
        facts.push(format!("Audit: {}", audit(manifest.audit.passed, &manifest.audit.broken)));
        facts.extend(manifest.audit.broken.iter().map(|broken| format!("Broken promise: {broken}")));
        facts.extend(manifest.notes.iter().map(|note| format!("Data: {note}")));
        facts.extend(manifest.failures.iter().map(|failure| format!("Failed: {failure}")));
        facts.extend(manifest.blocked.iter().map(|blocked| format!("Could not begin: {blocked}")));
    } else {
        facts.push(format!("Versions and audit: unknown, since {} is missing or damaged", RunDir::MANIFEST));
    }
    blocks.push(PageElement::List(facts));
    let machine = format!("Processor, host, times and command are in {} and {}.", RunDir::MANIFEST, RunDir::TIMINGS);
    blocks.push(PageElement::Text(machine));
    if let Ok(text) = fs::read_to_string(run.view.file(RunDir::RESOLVED_CONFIG)) {
        blocks.push(PageElement::Code("The configuration, every value with its origin".to_owned(), text));
    }
    blocks
}

fn audit(passed: usize, broken: &[String]) -> String {
    let kept = format!("{} kept every promise", pluralize(passed as u64, "training"));
    let broke = format!("{} broke one", with_thousands(broken.len() as u64));
    if broken.is_empty() { kept } else { format!("{kept}, {broke}") }
}

/// `57 done, 2 diverged`, and how many of the plan are open.
fn outcomes(run: &Run) -> String {
    let done = Outcome::Done.as_str();
    let mut words: BTreeSet<&str> = run.rounds.iter().map(|row| row.outcome.as_str()).collect();
    words.remove(done);
    let number = |word: &str| run.rounds.iter().filter(|row| row.outcome == word).count();
    let all = std::iter::once(done).chain(words);
    let mut parts: Vec<String> = all.map(|word| format!("{} {word}", with_thousands(number(word) as u64))).collect();
    let open = run.trainings().map_or(0, |all| all.saturating_sub(run.rounds.len()));
    if open > 0 {
        parts.push(format!("{} not ended", with_thousands(open as u64)));
    }
    parts.join(", ")
}
