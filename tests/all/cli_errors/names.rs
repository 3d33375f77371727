//! Names on the real binary: layers with dots in their names, and names that other programs misread.

use std::fs;

use crate::support::*;

/// Returns an experiment on `resnet20`, which has layers with names such as `block1.conv1`. `rates` are the lines of
/// `[prune.rate.layers]`.
fn resnet(rates: &str) -> String {
    format!(
        "name = \"blocks\"\nrounds = 1\n[data]\ndataset = \"cifar10\"\n[network]\narchitecture = \"resnet20\"\n\
         [train]\niterations = 10\nbatch_size = 8\noptimizer = \"sgd\"\nlr = 0.1\n\
         [prune.rate]\nconv = 0.5\n[prune.rate.layers]\n{rates}\n\
         [arms.ticket]\nmask = \"iterative\"\nweights = \"rewind\"\n"
    )
}

/// Returns `prune.rate.layers` of the resolved experiment.
fn resolved(text: &str, name: &str, sets: &[&str]) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    lth::system::files::write(&folder.path().join(name), text.as_bytes()).unwrap();
    let mut command = lth();
    command.current_dir(folder.path()).args(["check", name]);
    for set in sets {
        command.args(["--set", set]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{sets:?}: {}", stderr(&output));
    // The output is valid TOML.
    let table: toml::Table = stdout(&output).parse().unwrap();
    serde_json::to_value(&table["prune"]["rate"]["layers"]).unwrap()
}

#[test]
fn layer_names_with_dots_are_understood_by_set() {
    let text = resnet("output = 0.1\n\"block2.conv1\" = 0.4");
    let expected = serde_json::json!({ "block1.conv1": 0.3, "block2.conv1": 0.4, "output": 0.1 });
    for set in [
        "prune.rate.layers.block1.conv1=0.3",
        "prune.rate.layers.\"block1.conv1\"=0.3",
        "prune.rate.layers.'block1.conv1'=0.3",
        "prune.rate.layers.block1={conv1=0.3}",
    ] {
        assert_eq!(resolved(&text, "a.toml", &[set]), expected, "{set}: the other rates stay");
    }
    let again = resolved(&text, "a.toml", &["prune.rate.layers.block2.conv1=0.2"]);
    assert_eq!(again, serde_json::json!({ "block2.conv1": 0.2, "output": 0.1 }));
    // Quotes are understood in any key.
    let output = lth().args(["check", SMOKE, "--set", "\"train\".'lr'=0.25"]).output().unwrap();
    assert!(stdout(&output).contains("lr = 0.25"), "{}", stderr(&output));
}

#[test]
fn layer_names_with_dots_are_understood_in_files() {
    let expected = serde_json::json!({ "block1.conv1": 0.3, "block2.conv1": 0.4 });
    let json = |layers: &str| {
        let mut root = serde_json::to_value(resnet("output = 0.1").parse::<toml::Table>().unwrap()).unwrap();
        root["prune"]["rate"]["layers"] = serde_json::from_str(layers).unwrap();
        root.to_string()
    };
    for rates in ["block1.conv1 = 0.3\nblock2.conv1 = 0.4", "\"block1.conv1\" = 0.3\nblock2 = { conv1 = 0.4 }"] {
        assert_eq!(resolved(&resnet(rates), "a.toml", &[]), expected);
    }
    let nested = json("{\"block1\": {\"conv1\": 0.3}, \"block2.conv1\": 0.4}");
    assert_eq!(resolved(&nested, "a.json", &[]), expected);
}

#[test]
fn layer_names_with_dots_are_in_errors_with_place() {
    let folder = tempfile::tempdir().unwrap();
    let message = |rates: &str| {
        let output = lth().args(["check", &config(folder.path(), &resnet(rates))]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let twice = message("block1.conv1 = 0.3\n\"block1.conv1\" = 0.4");
    assert!(twice.contains("duplicate key `prune.rate.layers.block1.conv1`"), "{twice}");
    // Both mistakes are found, although one is at a name with a dot.
    let wrong = message("block1.conv1 = \".3\"\noutput = 7");
    assert!(
        wrong.contains("prune.rate.layers.block1.conv1`: expected a number") && wrong.contains("write `0.3`"),
        "{wrong}"
    );
    assert!(wrong.contains("config.toml:15:16") && wrong.contains("`prune.rate.layers.output`"), "{wrong}");
}

#[test]
fn names_that_other_programs_misread_are_refused() {
    let text = fs::read_to_string(SMOKE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| lth().args(["check", &config(folder.path(), text)]).output().unwrap();
    let proposal = |message: &str| message.split("such as `").nth(1).unwrap().split('`').next().unwrap().to_owned();
    for name in ["nan", "null", "-nan", "-x", "true", "inf", "12", "007", "1e5", "0x1f"] {
        let output = check(&text.replace("\"smoke\"", &format!("\"{name}\"")));
        let message = stderr(&output);
        assert!(output.status.code() == Some(2) && message.contains(&format!("name `{name}` ")), "{message}");
        let mended = check(&text.replace("\"smoke\"", &format!("\"{}\"", proposal(&message))));
        assert!(mended.status.success(), "{}", stderr(&mended));
    }
    for name in ["nan", "null", "false", "infinity", "12", "1e5"] {
        let output = check(&text.replace("[arms.random_mask]", &format!("[arms.{name}]")));
        let message = stderr(&output);
        assert!(output.status.code() == Some(2) && message.contains(&format!("the arm name `{name}` ")), "{message}");
        let mended = check(&text.replace("[arms.random_mask]", &format!("[arms.{}]", proposal(&message))));
        assert!(mended.status.success(), "{}", stderr(&mended));
    }
    for name in ["none", "na", "con", "2024-05-01", "3d"] {
        assert!(check(&text.replace("\"smoke\"", &format!("\"{name}\""))).status.success(), "{name}");
    }
}

#[test]
fn names_of_older_runs_are_shown_as_before() {
    let folder = tempfile::tempdir().unwrap();
    run_ok(SMOKE, folder.path(), &["replicates=1", "rounds=1"]);
    let run = run_dir(folder.path());
    let table = |run: &std::path::Path| stdout(&lth().arg("show").arg(run).output().unwrap());
    let before = table(&run);
    let resolved = fs::read_to_string(run.join("resolved.toml")).unwrap();
    // Older versions wrote no list of checksums.
    fs::remove_file(run.join("SHA256SUMS")).unwrap();
    lth::system::files::write(&run.join("resolved.toml"), resolved.replace("\"smoke\"", "\"12\"").as_bytes()).unwrap();
    assert_eq!(table(&run), before, "with its verdict");
}
