//! The files that record where a run comes from: the configuration as given, the origin of each value, and the commands
//! that worked on the run. A command that works on a run again adds to them, and overwrites nothing.

use std::collections::BTreeMap;

use anyhow::Result;

use super::manifest::updated_manifest;
use crate::artifacts::{RunCommand, RunManifest};
use crate::config::ConfigDocument;
use crate::runner::RunFiles;
use crate::system::clock::UtcTime;
use crate::system::paths::RunDir;

/// The text before the origin of a value in `resolved.toml`.
const ORIGIN: &str = "  # ";

/// Returns the file name of the run's copy of the configuration.
pub(super) fn config_file(document: &ConfigDocument) -> &'static str {
    let [toml, json] = RunDir::CONFIG;
    if document.is_json() { json } else { toml }
}

/// Writes the copy of the configuration, if the run has none, and the `resolved` one.
///
/// # Errors
/// Fails if a file cannot be written.
pub(super) fn write_config(files: &RunFiles<'_>, document: &ConfigDocument, resolved: &str) -> Result<()> {
    if !RunDir::CONFIG.iter().any(|name| files.dir.file(name).exists()) {
        files.write_files(&[(config_file(document), config_with_overrides(document).into_bytes())])?;
    }
    files.update_file(RunDir::RESOLVED_CONFIG, |present| {
        let present = present.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        Ok(with_present_origins(&present, resolved).into_bytes())
    })
}

/// Returns the text of a configuration; in TOML, after a comment that names the options of the command line that
/// changed it, if there are any.
fn config_with_overrides(document: &ConfigDocument) -> String {
    let options = document.override_options();
    if options.is_empty() || document.is_json() {
        return document.text.clone();
    }
    let options = options.join(" ").replace(['\n', '\r'], " ");
    let resolved = RunDir::RESOLVED_CONFIG;
    format!("# Run with: {options}. `{resolved}` has all values and reproduces the run.\n{}", document.text)
}

/// Returns the text of `resolved.toml` with the origins that its `present` text gives for values that have not changed.
pub(super) fn with_present_origins(present: &str, resolved: &str) -> String {
    let mut origins = BTreeMap::new();
    for (table, line) in lines_with_tables(present) {
        if let Some((value, _)) = line.rsplit_once(ORIGIN) {
            origins.insert((table, value), line);
        }
    }
    let line = |(table, line)| {
        let value = str::rsplit_once(line, ORIGIN).map_or(line, |(value, _)| value);
        format!("{}\n", origins.get(&(table, value)).unwrap_or(&line))
    };
    lines_with_tables(resolved).into_iter().map(line).collect()
}

/// Returns the lines of a TOML text, each with the header of the table that it is in.
fn lines_with_tables(text: &str) -> Vec<(&str, &str)> {
    let mut table = "";
    let with_table = |line| {
        if str::starts_with(line, '[') {
            table = line;
        }
        (table, line)
    };
    text.lines().map(with_table).collect()
}

/// The record of one command in the manifest of a run.
pub(super) struct CommandRecord<'a> {
    files: &'a RunFiles<'a>,
    command: RunCommand,
}

impl<'a> CommandRecord<'a> {
    /// Returns the record of a command that starts now.
    pub(super) fn start(files: &'a RunFiles<'a>, command: &str) -> Self {
        let started = Some(UtcTime::now());
        Self { files, command: RunCommand { command: command.to_owned(), started, finished: None } }
    }

    /// Writes the manifest `new` with this command and those before it.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub(super) fn write(&self, new: RunManifest) -> Result<()> {
        self.files.update_file(RunDir::MANIFEST, |present| {
            updated_manifest(present.as_deref(), new, &self.command).to_bytes()
        })
    }

    /// Like [`write`](Self::write), but records that the command has ended.
    ///
    /// # Errors
    /// Fails if the file cannot be written.
    pub(super) fn finish(mut self, new: RunManifest) -> Result<()> {
        self.command.finished = Some(UtcTime::now());
        self.write(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_names_the_overrides() {
        let config = |name: &str, text: &str, sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            config_with_overrides(&ConfigDocument::parse(name, text, &sets).unwrap())
        };
        let text = config("a.toml", "seed = 1\n", &["seed=2", "name=b c", "arms.x={a=1,b=2}"]);
        let expected = "# Run with: --set 'arms.x={a=1,b=2}' --set 'name=b c' --set seed=2. `resolved.toml` has all \
                        values and reproduces the run.\n";
        assert_eq!(text, format!("{expected}seed = 1\n"), "sorted by path, each once");
        assert_eq!(config("a.toml", "seed = 1\n", &[]), "seed = 1\n");
        assert_eq!(config("a.json", "{}", &["seed=2"]), "{}");
    }

    #[test]
    fn origins_stay_where_values_do() {
        let present = "# Comment.\nseed = 1  # a.toml:1\n\n[train]\nlr = 0.1  # --set train.lr=0.1\n\n\
                       [x]\nlr = 2  # a.toml:9\n";
        let resolved = "# Comment.\nseed = 1  # resolved.toml:2\n\n[train]\nlr = 0.1  # resolved.toml:5\n\
                        new = true  # default\n\n[x]\nlr = 3  # --set x.lr=3\n";
        let expected = "# Comment.\nseed = 1  # a.toml:1\n\n[train]\nlr = 0.1  # --set train.lr=0.1\n\
                        new = true  # default\n\n[x]\nlr = 3  # --set x.lr=3\n";
        assert_eq!(with_present_origins(present, resolved), expected);
        assert_eq!(with_present_origins("", resolved), resolved);
    }
}
