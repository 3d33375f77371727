//! Each layer imports only the layers before it in `lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers in the order of `lib.rs`: each may import only the layers before it.
const LAYERS: [&str; 16] = [
    "base",
    "system",
    "config",
    "data",
    "network",
    "prune",
    "compute",
    "engine",
    "train",
    "lottery",
    "artifacts",
    "runner",
    "plot",
    "report",
    "ui",
    "cli",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn position(layer: &str) -> usize {
    LAYERS.iter().position(|name| *name == layer).unwrap_or_else(|| panic!("`{layer}` is not a layer of lib.rs"))
}

/// Returns the layers named after `crate::` in a source text.
fn imports(text: &str) -> Vec<String> {
    assert!(!text.contains("crate::{"), "one `use` for each layer, so that this test sees it");
    let word = |part: &str| part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    text.split("crate::").skip(1).map(word).filter(|layer: &String| !layer.is_empty()).collect()
}

#[test]
fn layers_import_only_layers_before_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut seen = 0;
    for file in files {
        let inner = file.strip_prefix(&src).unwrap();
        let layer = inner.iter().next().unwrap().to_str().unwrap();
        if inner.components().count() == 1 {
            continue;
        }
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            assert!(position(&import) <= position(layer), "{} imports `{import}`, a later layer", inner.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "the test must see the imports: {seen}");
}

#[test]
fn plot_imports_no_other_layer() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plot"), &mut files);
    assert!(!files.is_empty());
    for file in files {
        assert_eq!(imports(&fs::read_to_string(&file).unwrap()), [""; 0], "{}", file.display());
    }
}

#[test]
fn libtorch_is_known_to_the_torch_engine_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let knows: Vec<_> = files
        .iter()
        .filter(|file| {
            let text = fs::read_to_string(file).unwrap();
            text.match_indices("tch::").any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
        .map(|file| file.strip_prefix(&src).unwrap().to_owned())
        .collect();
    assert!(!knows.is_empty() && knows.iter().all(|file| file.starts_with("engine/torch")), "{knows:?}");
}

#[test]
fn layers_are_declared_in_this_order() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, LAYERS);
}
