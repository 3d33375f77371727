//! The output of `lth doctor`.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::table::printable;
use crate::base::format::{bytes, count_of, with_thousands};
use crate::data::{DatasetReport, DatasetStatus};
use crate::runner::StoreReport;

/// Largest width of the text, in columns.
const WIDTH: usize = 80;
/// Width of the names of the lines, in columns.
const NAME_WIDTH: usize = 10;

/// The hint for missing CUDA.
pub const CUDA_HINT: &str =
    "`scripts/setup --cuda` installs libtorch with CUDA (3 GB); the driver is part of the system";

/// Versions, devices, data sets and stored training runs of this machine. Its JSON is the output of `lth doctor
/// --json`.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Diagnosis {
    /// Version of this program.
    pub lth: String,
    /// Version of tch, the Rust bindings of libtorch.
    pub tch: String,
    /// Version of the loaded libtorch; `None` if its folder has no file `build-version`.
    pub libtorch: Option<String>,
    /// Version of libtorch that this program is made for.
    pub libtorch_wanted: String,
    /// Paths of the loaded files of libtorch.
    pub libraries: Vec<PathBuf>,
    /// CUDA devices.
    pub cuda: CudaDiagnosis,
    /// Name of the processor.
    pub processor: String,
    /// Number of processor cores that this program may use.
    pub cores: usize,
    /// The limit by which these are fewer than the machine has; `None` if all may be used.
    pub cores_limit: Option<String>,
    /// Vector instruction sets that trainers can use.
    pub vector_instructions: Vec<&'static str>,
    /// Folder of the built-in data sets.
    pub data_dir: PathBuf,
    /// State of each built-in data set.
    pub data: Vec<DatasetReport>,
    /// Folder of all runs.
    pub runs: PathBuf,
    /// Whether the processes on `runs` use claim files in place of file locks.
    pub claims: bool,
    /// Reason why files in `runs` cannot be locked; `None` if they can.
    pub no_locks: Option<String>,
    /// State of the store in `runs`.
    pub store: StoreReport,
}

/// CUDA devices of this machine.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct CudaDiagnosis {
    /// Number of GPUs that libtorch can use.
    pub devices: usize,
    /// Names of the GPUs that the driver lists.
    pub gpus: Vec<String>,
    /// Reason why no GPU can be used; `None` if one can.
    pub missing: Option<String>,
}

/// Returns the diagnosis as text.
pub fn diagnosis(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        for (index, part) in wrapped(value, WIDTH - NAME_WIDTH - 2).iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            let _ = writeln!(text, "{name:<NAME_WIDTH$}  {part}");
        }
    };
    line("lth", &format!("{}, on tch {}", diagnosis.lth, diagnosis.tch));
    line("libtorch", &libtorch_text(diagnosis));
    diagnosis.libraries.iter().for_each(|library| line("", &library.display().to_string()));
    match &diagnosis.cuda.missing {
        None => line(
            "CUDA",
            &format!("{} GPU{}", diagnosis.cuda.devices, if diagnosis.cuda.devices == 1 { "" } else { "s" }),
        ),
        Some(reason) => {
            line("CUDA", &format!("no: {reason}"));
            line("", CUDA_HINT);
        }
    }
    diagnosis.cuda.gpus.iter().for_each(|gpu| line("", gpu));
    let vectors = if diagnosis.vector_instructions.is_empty() {
        "none known".to_owned()
    } else {
        diagnosis.vector_instructions.join(", ")
    };
    line("processor", &format!("{}, {}", diagnosis.processor, count_of(diagnosis.cores as u64, "core")));
    line("", &format!("vector instructions: {vectors}"));
    if let Some(limit) = &diagnosis.cores_limit {
        line("", &format!("fewer cores than the machine has: {limit}"));
    }
    line("data", &diagnosis.data_dir.display().to_string());
    for report in &diagnosis.data {
        line("", &dataset_text(report));
    }
    line("runs", &diagnosis.runs.display().to_string());
    line("", &locks_text(diagnosis));
    line("", &store_text(&diagnosis.store));
    diagnosis.store.damaged.iter().for_each(|damage| line("", &format!("damaged: {damage}")));
    diagnosis
        .store
        .foreign
        .iter()
        .for_each(|path| line("", &format!("not written by lth: {}", printable(&path.display().to_string()))));
    text
}

/// Returns a text in lines of at most `width` columns, broken between words; a longer word, such as a path, stays whole.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line =
            lines.last_mut().filter(|line| line.is_empty() || line.chars().count() + 1 + word.chars().count() <= width);
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Returns the version of libtorch, and the version that this program is made for if it differs.
fn libtorch_text(diagnosis: &Diagnosis) -> String {
    let wanted = &diagnosis.libtorch_wanted;
    match &diagnosis.libtorch {
        Some(version) if version.starts_with(wanted) => version.clone(),
        Some(version) => format!("{version}; this program needs {wanted}"),
        None => format!("unknown version; this program needs {wanted}"),
    }
}

/// Returns how processes on the folder of runs keep out of each other's way, and whether its files can be locked.
fn locks_text(diagnosis: &Diagnosis) -> String {
    match (diagnosis.claims, &diagnosis.no_locks) {
        (false, None) => "file locks work here".to_owned(),
        (false, Some(reason)) => {
            format!("no run can write to it: {reason}. With LTH_LOCKS=claims, claim files take the place of locks")
        }
        (true, None) => "claim files in place of file locks (LTH_LOCKS=claims), though locks work here".to_owned(),
        (true, Some(reason)) => format!("claim files in place of file locks (LTH_LOCKS=claims): {reason}"),
    }
}

/// Returns the name and the state of a data set.
fn dataset_text(report: &DatasetReport) -> String {
    let state = match report.status {
        DatasetStatus::Complete => "complete and verified".to_owned(),
        DatasetStatus::PartialTest => report.partial_test_text(),
        DatasetStatus::Incomplete => format!("incomplete: `lth data fetch {}` brings the rest", report.name),
        DatasetStatus::Missing => format!("not there: `lth data fetch {}` brings it", report.name),
        DatasetStatus::Damaged => format!("damaged: `lth data check {}` tells how", report.name),
    };
    format!("{}: {state}", report.name)
}

/// Returns the state of the store as one line.
fn store_text(report: &StoreReport) -> String {
    if *report == (StoreReport { foreign: report.foreign.clone(), ..StoreReport::default() }) {
        return "no stored training runs".to_owned();
    }
    let mut parts = vec![format!("{} complete", count_of(report.trainings as u64, "training run"))];
    for (n, description) in [
        (report.damaged.len(), "damaged (trained again if a run needs them)"),
        (report.unfinished, "unfinished"),
        (report.archived, "archived by --fresh"),
    ] {
        if n > 0 {
            parts.push(format!("{} {description}", with_thousands(n as u64)));
        }
    }
    format!("{}; {}", parts.join(", "), bytes(report.bytes))
}
