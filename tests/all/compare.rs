//! `lth compare` on the real binary.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::*;

fn compare(runs: &Path, args: &[&str]) -> Output {
    lth().current_dir(runs).arg("compare").args(args).env("LTH_RUNS_DIR", runs).output().unwrap()
}

/// Returns a folder with two runs of one replicate that differ in the learning rate and in the name.
fn two() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    run_ok(SMOKE, folder.path(), &["replicates=1", "name=fast", "train.lr=0.01", "report.margin=2.0"]);
    folder
}

#[test]
fn compare_shows_only_values_that_differ() {
    let folder = two();
    let output = compare(folder.path(), &["smoke", "fast"]);
    assert!(output.status.success() && stderr(&output).is_empty(), "{}", stderr(&output));
    let text = stdout(&output);
    let parts: Vec<&str> = text.split("\n\n").collect();
    let [config, results, differences] = parts[..] else { panic!("{text}") };
    let keys: Vec<&str> = config.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(keys, ["differs", "name", "train.lr", "report.margin"], "{text}");
    assert!(config.lines().nth(2).unwrap().split_whitespace().eq(["train.lr", "0.002", "0.01"]), "{text}");
    let lines = results.lines().filter(|line| !line.starts_with('≥')).count();
    assert_eq!(lines, 1 + 2 * 7 + 1, "header, 7 arms and rounds of each, what they are: {text}");
    assert!(results.lines().nth(1).unwrap().starts_with("smoke  dense "), "{text}");
    assert!(differences.starts_with("difference: fast − smoke\n"), "{text}");
    let lines = differences.lines().filter(|line| !line.starts_with('≥')).count();
    assert_eq!(lines, 2 + 7 + 2, "heading, header, 7 arms and rounds, what they are: {text}");

    let json: Value = serde_json::from_slice(&compare(folder.path(), &["smoke", "fast", "--json"]).stdout).unwrap();
    assert_eq!(json["config"][1], serde_json::json!({ "key": "train.lr", "values": [0.002, 0.01] }));
    assert_eq!(json["results"].as_array().unwrap().len(), 14);
}

#[test]
fn compare_filters_and_sorts_results() {
    let folder = two();
    let csv = |args: &[&str]| -> Vec<(String, f64)> {
        let output = compare(folder.path(), &[&["smoke", "fast", "--csv"], args].concat());
        let mut reader = csv::Reader::from_reader(&output.stdout[..]);
        assert_eq!(reader.headers().unwrap().iter().next_back(), Some("train.lr"));
        let rows = reader.records().map(Result::unwrap);
        rows.map(|row| (format!("{} {}", &row[1], &row[2]), row[8].parse().unwrap())).collect()
    };
    let names = |rows: Vec<(String, f64)>| rows.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    let some = csv(&["--arm", "winning_ticket", "--round", "2"]);
    assert_eq!(names(some), ["winning_ticket 2", "winning_ticket 2"]);
    let rising = csv(&["--sort", "final_test_accuracy"]);
    assert!(rising.is_sorted_by(|a, b| a.1 <= b.1) && rising.len() == 14, "{rising:?}");
    assert!(csv(&["--sort", "final_test_accuracy", "--descending"]).is_sorted_by(|a, b| a.1 >= b.1));
    let by_round = names(csv(&["--sort", "round"]));
    assert_eq!(by_round[..2], ["dense 0", "dense 0"], "the same round of both runs side by side");
    let wrong = compare(folder.path(), &["smoke", "fast", "--arm", "ticket"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        stderr(&wrong).contains("no arm `ticket`") && stderr(&wrong).contains("one of: dense"),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn compare_skips_and_names_folders_without_a_run() {
    let folder = two();
    let names: Vec<String> = run_dirs(folder.path()).iter().map(|run_dir| run_dir.display().to_string()).collect();
    let [one, other] = &names[..] else { panic!("{names:?}") };
    // As a shell writes `runs/*`.
    let store = compare(folder.path(), &["store", one, other, one]);
    assert!(store.status.success(), "{}", stderr(&store));
    assert_eq!(stderr(&store), format!("skipped: `store` has no files of a run\nskipped: `{one}` is given already\n"));
    assert_eq!(stdout(&store), stdout(&compare(folder.path(), &[one, other])));

    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    lth::system::files::write(&copy.join("rounds.csv"), b"experiment,arm\na,b,c\n").unwrap();
    let damaged = compare(folder.path(), &[one, "copy", other]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(stderr(&damaged).contains("copy/rounds.csv` is damaged"), "{}", stderr(&damaged));
    assert_eq!(stdout(&damaged), stdout(&store), "the others are compared all the same");
    let lonely = compare(folder.path(), &[one]);
    assert_eq!((lonely.status.code(), stdout(&lonely).as_str()), (Some(2), ""), "one run is no comparison");
    let alone = compare(folder.path(), &[one, "copy"]);
    assert_eq!((alone.status.code(), stdout(&alone).as_str()), (Some(1), ""));
    assert!(stderr(&alone).contains("at least two runs, and 1 could be read"), "{}", stderr(&alone));
    assert_eq!(compare(folder.path(), &[one, "nothing"]).status.code(), Some(2), "a name that means nothing");

    let unknown = Path::new(other).join("resolved.toml");
    lth::system::files::write(&unknown, b"a = = 1").unwrap();
    let unread = compare(folder.path(), &[one, other]);
    assert!(unread.status.success() && stderr(&unread).contains("its configuration is not compared"));
}

#[test]
fn compare_of_a_name_has_all_its_runs_and_what_they_differ_in() {
    let folder = tempfile::tempdir().unwrap();
    for lr in ["2e-3", "0.01", "0.05"] {
        run_ok(SMOKE, folder.path(), &["replicates=2", "rounds=1", &format!("train.lr={lr}")]);
    }
    let text = stdout(&compare(folder.path(), &["smoke", "--arm", "winning_ticket"]));
    for label in ["lr 2e-3  winning_ticket", "lr 0.01  winning_ticket", "lr 0.05  winning_ticket"] {
        assert!(text.contains(label), "{text}");
    }
    assert!(!text.contains("difference"), "only for two runs: {text}");
    let csv = compare(folder.path(), &["smoke", "--arm", "dense", "--csv"]).stdout;
    let mut reader = csv::Reader::from_reader(&csv[..]);
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let [lr, low, mean, high] =
        ["train.lr", "final_test_accuracy_minimum", "final_test_accuracy", "final_test_accuracy_maximum"].map(column);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let mut rates: Vec<&str> = rows.iter().map(|row| &row[lr]).collect();
    rates.sort_unstable();
    assert_eq!(rates, ["0.002", "0.01", "0.05"]);
    let number = |text: &str| text.parse::<f64>().unwrap();
    assert!(rows.iter().all(|row| number(&row[low]) <= number(&row[mean]) && number(&row[mean]) <= number(&row[high])));

    let two = compare(folder.path(), &["smoke@lr=0.01", "smoke@lr=2e-3", "--json"]);
    let json: Value = serde_json::from_slice(&two.stdout).unwrap();
    assert_eq!(json["labels"], serde_json::json!(["lr 0.01", "lr 2e-3"]));
    assert_eq!(json["results"][0]["train.lr"], 0.01);
    let differences = &json["differences"];
    assert_eq!(differences["is_paired"], true);
    let metric = &differences["rows"][0]["metrics"]["final_test_accuracy"];
    assert_eq!(metric["n"], 2, "{differences}");
    let mean_of = |run: usize| json["results"][run * 4]["final_test_accuracy"].as_f64().unwrap();
    assert_eq!(json["results"][4]["arm"], "dense", "4 arms and rounds of each run: {json}");
    assert!((metric["mean"].as_f64().unwrap() - (mean_of(1) - mean_of(0))).abs() < 1e-12, "second minus first");
    assert!(metric["low"].as_f64() < metric["mean"].as_f64() && metric["mean"].as_f64() < metric["high"].as_f64());
}
