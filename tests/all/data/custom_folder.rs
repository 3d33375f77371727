//! The folder of custom data on the real binary: where a relative path is looked for.

use std::fs;

use super::files::{IDX, experiment, own_idx, put};
use crate::support::*;

#[test]
fn custom_data_are_looked_for_beside_the_configuration_first() {
    let folder = tempfile::tempdir().unwrap();
    let data = "dataset = { idx = { dir = \"mine\", classes = 3 } }\nvalidation = 6";
    config(&folder.path().join("experiments"), &experiment(data));
    let plan = |current: &str| {
        let current = folder.path().join(current);
        let config = folder.path().join("experiments/config.toml");
        lth().current_dir(current).args(["plan", "--json"]).arg(config).output().unwrap()
    };
    let missing = plan("");
    assert_eq!(missing.status.code(), Some(2));
    let hint = "a relative folder is looked for beside the configuration, then in the working directory";
    assert!(stderr(&missing).contains(hint), "{}", stderr(&missing));
    // In the working directory.
    own_idx(&folder.path().join("mine"));
    let id = |current: &str| {
        let output = plan(current);
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()["id"].clone()
    };
    let in_working_directory = id("");
    // Beside the configuration: other data of the same name, which come first.
    own_idx(&folder.path().join("experiments/mine"));
    assert_eq!(id(""), in_working_directory, "the same bytes elsewhere are the same data");
    let labels = folder.path().join("experiments/mine").join(IDX[1]);
    let mut bytes = fs::read(&labels).unwrap();
    bytes.swap(8, 9);
    put(&labels, &bytes);
    assert_ne!(id(""), in_working_directory);
    assert_eq!(id(""), id("experiments"));
}
