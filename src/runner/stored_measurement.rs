//! What a command has measured of a training run, as it is found in the store.

use std::path::PathBuf;

use anyhow::Result;

use crate::system::files;

/// A measurement in the store.
pub(super) enum StoredMeasurement<T> {
    /// It was not made, or is of other final weights than those of now.
    Missing,
    /// Its file is damaged.
    Damaged(PathBuf),
    /// It was made.
    Measured(T),
}

impl<T> StoredMeasurement<T> {
    /// Reads a measurement from the file `path`. `parse`: reads it from the bytes of the file, `None` if they are damaged;
    /// `is_current`: returns whether it is of the final weights of now.
    ///
    /// # Errors
    /// Fails if the file exists and cannot be read.
    pub(super) fn read(
        path: PathBuf,
        parse: impl FnOnce(&[u8]) -> Option<T>,
        is_current: impl FnOnce(&T) -> bool,
    ) -> Result<Self> {
        let Some(bytes) = files::read_if_present(&path)? else { return Ok(Self::Missing) };
        Ok(match parse(&bytes) {
            None => Self::Damaged(path),
            Some(measured) if is_current(&measured) => Self::Measured(measured),
            Some(_) => Self::Missing,
        })
    }

    /// Returns the measurement; `None` if it is missing or damaged.
    pub(super) fn measured(self) -> Option<T> {
        if let Self::Measured(measured) = self { Some(measured) } else { None }
    }
}
