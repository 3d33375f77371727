//! Time of a report on a run of the size of the paper's Figure 4: 1,205 training runs with 501 evaluations each. It
//! includes reading the files of the run, drawing the figures, and making the files of the report.
//!
//! ```text
//! cargo bench --bench report
//! ```
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

#[path = "../tests/all/synthetic_run.rs"]
mod synthetic_run;

use criterion::Criterion;
use lth::report::{Run, RunAnalysis, files};
use lth::system::paths::RunDir;

const FIGURE_4: synthetic_run::SyntheticRun = synthetic_run::SyntheticRun {
    arms: &[("ticket", 1, 0.0005), ("reinit", 3, 0.003), ("one_shot", 3, 0.001), ("one_shot_reinit", 3, 0.004)],
    replicates: 5,
    rounds: 24,
    evaluations: 501,
    with_weights: true,
};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    FIGURE_4.write(folder.path());
    let report = || {
        let run = Run::open(RunDir(folder.path().to_owned())).unwrap();
        files(&[RunAnalysis::of(run).unwrap()]).unwrap()
    };
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    criterion.bench_function("report on 1,205 trainings", |b| b.iter(report));
    criterion.final_summary();
}
