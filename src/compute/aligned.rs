//! Flat values that begin at a cache line: vectors that cross two lines cost half as much again.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line.
const LINE: usize = 64;

/// Numbers of a cache line.
pub(crate) const NUMBERS: usize = LINE / size_of::<f32>();

/// Numbers, the first of them at a cache line.
#[derive(Debug, Default)]
pub(crate) struct AlignedBuffer {
    /// With some before and behind that are not used.
    all: Vec<f32>,
    first: usize,
    len: usize,
}

impl AlignedBuffer {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let all = vec![0.0; len + NUMBERS];
        // The vector is never grown or copied, so they stay where they are.
        let first = all.as_ptr().align_offset(LINE).min(NUMBERS);
        Self { all, first, len }
    }
}

impl Deref for AlignedBuffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.all[self.first..][..self.len]
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.all[self.first..][..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_a_line_and_as_long_as_asked() {
        for len in [0, 1, 15, 16, 17, 1000] {
            let mut values = AlignedBuffer::zeros(len);
            assert_eq!((values.len(), values.as_ptr().align_offset(LINE)), (len, 0));
            values.fill(1.0);
            let moved = values;
            assert_eq!(moved.as_ptr().align_offset(LINE), 0);
        }
    }
}
