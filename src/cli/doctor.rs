//! `lth doctor`: reports the versions, devices, data sets and stored training runs that this machine has.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use super::folders;
use super::load::RunsArgs;
use crate::data;
use crate::engine::torch;
use crate::runner::StoreReport;
use crate::system::env;
use crate::system::exit::Exit;
use crate::system::files::Lock;
use crate::system::machine;
use crate::ui::{self, CudaDiagnosis, Diagnosis};

#[derive(Debug, Args)]
pub(super) struct DoctorArgs {
    #[command(flatten)]
    runs: RunsArgs,
    /// Folder of the built-in data sets [default: `LTH_DATA_DIR`, else `data`].
    #[arg(long, value_name = "DIR", value_parser = folders::path_parser())]
    data_dir: Option<PathBuf>,
    /// Exit with status 1 if this is missing: `cuda`, or `data=NAME` (repeatable).
    #[arg(long, value_name = "WHAT", value_parser = requirement)]
    require: Vec<Requirement>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A requirement of `--require`.
#[derive(Clone, Debug)]
enum Requirement {
    /// A GPU that libtorch can use.
    Cuda,
    /// The complete data set of this name.
    Data(String),
}

/// Parses a requirement of `--require`.
fn requirement(text: &str) -> Result<Requirement, String> {
    match text.split_once('=') {
        None if text == "cuda" => Ok(Requirement::Cuda),
        Some(("data", name)) if data::names().contains(&name) => Ok(Requirement::Data(name.to_owned())),
        Some(("data", _)) => Err(format!("the data sets that come in files are {}", data::names().join(", "))),
        _ => Err("expected `cuda`, or `data=NAME` such as `data=mnist`".to_owned()),
    }
}

/// Runs `lth doctor` and returns its exit code.
///
/// # Errors
/// Fails if a folder cannot be read.
pub(super) fn run(args: &DoctorArgs) -> Result<Exit> {
    let folder = folders::data_folder(args.data_dir.as_ref())?;
    let runs = args.runs.folder()?;
    let libraries = machine::libraries().into_iter().filter(|path| is_of_libtorch(path)).collect::<Vec<_>>();
    let diagnosis = Diagnosis {
        lth: env!("CARGO_PKG_VERSION").to_owned(),
        tch: torch::TCH.to_owned(),
        libtorch: libtorch_version(&libraries),
        libtorch_wanted: torch::LIBTORCH.to_owned(),
        libraries,
        cuda: match torch::cuda_devices() {
            Ok(devices) => CudaDiagnosis { devices, gpus: machine::gpus(), missing: None },
            Err(reason) => CudaDiagnosis { devices: 0, gpus: machine::gpus(), missing: Some(reason) },
        },
        processor: machine::processor(),
        cores: machine::cores(),
        cores_limit: machine::cores_limit(),
        vector_instructions: machine::vector_instructions(),
        data_dir: folder.clone(),
        data: data::names().iter().filter_map(|name| data::status(name, &folder)).collect(),
        runs: runs.0.clone(),
        claims: Lock::uses_claims(&runs),
        no_locks: Lock::check_supported(&runs.0).err().map(|error| format!("{error:#}")),
        store: StoreReport::of(&runs)?,
    };
    if args.json {
        ui::print_result(&(serde_json::to_string_pretty(&diagnosis)? + "\n"))?;
    } else {
        ui::print_result(&env::with_program_name(&ui::diagnosis(&diagnosis)))?;
    }
    let missing: Vec<String> = args.require.iter().filter_map(|requirement| unmet(requirement, &diagnosis)).collect();
    for missing in &missing {
        ui::eprint_line(&format!("error: {missing}"));
    }
    Ok(if missing.is_empty() { Exit::Success } else { Exit::Failure })
}

/// Returns the error message of a requirement that is not met; `None` for one that is.
fn unmet(requirement: &Requirement, diagnosis: &Diagnosis) -> Option<String> {
    match requirement {
        Requirement::Cuda => {
            let reason = diagnosis.cuda.missing.as_ref()?;
            Some(format!("CUDA is required but cannot be used: {reason}\n\nhint: {}", ui::CUDA_HINT))
        }
        Requirement::Data(name) => {
            let report = diagnosis.data.iter().find(|report| report.name == name)?;
            let is_usable = matches!(report.status, data::DatasetStatus::Complete | data::DatasetStatus::PartialTest);
            let hint = format!("`lth data fetch {name}` downloads it; `lth data check {name}` shows what is missing");
            let folder = report.folder.display();
            (!is_usable)
                .then(|| format!("the data set `{name}` is required but incomplete in {folder}\n\nhint: {hint}"))
        }
    }
}

/// Returns whether a library is part of libtorch, or one that libtorch computes with.
fn is_of_libtorch(path: &std::path::Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["libtorch", "libc10", "libgomp", "libcu", "libnv"].iter().any(|prefix| name.starts_with(prefix))
}

/// Returns the version of the loaded libtorch, from the file `build-version` in its folder or, in a wheel of `PyTorch`,
/// from its headers; `None` if there is neither.
fn libtorch_version(libraries: &[PathBuf]) -> Option<String> {
    let library = libraries.iter().find(|path| path.ends_with("libtorch_cpu.so"))?;
    let folder = library.parent()?.parent()?;
    if let Ok(text) = fs::read_to_string(folder.join("build-version")) {
        return Some(text.trim().to_owned());
    }
    let header = fs::read_to_string(folder.join("include/torch/headeronly/version.h")).ok()?;
    let number = |part: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{part} ")));
        line.map(|number| number.trim().to_owned())
    };
    Some([number("MAJOR")?, number("MINOR")?, number("PATCH")?].join("."))
}
