//! What this machine has, as a person reads it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::table::printable;
use crate::base::format::{bytes, with_thousands};
use crate::data::{Availability, DatasetStatus};
use crate::runner::StoreReport;

/// What to do where CUDA is missing.
pub const CUDA_HINT: &str =
    "`scripts/setup --cuda` installs libtorch with CUDA (3 GB to fetch); the driver comes with the system";

/// What this machine has for the program to work with. Its JSON is the output of `lth doctor --json`.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// Version of this program.
    pub lth: String,
    /// Version of the bindings.
    pub tch: String,
    /// Version of the libtorch that is loaded, where its folder tells.
    pub libtorch: Option<String>,
    /// Version of libtorch that this program is made for.
    pub libtorch_wanted: String,
    /// The files of libtorch that are loaded.
    pub libraries: Vec<PathBuf>,
    /// What there is of CUDA.
    pub cuda: CudaDiagnosis,
    /// The processor's name.
    pub processor: String,
    /// The processors this program may use.
    pub cores: usize,
    /// Vector instructions that trainers can use.
    pub vector_instructions: Vec<&'static str>,
    /// Where the built-in data sets are looked for.
    pub data_dir: PathBuf,
    /// What is there of each.
    pub data: Vec<DatasetStatus>,
    /// The folder of all runs.
    pub runs: PathBuf,
    /// Why files cannot be locked there; `None` where they can.
    pub no_locks: Option<String>,
    /// What its store holds.
    pub store: StoreReport,
}

/// What there is of CUDA.
#[derive(Clone, Debug, Serialize)]
pub struct CudaDiagnosis {
    /// GPUs that libtorch can use.
    pub devices: usize,
    /// The GPUs that the driver tells of.
    pub gpus: Vec<String>,
    /// Why none can be used.
    pub missing: Option<String>,
}

/// The diagnosis as text.
pub fn diagnosis(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    let d = diagnosis;
    let mut line = |name: &str, what: &str| {
        let _ = writeln!(text, "{name:<10}  {what}");
    };
    line("lth", &format!("{}, on tch {}", d.lth, d.tch));
    match &d.libtorch {
        Some(version) if version.starts_with(&d.libtorch_wanted) => line("libtorch", version),
        Some(version) => line("libtorch", &format!("{version}; this program is made for {}", d.libtorch_wanted)),
        None => line("libtorch", &format!("of unknown version; this program is made for {}", d.libtorch_wanted)),
    }
    d.libraries.iter().for_each(|library| line("", &library.display().to_string()));
    match &d.cuda.missing {
        None => line("CUDA", &format!("{} GPU{}", d.cuda.devices, if d.cuda.devices == 1 { "" } else { "s" })),
        Some(reason) => {
            line("CUDA", &format!("no: {reason}"));
            line("", CUDA_HINT);
        }
    }
    d.cuda.gpus.iter().for_each(|gpu| line("", gpu));
    let vectors =
        if d.vector_instructions.is_empty() { "none known".to_owned() } else { d.vector_instructions.join(", ") };
    line("processor", &format!("{}, {} cores, vector instructions: {vectors}", d.processor, d.cores));
    line("data", &d.data_dir.display().to_string());
    for survey in &d.data {
        let what = match survey.state {
            Availability::Complete => "complete and verified".to_owned(),
            Availability::ShortTest => "usable, with a short test set".to_owned(),
            Availability::Incomplete => format!("incomplete: `lth data fetch {}` brings the rest", survey.name),
            Availability::Missing => format!("not there: `lth data fetch {}` brings it", survey.name),
            Availability::Damaged => format!("damaged: `lth data check {}` tells how", survey.name),
        };
        line("", &format!("{}: {what}", survey.name));
    }
    line("runs", &d.runs.display().to_string());
    if let Some(reason) = &d.no_locks {
        line("", &format!("no run can write there: {reason}"));
    }
    line("", &store(&d.store));
    d.store.damaged.iter().for_each(|damage| line("", &format!("damaged: {damage}")));
    d.store
        .foreign
        .iter()
        .for_each(|path| line("", &format!("not written by lth: {}", printable(&path.display().to_string()))));
    text
}

/// What the store holds, in a line.
fn store(health: &StoreReport) -> String {
    if *health == (StoreReport { foreign: health.foreign.clone(), ..StoreReport::default() }) {
        return "no trainings are stored there".to_owned();
    }
    let mut parts = vec![format!("{} trainings, whole", with_thousands(health.trainings as u64))];
    for (n, what) in [
        (health.damaged.len(), "damaged: a run that needs one trains it again"),
        (health.unfinished, "begun and not done"),
        (health.set_aside, "set aside by --fresh"),
    ] {
        if n > 0 {
            parts.push(format!("{} {what}", with_thousands(n as u64)));
        }
    }
    format!("{}; {}", parts.join(", "), bytes(health.bytes))
}
