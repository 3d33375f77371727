//! Mutations of valid inputs.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers at which readers fail: bounds of types, and the numbers beside them.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "127",
    "128",
    "255",
    "256",
    "65535",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e-320",
    "-1e300",
    "nan",
    "inf",
];

/// The same for fields of fixed width.
const FIELDS: [u64; 14] = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    1 << 32,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// Largest length of an input in bytes.
const MAX_LENGTH: usize = 1 << 17;

/// A source of mutations: `SplitMix64` (Steele, Lea & Flood 2014).
pub(super) struct Mutator(u64);

impl Mutator {
    /// Returns the mutator of input `case` of a reader.
    pub(super) fn new(seed: u64, name: &str, case: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, name, case).hash(&mut hasher);
        Self(hasher.finish())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// Returns one of `items`.
    pub(super) fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Returns a mutation of one of the valid inputs of `corpus`.
    pub(super) fn mutated(&mut self, corpus: &[Vec<u8>], words: &[&str], mend: fn(&mut [u8])) -> Vec<u8> {
        let mut input = self.choose(corpus).clone();
        // Many inputs have one change, few have many.
        let changes = 1 + self.below(2) * self.below(2) * self.below(12);
        for _ in 0..changes {
            self.change(&mut input, corpus, words);
            input.truncate(MAX_LENGTH);
        }
        if self.below(4) > 0 {
            mend(&mut input);
        }
        input
    }

    /// Makes one change.
    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
        let start = self.below(input.len() + 1);
        let length = 1 << self.below(8);
        let end = (start + self.below(length + 1)).min(input.len());
        match self.below(12) {
            0 if start < input.len() => input[start] ^= 1 << self.below(8),
            1 if start < input.len() => input[start] = *self.choose(&[0, 1, 0x7F, 0x80, 0xFF, b'\n', b'"', b'[', b'{']),
            2 => drop(input.drain(start..end)),
            3 => {
                let copy = input[start..end].to_vec();
                let at = self.below(input.len() + 1);
                drop(input.splice(at..at, copy));
            }
            4 => input.truncate(start),
            5 => {
                let other = self.choose(corpus);
                let from = self.below(other.len() + 1);
                let to = (from + self.below(200)).min(other.len());
                drop(input.splice(start..end, other[from..to].iter().copied()));
            }
            6 => self.set_field(input, start),
            7 => self.set_number(input, start),
            8 | 9 if !words.is_empty() => {
                let word = *self.choose(words);
                drop(input.splice(start..end, word.bytes()));
            }
            10 => {
                let repeats = 1 << self.below(14);
                let copy = input[start..end].repeat(repeats.min(MAX_LENGTH / (end - start).max(1)));
                drop(input.splice(start..start, copy));
            }
            _ => {
                let bytes: Vec<u8> = (0..self.below(8)).map(|_| self.next() as u8).collect();
                drop(input.splice(start..end, bytes));
            }
        }
    }

    /// Writes a number of 1, 2, 4 or 8 bytes.
    fn set_field(&mut self, input: &mut [u8], start: usize) {
        let field = *self.choose(&FIELDS);
        let field = if self.below(3) == 0 { field.wrapping_sub(self.next() % 16) } else { field };
        let width = 1 << self.below(4);
        // Fields are often aligned.
        let start = if self.below(2) == 0 { start / 4 * 4 } else { start };
        let bytes = if self.below(2) == 0 { field.to_le_bytes() } else { (field << (64 - 8 * width)).to_be_bytes() };
        for (slot, byte) in input.iter_mut().skip(start).zip(&bytes[..width]) {
            *slot = *byte;
        }
    }

    /// Replaces the first number in digits after `start`.
    fn set_number(&mut self, input: &mut Vec<u8>, start: usize) {
        let Some(digit) = input[start..].iter().position(u8::is_ascii_digit) else { return };
        let start = start + digit;
        let end = start + input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = *self.choose(&NUMBERS);
        drop(input.splice(start..end, number.bytes()));
    }
}
