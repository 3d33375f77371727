//! The event files of `run.tensorboard`. The real TensorBoard reads them where Python has it.
//!
//! `LTH_TEST_PYTHON`: a Python with the package `tensorboard`; `python3` by default.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lth::system::env;

use crate::support::*;

/// Prints the scalars in a folder as TensorBoard reads them: `{ run: { tag: [[step, wall time, value], …] } }`.
const READ: &str = r#"
import json, sys
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
runs = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(sys.argv[1]).Reload()
scalars = {run: {tag: [[event.step, event.wall_time, event.value] for event in runs.Scalars(run, tag)]
                 for tag in tags["scalars"]} for run, tags in runs.Runs().items()}
json.dump(scalars, sys.stdout)
"#;

/// The scalars of a run as TensorBoard reads them, each as (step, wall time, value), by tag.
type Scalars = BTreeMap<String, Vec<(u64, f64, f64)>>;

/// Points as TensorBoard shows them, by (run, tag, step).
type Points = BTreeMap<(String, String, u64), f64>;

/// Returns the points in a folder as TensorBoard reads them; `None`, after a line that says so, if Python has no
/// TensorBoard.
fn points_of_tensorboard(folder: &Path) -> Option<Points> {
    let python = env::value("LTH_TEST_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let run_python = |code: &str| Command::new(&python).args(["-c", code]).arg(folder).output();
    if !run_python("import tensorboard").is_ok_and(|output| output.status.success()) {
        println!("skipped: {} has no TensorBoard (pip install tensorboard; LTH_TEST_PYTHON)", python.display());
        return None;
    }
    let output = run_python(READ).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let runs: BTreeMap<String, Scalars> = serde_json::from_slice(&output.stdout).unwrap();
    let mut points = Points::new();
    for (run, tags) in runs {
        for (tag, events) in tags {
            for (step, wall_time, value) in events {
                assert_eq!(wall_time, step as f64);
                assert!(points.insert((run.clone(), tag.clone(), step), value).is_none(), "{run} {tag} {step} twice");
            }
        }
    }
    Some(points)
}

/// Returns the points that the CSV files of a run of [`SMOKE`] give.
fn points_of_csv(run_dir: &Path) -> Points {
    // Event files hold float32.
    let number = |text: &str| f64::from(text.parse::<f64>().unwrap() as f32);
    let repeat = |row: &BTreeMap<String, String>| {
        if row["arm"] == "random_reinit" { format!("/repeat_{}", row["repeat"]) } else { String::new() }
    };
    let replicate =
        |row: &BTreeMap<String, String>| format!("{}/replicate_{}{}", row["arm"], row["replicate"], repeat(row));
    let mut points = Points::new();
    for row in rows(run_dir, "curves.csv") {
        let run = format!("{}/round_{}", replicate(&row), row["round"]);
        for score in ["accuracy", "loss"] {
            for images in ["train", "validation", "test"] {
                let point = (run.clone(), format!("{score}/{images}"), row["iteration"].parse().unwrap());
                points.insert(point, number(&row[&format!("{images}_{score}")]));
            }
        }
    }
    let rounds = rows(run_dir, "rounds.csv");
    for row in &rounds {
        let dense = rounds.iter().find(|dense| dense["arm"] == "dense" && dense["replicate"] == row["replicate"]);
        for (round, values) in [("0", dense.unwrap()), (row["round"].as_str(), row)] {
            for column in
                ["weights_remaining", "early_stop_iteration", "early_stop_test_accuracy", "final_test_accuracy"]
            {
                let point = (replicate(row), format!("rounds/{column}"), round.parse().unwrap());
                points.insert(point, number(&values[column]));
            }
        }
    }
    points
}

#[test]
fn tensorboard_reads_every_evaluation_and_every_result() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["run.tensorboard=true"]);
    let run_dir = run_dir(folder.path());
    let expected = points_of_csv(&run_dir);
    // 18 training runs with 7 evaluations of 6 scores; 2 replicates of the dense network with 1 round, and of 4 arms and
    // repeats with 3 rounds, each of 4 results.
    assert_eq!(expected.len(), 18 * 7 * 6 + 2 * (1 + 4 * 3) * 4);
    if let Some(points) = points_of_tensorboard(&run_dir.join("tensorboard")) {
        assert_eq!(points, expected);
    }
}

/// Returns the event files of a run, with their bytes, by their path in the folder of the run.
fn event_files(run_dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = all_files(&run_dir.join("tensorboard")).into_iter();
    files.map(|path| (path.strip_prefix(run_dir).unwrap().to_owned(), fs::read(path).unwrap())).collect()
}

#[test]
fn event_files_are_written_once_with_the_same_bytes_and_removed_with_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let [runs, others] = ["runs", "others"].map(|name| folder.path().join(name));
    run_ok(SMOKE, &runs, &["run.workers=1"]);
    let run_dir = run_dir(&runs);
    assert!(!run_dir.join("tensorboard").exists(), "off by default");
    let rounds = fs::read(run_dir.join("rounds.csv")).unwrap();

    let again = run_ok(SMOKE, &runs, &["run.tensorboard=true"]);
    assert_eq!((finished_count(&again), run_dirs(&runs).len()), (0, 1), "the key changes no training run and no id");
    assert_eq!(fs::read(run_dir.join("rounds.csv")).unwrap(), rounds);
    let files = event_files(&run_dir);
    let names: BTreeSet<&str> = files.keys().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!((files.len(), names), (18 + 10, BTreeSet::from(["events.out.tfevents.0.lth"])));

    let times = |run_dir: &Path| {
        let paths = all_files(&run_dir.join("tensorboard")).into_iter();
        paths.map(|path| (path.clone(), fs::metadata(path).unwrap().modified().unwrap())).collect::<BTreeMap<_, _>>()
    };
    let written = times(&run_dir);
    run_ok(SMOKE, &runs, &["run.tensorboard=true"]);
    assert_eq!(times(&run_dir), written, "files with the right bytes are left alone");

    run_ok(SMOKE, &others, &["run.tensorboard=true", "run.workers=2"]);
    assert!(event_files(&run_dir_named(&others, "smoke")) == files, "the bytes are those of any other run");

    stdout_of(&runs, &["verify", "smoke"]);
    stdout_of(&runs, &["rm", "smoke", "--yes"]);
    assert!(!run_dir.exists());
}
