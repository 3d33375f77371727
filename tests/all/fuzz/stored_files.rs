//! Files of the store and of runs: tensors, manifests, curves and CSV files.

use std::path::Path;

use lth::artifacts::{
    CalibrationRow, ClassAccuracyRow, CurveRow, DeviceKind, EntryManifest, FileChecksum, LandscapeCurveRow,
    LandscapeRow, LayerRow, ProgressLabel, RobustnessRow, RoundRow, RunManifest, StabilityRow, Timing, TimingRow,
    TrainingPlace, WeightRow, from_csv, mask_from_bytes, mask_to_bytes, progress_from_bytes, progress_to_bytes,
    snapshot_from_bytes, snapshot_to_bytes, tensors_from_bytes, tensors_to_bytes, to_csv,
};
use lth::base::curve::{Curve, Evaluation, Score};
use lth::base::key::sha256;
use lth::base::mask::{LayerMask, Mask};
use lth::base::outcome::Outcome;
use lth::base::tensors::{LaneState, NamedTensor, Snapshot, TensorMap};
use lth::train::TrainingProgress;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::synthetic_run::SyntheticRun;
use super::{Target, temporary_folder, write};

fn weights() -> TensorMap {
    let tensor = |name: &str, shape: &[usize], values: &[f32]| NamedTensor {
        name: name.into(),
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    TensorMap(vec![
        tensor("output.weight", &[2, 3], &[0.5, -1.0, 2.0, f32::NAN, 0.0, 1e-40]),
        tensor("output.bias", &[2], &[0.0, 1.0]),
    ])
}

/// Returns a snapshot with as many moments as an optimizer has.
fn snapshot(moments: usize) -> Snapshot {
    let buffers = TensorMap(vec![NamedTensor { name: "bn.mean".into(), shape: vec![1], values: vec![0.5] }]);
    let scores = TensorMap(weights().0.into_iter().take(1).collect());
    let moments = vec![weights(); moments];
    Snapshot { weights: weights(), moments, iteration: 7, optimizer_steps: 5, buffers, scores }
}

fn mask() -> Mask {
    let kept = (0..19).map(|i| i % 3 == 0).collect();
    Mask(vec![LayerMask { name: "output.weight".into(), shape: vec![19], kept }])
}

/// Makes the length of the header of a safetensors file right: that of the first text in braces.
fn mend_safetensors(bytes: &mut [u8]) {
    let mut depth = 0_i64;
    let end = bytes.iter().skip(8).position(|byte| {
        depth += i64::from(*byte == b'{') - i64::from(*byte == b'}');
        depth == 0
    });
    if let (Some(end), Some(header)) = (end, bytes.first_chunk_mut::<8>()) {
        *header = (end as u64 + 1).to_le_bytes();
    }
}

/// Words of the headers of safetensors files.
const TENSOR_WORDS: [&str; 14] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    "\"dtype\":\"F32\"",
    "\"dtype\":\"U8\"",
    "\"shape\":[4294967296,4294967296]",
    "\"shape\":[]",
    "\"data_offsets\":[0,0]",
    "__metadata__",
    "\\\"moments\\\":18446744073709551615",
    "\\\"buffers\\\":9",
];

fn fuzz_tensors(name: &str, corpus: Vec<Vec<u8>>, read: &dyn Fn(&[u8]) -> bool) {
    let words = &TENSOR_WORDS;
    Target { name, corpus, words, mend: mend_safetensors, read, max_memory: 16 << 20, ..Target::default() }.fuzz();
}

#[test]
fn fuzz_tensor_files() {
    let corpus = vec![tensors_to_bytes(&weights()).unwrap(), tensors_to_bytes(&TensorMap(Vec::new())).unwrap()];
    fuzz_tensors("tensors", corpus, &|bytes| tensors_from_bytes(bytes).is_ok());
}

#[test]
fn fuzz_mask_files() {
    fuzz_tensors("masks", vec![mask_to_bytes(&mask()).unwrap()], &|bytes| mask_from_bytes(bytes).is_ok());
}

#[test]
fn fuzz_snapshot_files() {
    let corpus = (0..3).map(|moments| snapshot_to_bytes(&snapshot(moments)).unwrap()).collect();
    fuzz_tensors("snapshots", corpus, &|bytes| snapshot_from_bytes::<f32>(bytes).is_ok());
}

/// Makes the checksum of a progress snapshot right: the end of the first line.
fn mend_progress(bytes: &mut [u8]) {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return };
    let (line, body) = bytes.split_at_mut(end);
    if let (Some(checksum), Some((_, body))) = (line.last_chunk_mut::<64>(), body.split_first()) {
        checksum.copy_from_slice(sha256(body).as_bytes());
    }
}

#[test]
fn fuzz_progress_snapshots() {
    let state = |moments| TrainingProgress {
        state: LaneState::Float32(snapshot(moments)),
        curve: Curve(Vec::new()),
        snapshots: vec![snapshot(moments); 2],
        masks: None,
        diverged_at: None,
    };
    let bytes = |moments| {
        let label = ProgressLabel {
            key: "ab".repeat(32).parse().unwrap(),
            training: "dense round 0 replicate 1".into(),
            copy_of: Some("cd".repeat(32)),
            last_iteration: 9,
            place: TrainingPlace { lanes: 2, lane: 1, device: DeviceKind::Cpu.into() },
            seconds: 1.5,
        };
        progress_to_bytes(label, &state(moments)).unwrap()
    };
    let corpus = vec![bytes(0), bytes(1), bytes(2)];
    let words = ["\n", "[", "]", ",", "18446744073709551615", "-1", "null", "\"float64\"", "\"parts\":[9]", "1e999"];
    let read = |bytes: &[u8]| progress_from_bytes(bytes).is_ok();
    Target { name: "progress", corpus, words: &words, mend: mend_progress, read: &read, ..Target::default() }.fuzz();
}

/// Reads mutated CSV files with rows of type `R`.
fn fuzz_csv<R: Serialize + DeserializeOwned + Default + Clone>(name: &str) {
    let corpus = vec![to_csv::<R>(&[]).unwrap(), to_csv(&vec![R::default(); 3]).unwrap()];
    let words = [",", "\n", "\"", "\r\n", "\u{1a}", "-1", "1e999", "NaN", "true", "\u{feff}", ",,,,", "dense", "done"];
    Target { name, corpus, words: &words, read: &|bytes| from_csv::<R>(bytes).is_ok(), ..Target::default() }.fuzz();
}

#[test]
fn fuzz_csv_files() {
    fuzz_csv::<CurveRow>("curves.csv");
    fuzz_csv::<LayerRow>("layers.csv");
    fuzz_csv::<RoundRow>("rounds.csv");
    fuzz_csv::<StabilityRow>("stability.csv");
    fuzz_csv::<LandscapeRow>("landscape.csv");
    fuzz_csv::<LandscapeCurveRow>("landscape_curves.csv");
    fuzz_csv::<RobustnessRow>("robustness.csv");
    fuzz_csv::<CalibrationRow>("calibration.csv");
    fuzz_csv::<ClassAccuracyRow>("class_accuracy.csv");
    fuzz_csv::<TimingRow>("timings.csv");
    fuzz_csv::<WeightRow>("weights.csv");
}

/// Reads mutated JSON files with a value of type `T`.
fn fuzz_json<T: DeserializeOwned>(name: &str, valid: &[u8]) {
    let words = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "null",
        "true",
        "1e999",
        "-0",
        "\\u0000",
        "\\ud800",
        "[[[[[[[[[[",
        "{\"a\":",
    ];
    let read = |bytes: &[u8]| serde_json::from_slice::<T>(bytes).is_ok();
    Target { name, corpus: vec![valid.to_vec()], words: &words, read: &read, ..Target::default() }.fuzz();
}

#[test]
fn fuzz_json_files() {
    let manifest = EntryManifest {
        drawn_at: None,
        format: EntryManifest::FORMAT,
        key: "ab".repeat(32).parse().unwrap(),
        content: json!({ "a": [1, 2.5, { "b": null }] }),
        outcome: Outcome::Done,
        weights_kept: vec![5, 7],
        files: [("mask.safetensors".to_owned(), FileChecksum::of(b"mask"))].into(),
    };
    fuzz_json::<EntryManifest>("done.json", &serde_json::to_vec(&manifest).unwrap());
    let timing = Timing { seconds: 1.5, iterations_per_second: 3.0, host: "a".into(), lanes: 2 };
    fuzz_json::<Timing>("timing.json", &serde_json::to_vec(&timing).unwrap());
    let score = Score { loss: 2.25, accuracy: 0.1 };
    let evaluation = Evaluation { iteration: 100, train: score, validation: score, test: score };
    fuzz_json::<Curve>("curve.json", &serde_json::to_vec(&Curve(vec![evaluation; 3])).unwrap());
    let folder = temporary_folder();
    write_run(folder.path());
    fuzz_json::<RunManifest>("run.json", &std::fs::read(folder.path().join("run.json")).unwrap());
}

/// Writes the files of a small run.
fn write_run(folder: &Path) {
    let arms = &[("ticket", 1, 0.001), ("reinit", 2, 0.01)];
    SyntheticRun { arms, replicates: 2, rounds: 2, evaluations: 5, with_weights: true }.write(folder);
}

/// Reads a run with a mutated file as `lth show`, `lth runs` and `lth report` do.
fn fuzz_run(name: &str, tenths: u64) {
    let runs = temporary_folder();
    let folder = runs.path().join("made_up-12345678");
    write_run(&folder);
    let path = folder.join(name);
    let corpus = vec![std::fs::read(&path).unwrap()];
    let read = |bytes: &[u8]| {
        write(&path, bytes);
        let Ok(run) = lth::open_run(&folder) else { return false };
        let _ = (run.run().state(), run.run().test_note(), run.run().experiment());
        match run.analysis() {
            Ok(analysis) => {
                !analysis.answer_lines().iter().any(|line| line.contains('\u{1b}')) || bytes.contains(&0x1B)
            }
            Err(_) => false,
        }
    };
    let words =
        [",", "\n", "\"", "-1", "1e999", "NaN", "inf", "dense", "done", "4294967295", "18446744073709551615", "\u{1b}"];
    Target {
        name: &format!("run with {name}"),
        corpus,
        words: &words,
        read: &read,
        max_memory: 128 << 20,
        tenths,
        ..Target::default()
    }
    .fuzz();
}

#[test]
fn fuzz_run_folder() {
    for name in ["rounds.csv", "curves.csv", "layers.csv", "weights.csv", "resolved.toml", "run.json"] {
        fuzz_run(name, 1);
    }
}
