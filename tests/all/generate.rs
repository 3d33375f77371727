//! `lth generate` and `lth init` on the real binary.

use std::fs;
use std::path::Path;

use crate::support::*;

fn prints(args: &[&str]) -> String {
    let output = lth().args(args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn the_files_in_configs_are_what_the_program_prints() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for (what, file) in [("schema", "schema.json"), ("config-reference", "REFERENCE.md")] {
        let there = fs::read_to_string(configs.join(file)).unwrap();
        assert!(prints(&["generate", what]) == there, "run `lth generate {what} > configs/{file}`");
    }
}

#[test]
fn every_key_of_every_configuration_is_in_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&prints(&["generate", "schema"])).unwrap();
    let resolve = |value: &serde_json::Value| match value["$ref"].as_str() {
        Some(name) => schema.pointer(name.trim_start_matches('#')).unwrap().clone(),
        None => value.clone(),
    };
    for config in ["smoke", "quickstart", "lenet_mnist", "lenet_fashion_mnist"] {
        let path = format!("{}/configs/{config}.toml", env!("CARGO_MANIFEST_DIR"));
        let root: toml::Table = fs::read_to_string(&path).unwrap().parse().unwrap();
        for (key, value) in &root {
            let property = resolve(&schema["properties"][key]);
            assert!(!property.is_null(), "{config}: {key}");
            for inner in value.as_table().into_iter().flat_map(|table| table.keys()).filter(|_| key != "arms") {
                assert!(property["properties"].get(inner).is_some(), "{config}: {key}.{inner}");
            }
        }
    }
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = prints(&["generate", "man", "--out", folder.path().to_str().unwrap()]);
    for command in ["run", "plan", "check", "data", "init", "generate"] {
        for shell in ["bash", "zsh", "fish"] {
            assert!(prints(&["generate", "completions", shell]).contains(command), "{shell} {command}");
        }
        assert!(prints(&["generate", "man"]).contains(&format!("lth\\-{command}")), "{command}");
        assert!(pages.contains(&format!("lth-{command}.1")), "{command}");
        let page = fs::read_to_string(folder.path().join(format!("lth-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{page}");
    }
}

#[test]
fn init_writes_an_experiment_that_is_understood_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let init = |file: &str| lth().current_dir(folder.path()).args(["init", file]).output().unwrap();
    let first = init("My first.toml");
    assert!(first.status.success(), "{}", stderr(&first));
    let text = fs::read_to_string(folder.path().join("My first.toml")).unwrap();
    assert!(text.starts_with("#:schema ./lth.schema.json\n") && text.contains("name = \"my_first\""), "{text}");
    assert!(folder.path().join("lth.schema.json").exists());
    let plan = lth().current_dir(folder.path()).args(["plan", "My first.toml"]).output().unwrap();
    assert!(plan.status.success(), "{}", stderr(&plan));
    assert!(stdout(&plan).contains("winning_ticket"), "{}", stdout(&plan));
    for (file, message) in [("My first.toml", "is there already, and stays as it is"), ("a.json", "does not end in")] {
        let again = init(file);
        assert_eq!(again.status.code(), Some(2));
        assert!(stderr(&again).contains(message) && stderr(&again).contains("hint: "), "{}", stderr(&again));
    }
    assert_eq!(fs::read_to_string(folder.path().join("My first.toml")).unwrap(), text);
}

#[test]
fn layers_that_do_not_fit_are_told_by_their_place() {
    let said = |layers: &str| {
        let set = format!("network={{layers={layers}}}");
        let output = lth().args(["check", SMOKE, "--set", &set]).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        stderr(&output)
    };
    let all = [
        said("[]"),
        said("[\"relu\",{linear={out=10}}]"),
        said("[{linear={out=300}},\"relu\"]"),
        said("[{linear={out=11}}]"),
        said("[{lin={out=3}},{dropout={rate=1.5}},{linear={out=0}}]"),
        said("[\"linear\"]"),
        said("[{linear={}},\"rely\"]"),
    ];
    insta::assert_snapshot!(all.join("\n---\n"));
}

#[test]
fn a_network_with_dropout_trains_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let set = "network={layers=[{linear={out=32}},\"relu\",{dropout={rate=0.3}},{linear={out=10}}]}";
    run_well(SMOKE, folder.path(), &[set, "replicates=1", "rounds=1"]);
    let resolved = fs::read_to_string(view(folder.path()).join("resolved.toml")).unwrap();
    assert!(resolved.contains("dropout = { rate = 0.3 }"), "{resolved}");
}
