//! Hostile files and options: refused with a message and an exit code, before time or memory is spent.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;
use std::time::Instant;

use lth::system::files;

use crate::support::{SMOKE, lth, lth_in, run_command, stderr, stdout};
use crate::synthetic_run::SyntheticRun;

/// Runs `lth check CONFIG --set …` and returns its error, after checking that the experiment is refused quickly.
fn refused(config: &Path, sets: &[&str]) -> String {
    let start = Instant::now();
    let mut command = lth();
    command.arg("check").arg(config);
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{error:.2000}");
    assert!(error.len() < 20_000, "{} bytes: {error:.2000}", error.len());
    assert!(start.elapsed().as_secs() < 60, "{:?}: {error:.2000}", start.elapsed());
    error
}

fn refused_text(name: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    files::write(&path, text.as_bytes()).unwrap();
    refused(&path, &[])
}

// regression: a stack overflow ended the program with code 134
#[test]
fn deeply_nested_configurations_are_refused() {
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(50_000), close.repeat(50_000));
    let deep = "values are nested more than 64 deep";
    assert!(refused_text("list.json", &format!("{{\"a\": {}}}", nested("[", "]"))).contains(deep));
    assert!(refused_text("table.json", &format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000))).contains(deep));
    assert!(refused_text("list.toml", &format!("a = {}", nested("[", "]"))).contains("error: "));
    assert!(refused_text("dotted.toml", &format!("{} = 1", vec!["a"; 50_000].join("."))).contains("error: "));
    let key = vec!["a"; 20_000].join(".");
    assert!(
        refused(Path::new(SMOKE), &[&format!("{key}=1")]).contains("the key before `=` is nested more than 64 deep")
    );
    refused(Path::new(SMOKE), &[&format!("train.lr={}", "[".repeat(20_000))]);
}

#[test]
fn configurations_without_end_are_refused() {
    let error = refused(Path::new("/dev/zero"), &[]);
    assert!(error.starts_with("error: `/dev/zero` is no configuration: it is longer than 4 MiB\n"), "{error}");
}

#[test]
fn many_arms_and_long_lists_are_refused() {
    let smoke = fs::read_to_string(SMOKE).unwrap();
    let arms: Vec<String> =
        (0..20_000).map(|n| format!("[arms.a{n}]\nmask = \"iterative\"\nweights = \"rewind\"\n")).collect();
    assert!(
        refused_text("arms.toml", &(smoke.clone() + &arms.concat()))
            .contains("`arms` must not have more than 1000 entries")
    );
    let times = vec!["\"5it\""; 200_000].join(", ");
    let milestones =
        smoke.replace("lr = 2e-3", &format!("lr = 2e-3\nschedule = \"multi_step\"\nmilestones = [{times}]"));
    let error = refused_text("milestones.toml", &milestones);
    assert!(error.contains("`train.milestones` must not have more than 1000 entries"), "{error}");
    let at = vec!["1"; 200_000].join(", ");
    let many = "arms.winning_ticket={mask={of='x'},weights='rewind',at=[";
    let error = refused_text("at.toml", &smoke.replace("[arms.winning_ticket]", &format!("{many}{at}]}}\n[arms.b]")));
    assert!(error.len() < 20_000, "{error:.2000}");
}

#[test]
fn names_that_are_too_long_for_files_are_refused() {
    let name = "a".repeat(101);
    let set = format!("arms={{{name}={{mask='iterative',weights='rewind'}}}}");
    let error = refused(Path::new(SMOKE), &[&set]);
    assert!(error.contains("an arm name must not be longer than 100 letters"), "{error}");
    let error = refused(Path::new(SMOKE), &["name=--help"]);
    assert!(error.contains("begins with `-`, as options of a command line do"), "{error}");
}

// regression: a learning rate of 5e-324 trained nothing, and `init_std` of 1e-300 failed in the audit
#[test]
fn numbers_that_are_0_or_infinite_in_float32_are_refused() {
    let normal = "network={architecture={mlp={hidden=[8]}},init='normal',init_std=1e-300}";
    let noise = "arms={n={mask='dense',weights='noise',noise=1e-320}}";
    for (set, key, value) in [
        ("train.lr=5e-324", "train.lr", "0"),
        ("train.lr=1e308", "train.lr", "inf"),
        (normal, "network.init_std", "0"),
        (noise, "arms.n.noise", "0"),
        ("train.eps=1e-300", "train.eps", "0"),
        ("train.clip_norm=1e-300", "train.clip_norm", "0"),
    ] {
        let error = refused(Path::new(SMOKE), &[set]);
        assert!(error.contains(&format!("`{key}` is {value} in float32, the type of weights\n  --> --set")), "{error}");
        assert!(error.contains("hint: from 1.2e-38 to 3.4e38"), "{error}");
    }
}

fn check_images(folder: &Path) -> Output {
    let dataset = format!("data={{dataset={{images={{dir='{}'}}}},validation=1}}", folder.display());
    lth().args(["check", SMOKE, "--set", &dataset]).output().unwrap()
}

#[test]
fn images_that_are_devices_or_bombs_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("train/a/1.png");
    for name in ["train/b/1.png", "test/a/1.png"] {
        files::write(&folder.path().join(name), b"later").unwrap();
    }
    fs::create_dir_all(image.parent().unwrap()).unwrap();
    symlink("/dev/zero", &image).unwrap();
    let error = stderr(&check_images(folder.path()));
    assert!(error.contains("train/a/1.png` is no PNG file"), "{error}");
    fs::remove_file(&image).unwrap();
    // A header of 65,535 by 2^31 − 1 pixels; its checksum is right.
    let mut crc = flate2::Crc::new();
    let header = [&b"IHDR"[..], &65_535_u32.to_be_bytes(), &(u32::MAX >> 1).to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    crc.update(&header);
    let size = 13_u32.to_be_bytes();
    let bomb = [&b"\x89PNG\r\n\x1a\n"[..], &size, &header, &crc.sum().to_be_bytes(), &[0, 0, 0, 1], b"IDAT"].concat();
    files::write(&image, &bomb).unwrap();
    let output = check_images(folder.path());
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("train/a/1.png` is not usable"), "{error}");
}

#[test]
fn control_characters_and_formulas_of_foreign_runs_are_shown_as_text() {
    let runs = tempfile::tempdir().unwrap();
    let folder = runs.path().join("made_up-12345678");
    let arms = &[("ticket", 1, 0.001)];
    SyntheticRun { arms, replicates: 2, rounds: 2, evaluations: 5, with_weights: true }.write(&folder);
    for (name, arm) in [("rounds.csv", "=\u{1b}[31mx"), ("curves.csv", "=\u{1b}[31mx"), ("layers.csv", "=\u{1b}[31mx")]
    {
        let path = folder.join(name);
        let foreign = fs::read_to_string(&path).unwrap().replace(",ticket,", &format!(",{arm},"));
        files::write(&path, foreign.as_bytes()).unwrap();
    }
    let manifest = fs::read_to_string(folder.join("run.json")).unwrap();
    let manifest = manifest.replace("\"failures\": []", "\"failures\": [\"\\u001b[2J\"]");
    files::write(&folder.join("run.json"), manifest.as_bytes()).unwrap();
    let name = "made_up-12345678";
    for args in [&["show", name][..], &["show", name, "--csv"], &["runs"], &["report", name], &["compare", name, name]]
    {
        let output = lth_in(runs.path(), args);
        let text = stdout(&output) + &stderr(&output);
        assert!(!text.contains('\u{1b}'), "{args:?}: {text:?}");
    }
    let csv = stdout(&lth_in(runs.path(), &["show", name, "--csv"]));
    assert!(csv.contains("made_up,'=\u{fffd}[31mx,"), "{csv}");
    for figure in fs::read_dir(folder.join("report/figures")).unwrap() {
        let path = figure.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let is_svg = path.extension().is_some_and(|extension| extension == "svg");
        assert!(!is_svg || !text.contains('\u{1b}'), "{}", path.display());
        assert!(!text.contains("\n=") && !text.contains(",="), "{}", path.display());
    }
    let page = fs::read_to_string(folder.join("report/index.html")).unwrap();
    assert!(!page.contains('\u{1b}'), "the page of the report");
}

#[test]
fn divergence_hint_names_what_makes_weights_large() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["train={iterations=40,batch_size=30,optimizer='sgd',lr=1e3,weight_decay=1e9}", "replicates=1"];
    let output = run_command(SMOKE, folder.path(), &sets).output().unwrap();
    let error = stderr(&output);
    assert!(error.contains("needs a smaller `train.lr` or `train.weight_decay`"), "{error}");
}

#[test]
fn rates_that_leave_no_weight_are_a_warning_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let sets = ["prune.rate={linear=0.9999999,output=0.9999999}", "rounds=1", "replicates=1", "train.iterations=20"];
    let output = run_command(SMOKE, folder.path(), &sets).output().unwrap();
    let error = stderr(&output);
    assert!(error.contains("warning: no weight remains in round 1 of `winning_ticket`"), "{error}");
}
