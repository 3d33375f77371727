//! `lth generate` and `lth init` on the real binary.

use std::fs;
use std::path::Path;

use crate::support::*;

fn stdout_of(args: &[&str]) -> String {
    let output = lth().args(args).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

#[test]
fn schema_and_reference_in_configs_are_current() {
    let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    for (what, file) in [("schema", "schema.json"), ("config-reference", "REFERENCE.md")] {
        let there = fs::read_to_string(configs.join(file)).unwrap();
        assert!(stdout_of(&["generate", what]) == there, "run `lth generate {what} > configs/{file}`");
    }
}

/// Returns the violations of a schema by a value, for the keywords of JSON Schema that the schema of this program uses.
fn breaks(value: &serde_json::Value, part: &serde_json::Value, whole: &serde_json::Value, at: &str) -> Vec<String> {
    if let Some(name) = part["$ref"].as_str() {
        return breaks(value, whole.pointer(name.trim_start_matches('#')).unwrap(), whole, at);
    }
    for choice in ["oneOf", "anyOf"] {
        let Some(parts) = part[choice].as_array() else { continue };
        let fits = parts.iter().filter(|part| breaks(value, part, whole, at).is_empty()).count();
        return if fits == 1 { vec![] } else { vec![format!("{at}: fits {fits} of the {choice}")] };
    }
    let types: Vec<&str> = match &part["type"] {
        serde_json::Value::Array(types) => types.iter().map(|kind| kind.as_str().unwrap()).collect(),
        kind => kind.as_str().into_iter().collect(),
    };
    let is = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    let mut broken = Vec::new();
    let fits_word = |words: &serde_json::Value| words.as_array().is_none_or(|words| words.contains(value));
    let is_const = part.get("const").is_none_or(|word| word == value);
    if !(types.is_empty() || types.iter().any(is)) || !fits_word(&part["enum"]) || !is_const {
        broken.push(format!("{at}: {value} is not {part}"));
    }
    for (key, inner) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match part["properties"].get(key).unwrap_or(&part["additionalProperties"]) {
            serde_json::Value::Bool(false) => broken.push(format!("{at}: unknown")),
            serde_json::Value::Null | serde_json::Value::Bool(true) => {}
            part => broken.extend(breaks(inner, part, whole, &at)),
        }
    }
    for key in part["required"].as_array().into_iter().flatten() {
        if value.get(key.as_str().unwrap()).is_none() {
            broken.push(format!("{at}: {key} is missing"));
        }
    }
    for inner in value.as_array().into_iter().flatten() {
        broken.extend(breaks(inner, &part["items"], whole, &format!("{at}[]")));
    }
    broken
}

#[test]
fn schema_is_named_and_met_by_every_config() {
    let schema: serde_json::Value = serde_json::from_str(&stdout_of(&["generate", "schema"])).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs");
    let own = fs::canonicalize(folder.join("schema.json")).unwrap();
    let configs = [&folder, &folder.join("paper")].map(|folder| lth::system::files::list(folder).unwrap()).concat();
    let configs: Vec<_> = configs.iter().filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    assert!(configs.len() >= 16);
    for path in configs {
        let text = fs::read_to_string(path).unwrap();
        let named = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap();
        assert!(named.starts_with('.'), "{}: editors go by the file's folder", path.display());
        assert_eq!(fs::canonicalize(path.parent().unwrap().join(named)).unwrap(), own, "{}", path.display());
        let read = |text: &str| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap();
        assert_eq!(breaks(&read(&text), &schema, &schema, ""), Vec::<String>::new(), "{}", path.display());
        let mistakes =
            [("[train]", "[train]\nlrr = 1"), ("rounds = ", "rounds = 1.5 #"), ("= \"rewind\"", "= \"rewnd\"")];
        for (right, wrong) in mistakes {
            assert!(!breaks(&read(&text.replacen(right, wrong, 1)), &schema, &schema, "").is_empty(), "{wrong}");
        }
    }
}

#[test]
fn outputs_meet_their_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let short = ["replicates=2", "rounds=1", "train.iterations=40"];
    run_ok(SMOKE, folder.path(), &short);
    run_ok(SMOKE, folder.path(), &[&short[..], &["train.lr=0.01"]].concat());
    let json = |args: &[&str]| crate::support::stdout_of(folder.path(), &[args, &["--json"]].concat());
    let manifest = fs::read_to_string(run_dirs(folder.path())[0].join("run.json")).unwrap();
    for (name, text, field) in [
        ("manifest", manifest, "audit"),
        ("compare", json(&["compare", "smoke"]), "differences"),
        ("compare", json(&["compare", "smoke", "--round", "0", "--sort", "n"]), "results"),
        ("runs", json(&["runs"]), "started"),
        ("rm", json(&["rm", "smoke@lr=0.01", "--dry-run"]), "foreign"),
        ("clean", json(&["clean", "--dry-run"]), "kept"),
    ] {
        let schema: serde_json::Value =
            serde_json::from_str(&stdout_of(&["generate", "schema", "--of", name])).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(breaks(&value, &schema, &schema, name), Vec::<String>::new(), "{value:#}");
        let object = if value.is_array() { &mut value[0] } else { &mut value };
        object.as_object_mut().unwrap().remove(field).unwrap();
        assert_eq!(breaks(&value, &schema, &schema, name).len(), 1, "{name} without `{field}`");
    }
}

#[test]
fn manual_pages_have_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = stdout_of(&["generate", "man", "--out", folder.path().to_str().unwrap()]);
    for command in ["run", "plan", "check", "data", "init", "generate"] {
        assert!(stdout_of(&["generate", "man"]).contains(&format!("lth\\-{command}")), "{command}");
        assert!(pages.contains(&format!("lth-{command}.1")), "{command}");
        let page = fs::read_to_string(folder.path().join(format!("lth-{command}.1"))).unwrap();
        assert!(page.contains(".SH NAME"), "{page}");
    }
}

#[test]
fn init_writes_valid_experiment_and_overwrites_nothing() {
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
    for (file, message) in [("My first.toml", "exists and is not replaced"), ("a.json", "does not end in")] {
        let again = init(file);
        assert_eq!(again.status.code(), Some(2));
        assert!(stderr(&again).contains(message) && stderr(&again).contains("hint: "), "{}", stderr(&again));
    }
    assert_eq!(fs::read_to_string(folder.path().join("My first.toml")).unwrap(), text);
}
