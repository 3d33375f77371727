//! Each room imports only from the rooms below it.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up.
const ROOMS: [&str; 13] = [
    "base", "config", "record", "data", "network", "prune", "engine", "train", "lottery", "lab", "report", "ui", "cli",
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

fn height(room: &str) -> usize {
    ROOMS.iter().position(|known| *known == room).unwrap_or_else(|| panic!("`{room}` is no room"))
}

/// The room names behind `crate::` in a source text.
fn imports(text: &str) -> Vec<String> {
    assert!(!text.contains("crate::{"), "one `use` for each room, so that this test sees it");
    let word = |part: &str| part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    text.split("crate::").skip(1).map(word).filter(|room: &String| !room.is_empty()).collect()
}

#[test]
fn no_room_imports_from_above() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut seen = 0;
    for file in files {
        let inner = file.strip_prefix(&src).unwrap();
        let room = inner.iter().next().unwrap().to_str().unwrap();
        if inner.components().count() == 1 {
            continue;
        }
        for import in imports(&fs::read_to_string(&file).unwrap()) {
            assert!(height(&import) <= height(room), "{} imports from `{import}`, which is above it", inner.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "the test must see the imports: {seen}");
}

#[test]
fn only_the_dense_engine_knows_libtorch() {
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
    assert!(!knows.is_empty() && knows.iter().all(|file| file.starts_with("engine/dense")), "{knows:?}");
}

#[test]
fn the_rooms_are_declared_in_this_order() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let declared: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(declared, ROOMS);
}
