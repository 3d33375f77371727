//! Mistakes of new users, class by class, on the real binary, with the messages in golden files. Other messages have
//! their golden files beside the unit tests of their module.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::support::*;

/// Returns the experiment that every mistake is inserted into.
fn smoke() -> String {
    fs::read_to_string(SMOKE).unwrap()
}

/// Returns the message of the binary about the file `name` with this text, which it must refuse before it starts
/// anything.
fn refused(name: &str, text: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    lth::system::files::write(&folder.path().join(name), text).unwrap();
    let output = lth().current_dir(folder.path()).args(["run", name]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stdout(&output).is_empty() && !folder.path().join("runs").exists(), "{}", stderr(&output));
    stderr(&output)
}

/// Returns the messages for files with `wrong` in place of `right`, for each pair.
fn in_file(mistakes: &[(&str, &str)]) -> String {
    let mut messages = String::new();
    for (right, wrong) in mistakes {
        assert!(smoke().contains(right), "{right}");
        let message = refused("my.toml", smoke().replacen(right, wrong, 1).as_bytes());
        let _ = writeln!(messages, "=== {}\n{message}", wrong.replace('\n', " ⏎ "));
    }
    messages
}

const LAYERS: &str = "architecture = { mlp = { hidden = [32, 16] } }";
const RATE: &str = "{ linear = 0.4, output = 0.2 }";

#[test]
fn config_with_wrong_syntax_is_refused() {
    assert_golden!(in_file(&[
        ("\"strokes\"", "strokes"),
        ("\"smoke\"", "\"smoke"),
        ("[train]", "[train"),
        ("seed = 1", "seed == 1"),
        ("seed = 1", "seed: 1"),
        ("seed = 1", "seed = 1\nseed = 2"),
        ("[prune]", "[train]\n[prune]"),
        ("lr = 2e-3", "lr = 0,002"),
        ("iterations = 120", "iterations = 50,000"),
        (RATE, "{ linear = 0.4 output = 0.2 }"),
        ("lr = 2e-3", "lr = nan"),
        ("lr = 2e-3", "lr = .002"),
        ("seed = 1", "seed = 99999999999999999999"),
        ("lr = 2e-3", "lr = 2e-3\ndrop_last = True"),
    ]));
}

#[test]
fn config_with_unknown_keys_or_values_is_refused() {
    assert_golden!(in_file(&[
        ("batch_size", "batchsize"),
        ("batch_size", "batch-size"),
        ("seed = 1", "lr = 0.1"),
        ("[train]", "[train]\nreplicates = 3"),
        ("lr = 2e-3", "learning_rate = 2e-3"),
        ("iterations = 120", "epochs = 3"),
        ("[train]", "[trian]"),
        ("[arms.winning_ticket]", "[arm.winning_ticket]"),
        (RATE, "{ embedding = 0.4 }"),
        ("[32, 16]", "[32, 16], \"hidden[0]\" = 3"),
        ("\"strokes\"", "\"minst\""),
        ("\"strokes\"", "\"my_digits\""),
        ("\"adam\"", "\"Adam\""),
        ("{ mlp = { hidden = [32, 16] } }", "\"lenet\""),
        ("{ of = \"winning_ticket\" }", "\"winning_ticket\""),
        ("[prune]", "[run]\ndevice = \"gpu\"\n[prune]"),
        ("[prune]", "[run]\nkeep = \"none\"\n[prune]"),
        ("[prune]", "[run]\nengine = \"sparce\"\n[prune]"),
    ]));
}

#[test]
fn config_with_wrong_types_is_refused() {
    assert_golden!(in_file(&[
        ("lr = 2e-3", "lr = \"fast\""),
        ("batch_size = 30", "batch_size = \"30\""),
        ("iterations = 120", "iterations = 1e4"),
        ("iterations = 120", "iterations = 1.5"),
        ("rounds = 2", "rounds = -2"),
        ("batch_size = 30", "batch_size = 5000000000"),
        (RATE, "0.2"),
        ("[32, 16]", "32"),
        ("lr = 2e-3", "lr = 2e-3\nbetas = [0.9]"),
        ("lr = 2e-3", "lr = 2e-3\ndrop_last = \"yes\""),
        ("[prune]", "[run]\nworkers = 0\n[prune]"),
        ("[prune]", "[run]\nlanes = 0\n[prune]"),
        ("[prune]", "[run]\nlanes = \"many\"\n[prune]"),
        ("[arms.winning_ticket]", "[[arms]]"),
        ("{ mlp = { hidden = [32, 16] } }", "\"mlp\""),
        ("{ of = \"winning_ticket\" }", "\"of\""),
        ("{ of = \"winning_ticket\" }", "{ of = 3 }"),
        ("{ of = \"winning_ticket\" }", "{ of = \"winning_ticket\", random = \"winning_ticket\" }"),
        (LAYERS, "layers = [{ linear = 300 }, { linear = { out = 10 } }]"),
    ]));
}

#[test]
fn config_with_missing_or_out_of_range_values_is_refused() {
    assert_golden!(in_file(&[
        ("rounds = 2\n", ""),
        ("weights = \"rewind\"\n", ""),
        ("[network]\narchitecture = { mlp = { hidden = [32, 16] } }\n", ""),
        ("lr = 2e-3", "lr = 0"),
        ("linear = 0.4", "linear = 40"),
        ("linear = 0.4", "linear = 1.0"),
        (RATE, "{ linear = 0.0 }"),
        ("replicates = 2", "replicates = 0"),
        ("batch_size = 30", "batch_size = 5000"),
        ("validation = 300", "validation = 300\ntest_limit = 1300"),
        ("\"smoke\"", "\"My run\""),
        ("lr = 2e-3", "lr = 2e-3\nmomentum = 0.9"),
        (RATE, "{ all = 0.2 }"),
        ("\"strokes\"", "\"mnist\""),
        ("optimizer = \"adam\"", "optimizer = \"sgd\"\nnesterov = true"),
        ("[train]", "layers = [\"relu\"]\n[train]"),
        ("[train]", "[run]\nengine = \"sparse\"\n[train]\ndtype = \"float64\""),
        ("[prune]", "[run]\nlanes = 1025\n[prune]"),
        ("[prune]", "[run]\nlanes = 4\nengine = \"sparse\"\n[prune]"),
    ]));
}

#[test]
fn config_with_wrong_optimizers_or_schedules_is_refused() {
    let step = |more: &str| format!("lr = 2e-3\nschedule = \"step\"\n{more}");
    let multi_step = |list: &str| format!("lr = 2e-3\nschedule = \"multi_step\"\nmilestones = {list}");
    let with = |more: &str| format!("lr = 2e-3\n{more}");
    let mistakes = [
        with("schedule = \"cosin\""),
        with("schedule = { step = 3 }"),
        with("schedule = \"cosine\"\nmilestones = [\"50it\"]"),
        with("gamma = 0.5\nlr_min = 1e-4"),
        with("schedule = \"multi_step\""),
        step("gamma = 0.5"),
        step("step_every = 500"),
        step("step_every = \"0it\""),
        step("step_every = \"3ep\""),
        step("step_every = \"1ep\"\ngamma = 10"),
        multi_step("[\"80it\", \"1ep\"]"),
        multi_step("[\"0it\", \"120it\"]"),
        multi_step("[80, \"100it\"]"),
        multi_step("\"80it\""),
        multi_step("[]"),
        with("schedule = \"cosine\"\nlr_min = 0.01"),
        with("warmup = 20"),
        with("warmup = \"4ep\""),
        with("clip_norm = 0"),
        with("label_smoothing = 1"),
        with("label_smoothing = -0.1"),
        with("optimizer = \"adamW\"").replace("lr = 2e-3\n", ""),
        with("momentum = 0.9"),
    ];
    let mut messages = String::new();
    for mistake in &mistakes {
        let right = if mistake.starts_with("optimizer") { "optimizer = \"adam\"" } else { "lr = 2e-3" };
        messages += &in_file(&[(right, mistake)]);
    }
    let adamw = ("optimizer = \"adam\"", "optimizer = \"adamw\"\nnesterov = true");
    assert_golden!(messages + &in_file(&[adamw, (adamw.0, "optimizer = \"sgd\"\nbetas = [0.9, 0.99]")]));
}

#[test]
fn config_with_unknown_arms_or_layers_is_refused() {
    assert_golden!(in_file(&[
        ("{ of = \"winning_ticket\" }", "{ of = \"ticket\" }"),
        ("{ of = \"winning_ticket\" }", "{ of = \"random_reinit\" }"),
        ("\"iterative\"", "{ random = \"random_mask\" }"),
        ("\"iterative\"", "\"dense\""),
        ("[arms.random_mask]", "[arms.dense]"),
        ("[arms.random_mask]", "[arms.RandomMask]"),
        (RATE, "{ layers = { linear9 = 0.5 } }"),
        ("[prune]", "[prune]\nexclude = [\"conv1\"]"),
    ]));
}

#[test]
fn config_of_wrong_file_format_is_refused() {
    let mut messages = String::new();
    let mut add = |name: &str, text: &[u8]| {
        let _ =
            writeln!(messages, "=== {name}: {}\n{}", String::from_utf8_lossy(text).escape_debug(), refused(name, text));
    };
    add("my.json", b"{\"name\": \"a\",\n \"rounds\" 3}");
    add("my.json", b"{\"name\": \"a\",\n \"rounds\": 3,}");
    add("my.json", b"{\"name\": \"a\",\n \"name\": \"b\"}");
    add("my.json", b"{\"name\": \"a\",\n \"rounds\": null}");
    add("my.json", b"{\"name\": \"a\",\n \"rounds\": 3");
    add("my.json", b"[1, 2]");
    add("my.json", b"name = \"a\"\n");
    add("my.json", b"");
    add("my.toml", b"");
    add("my.toml", b"{\"name\": \"a\"}");
    add("my.toml", b"name = \"\xff\"");
    add("my.yaml", b"name: a\n");
    add("my.csv", b"a,b\n1,2\n");
    assert_golden!(messages);
}

/// Returns the message of the binary for `args` in a folder with `configs/smoke.toml`, and its exit code.
fn message_of(folder: &Path, args: &[&str]) -> String {
    let output = lth().current_dir(folder).args(args).output().unwrap();
    let folder = folder.display().to_string();
    let message = stderr(&output).replace(&folder, "FOLDER");
    format!("=== lth {} => {}\n{message}\n", args.join(" "), output.status.code().unwrap())
}

fn with_smoke() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    lth::system::files::write(&folder.path().join("configs/smoke.toml"), smoke().as_bytes()).unwrap();
    folder
}

#[test]
fn set_of_wrong_form_is_refused() {
    let folder = with_smoke();
    let mut messages = String::new();
    for set in [
        "train.lr",
        "=3",
        "train.lr = fast",
        "trian.lr=0.1",
        "seed.x=3",
        "network.architecture.mlp.hidden[0]=3",
        "prune.rate={linear=0.4",
        "arms.random_mask.mask={of=winning_ticket}",
        "arms.more.mask=iterative",
    ] {
        messages += &message_of(folder.path(), &["plan", "configs/smoke.toml", "--set", set]);
    }
    messages +=
        &message_of(folder.path(), &["plan", "configs/smoke.toml", "--set", "train.lr=-1", "--set", "replicates=0"]);
    assert_golden!(messages);
}

#[test]
fn command_line_with_wrong_paths_is_refused() {
    let folder = with_smoke();
    let mut messages = String::new();
    for args in [
        &["run", "nowhere.toml"][..],
        &["run", "configs/smok.toml"],
        &["run", "configs/smoke"],
        &["run", "configs"],
        &["run", "configs/smoke.toml", "--runs", "configs/smoke.toml"],
        &["init", "configs/smoke.toml"],
        &["init", "my.json"],
        &["init", "/dev/null/my.toml"],
        &["generate", "man", "--out", "/dev/null/man"],
        &["data", "show", "strokes", "--out", "configs"],
    ] {
        messages += &message_of(folder.path(), args);
    }
    assert_golden!(messages);
}

#[test]
fn command_line_with_wrong_arguments_is_refused() {
    let folder = with_smoke();
    let mut messages = String::new();
    for args in [
        &["rum", "configs/smoke.toml"][..],
        &["configs/smoke.toml"],
        &["run"],
        &["run", "configs/smoke.toml", "configs/smoke.toml"],
        &["run", "configs/smoke.toml", "--fesh"],
        &["run", "configs/smoke.toml", "--train.lr=0.1"],
        &["run", "configs/smoke.toml", "--set"],
        &["generate", "completions", "csh"],
        &["data", "fetch", "minst"],
        &["doctor", "--require", "gpu"],
        &["doctor", "--require", "data=minst"],
    ] {
        messages += &message_of(folder.path(), args);
    }
    assert_golden!(messages);
}

#[test]
fn config_with_wrong_arms_is_refused() {
    let mut messages = String::new();
    for arm in [
        r#"mask={one_shot=0.5},weights="rewind""#,
        r#"mask="one_shot",weights="rewind""#,
        r#"mask={one_shot={lik="winning_ticket"}},weights="rewind""#,
        r#"mask={one_shot={like="nobody"}},weights="rewind""#,
        r#"mask={one_shot={cut=0.5}},weights="rewind""#,
        r#"mask={one_shot={cut=[]}},weights="rewind""#,
        r#"mask={one_shot={cut=[0.5,1.2]}},weights="rewind""#,
        r#"mask="iterative",weights="rewind",rewind_to="5""#,
        r#"mask="iterative",weights="rewind",rewind_to=500"#,
        r#"mask="iterative",weights="rewind",rewind_to="100ep""#,
        r#"mask="iterative",weights="reinit",rewind_to="5it""#,
        r#"mask="iterative",weights="rewind",rewind_optimizer="reset""#,
        r#"mask="iterative",weights="noise""#,
        r#"mask="iterative",weights="noise",noise=0"#,
        r#"mask={of="winning_ticket"},weights="final",lr_from="1ep",noise=3"#,
        r#"mask="iterative",weights="rewind",at=[1]"#,
        r#"mask={of="winning_ticket"},weights="reinit",at=[9]"#,
        r#"mask={of="winning_ticket"},weights="reinit",at=[1,1]"#,
        r#"mask={of="winning_ticket"},weights="reinit",every=9"#,
        r#"mask={of="winning_ticket"},weights="reinit",at=[1],every=2"#,
        r#"mask="dense",weights="final""#,
        r#"mask={at_init={method="snip",like="winning_ticket"}},weights="final""#,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output = run(SMOKE, folder.path(), &[&format!("arms.more={{{arm}}}")]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        let _ = writeln!(messages, "=== {arm}\n{}", stderr(&output));
    }
    assert_golden!(messages);
}

/// Convolutional networks, and settings that do or do not fit them.
#[test]
fn config_with_wrong_networks_images_or_devices_is_refused() {
    let conv = |rest: &str| format!("layers = [{{ conv = {{ out = 4 }} }}, \"batch_norm\", \"relu\", {rest}]");
    let linear = "{ linear = { out = 10 } }";
    assert_golden!(in_file(&[
        (LAYERS, &conv(&format!("{{ conv = {{ out = 8, kernel = 31, padding = 0 }} }}, {linear}"))),
        (LAYERS, &conv(&format!("{{ max_pool = {{ size = 15 }} }}, {{ avg_pool = {{ size = 2 }} }}, {linear}"))),
        (LAYERS, &conv(&format!("{linear}, {{ conv = {{ out = 8 }} }}, \"global_avg_pool\", {linear}"))),
        (LAYERS, &conv(&format!("{{ conv = {{ out = 0, kernel = 0, stride = 0 }} }}, {linear}"))),
        (LAYERS, "architecture = \"resnet20\"\nbatch_norm = false\ndropout = 0.5"),
        (LAYERS, "architecture = \"conv2\"\ndropout = 1.0"),
        ("[prune]", "[prune]\nexclude = [\"conv*\", \"*9\"]\ninclude = [\"block?.conv1\"]"),
        ("[prune]", "[prune]\nexclude = [\"shortcuts\"]"),
        (LAYERS, &(conv(linear) + "\n[run]\nengine = \"sparse\"")),
        ("\"strokes\"", "\"strokes\"\naugment = { flip = true, crop = 28, rotate = 3 }"),
        ("\"strokes\"", "\"strokes\"\naugment = { crop = 28 }"),
        ("lr = 2e-3", "lr = 2e-3\nmatmul_precision = \"tf32\""),
        ("[prune]", "[run]\ndevice = \"cuda:x\"\n[prune]"),
        ("[prune]", "[run]\nlanes = 0\n[prune]"),
        ("[prune]", "[run]\nlanes = 3\nengine = \"sparse\"\n[prune]"),
    ]));
}
