//! What safety costs: writing a progress snapshot, and the audit of a training run, beside the time of training.
//!
//! For each network of the paper: the time of a snapshot (reading the state, checksum, writing, syncing) as a share of
//! the default time between two, 5 minutes, and the time of the audit of the dense training run, before its first step
//! and after its last, as a share of a training run of the configured length. On the CPU, one thread, random images.
//!
//! ```text
//! cargo bench --bench overhead
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::sync::Arc;

use clock::microseconds;
use lth::artifacts::{DeviceKind, ProgressLabel, TrainingPlace, progress_to_bytes};
use lth::base::curve::Curve;
use lth::base::key::ContentHash;
use lth::base::mask::Mask;
use lth::base::tensors::{Snapshot, TensorMap};
use lth::base::units::Iteration;
use lth::data::{Dataset, Normalization};
use lth::engine::{NoProbe, TrainerSpec, torch};
use lth::lottery::{ArtifactSource, PrepareContext, Prepared, Study, audit_end, audit_start, prepare};
use lth::system::files;
use lth::train::TrainingProgress;
use spread::Spread;
use training_run::TrainingRun;

#[path = "parts/clock.rs"]
mod clock;
#[path = "parts/spread.rs"]
mod spread;
#[path = "parts/training_run.rs"]
mod training_run;

/// The configurations whose dense networks are measured.
const CONFIGS: [&str; 4] =
    ["lenet_mnist.toml", "paper/fig5_conv6.toml", "paper/fig8_resnet20.toml", "paper/fig7_vgg19.toml"];

/// Measurements of each kind.
const TURNS: usize = 5;

/// Seconds between two progress snapshots by default.
const INTERVAL: f64 = 300.0;

/// A store without training runs: a dense network needs none.
struct Nothing;

impl ArtifactSource for Nothing {
    fn mask(&self, _: &ContentHash) -> anyhow::Result<Mask> {
        anyhow::bail!("nothing is stored")
    }
    fn final_weights(&self, _: &ContentHash) -> anyhow::Result<TensorMap> {
        anyhow::bail!("nothing is stored")
    }
    fn initial_weights(&self, _: &ContentHash) -> anyhow::Result<TensorMap> {
        anyhow::bail!("nothing is stored")
    }
    fn snapshot(&self, _: &ContentHash, _: Iteration) -> anyhow::Result<Snapshot> {
        anyhow::bail!("nothing is stored")
    }
}

/// Returns a data set of two batches of images with arbitrary pixels.
fn dataset(study: &Study) -> Dataset {
    let shape = study.resolved.network.input;
    let count = 2 * study.experiment.train.batch_size;
    let pixels = shape.iter().product::<usize>();
    Dataset {
        shape,
        classes: study.resolved.network.classes,
        images: (0..count as usize * pixels).map(|i| ((i * 2_654_435_761) >> 7) as u8).collect(),
        labels: (0..count).map(|i| (i % study.resolved.network.classes as u32) as u8).collect(),
        train: (0..count).collect(),
        validation: vec![0],
        test: vec![0],
        normalization: Normalization::Affine { scale: 1.0, offset: 0.0 },
    }
}

/// Returns the spread of the time of `work` in milliseconds.
fn milliseconds(mut work: impl FnMut()) -> Spread {
    Spread::of((0..TURNS).map(|_| microseconds(1, &mut work) / 1e3).collect())
}

fn main() {
    println!(
        "{:26} {:>9} {:>12} {:>22} {:>9} {:>20} {:>13}",
        "experiment", "weights", "step, ms", "snapshot, ms", "of 5 min", "audit, ms", "of a training"
    );
    let folder = tempfile::tempdir_in(".").expect("a folder");
    for config in CONFIGS {
        let text = std::fs::read_to_string(format!("configs/{config}")).expect("a configuration");
        let experiment = lth::open(&text, &["run.device=cpu", "run.lanes=1"]).expect("an experiment");
        let study = experiment.study();
        let dense = &study.plan.trainings[0];
        let context = PrepareContext { study, artifacts: &Nothing, probe: &NoProbe };
        let Prepared { mask, start, .. } = prepare(dense, context).expect("a start");
        let dataset = Arc::new(dataset(study));
        let spec = TrainerSpec::new(study.resolved.network.clone(), &study.experiment, None);
        let trainer = torch::build(&spec, &dataset, 1).expect("a trainer");
        let inputs = (start, mask);
        let train = &study.experiment.train;
        let mut run = TrainingRun::new(trainer, &inputs, &dataset, train.batch_size as usize, 1e-3);
        let loaded = run.trainer.snapshot(0).expect("a state");
        run.step();
        let step = milliseconds(|| run.step());
        let path = folder.path().join("progress");
        let snapshot = milliseconds(|| {
            let label = ProgressLabel {
                key: dense.key,
                training: "dense".into(),
                copy_of: None,
                last_iteration: train.iterations,
                place: TrainingPlace { lanes: 1, lane: 0, device: DeviceKind::Cpu.into() },
                seconds: 0.0,
            };
            let state = run.trainer.state(0).expect("a state");
            let progress = TrainingProgress {
                state,
                curve: Curve::default(),
                snapshots: Vec::new(),
                masks: None,
                diverged_at: None,
            };
            files::write(&path, &progress_to_bytes(label, &progress).expect("bytes")).expect("a file");
        });
        let last = run.trainer.snapshot(0).expect("a state");
        let audit = milliseconds(|| {
            audit_start(dense, context, &inputs.1, &loaded).expect("a good start");
            audit_end(&inputs.1, &last).expect("a good end");
        });
        let of_interval = 100.0 * snapshot.median / 1e3 / INTERVAL;
        let of_training = 100.0 * audit.median / (step.median * train.iterations as f64);
        let weights = study.resolved.network.weights_total();
        println!(
            "{config:26} {weights:>9} {:>12.1} {snapshot:>22} {of_interval:>8.3}% {audit:>20} {of_training:>12.4}%",
            step.median
        );
    }
}
