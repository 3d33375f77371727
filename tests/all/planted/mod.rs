//! The known bugs in `tests/planted/`, which `scripts/planted_bugs` puts into the sources: each patch applies to them
//! and names tests that exist. Also the tests of random streams that catch such bugs.

mod rewinding;
mod streams;

use std::fs;
use std::path::{Path, PathBuf};

/// A patch: its header by key, and its hunks, each as (file, lines before, lines after).
struct Patch {
    name: String,
    header: Vec<(String, String)>,
    hunks: Vec<(String, String, String)>,
}

impl Patch {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (header, body) = text.split_once("\n\n").unwrap();
        let field = |line: &str| {
            let (key, value) = line.split_once(':').unwrap();
            (key.to_owned(), value.trim().to_owned())
        };
        let mut hunks: Vec<(String, String, String)> = Vec::new();
        let mut file = "";
        for line in body.split_inclusive('\n') {
            if let Some(name) = line.strip_prefix("--- a/") {
                file = name.trim();
            } else if line.starts_with("@@") {
                hunks.push((file.to_owned(), String::new(), String::new()));
            } else if !line.starts_with("+++") {
                let (_, before, after) = hunks.last_mut().unwrap();
                if !line.starts_with('+') {
                    before.push_str(&line[1..]);
                }
                if !line.starts_with('-') {
                    after.push_str(&line[1..]);
                }
            }
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Self { name, header: header.lines().map(field).collect(), hunks }
    }

    fn field(&self, key: &str) -> &str {
        &self.header.iter().find(|(name, _)| name == key).unwrap_or_else(|| panic!("{}: no {key}", self.name)).1
    }
}

/// Returns the text of all Rust files in a folder and its subfolders.
fn sources(folder: &Path) -> String {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => sources(&path),
        Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
        _ => String::new(),
    };
    paths.map(text).collect()
}

#[test]
fn planted_bugs_apply_to_the_sources_and_name_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (unit_tests, integration_tests) = (sources(&root.join("src")), sources(&root.join("tests/all")));
    let paths = fs::read_dir(root.join("tests/planted")).unwrap().map(|entry| entry.unwrap().path());
    let patches: Vec<Patch> = paths.map(|path| Patch::read(&path)).collect();
    for number in ["01", "02", "03", "04", "06", "07", "09", "14", "20"] {
        assert!(patches.iter().any(|patch| patch.name.starts_with(number)), "no bug of kind {number}");
    }
    for patch in &patches {
        let name = &patch.name;
        for (file, before, after) in &patch.hunks {
            let text = fs::read_to_string(root.join(file)).unwrap();
            let count = text.matches(before.as_str()).count();
            assert_eq!(count, 1, "{name}: in {file} these lines must occur once:\n{before}");
            assert_ne!(before, after, "{name}: a patch without effect");
        }
        assert!(!patch.hunks.is_empty() && !patch.field("Fault").is_empty(), "{name}");
        assert!(root.join(patch.field("Run").split(' ').next().unwrap()).is_file(), "{name}: a run of a configuration");
        let tests = patch.field("Tests");
        assert!(!tests.is_empty(), "{name}: names no test");
        for test in tests.split(' ') {
            let (target, path) = test.split_once(':').unwrap();
            let text = if target == "lib" { &unit_tests } else { &integration_tests };
            let function = path.rsplit("::").next().unwrap();
            assert!(text.contains(&format!("fn {function}(")), "{name}: there is no test {test}");
        }
    }
}
