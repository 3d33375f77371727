//! The files of a synthetic run, with numbers from formulas, for tests and benchmarks of reports.

use std::fmt::Write as _;
use std::path::Path;

use lth::artifacts::{CurveRow, DeviceKind, LayerRow, RoundRow, to_csv};
use lth::base::outcome::OutcomeKind;
use lth::engine::EngineKind;
use lth::network::WeightKind;
use lth::system::files;

/// The size of a synthetic run.
pub(crate) struct SyntheticRun {
    /// The arms but for the dense one: (name, repeats, loss of accuracy with each round).
    pub(crate) arms: &'static [(&'static str, u32, f64)],
    /// The number of replicates.
    pub(crate) replicates: u32,
    /// The number of rounds after the dense network.
    pub(crate) rounds: u32,
    /// The number of evaluations of each training run, 100 iterations apart.
    pub(crate) evaluations: u64,
    /// Whether there is a `weights.csv`.
    pub(crate) with_weights: bool,
}

const RESOLVED: &str = r#"name = "made_up"  # made_up.toml:1
seed = 7  # made_up.toml:2
replicates = 3  # made_up.toml:3
rounds = 3  # default

[data]
dataset = "mnist"  # made_up.toml:5

[network]
architecture = "lenet_300_100"  # made_up.toml:7

[train]
iterations = 2000  # made_up.toml:9
batch_size = 60  # made_up.toml:10
evaluate_every = 100  # made_up.toml:11
optimizer = "adam"  # made_up.toml:12
lr = 0.0012  # made_up.toml:13

[arms.ticket]
mask = "iterative"  # made_up.toml:15
weights = "rewind"  # made_up.toml:16

[arms.reinit]
mask = { of = "ticket" }  # made_up.toml:18
weights = "reinit"  # made_up.toml:19
"#;

const MANIFEST: &str = r#"{
  "experiment": "made_up", "id": "0123456789abcdef", "command": "lth run made_up.toml", "trainings": 30,
  "versions": { "lth": "0.0.0", "tch": "0.0.0", "libtorch": "0.0.0" },
  "device": "cpu", "engine": "dense", "processor": "an abacus", "host": "nowhere", "workers": 3, "run": {},
  "runs": "runs", "data_dir": "data", "written": 1, "notes": ["made up, <not> measured"],
  "audit": { "passed": 30, "broken": [] }, "failures": [], "blocked": []
}"#;

/// The layers of the network: (name, kind, number of weights, share of the weights that each round keeps).
const LAYERS: [(&str, WeightKind, u64, f64); 3] = [
    ("linear1", WeightKind::Linear, 235_200, 0.8),
    ("linear2", WeightKind::Linear, 30_000, 0.8),
    ("output", WeightKind::Output, 1_000, 0.9),
];

/// Returns a pseudo-random number in -1..1, by the hash of `parts`.
fn noise(parts: [u64; 4]) -> f64 {
    let mix = parts.iter().fold(7u64, |mix, part| (mix ^ part).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23));
    (mix >> 40) as f64 / f64::from(1 << 23) - 1.0
}

impl SyntheticRun {
    /// Writes the files of the run into `folder`.
    pub(crate) fn write(&self, folder: &Path) {
        let (rounds, curves, layers) = self.rows();
        let write = |name: &str, bytes: &[u8]| files::write(&folder.join(name), bytes).unwrap();
        write("resolved.toml", RESOLVED.as_bytes());
        write("run.json", MANIFEST.as_bytes());
        write("rounds.csv", &to_csv(&rounds).unwrap());
        write("curves.csv", &to_csv(&curves).unwrap());
        write("layers.csv", &to_csv(&layers).unwrap());
        if self.with_weights {
            write("weights.csv", self.weights().as_bytes());
        }
    }

    fn rows(&self) -> (Vec<RoundRow>, Vec<CurveRow>, Vec<LayerRow>) {
        let mut rounds = Vec::new();
        let mut curves = Vec::new();
        let mut layers = Vec::new();
        for (arm_index, &(arm, repeats, accuracy_drop)) in [("dense", 1, 0.0)].iter().chain(self.arms).enumerate() {
            for replicate in 1..=self.replicates {
                for repeat in 1..=repeats {
                    for round in if arm_index == 0 { 0..=0 } else { 1..=self.rounds } {
                        let row = self.training(arm, (arm_index as u64, replicate, repeat, round), accuracy_drop);
                        curves.extend(self.curve(&row));
                        layers.extend(layers_of(&row));
                        rounds.push(row);
                    }
                }
            }
        }
        (rounds, curves, layers)
    }

    fn training(
        &self,
        arm: &str,
        (arm_index, replicate, repeat, round): (u64, u32, u32, u32),
        accuracy_drop: f64,
    ) -> RoundRow {
        let noise = noise([arm_index, u64::from(replicate), u64::from(repeat), u64::from(round)]);
        let kept: u64 = kept(round).iter().sum();
        let better = if accuracy_drop < 0.002 { 0.002 * f64::from(round.min(4)) } else { 0.0 };
        let accuracy = 0.977 + better - accuracy_drop * f64::from(round) + 0.0007 * noise;
        let last = self.evaluations - 1;
        let early = ((0.6 + 0.3 * accuracy_drop * 100.0 + 0.1 * noise).min(1.0) * last as f64) as u64 * 100;
        RoundRow {
            experiment: "made_up".into(),
            arm: arm.into(),
            replicate,
            repeat,
            round,
            weights_remaining: kept as f64 / 266_200.0,
            weights_kept: kept,
            weights_total: 266_200,
            early_stop_iteration: Some(early),
            early_stop_train_accuracy: Some(accuracy + 0.01),
            early_stop_validation_accuracy: Some(accuracy - 0.001),
            early_stop_test_accuracy: Some(accuracy),
            final_train_accuracy: Some((accuracy + 0.02).min(1.0)),
            final_test_accuracy: Some(accuracy - 0.001),
            engine: EngineKind::Dense.into(),
            device: DeviceKind::Cpu.into(),
            iterations: last * 100,
            outcome: OutcomeKind::Done.into(),
            key: format!("{arm_index:016x}{replicate:016x}{repeat:016x}{round:016x}"),
            ..RoundRow::default()
        }
    }

    fn curve(&self, row: &RoundRow) -> Vec<CurveRow> {
        let point = |i: u64| {
            let rest = 0.88 * (-0.9 * i as f64).exp() + 0.02 / (1.0 + i as f64);
            let noise = noise([i, row.replicate.into(), row.repeat.into(), row.round.into()]);
            let accuracy = row.final_test_accuracy.unwrap() - rest + 0.0005 * noise;
            let loss = 0.08 + 2.2 * rest + 0.0001 * i as f64 + 0.001 * noise;
            CurveRow {
                experiment: row.experiment.clone(),
                arm: row.arm.clone(),
                replicate: row.replicate,
                repeat: row.repeat,
                round: row.round,
                iteration: i * 100,
                train_accuracy: accuracy,
                train_loss: loss,
                validation_accuracy: accuracy,
                validation_loss: loss,
                test_accuracy: accuracy,
                test_loss: loss,
                key: row.key.clone(),
            }
        };
        (0..self.evaluations).map(point).collect()
    }

    fn weights(&self) -> String {
        let mut text = "experiment,arm,round,layer,measure,x,y,n\n".to_owned();
        let bell = |x: f64, at: f64, wide: f64| (-0.5 * ((x - at) / wide).powi(2)).exp() / wide / 2.5;
        for (layer, ..) in LAYERS {
            for round in 0..=self.rounds {
                let arm = if round == 0 { "dense" } else { "ticket" };
                let mut row = |measure: &str, x: f64, y: f64| {
                    let n = self.replicates;
                    writeln!(text, "made_up,{arm},{round},{layer},{measure},{x},{y},{n}").unwrap();
                };
                for i in -10..=10 {
                    let x = f64::from(i) / 50.0;
                    row("initial", x, bell(x, 0.05 * f64::from(round.min(2)), 0.05) + bell(x, -0.05, 0.04));
                }
                for i in (0..=20).filter(|_| round > 0) {
                    let x = f64::from(i) / 20.0;
                    row("moved_kept", x, bell(x, 0.5, 0.2));
                    row("moved_pruned", x, bell(x, 0.2, 0.1));
                    row("grown_kept", x - 0.3, bell(x, 0.5, 0.2));
                    row("grown_pruned", x - 0.3, bell(x, 0.2, 0.1));
                    let kept = 0.8f64.powi(round as i32);
                    row("incoming", x, (kept * (1.5 - x)).min(1.0));
                    row("outgoing", x, (kept * 2.0 * (-2.0 * x).exp()).min(1.0));
                }
            }
        }
        text
    }
}

/// Returns the number of weights that a round keeps in each layer.
fn kept(round: u32) -> [u64; 3] {
    LAYERS.map(|(_, _, total, rate)| (total as f64 * rate.powi(round as i32)).round() as u64)
}

fn layers_of(row: &RoundRow) -> Vec<LayerRow> {
    let layer = |((layer, kind, total, _), kept): ((&str, WeightKind, u64, f64), u64)| LayerRow {
        experiment: row.experiment.clone(),
        arm: row.arm.clone(),
        replicate: row.replicate,
        repeat: row.repeat,
        round: row.round,
        layer: layer.to_owned(),
        kind: kind.into(),
        weights_kept: kept,
        weights_total: total,
        weights_remaining: kept as f64 / total as f64,
        key: row.key.clone(),
    };
    LAYERS.into_iter().zip(kept(row.round)).map(layer).collect()
}
