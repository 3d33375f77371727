//! The folder of the built-in data sets.

use std::path::{Path, PathBuf};

use crate::config::DataConfig;
use crate::system::{env, user_path};

/// Returns the folder of the built-in data sets for an experiment: `data.dir`, else `LTH_DATA_DIR`, else `data`.
pub fn folder(data: &DataConfig) -> PathBuf {
    data.dir.clone().unwrap_or_else(default_folder)
}

/// Returns the option that names `folder` in a suggested command, with a space before it; empty for the folder that the
/// command uses without the option.
pub fn data_dir_argument(folder: &Path) -> String {
    if *folder == default_folder() {
        String::new()
    } else {
        format!(" --data-dir {}", env::quoted(&folder.display().to_string()))
    }
}

/// Returns the folder of the built-in data sets without an experiment: `LTH_DATA_DIR`, else `data`.
fn default_folder() -> PathBuf {
    user_path::env_folder_or_literal(env::DATA).unwrap_or_else(|| PathBuf::from("data"))
}
