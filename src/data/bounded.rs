//! A reader that fails where its content is longer than it may be, so that no archive takes more memory than a data set.
//! Independent of paths and formats.

use std::io::{self, ErrorKind, Read};

/// Largest number of bytes of the files of a data set and of its pixels (8 GiB). More is probably a mistake, such as
/// photographs that have not been scaled down, and would exhaust the memory.
pub(super) const MAX_BYTES: u64 = 1 << 33;

/// The error for content that is longer than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it holds more than the {limit} bytes that {limit_source}")]
pub(super) struct TooLong {
    /// Largest number of bytes.
    pub(super) limit: u64,
    /// Where the limit comes from, for the message: `its header says`.
    pub(super) limit_source: &'static str,
}

/// A reader of at most `excess.limit` bytes. More bytes are an error whose cause is [`TooLong`].
pub(super) struct BoundedReader<R> {
    inner: R,
    /// Bytes that may still be read.
    remaining: u64,
    /// The error for more bytes.
    excess: TooLong,
}

impl<R: Read> BoundedReader<R> {
    pub(super) fn new(inner: R, excess: TooLong) -> Self {
        Self { inner, remaining: excess.limit, excess }
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.remaining > 0 {
            let length = buffer.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
            let count = self.inner.read(&mut buffer[..length])?;
            self.remaining -= count as u64;
            return Ok(count);
        }
        // The end of the content must be reached too: only there gzip data are verified.
        match self.inner.read(&mut [0])? {
            0 => Ok(0),
            _ => Err(io::Error::new(ErrorKind::InvalidData, self.excess)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_reader_fails_at_the_first_byte_beyond_its_limit() {
        let read = |limit: u64| {
            let mut content = Vec::new();
            let excess = TooLong { limit, limit_source: "the test says" };
            let result = BoundedReader::new(&b"four"[..], excess).read_to_end(&mut content);
            (content, result.map_err(|error| error.to_string()))
        };
        assert_eq!(read(5), (b"four".to_vec(), Ok(4)));
        assert_eq!(read(4), (b"four".to_vec(), Ok(4)));
        let error = "it holds more than the 3 bytes that the test says".to_owned();
        assert_eq!(read(3), (b"fou".to_vec(), Err(error)));
    }
}
