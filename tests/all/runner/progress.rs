//! Resume inside training runs: whatever an interrupted run is made of, it ends with the bytes of an uninterrupted one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lth::Event;
use lth::system::cancel::CancelToken;
use lth::system::files;

use crate::support::{lth_in, results, stdout};

/// A tiny experiment with a ticket, a control, two replicates, and training runs of 50 iterations.
const CONFIG: &str = r#"
name = "progress"
rounds = 1
replicates = 2
[data]
dataset = "strokes"
train_images = 120
test_images = 30
validation = 30
[network]
architecture = { mlp = { hidden = [12] } }
[train]
iterations = 50
evaluate_every = 20
batch_size = 16
optimizer = "adam"
lr = 0.01
[prune]
rate = { linear = 0.5 }
[arms.ticket]
mask = "iterative"
weights = "rewind"
[arms.reinit]
mask = { of = "ticket" }
weights = "reinit"
"#;

/// The override for a small network with convolution, batch norm and dropout.
const CONV: &str = "network={layers=[{conv={out=3}},'batch_norm','relu',{max_pool={size=4}},'flatten',\
                    {dropout={rate=0.3}},{linear={out=10}}]}";

/// Runs the experiment until it is done. With `stop_after`, each attempt is cancelled when its workers have reported that
/// many times that they took steps (they do every 16 iterations). Returns the number of attempts and the messages.
fn run(sets: &[&str], runs: &Path, stop_after: Option<usize>) -> (usize, Vec<String>) {
    let messages = Mutex::new(Vec::new());
    for attempt in 1..200 {
        let cancel = CancelToken::default();
        let reports = AtomicUsize::new(0);
        let sink = |event: &Event<'_>| match event {
            Event::Stepped { .. } if Some(reports.fetch_add(1, Ordering::Relaxed) + 1) == stop_after => cancel.cancel(),
            Event::Message(text) => messages.lock().unwrap().push((*text).to_owned()),
            _ => {}
        };
        let run = lth::open(CONFIG, sets).unwrap().run_until(runs, &sink, &cancel).unwrap();
        if !cancel.is_cancelled() {
            let manifest = run.run().manifest.as_ref().unwrap();
            let ended = run.rows().len() + manifest.blocked.len();
            assert_eq!(ended, manifest.trainings, "{sets:?}: every training run has a result");
            return (attempt, messages.into_inner().unwrap());
        }
    }
    panic!("the run does not end");
}

/// Checks that a run of these overrides that is interrupted again and again ends with the bytes of an uninterrupted one.
fn check(sets: &[&str]) {
    check_interrupted(sets, 5);
}

/// Like [`check`], for a run that is interrupted at least `count` times. Returns the folder of the uninterrupted run.
fn check_interrupted(sets: &[&str], count: usize) -> tempfile::TempDir {
    let [whole, interrupted] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    run(sets, whole.path(), None);
    let (attempts, messages) = run(sets, interrupted.path(), Some(2));
    assert!(attempts > count, "{sets:?}: {attempts} attempts");
    let resumed = messages.iter().filter(|text| text.contains(": resumed at iteration ")).count();
    assert!(resumed > count / 2, "{sets:?}: {messages:?}");
    let [expected, found] = [&whole, &interrupted].map(|folder| results(folder.path()));
    assert!(expected.keys().eq(found.keys()), "{sets:?}: nothing is left over");
    for (name, bytes) in &expected {
        assert!(*bytes == found[name], "{sets:?}: {} differs", name.display());
    }
    whole
}

#[test]
fn resumed_training_equals_uninterrupted_for_every_optimizer_on_both_engines() {
    for engine in ["run.engine=dense", "run.engine=sparse"] {
        for optimizer in [
            vec!["train.optimizer=adam"],
            vec!["train.optimizer=adamw", "train.weight_decay=0.01"],
            vec!["train.optimizer=sgd", "train.momentum=0.9", "train.nesterov=true", "train.weight_decay=0.001"],
            vec!["train.optimizer=sgd"],
        ] {
            check(&[vec![engine], optimizer].concat());
        }
    }
}

#[test]
fn resumed_training_equals_uninterrupted_for_every_schedule_and_rewind_point() {
    check(&["train.schedule=cosine", "train.warmup=10it", "run.engine=sparse"]);
    check(&["train.schedule=multi_step", "train.milestones=['20it','35it']", "train.gamma=0.1", "run.engine=dense"]);
    // θₖ is taken before, at and after the interruptions, with the optimizer's moments.
    let rewind = |at: &str| {
        format!(
            "arms={{ticket={{mask='iterative',weights='rewind',rewind_to='{at}'}},\
             reinit={{mask={{of='ticket'}},weights='reinit'}}}}"
        )
    };
    for at in ["5it", "32it", "40it"] {
        check(&[&rewind(at), "run.engine=dense"]);
    }
}

#[test]
fn resumed_training_equals_uninterrupted_with_dropout_augmentation_batch_norm_and_lanes() {
    let augmented = [CONV, "data.augment={flip=true,crop=2}", "train.label_smoothing=0.1", "train.clip_norm=0.5"];
    check(&augmented);
    check(&[&augmented[..], &["run.lanes=3"]].concat());
    check(&["run.lanes=2", "train.optimizer=sgd", "train.momentum=0.9"]);
}

#[test]
fn resumed_training_equals_uninterrupted_with_masks_that_change() {
    let arms = "arms={ticket={mask='iterative',weights='rewind'},\
                set={mask={at_init={method='random',like='ticket'}},mask_updates={method='set',every='7it'},weights='rewind'},\
                rigl={mask={at_init={method='random',like='ticket'}},mask_updates={method='rigl',every='5it',until=1.0},\
                weights='rewind',length=2},\
                gmp={mask='dense',mask_updates={method='gmp',like='ticket',every='3it'},weights='rewind'},\
                reinit={mask={of='rigl'},weights='reinit'}}";
    check(&[arms, "run.engine=dense"]);
    let supermasks = "arms={ticket={mask='iterative',weights='rewind'},\
                      edge={mask={at_init={method='random',like='ticket'}},mask_updates={method='edge_popup'},weights='rewind'},\
                      drawn={mask='dense',mask_updates={method='bernoulli',lr=0.1},weights='constant_sign'}}";
    check(&[supermasks]);
    check(&[supermasks, CONV, "run.lanes=3", "train.optimizer=sgd", "train.momentum=0.9"]);
    check(&[arms, "run.engine=sparse", "train.schedule=cosine"]);
    check(&[arms, CONV, "run.lanes=3", "train.optimizer=sgd", "train.momentum=0.9"]);
    check(&[arms, "train.dtype=float64"]);
}

#[test]
fn resumed_training_equals_uninterrupted_in_float64() {
    check(&["train.dtype=float64"]);
    check(&["train.dtype=float64", CONV, "run.lanes=2"]);
}

/// A network that had diverged before a rewind point made the progress of its whole lockstep group unusable.
#[test]
fn group_with_a_network_that_diverged_before_a_rewind_point_resumes() {
    let arm = "arms={late={mask='iterative',weights='rewind',rewind_to='45it'}}";
    let mut diverged = 0;
    // At these learning rates one of four dense networks diverges; which one may depend on the processor.
    for lr in [200, 250, 300] {
        let lr = format!("train.lr={lr}");
        let sets = [arm, "train.optimizer=sgd", &lr, "replicates=4", "run.lanes=4", "run.snapshot_every=0.001s"];
        let runs = check_interrupted(&sets, 2);
        for entry in files::list(&runs.path().join("store")).unwrap() {
            let manifest = fs::read_to_string(entry.join("done.json")).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
            let iteration = manifest["outcome"]["diverged"]["iteration"].as_u64();
            diverged += usize::from(iteration.is_some_and(|iteration| iteration < 45));
        }
    }
    assert!(diverged > 0, "no network diverged before the rewind point");
}

/// As if the process had been killed between the progress snapshots of two lanes.
#[test]
fn group_whose_newest_snapshots_are_not_complete_resumes_at_the_ones_before() {
    let sets = ["rounds=0", "run.workers=1", "run.lanes=2", "run.snapshot_every=0.001s"];
    let whole = tempfile::tempdir().unwrap();
    run(&sets, whole.path(), None);
    let runs = tempfile::tempdir().unwrap();
    interrupt(&sets, runs.path(), 2);
    let entries = fs::read_dir(runs.path().join("store")).unwrap().map(|entry| entry.unwrap().path());
    let [first, second] = entries.collect::<Vec<_>>().try_into().expect("two lanes");
    let [older, newest] = snapshots(&first).try_into().expect("the last two");
    assert_eq!(snapshots(&second)[1].file_name(), newest.file_name(), "all lanes are saved at one iteration");
    fs::remove_file(&newest).unwrap();
    let (_, messages) = run(&sets, runs.path(), None);
    let older = older.file_stem().unwrap().to_string_lossy().replace("progress-", "");
    assert!(messages[0].ends_with(&format!(": resumed at iteration {older} of 50")), "{messages:?}");
    assert!(results(runs.path()) == results(whole.path()));
}

/// Interrupts a run of these overrides when its workers have reported `stop_after` times that they took steps.
fn interrupt(sets: &[&str], runs: &Path, stop_after: usize) {
    let cancel = CancelToken::default();
    let reports = AtomicUsize::new(0);
    let sink = |event: &Event<'_>| {
        if matches!(event, Event::Stepped { .. }) && reports.fetch_add(1, Ordering::Relaxed) + 1 == stop_after {
            cancel.cancel();
        }
    };
    lth::open(CONFIG, sets).unwrap().run_until(runs, &sink, &cancel).unwrap();
}

/// Interrupts a run with one dense network, and returns the folder of its entry.
fn interrupted(runs: &Path, stop_after: usize) -> PathBuf {
    interrupt(&ONE, runs, stop_after);
    fs::read_dir(runs.join("store")).unwrap().next().unwrap().unwrap().path()
}

/// Overrides that leave one dense network in one worker, with a snapshot after each step.
const ONE: [&str; 4] = ["replicates=1", "rounds=0", "run.workers=1", "run.snapshot_every=0.001s"];

fn snapshots(entry: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(entry).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "snapshot")).collect();
    paths.sort();
    paths
}

#[test]
fn last_two_snapshots_are_kept_and_a_damaged_newest_falls_back_to_the_other() {
    let whole = tempfile::tempdir().unwrap();
    lth::open(CONFIG, &ONE).unwrap().run(whole.path(), &|_: &Event<'_>| {}).unwrap();
    for damage in ["cut", "flip", "empty", "swap"] {
        let runs = tempfile::tempdir().unwrap();
        let entry = interrupted(runs.path(), 2);
        let [older, newest] = snapshots(&entry).try_into().expect("the last two");
        assert!(newest.ends_with("progress-32.snapshot"), "{}", newest.display());
        let bytes = fs::read(&newest).unwrap();
        let damaged = match damage {
            "cut" => bytes[..bytes.len() - 100].to_vec(),
            "flip" => bytes.iter().enumerate().map(|(i, byte)| byte ^ u8::from(i == bytes.len() / 2)).collect(),
            "empty" => Vec::new(),
            _ => fs::read(&older).unwrap(),
        };
        files::write(&newest, &damaged).unwrap();
        let messages = Mutex::new(Vec::new());
        let sink = |event: &Event<'_>| {
            if let Event::Message(text) = event {
                messages.lock().unwrap().push((*text).to_owned());
            }
        };
        lth::open(CONFIG, &ONE).unwrap().run(runs.path(), &sink).unwrap();
        let messages = messages.into_inner().unwrap();
        let older = older.file_stem().unwrap().to_string_lossy().replace("progress-", "");
        assert!(messages[0].contains("progress-32.snapshot` is removed and not used: "), "{damage}: {messages:?}");
        assert_eq!(messages[1], format!("dense round 0 replicate 1: resumed at iteration {older} of 50"), "{damage}");
        assert!(results(runs.path()) == results(whole.path()), "{damage}");
    }
}

#[test]
fn snapshots_of_a_done_training_run_are_removed() {
    let runs = tempfile::tempdir().unwrap();
    let entry = interrupted(runs.path(), 2);
    let [_, snapshot] = snapshots(&entry).try_into().unwrap();
    let bytes = fs::read(&snapshot).unwrap();
    let run = || lth::open(CONFIG, &ONE).unwrap().run(runs.path(), &|_: &Event<'_>| {}).unwrap();
    run();
    assert!(snapshots(&entry).is_empty());
    // As if the process had been killed between the manifest and the removal.
    files::write(&snapshot, &bytes).unwrap();
    run();
    assert!(snapshots(&entry).is_empty());
}

#[test]
fn snapshots_of_other_lanes_are_not_used() {
    let runs = tempfile::tempdir().unwrap();
    interrupted(runs.path(), 2);
    let messages = Mutex::new(Vec::new());
    let sink = |event: &Event<'_>| {
        if let Event::Message(text) = event {
            messages.lock().unwrap().push((*text).to_owned());
        }
    };
    // With two lanes, the same network is one of two in a group.
    let sets = ["replicates=2", "rounds=0", "run.lanes=2"];
    lth::open(CONFIG, &sets).unwrap().run(runs.path(), &sink).unwrap();
    assert!(messages.into_inner().unwrap().is_empty(), "nothing is resumed");
}

#[test]
fn interrupted_rerun_for_missing_weights_resumes() {
    let runs = tempfile::tempdir().unwrap();
    let keep = [&ONE[..], &["run.keep=all"]].concat();
    lth::open(CONFIG, &keep).unwrap().run(runs.path(), &|_: &Event<'_>| {}).unwrap();
    let whole = results(runs.path());
    let entry = fs::read_dir(runs.path().join("store")).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(entry.join("final.safetensors")).unwrap();
    let (attempts, messages) = run(&keep, runs.path(), Some(1));
    assert!(attempts > 2, "{attempts}");
    assert!(messages.iter().any(|text| text.contains(": resumed at iteration ")), "{messages:?}");
    assert!(results(runs.path()) == whole);
}

#[test]
fn clean_frees_progress_that_nothing_resumes() {
    let runs = tempfile::tempdir().unwrap();
    let progress = |folder: &str| {
        let found = files::list(&runs.path().join(folder)).unwrap().into_iter();
        found
            .flat_map(|entry| files::list(&entry).unwrap_or_default())
            .filter(|path| path.ends_with("progress-9.snapshot"))
    };
    lth::open(CONFIG, &ONE).unwrap().run(runs.path(), &|_: &Event<'_>| {}).unwrap();
    let entry = files::list(&runs.path().join("store")).unwrap().remove(0);
    // What a process that was killed between the manifest and the removal leaves in an entry whose run was deleted.
    files::write(&entry.join("progress-9.snapshot"), b"x").unwrap();
    // What `--fresh` archives of an interrupted run.
    let archived = runs.path().join("store/old-1").join(entry.file_name().unwrap());
    files::write(&archived.join("progress-9.snapshot"), b"x").unwrap();
    let run = lth_in(runs.path(), &["clean", "--dry-run"]);
    assert!(stdout(&run).contains("progress-9.snapshot"), "{}", stdout(&run));
    let name = files::list(runs.path()).unwrap().into_iter().find(|path| path.join("rounds.csv").exists()).unwrap();
    assert!(lth_in(runs.path(), &["rm", name.file_name().unwrap().to_str().unwrap(), "--yes"]).status.success());
    assert!(lth_in(runs.path(), &["clean", "--yes"]).status.success());
    assert_eq!(progress("store").count() + progress("store/old-1").count(), 0);
}
