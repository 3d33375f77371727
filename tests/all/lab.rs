//! The lab with a trainer that trains nothing: failures, panics and order, in milliseconds.

use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use lth::base::curve::Score;
use lth::base::mask::Mask;
use lth::base::paths::Runs;
use lth::base::state::Snapshot;
use lth::base::stop::Stop;
use lth::config::{self, Document};
use lth::data::{Dataset, Inputs, Split};
use lth::engine::{Batch, Trainer};
use lth::lab::{Lab, Report, Store, View};
use lth::lottery::{Plan, Setting};
use lth::record::{Event, Sink};

const CONFIG: &str = r#"
name = "fake"
rounds = 2
[data]
dataset = "strokes"
train_images = 100
test_images = 10
validation = 10
[network]
architecture = { mlp = { hidden = [4] } }
[train]
iterations = 3
batch_size = 5
optimizer = "adam"
lr = 0.1
[prune]
rate = { linear = 0.5 }
[arms.ticket]
mask = "iterative"
weights = "rewind"
[arms.reinit]
mask = { of = "ticket" }
weights = "reinit"
[arms.other]
mask = "dense"
weights = "reinit"
"#;

/// What the fake does with a network of so many weights.
#[derive(Clone, Copy, PartialEq)]
enum Mishap {
    None,
    Error,
    Panic,
    Diverge,
    Revive,
}

struct Fake {
    state: Snapshot,
    mishap: Mishap,
    /// The mishap befalls networks that keep so many weights.
    at: u64,
    kept: u64,
}

impl Trainer for Fake {
    fn lanes(&self) -> usize {
        1
    }

    fn load(&mut self, _: usize, from: &Snapshot, mask: &Mask) -> Result<()> {
        (self.state, self.kept) = (from.clone(), mask.kept());
        Ok(())
    }

    fn step(&mut self, batches: &[Batch], _: &[f64]) -> Result<()> {
        self.state.iteration = batches[0].iteration + 1;
        match self.mishap {
            Mishap::Error if self.kept == self.at => bail!("the fake breaks"),
            Mishap::Panic if self.kept == self.at => panic!("the fake panics"),
            Mishap::Revive => self.state.weights.0[0].values.fill(1.0),
            _ => {}
        }
        Ok(())
    }

    fn evaluate(&mut self, _: Split) -> Result<Vec<Score>> {
        let diverges = self.mishap == Mishap::Diverge && self.kept == self.at && self.state.iteration > 0;
        Ok(vec![Score { loss: if diverges { f64::NAN } else { 1.0 }, accuracy: 0.5 }])
    }

    fn snapshot(&self, _: usize) -> Result<Snapshot> {
        Ok(self.state.clone())
    }
}

#[derive(Default)]
struct Ends(Mutex<Vec<String>>);

impl Sink for Ends {
    fn tell(&self, event: &Event<'_>) {
        if let Event::Ended { label, result, .. } = event {
            self.0.lock().unwrap().push(format!("{label}: {}", result.outcome.word()));
        }
    }
}

fn dataset() -> Dataset {
    Dataset {
        shape: [1, 28, 28],
        classes: 10,
        images: vec![0; 20 * 784],
        labels: vec![0; 20],
        train: (0..10).collect(),
        validation: (10..15).collect(),
        test: (15..20).collect(),
        inputs: Inputs::Affine { scale: 1.0, offset: 0.0 },
    }
}

fn run(folder: &std::path::Path, mishap: Mishap, at: u64) -> (Report, Vec<String>) {
    let experiment = config::read(&Document::parse("fake.toml", CONFIG, &[]).unwrap()).unwrap();
    let setting = Setting::new(&experiment, "fake").unwrap();
    let plan = Plan::draw(&experiment, &setting).unwrap();
    let runs = Runs(folder.to_owned());
    let files = runs.view(&experiment.name, &plan.id());
    let (sink, stop) = (Ends::default(), Stop::default());
    let view = View { experiment: "fake", iterations: 3, setting: &setting, plan: &plan, files: &files, stop: &stop };
    let build = |_: &Arc<Dataset>| -> Result<Box<dyn Trainer>> {
        Ok(Box::new(Fake { state: Snapshot::default(), mishap, at, kept: 0 }))
    };
    let lab = Lab {
        experiment: &experiment,
        setting: &setting,
        plan: &plan,
        view: &view,
        workers: 2,
        stop: &stop,
        sink: &sink,
        dataset: &|| Ok(dataset()),
        trainer: &build,
    };
    let report = lab.run(&Store { runs: runs.clone() }).unwrap();
    let mut ends = sink.0.into_inner().unwrap();
    ends.sort();
    (report, ends)
}

/// 784·4 + 4·10 weights, then half of the first layer and a quarter of the output layer a round.
const DENSE: u64 = 3176;
const ROUND_1: u64 = 1568 + 30;

#[test]
fn one_failure_stops_only_what_needs_it_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    for mishap in [Mishap::Error, Mishap::Panic] {
        let (report, ends) = run(folder.path(), mishap, ROUND_1);
        let summary = report.summary;
        assert_eq!((summary.done, summary.failed, summary.blocked, summary.open), (2, 1, 3, 0));
        assert!(ends.contains(&"ticket round 1 replicate 1: failed".to_owned()), "{ends:?}");
        assert!(report.failures[0].contains("the fake"), "{:?}", report.failures);
        assert!(report.blocked.contains(&"reinit round 1 replicate 1 needs ticket round 1 replicate 1".to_owned()));
    }
    let (report, ends) = run(folder.path(), Mishap::None, 0);
    assert_eq!((report.summary.done, ends.len()), (6, 4), "the two that were done are not trained again");
}

#[test]
fn a_divergence_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = run(folder.path(), Mishap::Diverge, ROUND_1);
    assert_eq!((report.summary.done, report.summary.diverged, report.summary.blocked), (2, 1, 3));
    let (report, ends) = run(folder.path(), Mishap::None, 0);
    assert_eq!((report.summary.diverged, ends.len()), (1, 0), "it is not tried again");
}

#[test]
fn the_audit_catches_a_trainer_that_revives_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (report, _) = run(folder.path(), Mishap::Revive, DENSE);
    assert_eq!((report.summary.failed, report.summary.done), (1, 2), "the dense networks have nothing to revive");
    assert!(report.broken[0].contains("audit: a pruned weight is not 0 at the end"), "{:?}", report.broken);
}
