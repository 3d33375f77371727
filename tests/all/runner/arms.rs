//! Every arm on the real binary: counts, iterations, snapshots after iteration k, and independence of the arms from
//! each other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::*;

/// The checksums [mask, final weights] of each training run, by [arm, replicate, repeat, round].
type Checksums = BTreeMap<[String; 4], [String; 2]>;

/// Returns the checksums of the only run in `runs`.
fn sums(runs: &Path) -> Checksums {
    let sum = |row: &BTreeMap<String, String>| {
        let done = fs::read(runs.join("store").join(&row["key"]).join("done.json")).unwrap();
        let done: serde_json::Value = serde_json::from_slice(&done).unwrap();
        let sha256 = |file: &str| done["files"][file]["sha256"].as_str().unwrap().to_owned();
        let place = ["arm", "replicate", "repeat", "round"].map(|column| row[column].clone());
        (place, [sha256("mask.safetensors"), sha256("final.safetensors")])
    };
    rows(&run_dir(runs), "rounds.csv").iter().map(sum).collect()
}

/// Returns the checksums of a run in a new folder, without results of other runs.
fn sums_of(sets: &[&str]) -> Checksums {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), sets);
    sums(folder.path())
}

#[test]
fn arms_train_as_planned() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [ALL_ARMS, "replicates=2"];
    let plan = plan_of(SMOKE, folder.path(), &sets);
    run_ok(SMOKE, folder.path(), &sets);
    let run_dir = run_dir(folder.path());
    let (rounds, layers, curves) =
        (rows(&run_dir, "rounds.csv"), rows(&run_dir, "layers.csv"), rows(&run_dir, "curves.csv"));
    let planned = plan["rounds"].as_array().unwrap();
    let trainings: u64 = planned.iter().map(|row| row["trainings"].as_u64().unwrap()).sum();
    assert_eq!(rounds.len() as u64, trainings);
    for row in &rounds {
        let name = format!("{} round {}", row["arm"], row["round"]);
        assert_eq!(row["outcome"], "done", "{name}");
        let round: u64 = row["round"].parse().unwrap();
        let is_same_round = |plan: &&serde_json::Value| plan["arm"] == row["arm"] && plan["round"] == round;
        let plan = planned.iter().find(is_same_round).unwrap();
        assert_eq!(plan["weights_kept"].to_string(), row["weights_kept"], "{name}");
        assert_eq!(plan["engine"], row["engine"], "{name}");
        let is_same_training = |other: &&BTreeMap<String, String>| {
            ["arm", "replicate", "repeat", "round"].iter().all(|&column| other[column] == row[column])
        };
        let layers: Vec<_> = layers.iter().filter(is_same_training).collect();
        assert_eq!(layers.len(), 3, "{name}");
        for layer in layers {
            assert_eq!(plan["layers"][&layer["layer"]].to_string(), layer["weights_kept"], "{name} {}", layer["layer"]);
        }
        let first = match row["arm"].as_str() {
            "late_reset" => 40,
            "fine_tuned" => 100,
            "grid_tuned" => 60,
            arm if arm.contains("late") => 30,
            _ => 0,
        };
        assert_eq!(row["iterations"], (120 - first).to_string(), "{name}");
        // Evaluated at its start and at every multiple of 20 after that, the last iteration included.
        let evaluated_at = curves.iter().filter(is_same_training).map(|point| point["iteration"].parse().unwrap());
        let mut expected: Vec<u64> = (0..=120).step_by(20).filter(|&iteration| iteration > first).collect();
        expected.insert(0, first);
        assert_eq!(evaluated_at.collect::<Vec<u64>>(), expected, "{name}");
        assert!(row["early_stop_iteration"].parse::<u64>().unwrap() > first, "{name}");
    }
    let steps: u64 = {
        let mut by_key: BTreeMap<&str, u64> = BTreeMap::new();
        by_key.extend(rounds.iter().map(|row| (row["key"].as_str(), row["iterations"].parse::<u64>().unwrap())));
        by_key.values().sum()
    };
    assert_eq!(plan["iterations_to_go"].as_u64(), Some(steps), "rows that share a key are trained once");
}

const TICKET: &str = "winning_ticket={mask='iterative',weights='rewind'}";
const LATE: &str = "late={mask='iterative',weights='rewind',rewind_to='30it'}";

#[test]
fn rewind_to_k_costs_only_iterations_to_k() {
    let folder = tempfile::tempdir().unwrap();
    let arms_set = |arms: &[&str]| format!("arms={{{}}}", arms.join(","));
    let to_go = |arms: &[&str], rounds: &str| {
        let plan = plan_of(SMOKE, folder.path(), &[&arms_set(arms), "replicates=1", rounds]);
        plan["iterations_to_go"].as_u64().unwrap()
    };
    let trained_count = |arms: &[&str], rounds: &str| {
        finished_count(&run_ok(SMOKE, folder.path(), &[&arms_set(arms), "replicates=1", rounds]))
    };
    assert_eq!((to_go(&[TICKET], "rounds=2"), trained_count(&[TICKET], "rounds=2")), (3 * 120, 3));
    // The dense network trains its first 30 iterations again, for its snapshot; then the two rounds of the new arm
    // train.
    assert_eq!((to_go(&[TICKET, LATE], "rounds=2"), trained_count(&[TICKET, LATE], "rounds=2")), (30 + 2 * 90, 3));
    assert_eq!(to_go(&[TICKET, LATE], "rounds=2"), 0);
    assert_eq!(to_go(&[TICKET, LATE], "rounds=3"), 120 + 90, "the snapshot is stored");
    let state = fs::read_dir(folder.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
    let state = state.map(|entry| entry.join("at-30.safetensors")).find(|path| path.exists()).unwrap();
    let before = fs::read(&state).unwrap();
    fs::remove_file(&state).unwrap();
    assert_eq!(
        (to_go(&[TICKET, LATE], "rounds=2"), trained_count(&[TICKET, LATE], "rounds=2")),
        (0, 0),
        "no training run needs it"
    );
    assert_eq!((to_go(&[TICKET, LATE], "rounds=3"), trained_count(&[TICKET, LATE], "rounds=3")), (30 + 120 + 90, 3));
    assert!(fs::read(&state).unwrap() == before, "the same bytes");
    // The results of these runs together are those of one run with both arms.
    let alone = tempfile::tempdir().unwrap();
    run_ok(SMOKE, alone.path(), &[&arms_set(&[TICKET, LATE]), "replicates=1", "rounds=3"]);
    let name = run_dir(alone.path());
    assert_same(&reproducible_files(&folder.path().join(name.file_name().unwrap())), &reproducible_files(&name));
}

#[test]
fn weights_do_not_depend_on_evaluations_or_workers() {
    let one = ["replicates=1", ALL_ARMS];
    let base = sums_of(&one);
    assert!(base.len() > 50, "{}", base.len());
    for set in ["train.evaluate_every=7", "train.evaluate_every=120", "run.workers=1", "run.workers=5"] {
        let other = sums_of(&[one[0], one[1], set]);
        assert!(other == base, "{set}: {:?}", base.iter().find(|(place, sums)| other[*place] != **sums));
    }
}

#[test]
fn arms_do_not_change_weights_of_others() {
    let all = sums_of(&["replicates=1", ALL_ARMS]);
    let arms = ALL_ARMS.strip_prefix("arms={").unwrap();
    let starts: Vec<usize> = arms.match_indices("={mask").map(|(at, _)| at).collect();
    // Only the first `count` arms: an arm refers only to arms before it, so they are valid without the others.
    for count in [1, 2, 7, 12, 19] {
        let end = arms[..starts[count]].rfind(',').unwrap();
        let some = sums_of(&["replicates=1", &format!("arms={{{}}}", &arms[..end])]);
        assert!(some.len() > count && some.len() < all.len());
        assert!(some.iter().all(|(place, sums)| all[place] == *sums), "{}", &arms[..end]);
    }
    // The order and the names of arms do not change weights either.
    let reordered =
        format!("arms={{other={{mask={{of='b'}},weights='reinit'}},{LATE},b={{mask='iterative',weights='rewind'}}}}");
    for (place, sums) in sums_of(&["replicates=1", &reordered]) {
        let [arm, replicate, repeat, round] = place;
        let arm = if arm == "b" { "winning_ticket".to_owned() } else { arm };
        // Of the rounds of `other`, which is `random_reinit` here, only the even ones are in the experiment with all
        // arms.
        let arm = if arm == "other" && round == "2" { "random_reinit".to_owned() } else { arm };
        if arm != "other" {
            assert_eq!(all[&[arm, replicate, repeat, round]], sums);
        }
    }
}

#[test]
fn resume_of_every_arm_after_kills_gives_same_bytes() {
    let sets = ["replicates=1", ALL_ARMS];
    let alone = tempfile::tempdir().unwrap();
    run_ok(SMOKE, alone.path(), &sets);
    let folder = tempfile::tempdir().unwrap();
    let done = || {
        let entries = fs::read_dir(folder.path().join("store")).into_iter().flatten();
        entries.filter(|entry| entry.as_ref().unwrap().path().join("done.json").exists()).count()
    };
    for more in [1, 2, 9, 9, 9] {
        let until = done() + more;
        let mut command = run_command(SMOKE, folder.path(), &sets);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while done() < until {
            assert!(child.try_wait().unwrap().is_none(), "the run does not end before it is killed");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // The snapshots that other arms start from are missing as well.
    for entry in fs::read_dir(folder.path().join("store")).unwrap() {
        for state in ["at-30.safetensors", "at-40.safetensors"] {
            lth::system::files::remove(&entry.as_ref().unwrap().path().join(state)).unwrap();
        }
    }
    run_ok(SMOKE, folder.path(), &sets);
    assert_same(&reproducible_files(&run_dir(folder.path())), &reproducible_files(&run_dir(alone.path())));
    assert!(sums(folder.path()) == sums(alone.path()));
}

#[test]
fn engines_continue_from_weights_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let arms = "arms={late={mask='iterative',weights='rewind',rewind_to='30it'},\
                tuned={mask={of='late'},weights='final',lr_from='60it'}}";
    let lenet = ["network.architecture=lenet_300_100", "replicates=1", "prune.rate={linear=0.8,output=0.4}", arms];
    let with = |rounds: &'static str| [&lenet[..], &[rounds]].concat();
    let output = run_ok(SMOKE, folder.path(), &with("rounds=2"));
    assert!(stderr(&output).contains("dense and sparse on cpu"), "{}", stderr(&output));
    let at = run_dir(folder.path());
    let engines: Vec<String> = rows(&at, "rounds.csv").iter().map(|row| row["engine"].clone()).collect();
    assert_eq!(engines, ["dense", "sparse", "sparse", "sparse", "sparse"]);
    let page: serde_json::Value = serde_json::from_slice(&fs::read(at.join("run.json")).unwrap()).unwrap();
    assert_eq!((&page["engine"], &page["audit"]["passed"]), (&"dense and sparse".into(), &5.into()));
    // Missing weights are made again by the engine that made them: with the same bytes, or the run would fail.
    let file_of = |arm: &str, round: &str, file: &str| {
        let is_same_round = |row: &&BTreeMap<String, String>| row["arm"] == arm && row["round"] == round;
        let key = rows(&at, "rounds.csv").iter().find(is_same_round).unwrap()["key"].clone();
        folder.path().join("store").join(key).join(file)
    };
    let lost = [file_of("dense", "0", "at-30.safetensors"), file_of("late", "2", "final.safetensors")];
    let first = lost.clone().map(|file| fs::read(file).unwrap());
    for file in &lost {
        fs::remove_file(file).unwrap();
    }
    fs::remove_dir_all(&at).unwrap();
    let set = with("rounds=3");
    let output = run_ok(SMOKE, folder.path(), &[&set[..], &["run.keep=all"]].concat());
    assert_eq!(rows(&run_dir(folder.path()), "rounds.csv").len(), 7, "{}", stderr(&output));
    assert!(lost.map(|file| fs::read(file).unwrap()) == first);
}
