//! `lth landscape` on the real binary: what it measures around the weights of training runs, against numbers computed
//! here in float64.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use lth::artifacts::{mask_from_bytes, tensors_from_bytes};
use lth::base::mask::Mask;
use lth::base::rng::{Purpose, Stream};
use lth::base::tensors::TensorMap;
use lth::data::{Dataset, Normalization, Split};

use crate::support::*;

fn landscape(runs: &Path, args: &[&str]) -> Output {
    lth().arg("landscape").args(args).env("LTH_RUNS_DIR", runs).output().unwrap()
}

fn landscape_ok(runs: &Path, args: &[&str]) -> Output {
    let output = landscape(runs, args);
    assert!(output.status.success(), "{}", stderr(&output));
    output
}

/// Returns the number of training runs that were measured.
fn measured(output: &Output) -> usize {
    stderr(output).lines().filter(|line| line.starts_with("measured ")).count()
}

type Row = BTreeMap<String, String>;

fn number(row: &Row, column: &str) -> f64 {
    row[column].parse().unwrap_or_else(|_| panic!("{column}: {row:?}"))
}

/// Returns the rows of `landscape_curves.csv` of a training run that belong to a curve.
fn curve(run_dir: &Path, key: &str, name: &str) -> Vec<Row> {
    let all = rows(run_dir, "landscape_curves.csv").into_iter();
    all.filter(|row| row["key"] == key && row["curve"] == name).collect()
}

/// Returns the training losses [first, last] of the evaluations of a stored training run.
fn stored_losses(runs: &Path, key: &str) -> [f64; 2] {
    let bytes = fs::read(runs.join("store").join(key).join("curve.json")).unwrap();
    let evaluations: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let evaluations = evaluations.as_array().unwrap();
    [&evaluations[0], &evaluations[evaluations.len() - 1]].map(|point| point["train"]["loss"].as_f64().unwrap())
}

#[test]
fn landscape_lines_end_at_the_stored_networks_and_nothing_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let run_dir = run_dir(runs);
    let before = reproducible_files(&run_dir);
    let first = landscape_ok(runs, &["smoke"]);
    // In each replicate the dense network, two rounds of the ticket, and two repeats of its control at each. Random
    // masks are left out.
    assert_eq!(measured(&first), 2 * (1 + 2 + 4), "{}", stderr(&first));
    let noted = "training runs to measure: 14\nnetworks to evaluate: 714 (51 for each), and 14 gradients\n";
    assert!(stderr(&first).contains(noted), "{}", stderr(&first));
    assert!(finished_count(&first) > 0, "some weights had been freed: {}", stderr(&first));
    let all = rows(&run_dir, "landscape.csv");
    assert_eq!(all.len(), 14);
    for row in &all {
        let line = curve(&run_dir, &row["key"], "line");
        assert_eq!(line.len(), 21);
        let ends = [&line[0], &line[20]].map(|point| number(point, "train_loss"));
        assert_eq!(ends, stored_losses(runs, &row["key"]), "{row:?}: both ends, to the digit");
        let losses: Vec<f64> = line.iter().map(|point| number(point, "train_loss")).collect();
        let highest = losses.iter().copied().fold(0.0, f64::max);
        assert_eq!(number(row, "barrier"), highest - ends[0].max(ends[1]));
        let directions = curve(&run_dir, &row["key"], "direction");
        assert_eq!(directions.len(), 5 * 6);
        let half = directions.iter().filter(|point| number(point, "alpha").abs() == 0.5);
        let mean = half.map(|point| number(point, "train_loss")).sum::<f64>() / 10.0;
        assert!((number(row, "sharpness") - (mean - ends[1])).abs() < 1e-12, "{row:?}");
    }
    let after = reproducible_files(&run_dir);
    let files = ["landscape.csv", "landscape_curves.csv"].map(|name| after[name].clone());
    let is_kept = |name: &&String| !name.starts_with("report/") && *name != "SHA256SUMS";
    assert!(before.keys().filter(is_kept).all(|name| before[name] == after[name]), "the other files do not change");

    let again = landscape_ok(runs, &["smoke"]);
    assert_eq!((measured(&again), finished_count(&again)), (0, 0), "{}", stderr(&again));
    assert_eq!((stdout(&again), reproducible_files(&run_dir)), (stdout(&first), after.clone()));
    // Only missing or damaged measurements are made again.
    let stored = |row: &Row| runs.join("store").join(&row["key"]).join("landscape.json");
    fs::remove_file(stored(&all[0])).unwrap();
    let mut bytes = fs::read(stored(&all[3])).unwrap();
    let last = bytes.len() - 10;
    bytes[last] ^= 1;
    lth::system::files::write(&stored(&all[3]), &bytes).unwrap();
    let verify = lth_in(runs, &["verify", "smoke"]);
    let text = stdout(&verify) + &stderr(&verify);
    assert!(!verify.status.success() && text.contains("landscape.json") && text.contains("is damaged"), "{text}");
    let repaired = landscape_ok(runs, &["smoke"]);
    assert_eq!(measured(&repaired), 2, "{}", stderr(&repaired));
    assert_eq!(["landscape.csv", "landscape_curves.csv"].map(|name| reproducible_files(&run_dir)[name].clone()), files);
    assert!(lth_in(runs, &["verify", "smoke"]).status.success());
    // Another definition is another measurement, of the selected training runs alone.
    let other = landscape_ok(runs, &["smoke", "--arm", "dense", "--points", "3", "--directions", "1"]);
    assert_eq!((measured(&other), rows(&run_dir, "landscape.csv").len()), (2, 14));
    assert_eq!(finished_count(&run_ok(SMOKE, runs, &[])), 0);
    assert_eq!(rows(&run_dir, "landscape.csv").len(), 14, "a run keeps it");
}

#[test]
fn landscape_makes_the_start_of_every_arm_again() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[ALL_ARMS, "replicates=1"]);
    let run_dir = run_dir(runs);
    let arms: Vec<String> = rows(&run_dir, "rounds.csv").iter().map(|row| row["arm"].clone()).collect();
    let words: Vec<&str> = arms.iter().flat_map(|arm| ["--arm", arm]).collect();
    landscape_ok(runs, &[&["smoke", "--points", "2", "--directions", "1", "-q"], words.as_slice()].concat());
    let measured = rows(&run_dir, "landscape.csv");
    assert_eq!(measured.len(), rows(&run_dir, "rounds.csv").len());
    for row in measured {
        let line = curve(&run_dir, &row["key"], "line");
        let ends = [&line[0], &line[1]].map(|point| number(point, "train_loss"));
        assert_eq!(ends, stored_losses(runs, &row["key"]), "{} {}", row["arm"], row["round"]);
    }
}

#[test]
fn landscape_does_not_depend_on_workers() {
    let of = |workers: &str| {
        let folder = tempfile::tempdir().unwrap();
        let layers =
            "network={layers=[{conv={out=4,stride=2}},'batch_norm','relu','global_avg_pool',{linear={out=10}}]}";
        let sets = [layers, "prune={rate={conv=0.2,output=0.1}}", "rounds=1", "train.lr=0.02"];
        run_ok(SMOKE, folder.path(), &sets);
        landscape_ok(folder.path(), &["smoke", "--workers", workers, "--points", "3", "--directions", "2"]);
        reproducible_files(&run_dir(folder.path()))
    };
    assert_same(&of("1"), &of("3"));
}

/// A network of one linear layer of 10 units on images, with its weights and its data in float64.
struct Regression {
    /// Pixels of each training image, normalized.
    images: Vec<Vec<f64>>,
    labels: Vec<usize>,
}

/// The parameters of a [`Regression`]: weights [10, pixels] and biases [10].
#[derive(Clone)]
struct Parameters {
    weights: Vec<f64>,
    biases: Vec<f64>,
}

impl Parameters {
    fn of(tensors: &TensorMap) -> Self {
        let values = |name: &str| tensors.get(name).unwrap().values.iter().map(|&value| f64::from(value)).collect();
        Self { weights: values("output.weight"), biases: values("output.bias") }
    }

    /// Returns `alpha · end + (1 − alpha) · self`.
    fn towards(&self, end: &Self, alpha: f64) -> Self {
        let blend = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| alpha * b + (1.0 - alpha) * a).collect();
        Self { weights: blend(&self.weights, &end.weights), biases: blend(&self.biases, &end.biases) }
    }
}

impl Regression {
    fn new(dataset: &Dataset) -> Self {
        let Normalization::Affine { scale, offset } = dataset.normalization else { panic!("another normalization") };
        let indices = dataset.indices(Split::Train);
        let pixels = |&index: &u32| dataset.image(index).iter().map(|&byte| f64::from(byte) * scale + offset).collect();
        let labels = indices.iter().map(|&index| dataset.labels[index as usize].into()).collect();
        Self { images: indices.iter().map(pixels).collect(), labels }
    }

    /// Returns the mean cross-entropy, and its gradient by the weights.
    fn loss_and_gradient(&self, parameters: &Parameters) -> (f64, Vec<f64>) {
        let n = self.images.len() as f64;
        let (mut loss, mut gradient) = (0.0, vec![0.0; parameters.weights.len()]);
        for (image, &label) in self.images.iter().zip(&self.labels) {
            let rows = parameters.weights.chunks(image.len()).zip(&parameters.biases);
            let logits: Vec<f64> =
                rows.map(|(row, bias)| row.iter().zip(image).map(|(w, x)| w * x).sum::<f64>() + bias).collect();
            let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
            loss += (largest + total.ln() - logits[label]) / n;
            for (unit, row) in gradient.chunks_mut(image.len()).enumerate() {
                let error = (logits[unit] - largest).exp() / total - f64::from(u8::from(unit == label));
                row.iter_mut().zip(image).for_each(|(value, x)| *value += error * x / n);
            }
        }
        (loss, gradient)
    }

    fn loss(&self, parameters: &Parameters) -> f64 {
        self.loss_and_gradient(parameters).0
    }
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

/// Returns the mean increase of the loss at ± 0.5 times the first two directions of replicate 1, drawn and scaled here.
fn sharpness(regression: &Regression, end: &Parameters, kept: &[bool], pixels: usize) -> f64 {
    let stream = Stream::of_replicate(1, 1, Purpose::Direction);
    let mut losses = Vec::new();
    for index in 0..2 {
        let mut generator = stream.generator(index);
        let drawn: Vec<f64> = kept.iter().map(|_| generator.normal()).collect();
        let mut direction: Vec<f64> = drawn.iter().zip(kept).map(|(x, &kept)| if kept { *x } else { 0.0 }).collect();
        for (filter, weights) in direction.chunks_mut(pixels).zip(end.weights.chunks(pixels)) {
            let scale = norm(weights.iter().copied()) / norm(filter.iter().copied());
            for value in filter {
                *value *= scale;
            }
        }
        for alpha in [-0.5, 0.5] {
            let weights = end.weights.iter().zip(&direction).map(|(w, d)| w + alpha * d).collect();
            losses.push(regression.loss(&Parameters { weights, ..end.clone() }));
        }
    }
    losses.iter().sum::<f64>() / losses.len() as f64 - regression.loss(end)
}

#[test]
fn landscape_of_a_linear_network_agrees_with_float64() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    let sets = ["network={layers=[{linear={out=10}}]}", "prune={rate={output=0.5}}", "replicates=1", "run.keep='all'"];
    run_ok(SMOKE, runs, &sets);
    landscape_ok(runs, &["smoke", "--points", "3", "--directions", "2"]);
    let run_dir = run_dir(runs);
    let study = study(&smoke_document(&sets));
    let dataset = study.resolved.dataset.load(&study.experiment.data, 1).unwrap();
    let regression = Regression::new(&dataset);
    let pixels = dataset.image_bytes();
    let read = |key: &str, name: &str| fs::read(runs.join("store").join(key).join(name)).unwrap();
    let all = rows(&run_dir, "landscape.csv");
    let theta_0 = tensors_from_bytes(&read(&all[0]["key"], "start.safetensors")).unwrap();
    let shown: Vec<&Row> = all.iter().filter(|row| row["arm"] != "random_reinit").collect();
    assert_eq!(shown.len(), 3, "the dense network and two rounds");
    for row in shown {
        let key = &row["key"];
        let mask: Mask = mask_from_bytes(&read(key, "mask.safetensors")).unwrap();
        let kept = &mask.0[0].kept;
        let mut start = theta_0.clone();
        mask.apply(&mut start);
        let start = Parameters::of(&start);
        let end = Parameters::of(&tensors_from_bytes(&read(key, "final.safetensors")).unwrap());
        let (start_loss, gradient) = regression.loss_and_gradient(&start);
        let kept_gradient = gradient.iter().zip(kept).filter(|(_, kept)| **kept).map(|(value, _)| *value);
        let gradient_norm = norm(kept_gradient);
        let distance = norm(start.weights.iter().zip(&end.weights).map(|(a, b)| b - a));
        let start_norm = norm(start.weights.iter().copied());
        let line = curve(&run_dir, key, "line");
        let expected = [
            ("distance", distance),
            ("start_norm", start_norm),
            ("relative_distance", distance / start_norm),
            ("gradient_norm", gradient_norm),
            ("gradient_rms", gradient_norm / number(row, "weights_kept").sqrt()),
            ("end_loss", regression.loss(&end)),
            ("sharpness", sharpness(&regression, &end, kept, pixels)),
        ];
        for (column, expected) in expected {
            let found = number(row, column);
            assert!((found - expected).abs() < 1e-5 * expected.abs().max(0.1), "{column}: {found} and {expected}");
        }
        let middle = regression.loss(&start.towards(&end, 0.5));
        for (point, expected) in line.iter().zip([start_loss, middle, regression.loss(&end)]) {
            assert!((number(point, "train_loss") - expected).abs() < 1e-5, "{point:?}: {expected}");
        }
        assert_eq!((number(row, "barrier"), number(row, "rise")), (0.0, 0.0), "the loss of one layer is convex");
    }
}

#[test]
fn landscape_refuses_unknown_names_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &["replicates=1"]);
    let error_message = |args: &[&str]| {
        let output = landscape(runs, args);
        assert_eq!((output.status.code(), stdout(&output)), (Some(2), String::new()), "{args:?}");
        stderr(&output)
    };
    assert!(error_message(&["smoke", "--round", "7"]).contains("there is no round 7"));
    assert!(error_message(&["smoke", "--arm", "ticket"]).contains("there is no arm `ticket`"));
    assert!(error_message(&["smkoe"]).contains("there is no run `smkoe`"));
    assert!(error_message(&["smoke", "--points", "1"]).contains("1 is not in 2..=1000"));
    assert!(error_message(&["smoke", "--directions", "0"]).contains("0 is not in 1..=1000"));
    let none = error_message(&["smoke", "--arm", "dense", "--round", "1"]);
    assert!(none.contains("none of the selected training runs is done") && none.contains("hint: "), "{none}");
}

#[test]
fn landscape_appears_in_the_report_with_its_definitions() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path();
    run_ok(SMOKE, runs, &[]);
    let run_dir = run_dir(runs);
    let page = || fs::read_to_string(run_dir.join("report/report.md")).unwrap();
    assert!(page().contains("## Training accuracy as weights are removed"), "{}", page());
    assert!(page().contains("`lth landscape smoke-") && !page().contains("| sharpness"), "{}", page());
    let printed = stdout(&landscape_ok(runs, &["smoke", "--points", "3", "--directions", "1"]));
    assert!(printed.contains("sharpness (nats)") && printed.contains("report in "), "{printed}");
    let page = page();
    for text in ["- sharpness (nats): the mean increase", "and no cause", "| gradient norm |", "300 training images"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    for figure in ["landscape", "landscape_curves", "equal_iterations"] {
        assert!(run_dir.join(format!("report/figures/{figure}.svg")).exists(), "{figure}");
    }
    // The table has the mean over the training runs of the CSV file.
    let dense: Vec<f64> = rows(&run_dir, "landscape.csv")
        .iter()
        .filter(|row| row["arm"] == "dense")
        .map(|row| number(row, "distance"))
        .collect();
    let mean = dense.iter().sum::<f64>() / dense.len() as f64;
    assert!(page.contains(&format!("| dense | 0 | 100% | 2 | {mean:.2} (")), "{mean}: {page}");
}
