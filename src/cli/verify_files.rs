//! The checks of `lth verify` on the files of a run that the store does not determine alone: manifest, configuration,
//! report.

use anyhow::Result;

use super::provenance::with_present_origins;
use crate::artifacts::{RunManifest, plan_keys};
use crate::config::{self, ConfigDocument, to_toml};
use crate::lottery::Study;
use crate::report::{self, Run, RunAnalysis};
use crate::runner::{Check, WRITE_AGAIN};
use crate::system::files;
use crate::system::paths::{ReportDir, RunDir};
use crate::system::written_files::WrittenFiles;

/// The advice for a file of the report.
const REPORT_AGAIN: &str = "run `lth report` on the run";

/// Returns the check of `run.json` against the checksum that it carries.
pub(super) fn check_manifest(run_dir: &RunDir) -> Check {
    let mut check = Check::new("run.json", "the checksum that run.json carries", "file");
    match RunManifest::load(run_dir) {
        Ok(Some(_)) => check.pass(),
        Ok(None) if run_dir.file(RunDir::MANIFEST).exists() => check.note("another version of lth wrote it"),
        Ok(None) => check.differ(subject(run_dir, RunDir::MANIFEST), "it is missing", WRITE_AGAIN),
        Err(error) => check.differ(subject(run_dir, RunDir::MANIFEST), format!("{error:#}"), WRITE_AGAIN),
    }
    check
}

/// Returns the check of the plan: that of `resolved.toml` is the one that `run.json`, the list of keys and the name of
/// the folder identify, and the file is what its values give.
pub(super) fn check_configuration(run_dir: &RunDir, study: &Study, manifest: Option<&RunManifest>) -> Check {
    let mut check = Check::new("configuration", "the plan of resolved.toml is that of the run", "file");
    let resolved = subject(run_dir, RunDir::RESOLVED_CONFIG);
    let id = study.plan.id();
    match manifest {
        Some(manifest) if manifest.id != id.to_string() => check.differ(
            resolved.clone(),
            format!("its plan is {}, and that of run.json is {}", id.short(), manifest.id.get(..8).unwrap_or_default()),
            "the data or the configuration changed since the run: verify it with the same ones",
        ),
        Some(_) => check.pass(),
        None => check.note("run.json cannot be used"),
    }
    match resolved_text(run_dir, study) {
        Ok((present, made)) if present == made => check.pass(),
        Ok(_) => check.differ(resolved, "its text is not that of its values", WRITE_AGAIN),
        Err(error) => check.differ(resolved, format!("{error:#}"), WRITE_AGAIN),
    }
    let path = run_dir.plan_keys();
    if path.symlink_metadata().is_err() {
        check.note("the run has no list of keys outside its folder");
        return check;
    }
    let planned = study.plan.trainings.iter().map(|spec| spec.key.to_string()).collect();
    match plan_keys(run_dir) {
        Ok(keys) if keys == planned => check.pass(),
        Ok(_) => check.differ(format!("`{}`", path.display()), "its keys are not those of the plan", WRITE_AGAIN),
        Err(error) => check.differ(format!("`{}`", path.display()), format!("{error:#}"), WRITE_AGAIN),
    }
    check
}

/// Returns the text of `resolved.toml`, and the text made from its values.
fn resolved_text(run_dir: &RunDir, study: &Study) -> Result<(String, String)> {
    let path = run_dir.file(RunDir::RESOLVED_CONFIG);
    let present = String::from_utf8(files::read(&path)?)?;
    let document =
        ConfigDocument::parse(RunDir::RESOLVED_CONFIG, &present, &[]).map_err(|text| anyhow::anyhow!(text))?;
    // The experiment of the study may have other paths: those at which this command found the files.
    let experiment = config::read(&document)?;
    let made = to_toml(&experiment, study.resolved.device, study.resolved.lanes, &document);
    let comments = |line: &&str| line.starts_with('#');
    // Comments on the options of the command line precede the values.
    let values: Vec<&str> = made.lines().filter(|line| !comments(line)).collect();
    let head: Vec<String> = present.lines().take_while(comments).map(|line| format!("{line}\n")).collect();
    let made = head.concat() + &with_present_origins(&present, &values.join("\n"));
    Ok((present, made))
}

/// Returns the check of the report in the folder of the run, made again from the files of the run.
pub(super) fn check_report(run_dir: &RunDir, manifest: Option<&RunManifest>, is_running: bool) -> Check {
    let mut check = Check::new("report", "bytes of the report, made again from the files of the run", "file");
    let folder = run_dir.report_dir();
    if !folder.0.exists() {
        check.note("there is no report");
        return check;
    }
    let version = manifest.map(|manifest| manifest.versions.lth.as_str());
    if version != Some(env!("CARGO_PKG_VERSION")) {
        check.note("another version of lth wrote the run");
        return check;
    }
    if is_running {
        check.note("the run is in progress");
        return check;
    }
    let made = Run::open(run_dir.clone()).and_then(RunAnalysis::of).and_then(|analysis| report::files(&[analysis]));
    match made {
        Ok(made) if manifest.is_some_and(RunManifest::is_finished) => {
            for (name, expected) in made {
                let path = folder.file(&name);
                let stored = files::read(&path).ok();
                check.compare(&path, stored.as_deref(), &expected, REPORT_AGAIN);
            }
        }
        Ok(made) => compare_with_list(&mut check, &folder, &made),
        Err(error) => check.differ(format!("`{}`", folder.0.display()), format!("{error:#}"), WRITE_AGAIN),
    }
    check
}

/// Compares the files of the report on a run that is not finished with the list of what was written: the run may have
/// gone on since.
fn compare_with_list(check: &mut Check, folder: &ReportDir, made: &[(String, Vec<u8>)]) {
    check.note("the run is not finished, so the report may be older than its files");
    let changed = WrittenFiles::read(&folder.0).map(|list| list.foreign(made.iter().map(|(name, _)| name.as_str())));
    match changed {
        Ok(changed) if changed.is_empty() => check.pass(),
        Ok(changed) => {
            for path in changed {
                check.differ(format!("`{}`", path.display()), "it was changed since it was written", REPORT_AGAIN);
            }
        }
        Err(error) => check.differ(format!("`{}`", folder.0.display()), format!("{error:#}"), REPORT_AGAIN),
    }
}

fn subject(run_dir: &RunDir, name: &str) -> String {
    format!("`{}`", run_dir.file(name).display())
}
