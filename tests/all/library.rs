//! The façade of the library: plan, run, read.

use std::error::Error as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use lth::{Error, Event};

use crate::support::{SMOKE, run_ok};

/// Overrides that make the smoke experiment a dense network and one round of a ticket, trained briefly.
const SHORT: [&str; 5] = [
    "replicates=1",
    "rounds=1",
    "train.iterations=40",
    "data.train_images=600",
    "arms={winning_ticket={mask='iterative',weights='rewind'}}",
];

fn smoke() -> String {
    std::fs::read_to_string(SMOKE).unwrap()
}

#[test]
fn library_runs_an_experiment_and_reads_its_ticket() {
    let runs = tempfile::tempdir().unwrap();
    let ended = AtomicUsize::new(0);
    let count_ended = |event: &Event<'_>| {
        if matches!(event, Event::Ended { .. }) {
            ended.fetch_add(1, Ordering::Relaxed);
        }
    };
    let experiment = lth::open(&smoke(), &SHORT).unwrap();
    assert_eq!(experiment.plan().trainings.len(), 2);
    let run = experiment.run(runs.path(), &count_ended).unwrap();
    assert_eq!((run.rows().len(), ended.into_inner()), (2, 2));

    let [dense, ticket] = run.rows() else { panic!("two rows") };
    assert_eq!((ticket.arm.as_str(), ticket.round), ("winning_ticket", 1));
    let mask = run.mask(ticket).unwrap();
    assert_eq!((mask.kept_total(), mask.total()), (ticket.weights_kept, ticket.weights_total));
    let start = run.ticket(ticket).unwrap();
    assert!(mask.is_respected_by(&start) && mask.is_respected_by(&run.final_weights(ticket).unwrap()));
    // Where the mask keeps weights, the ticket has those of θ₀.
    let initial = run.initial_weights(dense).unwrap();
    let (start, initial) = (start.get("linear1.weight").unwrap(), initial.get("linear1.weight").unwrap());
    let kept = mask.0.iter().find(|layer| layer.name == "linear1.weight").unwrap().kept.iter();
    assert!(kept.zip(start.values.iter().zip(&initial.values)).all(|(&kept, (a, b))| !kept || a == b));

    let page = run.write_report().unwrap();
    assert!(page.ends_with("report/index.html") && page.exists());
    let again = lth::open_run(&run.run().dir.0).unwrap();
    assert_eq!(again.rows(), run.rows());
}

#[test]
fn library_and_command_line_write_the_same_run() {
    let [library, command_line] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let run = lth::open(&smoke(), &SHORT).unwrap().run(library.path(), &|_: &Event<'_>| {}).unwrap();
    run_ok(SMOKE, command_line.path(), &SHORT);
    let other = command_line.path().join(run.run().name());
    let rounds = |folder: &std::path::Path| std::fs::read_to_string(folder.join("rounds.csv")).unwrap();
    assert_eq!(rounds(&run.run().dir.0), rounds(&other));
}

#[test]
fn library_writes_nothing_if_data_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (runs, empty) = (folder.path().join("runs"), folder.path().join("empty"));
    let mnist = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke_mnist.toml")).unwrap();
    let experiment = lth::open(&mnist, &[&format!("data.dir={}", empty.display())]).unwrap();
    let missing = experiment.run(&runs, &|_: &Event<'_>| panic!("nothing is trained")).unwrap_err();
    assert!(matches!(missing, Error::Failed(_)) && missing.to_string().contains("`mnist`"), "{missing}");
    assert!(!runs.exists(), "neither the folder of the run, nor locks");
}

#[test]
fn library_errors_have_a_text_and_a_source() {
    let mistakes = lth::open(&smoke(), &["train.lr=fast"]).err().unwrap();
    assert!(matches!(mistakes, Error::Config(_)) && mistakes.to_string().contains("--set train.lr=fast"), "{mistakes}");
    let syntax = lth::open("name = ", &[]).err().unwrap();
    assert!(matches!(syntax, Error::Config(_)) && syntax.to_string().contains("experiment.toml:1:"), "{syntax}");
    let missing = lth::open_run("no/such/run").unwrap_err();
    assert!(matches!(missing, Error::Failed(_)) && missing.to_string().contains("`no/such/run`"), "{missing}");
    assert!(missing.source().is_some(), "the cause of the system");
}
