//! `lth run` on the real binary: output, files and training runs.

use std::fs;
use std::process::Stdio;

use crate::support::*;

#[test]
fn run_prints_table_and_writes_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_ok(SMOKE, folder.path(), &[]);
    let (out, err) = (stdout(&output), stderr(&output));
    assert!(out.starts_with("arm "), "{out}");
    assert!(out.contains("winning_ticket      2"), "{out}");
    let view_folder = run_dir(folder.path()).display().to_string();
    let places = format!("files in {view_folder}\nreport in {view_folder}/report/index.html\n");
    assert!(out.ends_with(&places), "{out}");
    assert_eq!(finished_count(&output), SMOKE_TRAININGS, "one line per training: {err}");
    assert!(!err.contains('\u{1b}') && !out.contains('\u{1b}'), "no escapes off a terminal");
    let names: Vec<String> = reproducible_files(&run_dir(folder.path())).into_keys().collect();
    let (report, rest): (Vec<&str>, Vec<&str>) =
        names.iter().map(String::as_str).partition(|n| n.starts_with("report/"));
    let files = [
        "SHA256SUMS",
        "config.toml",
        "curves.csv",
        "layers.csv",
        "resolved.toml",
        "rounds.csv",
        "summary.csv",
        "weights.csv",
    ];
    assert_eq!(rest, files);
    let figures = [
        "accuracy_by_cost",
        "distance_moved",
        "equal_iterations",
        "incoming_connections",
        "initial_weights",
        "layers",
        "magnitude_grown",
        "other_accuracies",
        "outgoing_connections",
        "test_accuracy",
        "validation_loss",
        "weights_remaining",
    ];
    let figures = figures.map(|name| [format!("report/figures/{name}.csv"), format!("report/figures/{name}.svg")]);
    let pages = ["report/index.html".into(), "report/report.md".into()];
    assert_eq!(report, [&["report/.written-by-lth".into()], &figures.concat()[..], &pages].concat());
    assert!(run_dir(folder.path()).join("run.json").exists() && run_dir(folder.path()).join("timings.csv").exists());
}

#[test]
fn run_rows_agree_with_plan() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &[]);
    let run_dir = run_dir(folder.path());
    let rounds = rows(&run_dir, "rounds.csv");
    assert_eq!(rounds.len(), SMOKE_TRAININGS);
    // 784·32 + 32·16 + 16·10 weights; 40 %, 40 % and 20 % go each round.
    let kept = |round: &str| {
        let of_round: Vec<&str> =
            rounds.iter().filter(|row| row["round"] == round).map(|row| row["weights_kept"].as_str()).collect();
        assert!(of_round.windows(2).all(|pair| pair[0] == pair[1]), "every arm has the same counts");
        of_round[0].to_owned()
    };
    assert_eq!([kept("0"), kept("1"), kept("2")], ["25760", "15488", "9318"]);
    assert!(rounds.iter().all(|row| row["outcome"] == "done" && row["weights_total"] == "25760"));
    assert!(rounds.iter().all(|row| row["macs"] == "25760" && row["macs_remaining"] == row["weights_kept"]));
    let curves = rows(&run_dir, "curves.csv");
    assert_eq!(curves.len(), SMOKE_TRAININGS * 7, "iterations 0, 20, …, 120");
    let layers = rows(&run_dir, "layers.csv");
    assert_eq!(layers.len(), SMOKE_TRAININGS * 3);
    assert_eq!(rows(&run_dir, "timings.csv").len(), SMOKE_TRAININGS);
    for row in &rounds {
        let early = curves
            .iter()
            .filter(|point| point["key"] == row["key"] && point["iteration"] != "0")
            .min_by(|a, b| {
                let loss = |point: &std::collections::BTreeMap<String, String>| {
                    point["validation_loss"].parse::<f64>().unwrap()
                };
                loss(a).total_cmp(&loss(b))
            })
            .unwrap();
        assert_eq!(early["iteration"], row["early_stop_iteration"]);
        assert_eq!(early["test_accuracy"], row["early_stop_test_accuracy"]);
    }
}

#[test]
fn run_again_prints_table_and_trains_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = run_ok(SMOKE, folder.path(), &[]);
    let before = reproducible_files(&run_dir(folder.path()));
    let second = run_ok(SMOKE, folder.path(), &[]);
    assert_eq!((finished_count(&second), stdout(&second)), (0, stdout(&first)));
    assert_same(&reproducible_files(&run_dir(folder.path())), &before);
}

#[test]
fn run_trains_only_new_trainings() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1"]);
    // One more round, then one more replicate, then one more arm.
    let more_rounds = run_ok(SMOKE, folder.path(), &["replicates=1"]);
    assert_eq!(finished_count(&more_rounds), 4);
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &[])), 9);
    let arm = "arms.more={mask={of=\"winning_ticket\"},weights=\"rewind\"}";
    assert_eq!(finished_count(&run_ok(SMOKE, folder.path(), &[arm])), 4);
    assert_eq!(run_dirs(folder.path()).len(), 4, "each experiment has its run folder");
    // The results of these runs together are those of one run.
    let fresh = tempfile::tempdir().unwrap();
    run_ok(SMOKE, fresh.path(), &[arm]);
    let name = run_dir(fresh.path());
    let same = folder.path().join(name.file_name().unwrap());
    assert_same(&reproducible_files(&same), &reproducible_files(&name));
}

#[test]
fn workers_change_no_byte_of_run() {
    let results: Vec<_> = ["1", "2", "3"]
        .iter()
        .map(|workers| {
            let folder = tempfile::tempdir().unwrap();
            run_ok(SMOKE, folder.path(), &[&format!("run.workers={workers}")]);
            reproducible_files(&run_dir(folder.path()))
        })
        .collect();
    assert_same(&results[0], &results[1]);
    assert_same(&results[0], &results[2]);
}

#[test]
fn json_config_is_same_experiment() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let value: toml::Table = toml::from_str(&fs::read_to_string(SMOKE).unwrap()).unwrap();
    let path = folder.path().join("smoke.json");
    lth::system::files::write(&path, serde_json::to_string_pretty(&value).unwrap().as_bytes()).unwrap();
    let again = run_ok(path.to_str().unwrap(), folder.path(), &["replicates=1"]);
    assert_eq!(finished_count(&again), 0, "the same keys, whatever the syntax");
}

#[test]
fn quiet_prints_only_table() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_command(SMOKE, folder.path(), &["replicates=1"]).arg("--quiet").output().unwrap();
    assert!(output.status.success() && stderr(&output).is_empty() && stdout(&output).starts_with("arm "));
}

/// Returns the output of a run to a terminal of `size` (columns, rows); `None` if `script` is not installed.
fn on_a_terminal(size: Option<(usize, usize)>, sets: &[&str], environment: &[(&str, &str)]) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let size = size.map_or_else(String::new, |(width, height)| format!("stty cols {width} rows {height} && "));
    let sets = sets.iter().fold(String::new(), |all, set| all + " --set " + set);
    let command = format!("{size}{} run {SMOKE} --runs {}{sets}", env!("CARGO_BIN_EXE_lth"), folder.path().display());
    let output = script(&command, environment)?;
    assert!(output.status.success(), "{}", stdout(&output));
    Some(stdout(&output))
}

/// Returns the output of a shell command to a terminal, through `script` (util-linux); `None` if it is not installed.
fn script(command: &str, environment: &[(&str, &str)]) -> Option<std::process::Output> {
    let mut script = std::process::Command::new("script");
    script.args(["-qec", command, "/dev/null"]).env_remove("NO_COLOR").env("TERM", "xterm-256color");
    script.envs(environment.iter().copied()).stdin(Stdio::null()).output().ok()
}

#[test]
fn terminal_shows_bars_and_heeds_no_color() {
    let Some(plain) = on_a_terminal(None, &[], &[("NO_COLOR", "1")]) else {
        println!("skipped: `script` is not installed");
        return;
    };
    assert!(plain.contains("━"), "bars are drawn: {plain}");
    assert!(plain.contains("[18/18]"), "and lines stay: {plain}");
    assert!(!plain.contains("\u{1b}[36m"), "without colour: {plain}");
    assert!(on_a_terminal(None, &[], &[]).unwrap().contains("\u{1b}[36m"), "with colour by default");
}

#[test]
fn terminal_bars_fit_small_window() {
    let sets = ["run.workers=16", "train.iterations=300"];
    let Some(sent) = on_a_terminal(Some((40, 8)), &sets, &[("NO_COLOR", "1")]) else {
        println!("skipped: `script` is not installed");
        return;
    };
    // Each frame begins with codes that clear the frame before it, one row after the other from the bottom.
    let (mut drawn, mut ended) = (0, 0);
    for frame in sent.split("\r\u{1b}[2K") {
        let clear = "\u{1b}[A\u{1b}[2K";
        assert_eq!(frame.matches(clear).count(), drawn, "what was drawn is cleared: {sent}");
        let frame = frame.replace(clear, "");
        ended += frame.lines().filter(|line| line.starts_with('[') && line.ends_with('%')).count();
        let is_bar = |line: &&str| line.starts_with("  ") && (line.ends_with('%') || line.ends_with("in progress"));
        let bars: Vec<&str> = frame.lines().filter(is_bar).collect();
        drawn = bars.len();
        assert!(drawn <= 3, "no more bars than half of the window: {frame}");
        assert!(bars.iter().all(|line| line.chars().count() < 40), "no bar is wrapped: {frame}");
    }
    assert_eq!(ended, SMOKE_TRAININGS, "each training is one line: {sent}");
    assert!(sent.contains(" more in progress\r\n  all "), "the others are counted: {sent}");
}

#[test]
fn terminal_has_no_bars_after_stop() {
    let folder = tempfile::tempdir().unwrap();
    let runs = folder.path().display();
    let run = format!("{} run {SMOKE} --runs {runs} --set train.iterations=10000000", env!("CARGO_BIN_EXE_lth"));
    // Interrupted as soon as a training run has started, which would take hours.
    let command = format!(
        "{run} & while ! ls {runs}/store/*/lock >/dev/null 2>&1; do sleep 0.05; done; sleep 0.5; kill -INT $!; wait $!"
    );
    let Some(output) = script(&command, &[("NO_COLOR", "1")]) else {
        println!("skipped: `script` is not installed");
        return;
    };
    let sent = stdout(&output);
    assert_eq!(output.status.code(), Some(130), "{sent}");
    let (before, after) = sent.rsplit_once("\u{1b}[2K").unwrap();
    assert!(before.contains('─'), "there were bars: {sent}");
    let message = "interrupted: 0 of 18 training runs are done, and ";
    let saved = " saved at iteration";
    // The bars may still have been drawn, or not, when the notice was printed.
    let notice = "stopping after the current step, and saving progress; Ctrl-C again stops at once\r\n";
    let after = after.strip_prefix(notice).unwrap_or(after);
    let is_whole = after.starts_with(message) && after.contains(saved) && after.ends_with(&format!("\r\n  {run}\r\n"));
    assert!(is_whole, "they are cleared, and the message is whole: {sent}");
}

#[test]
fn terminal_without_escapes_gets_lines() {
    if let Some(sent) = on_a_terminal(None, &[], &[("TERM", "dumb")]) {
        assert!(sent.contains("[18/18]") && !sent.contains('\u{1b}'), "{sent}");
    }
}

#[test]
fn closed_pipe_does_not_stop_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut child =
        run_command(SMOKE, folder.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().unwrap().success());
    assert_eq!(rows(&run_dir(folder.path()), "rounds.csv").len(), SMOKE_TRAININGS);
}

#[test]
fn processes_share_finished_run() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &[]);
    for _ in 0..5 {
        let start =
            || run_command(SMOKE, folder.path(), &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let all: Vec<_> = (0..4).map(|_| start()).collect();
        for child in all {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", stderr(&output));
        }
    }
}

#[test]
fn fresh_does_not_disturb_other_runs() {
    let folder = tempfile::tempdir().unwrap();
    let start = |fresh: bool| {
        let mut command = run_command(SMOKE, folder.path(), &[]);
        command.args(fresh.then_some("--fresh")).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for _ in 0..3 {
        for child in [start(false), start(true), start(false)] {
            let output = child.wait_with_output().unwrap();
            let refused = stderr(&output).contains("is running this experiment");
            assert!(output.status.success() || refused, "{}", stderr(&output));
        }
    }
    assert!(start(true).wait().unwrap().success(), "succeeds when no other process runs");
    let alone = tempfile::tempdir().unwrap();
    run_ok(SMOKE, alone.path(), &[]);
    let now = run_dirs(folder.path()).into_iter().find(|run_dir| !run_dir.to_string_lossy().contains(".old-")).unwrap();
    assert_same(&reproducible_files(&now), &reproducible_files(&run_dir(alone.path())));
}

#[test]
fn fresh_is_refused_if_another_run_shares_trainings() {
    let folder = tempfile::tempdir().unwrap();
    let long = ["train.iterations=400", "rounds=5"];
    let first = run_command(SMOKE, folder.path(), &long).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !std::fs::read_dir(folder.path().join("store")).is_ok_and(|mut store| store.next().is_some()) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let sets = ["train.iterations=400", "rounds=2", "name=other"];
    let second = run_command(SMOKE, folder.path(), &sets).arg("--fresh").output().unwrap();
    assert_eq!(second.status.code(), Some(1), "{}", stderr(&second));
    assert!(stderr(&second).contains("is running and shares training runs"), "{}", stderr(&second));
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{}", stderr(&first));
}

#[test]
fn lines_number_trainings_consecutively() {
    let folder = tempfile::tempdir().unwrap();
    let output = run_ok(SMOKE, folder.path(), &["run.workers=8"]);
    let counts: Vec<usize> = stderr(&output)
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.split('/').next()?.trim().parse().ok())
        .collect();
    assert_eq!(counts, (1..=SMOKE_TRAININGS).collect::<Vec<_>>());
}

#[test]
fn fresh_archives_nothing_if_data_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let mnist = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/lenet_mnist.toml");
    let mut command = run_command(mnist, folder.path(), &[]);
    let output = command.args(["--fresh", "--data-dir"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!folder.path().join("store/old-1").exists());
}

#[test]
fn fresh_archives_and_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["replicates=1"];
    run_ok(SMOKE, folder.path(), &sets);
    run_ok(SMOKE, folder.path(), &["replicates=1", "seed=2"]);
    let mine = run_dirs(folder.path()).into_iter().find(|run_dir| rows(run_dir, "rounds.csv").len() == 9).unwrap();
    let all_before = run_dirs(folder.path());
    let fresh = run_command(SMOKE, folder.path(), &sets).arg("--fresh").output().unwrap();
    assert!(fresh.status.success(), "{}", stderr(&fresh));
    assert_eq!(finished_count(&fresh), 9);
    assert_eq!(fs::read_dir(folder.path().join("store/old-1")).unwrap().count(), 9);
    let olds: Vec<_> = run_dirs(folder.path()).into_iter().filter(|run_dir| !all_before.contains(run_dir)).collect();
    assert_eq!(olds.len(), 1);
    let old = olds[0].file_name().unwrap().to_str().unwrap();
    assert!(old.ends_with(".old-1") && old.starts_with("smoke-"));
    let now =
        all_before.iter().find(|run_dir| old.starts_with(run_dir.file_name().unwrap().to_str().unwrap())).unwrap();
    assert_same(&reproducible_files(&olds[0]), &reproducible_files(now));
    assert!(all_before.contains(&mine), "run folders of other experiments stay");
    let again = run_command(SMOKE, folder.path(), &sets).arg("--fresh").output().unwrap();
    assert!(again.status.success() && folder.path().join("store/old-2").exists());
}

#[test]
fn fresh_is_refused_while_a_training_is_held() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1"]);
    let entry = fs::read_dir(folder.path().join("store")).unwrap().next().unwrap().unwrap().path();
    let held = lth::system::files::Lock::try_exclusive(&entry.join("lock")).unwrap().unwrap();
    let refused = run_command(SMOKE, folder.path(), &["replicates=1"]).arg("--fresh").output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains(&format!("process {}", std::process::id())), "{}", stderr(&refused));
    assert!(!folder.path().join("store/old-1").exists());
    drop(held);
}

#[test]
fn processes_share_trainings() {
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = run_command(SMOKE, folder.path(), &["train.iterations=400"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (one, two) = (start(), start());
    let (one, two) = (one.wait_with_output().unwrap(), two.wait_with_output().unwrap());
    assert!(one.status.success() && two.status.success(), "{}\n{}", stderr(&one), stderr(&two));
    assert_eq!(stdout(&one), stdout(&two));
    // Only the process that trained a network prints its duration.
    let seconds = |output: &std::process::Output| stderr(output).lines().filter(|l| l.contains(" s)")).count();
    assert_eq!(
        seconds(&one) + seconds(&two),
        SMOKE_TRAININGS,
        "each is trained once: {}{}",
        stderr(&one),
        stderr(&two)
    );
    let alone = tempfile::tempdir().unwrap();
    run_ok(SMOKE, alone.path(), &["train.iterations=400"]);
    assert_same(&reproducible_files(&run_dir(folder.path())), &reproducible_files(&run_dir(alone.path())));
}

#[test]
fn global_scope_sgd_float64_and_every_init_run() {
    let folder = tempfile::tempdir().unwrap();
    let base = ["replicates=1", "rounds=1", "train.iterations=40"];
    for set in [
        "train={iterations=40,batch_size=30,optimizer=\"sgd\",lr=0.1,momentum=0.9,nesterov=true,weight_decay=1e-4}",
        "train.dtype=float64",
        "train.drop_last=false",
        "prune={scope=\"global\",rate={all=0.3},exclude=[\"output\"]}",
        "prune={rate={linear=0.2,layers={linear2=0.5}}}",
        "network.init=glorot_uniform",
        "network.init=kaiming_normal",
        "network.init=kaiming_uniform",
        "network={architecture={mlp={hidden=[]}},init=\"normal\",init_std=0.05}",
        "data.normalize=l2",
        "data.normalize=none",
        "data.train_limit=90",
    ] {
        run_ok(SMOKE, folder.path(), &[&base[..], &[set]].concat());
    }
    let global = run_dirs(folder.path())
        .into_iter()
        .find(|run_dir| fs::read_to_string(run_dir.join("resolved.toml")).unwrap().contains("scope = \"global\""));
    let layers = rows(&global.unwrap(), "layers.csv");
    let output: Vec<_> = layers.iter().filter(|row| row["layer"] == "output").collect();
    assert!(output.iter().all(|row| row["weights_kept"] == "160"), "excluded layers are not pruned");
}

#[test]
fn help_and_version_name_commands() {
    let help = stdout(&lth().arg("--help").output().unwrap());
    assert!(help.contains("run") && help.contains("75  stopped by SIGTERM, SIGHUP, SIGUSR1 or SIGUSR2"), "{help}");
    assert!(stdout(&lth().arg("--version").output().unwrap()).starts_with("lth 0."));
    assert_eq!(lth().arg("walk").output().unwrap().status.code(), Some(2));
}
