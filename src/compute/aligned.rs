//! Buffers of numbers that begin at a cache line: a vector load that crosses a cache-line boundary takes 1.5 times as
//! long.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Numbers in a cache line.
pub(crate) const LINE_LEN: usize = LINE_BYTES / size_of::<f32>();

/// A buffer of `f32` whose first number is at the beginning of a cache line.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    /// The buffer's values at `first..first + len`; the values before and after these are unused.
    storage: Vec<f32>,
    /// The index in `storage` of the buffer's first value.
    first: usize,
    /// The length of the buffer in values.
    len: usize,
}

impl AlignedBuffer {
    /// Returns a buffer of `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let storage = vec![0.0; len + LINE_LEN];
        // The vector never grows and is never copied, so its values keep their addresses. `align_offset` may return
        // `usize::MAX`; the minimum then gives a buffer that is not aligned, but within `storage`.
        let first = storage.as_ptr().align_offset(LINE_BYTES).min(LINE_LEN);
        Self { storage, first, len }
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.storage[self.first..][..self.len]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.storage[self.first..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_buffer_begins_at_a_line_and_has_its_length() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut values = AlignedBuffer::zeros(len);
            assert_eq!((values.len(), values.as_ptr().align_offset(LINE_BYTES)), (len, 0));
            values.fill(1.0);
            let moved = values;
            assert_eq!(moved.as_ptr().align_offset(LINE_BYTES), 0);
        }
    }
}
