//! Runs of one name: how they are listed, selected and told apart, what running one again records, and how runs are
//! deleted.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::*;

/// A tiny version of the smoke experiment: one replicate of one round.
const TINY: [&str; 3] = ["replicates=1", "rounds=1", "train.iterations=40"];

fn tiny(runs: &Path, more: &[&str]) {
    run_ok(SMOKE, runs, &[&TINY[..], more].concat());
}

/// Returns the folder of the run whose resolved configuration has this line.
fn run_with(runs: &Path, line: &str) -> PathBuf {
    let has_line = |run_dir: &PathBuf| fs::read_to_string(run_dir.join("resolved.toml")).unwrap().contains(line);
    run_dirs(runs).into_iter().find(has_line).unwrap()
}

fn name(run_dir: &Path) -> &str {
    run_dir.file_name().unwrap().to_str().unwrap()
}

/// Changes the time at which a run was begun, written in seconds since 1970 as earlier versions did.
fn set_started(run_dir: &Path, seconds: u64) {
    let path = run_dir.join("run.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest["commands"][0]["started"] = seconds.into();
    lth::system::files::write(&path, manifest.to_string().as_bytes()).unwrap();
}

/// Returns a folder with two runs that differ in the learning rate; the second one is older.
fn two_rates() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    tiny(folder.path(), &["train.lr=0.01"]);
    let (usual, fast) = (run_with(folder.path(), "\nlr = 0.002"), run_with(folder.path(), "\nlr = 0.01"));
    set_started(&usual, 2_000_000_000);
    set_started(&fast, 1_000_000_000);
    (folder, usual, fast)
}

#[test]
fn runs_are_listed_newest_last_with_what_they_differ_in() {
    let (folder, usual, fast) = two_rates();
    let text = stdout_of(folder.path(), &["runs"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with(name(&fast)) && lines[1].ends_with("  lr 0.01"), "{text}");
    assert!(lines[1].contains("  2001-09-0"), "the date: {text}");
    assert!(lines[2].starts_with(name(&usual)) && lines[2].ends_with("  lr 2e-3"), "{text}");
    let json: Value = serde_json::from_str(&stdout_of(folder.path(), &["runs", "--json"])).unwrap();
    assert_eq!(json[0]["settings"], serde_json::json!({ "train.lr": 0.01 }));
    assert_eq!(
        (json[0]["started"].as_str(), json[1]["label"].as_str()),
        (Some("2001-09-09T01:46:40Z"), Some("lr 2e-3"))
    );
}

#[test]
fn name_of_several_runs_means_the_newest() {
    let (folder, usual, fast) = two_rates();
    let newest = lth_in(folder.path(), &["show", "smoke"]);
    let note = format!("note: `smoke` is 2 runs; showing the newest, {}\n", name(&usual));
    assert_eq!((newest.status.code(), stderr(&newest)), (Some(0), note));
    assert_eq!(stdout(&newest), stdout_of(folder.path(), &["show", name(&usual)]));
    let selected = lth_in(folder.path(), &["show", "smoke@lr=1e-2"]);
    assert_eq!(
        (stdout(&selected), stderr(&selected)),
        (stdout_of(folder.path(), &["show", name(&fast)]), String::new())
    );
    let id = &name(&fast)["smoke-".len()..];
    assert_eq!(stdout_of(folder.path(), &["show", &id[..6]]), stdout(&selected), "by the beginning of the id");
}

#[test]
fn missing_and_ambiguous_runs_are_usage_errors() {
    let (folder, usual, fast) = two_rates();
    for args in [
        &["show", "nothing"][..],
        &["compare", "nothing", "smoke"],
        &["report", "nothing"],
        &["clean", "nothing"],
        &["rm", "nothing", "--yes"],
        &["show", "smoke@lr=5"],
        &["show", "smoke@lr"],
        &["compare", "smoke@lr=0.01"],
    ] {
        let output = lth_in(folder.path(), args);
        assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(2), ""), "{args:?}: {}", stderr(&output));
        assert!(
            stderr(&output).starts_with("error: ") && stderr(&output).contains("\n\nhint: "),
            "{}",
            stderr(&output)
        );
    }
    let ambiguous = lth_in(folder.path(), &["rm", "smoke", "--yes"]);
    let message = stderr(&ambiguous);
    assert_eq!(ambiguous.status.code(), Some(2), "{message}");
    assert!(message.starts_with("error: `smoke` is ambiguous: 2 runs\n\nhint: name one of them:\n"), "{message}");
    let listed: Vec<&str> = message.lines().skip(3).collect();
    assert!(listed[0].contains(name(&fast)) && listed[0].ends_with("lr 0.01"), "{message}");
    assert!(listed[1].contains(name(&usual)) && listed[1].ends_with("lr 2e-3"), "{message}");
    assert_eq!(run_dirs(folder.path()).len(), 2, "nothing was deleted");
}

#[test]
fn report_of_a_name_has_all_its_runs() {
    let (folder, usual, fast) = two_rates();
    let out = folder.path().join("page");
    stdout_of(folder.path(), &["report", "smoke", "--out", out.to_str().unwrap()]);
    let page = fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains(name(&usual)) && page.contains(name(&fast)), "{page}");
}

#[test]
fn superseded_and_archived_runs_are_folded() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let first = run_dir(folder.path());
    set_started(&first, 1_000_000_000);
    // The second run has all training runs of the first, and more.
    tiny(folder.path(), &["rounds=2"]);
    let text = stdout_of(folder.path(), &["runs"]);
    assert!(!text.contains(name(&first)), "{text}");
    assert!(text.ends_with("1 superseded run (--all shows them)\n"), "{text}");
    let all = stdout_of(folder.path(), &["runs", "--all"]);
    let line = all.lines().find(|line| line.starts_with(name(&first))).unwrap();
    assert!(line.contains("superseded by smoke-"), "{all}");
    let compared = lth_in(folder.path(), &["compare", "smoke"]);
    assert!(stderr(&compared).contains(&format!("note: {} is left out", name(&first))), "{}", stderr(&compared));

    let mut command = run_command(SMOKE, folder.path(), &[&TINY[..], &["rounds=2"]].concat());
    assert!(command.arg("--fresh").output().unwrap().status.success());
    let text = stdout_of(folder.path(), &["runs"]);
    assert!(!text.contains(".old-1") && text.contains("1 archived run (--all shows them)"), "{text}");
    assert!(stdout_of(folder.path(), &["runs", "--all"]).contains(".old-1"));
}

#[test]
fn running_again_overwrites_no_provenance() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &["train.lr=0.01"]);
    let run_dir = run_dir(folder.path());
    let read = |file: &str| fs::read_to_string(run_dir.join(file)).unwrap();
    let (config, resolved) = (read("config.toml"), read("resolved.toml"));
    let comment = config.lines().next().unwrap();
    assert!(
        comment.starts_with("# Run with: --set replicates=1 ") && comment.contains("train.lr=0.01. `resolved"),
        "{comment}"
    );
    assert!(config.ends_with(&fs::read_to_string(SMOKE).unwrap()));

    let again = run_ok(run_dir.join("resolved.toml").to_str().unwrap(), folder.path(), &[]);
    assert_eq!(finished_count(&again), 0);
    assert_eq!((read("config.toml"), read("resolved.toml")), (config.clone(), resolved.clone()));
    let manifest: Value = serde_json::from_str(&read("run.json")).unwrap();
    let commands = manifest["commands"].as_array().unwrap();
    assert_eq!(commands.len(), 2, "{manifest}");
    assert!(commands[0]["command"].as_str().unwrap().contains("--set train.lr=0.01"));
    assert!(commands[1]["command"].as_str().unwrap().contains("resolved.toml"));
    for command in commands {
        let (started, finished) = (&command["started"], &command["finished"]);
        assert!(is_iso_time(started) && is_iso_time(finished) && started.as_str() <= finished.as_str(), "{command}");
    }

    // A setting of the report changes, and only that.
    run_ok(run_dir.join("resolved.toml").to_str().unwrap(), folder.path(), &["report.margin=3.0"]);
    assert!(read("resolved.toml").contains("margin = 3.0  # --set report.margin=3.0"), "{}", read("resolved.toml"));
    assert!(read("resolved.toml").contains("lr = 0.01  # --set train.lr=0.01"), "{}", read("resolved.toml"));
    assert_eq!(read("config.toml"), config);
}

#[test]
fn manifest_of_older_version_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let path = run_dir(folder.path()).join("run.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    manifest.as_object_mut().unwrap().remove("commands");
    manifest["command"] = "lth run old.toml".into();
    manifest["written"] = 1_000_000_000.into();
    lth::system::files::write(&path, manifest.to_string().as_bytes()).unwrap();
    let json: Value = serde_json::from_str(&stdout_of(folder.path(), &["runs", "--json"])).unwrap();
    let written = Some("2001-09-09T01:46:40Z");
    assert_eq!((json[0]["state"].as_str(), json[0]["started"].as_str()), (Some("finished"), written));
    assert_eq!(json[0]["written"].as_str(), written);
    tiny(folder.path(), &[]);
    let manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(manifest["commands"][0]["command"], "lth run old.toml");
    assert_eq!(manifest["commands"].as_array().unwrap().len(), 2);
    assert!(is_iso_time(&manifest["written"]) && is_iso_time(&manifest["commands"][1]["started"]), "{manifest}");
}

#[test]
fn rm_deletes_runs_and_clean_their_orphans() {
    let (folder, usual, fast) = two_rates();
    let runs = folder.path();
    let store_size = || fs::read_dir(runs.join("store")).unwrap().count();
    let before = store_size();
    let selected = ["rm", "smoke@lr=0.01"];
    let dry = stdout_of(runs, &[&selected[..], &["--dry-run"]].concat());
    assert!(dry.contains(name(&fast)) && dry.contains("1 run, ") && dry.contains(" would be deleted"), "{dry}");
    let refused = lth_in(runs, &selected);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("no terminal to ask on\n\nhint: use `--yes`"), "{}", stderr(&refused));
    assert!(fast.exists());
    assert!(stdout_of(runs, &[&selected[..], &["--yes"]].concat()).starts_with("deleted 1 run, "));
    assert!(!fast.exists() && usual.exists());
    assert_eq!(store_size(), before, "the training runs stay in the store");

    let dry = stdout_of(runs, &["clean", "--orphans", "--dry-run"]);
    assert!(dry.contains("training runs that belong to no run (5 training runs)"), "{dry}");
    assert_eq!(store_size(), before);
    let refused = lth_in(runs, &["clean", "--orphans"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let done = stdout_of(runs, &["clean", "--orphans", "--yes"]);
    assert!(done.contains("deleted 0 files and 5 training runs, "), "{done}");
    assert_eq!(store_size(), before - 5);
    tiny(runs, &[]);
    assert!(stdout_of(runs, &["clean", "--orphans"]).starts_with("nothing to delete in "));
}

#[test]
fn rm_removes_archived_runs_and_refuses_running_ones() {
    let folder = tempfile::tempdir().unwrap();
    tiny(folder.path(), &[]);
    let mut command = run_command(SMOKE, folder.path(), &TINY);
    assert!(command.arg("--fresh").output().unwrap().status.success());
    let archived = run_dirs(folder.path()).into_iter().find(|run_dir| name(run_dir).ends_with(".old-1")).unwrap();
    assert!(stdout_of(folder.path(), &["clean", "--orphans", "--dry-run"]).contains("--fresh has archived"));
    stdout_of(folder.path(), &["rm", name(&archived), "--yes"]);
    assert!(!archived.exists());
    let dry = stdout_of(folder.path(), &["clean", "--orphans", "--yes"]);
    assert!(dry.contains("5 training runs") && !folder.path().join("store/old-1").exists(), "{dry}");

    let run_dir = run_dir(folder.path());
    let lock = folder.path().join(".locks").join(format!("{}.run", name(&run_dir)));
    let _running = lth::system::files::Lock::try_shared(&lock).unwrap().unwrap();
    let refused = lth_in(folder.path(), &["rm", "smoke", "--yes"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("is running; nothing was deleted"), "{}", stderr(&refused));
    assert!(run_dir.exists());
}
