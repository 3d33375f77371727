//! The folder of the built-in data sets.

use std::path::PathBuf;

use crate::config::DataConfig;
use crate::system::{env, user_path};

/// Returns the folder of the built-in data sets for an experiment: `data.dir`, else [`default_folder`].
pub fn folder(data: &DataConfig) -> PathBuf {
    data.dir.clone().unwrap_or_else(default_folder)
}

/// Returns the folder of the built-in data sets without an experiment: `LTH_DATA_DIR`, else `data`.
pub fn default_folder() -> PathBuf {
    user_path::env_folder_or_literal(env::DATA).unwrap_or_else(|| PathBuf::from("data"))
}
