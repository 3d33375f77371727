//! Repeated attempts at operations on files, so that an I/O error that passes does not end a training run.

use std::io;
use std::time::Duration;

use anyhow::{Error, Result};

/// The pauses before the second attempt and the later ones.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(800)];

/// Returns the first I/O error among the causes of `error`; `None` if there is none.
pub fn io_error(error: &Error) -> Option<&io::Error> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

/// Returns the result of `operation`. If an I/O error that may pass is the cause of its error, waits and repeats the
/// operation, up to 3 times.
///
/// # Errors
/// Returns the error of the last attempt.
pub fn with_retries<T>(mut operation: impl FnMut() -> Result<T>) -> Result<T> {
    for pause in PAUSES {
        match operation() {
            Err(error) if io_error(&error).is_some_and(may_pass) => std::thread::sleep(pause),
            result => return result,
        }
    }
    operation()
}

/// Returns whether an error may pass within a second. A full disk, a read-only file system and missing permissions stay.
pub fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull, Unsupported};
    !matches!(error.kind(), PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull | Unsupported)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    /// Returns the number of attempts at an operation that fails `failures` times with `error`.
    fn attempts(failures: usize, error: impl Fn() -> Error) -> (usize, bool) {
        let mut count = 0;
        let result = with_retries(|| {
            count += 1;
            if count <= failures { Err(error()) } else { Ok(()) }
        });
        (count, result.is_ok())
    }

    #[test]
    fn only_io_errors_that_may_pass_are_retried() {
        let io = |kind| move || Error::from(io::Error::from(kind)).context("could not write a file");
        assert_eq!(attempts(2, io(io::ErrorKind::NotADirectory)), (3, true));
        assert_eq!(attempts(9, io(io::ErrorKind::Other)), (4, false));
        assert_eq!(attempts(1, io(io::ErrorKind::StorageFull)), (1, false));
        assert_eq!(attempts(1, || anyhow!("a wrong checksum")), (1, false));
    }
}
