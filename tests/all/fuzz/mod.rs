//! Damaged and hostile inputs for every reader: no input may make a reader panic, take longer than a second, or take
//! more memory than its bound.
//!
//! The inputs are mutations of valid ones, by the grammar of each format where it has checksums or lengths. They are
//! functions of a seed and a number, so that a failure can be repeated. Environment variables:
//!
//! - `LTH_FUZZ_CASES`: number of inputs of each reader, 400 by default. Slow readers get a tenth.
//! - `LTH_FUZZ_SEED`: seed of the mutations, 1 by default.
//! - `LTH_FUZZ_LAST`: a file that gets each input before it is read, for one that ends the process (with
//!   `--test-threads 1`).
//!
//! A million inputs: `LTH_FUZZ_CASES=100000 cargo test --release --test all fuzz:: -- --nocapture`.

mod configs;
mod data_files;
mod mutate;
mod regressions;
mod stored_files;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use lth::system::env;
use mutate::Mutator;
use tempfile::TempDir;

/// Largest processor time that a reader may take for an input.
const MAX_TIME: Duration = Duration::from_secs(1);

/// A reader and the valid inputs that are mutated for it.
struct Target<'a> {
    /// Name of the reader.
    name: &'a str,
    /// Valid inputs.
    corpus: Vec<Vec<u8>>,
    /// Words of the format that are inserted.
    words: &'a [&'a str],
    /// Makes checksums and lengths right again after a mutation, in three of four inputs.
    mend: fn(&mut [u8]),
    /// Reads an input, and returns whether it was accepted.
    read: &'a dyn Fn(&[u8]) -> bool,
    /// Largest number of bytes that the reader may take at a time.
    max_memory: u64,
    /// Inputs of this reader for each ten of others.
    tenths: u64,
}

impl Default for Target<'_> {
    fn default() -> Self {
        let read = &|_: &[u8]| false;
        Self { name: "", corpus: Vec::new(), words: &[], mend: |_| {}, read, max_memory: 16 << 20, tenths: 10 }
    }
}

/// The result of reading an input.
struct Reading {
    /// Whether it was accepted; `None` if the reader panicked.
    accepted: Option<bool>,
    time: Duration,
    /// Largest number of bytes that were allocated at a time.
    memory: u64,
}

impl Target<'_> {
    /// Reads an input.
    fn reading(&self, input: &[u8]) -> Reading {
        let start = Instant::now();
        let mut accepted = None;
        let memory = allocation_counter::measure(|| {
            accepted = catch_unwind(AssertUnwindSafe(|| (self.read)(input))).ok();
        });
        Reading { accepted, time: start.elapsed(), memory: memory.bytes_max }
    }

    /// Reads mutated inputs, and panics at the first that breaks a rule.
    fn fuzz(&self) {
        let (seed, cases) = (number("LTH_FUZZ_SEED", 1), number("LTH_FUZZ_CASES", 400) * self.tenths / 10);
        for (index, valid) in self.corpus.iter().enumerate() {
            let reading = self.reading(valid);
            assert!(reading.accepted == Some(true), "{}: valid input {index} is not accepted", self.name);
        }
        let start = Instant::now();
        let (mut accepted, mut largest, mut longest) = (0, 0, Duration::ZERO);
        for case in 0..cases {
            let input = Mutator::new(seed, self.name, case).mutated(&self.corpus, self.words, self.mend);
            if let Some(last) = env::value("LTH_FUZZ_LAST") {
                write(Path::new(&last), &input);
            }
            let mut reading = self.reading(&input);
            if reading.time > MAX_TIME {
                // The machine may have been busy: only the time of its processor counts.
                let before = processor_time();
                reading = self.reading(&input);
                reading.time = reading.time.min(processor_time().saturating_sub(before));
            }
            let fault = match reading {
                Reading { accepted: None, .. } => Some("panics".to_owned()),
                Reading { time, .. } if time > MAX_TIME => Some(format!("takes {time:?}")),
                Reading { memory, .. } if memory > self.max_memory => Some(format!("takes {memory} bytes of memory")),
                _ => None,
            };
            if let Some(fault) = fault {
                panic!("{} {fault} for input {case} of seed {seed}: {}", self.name, shown(&input));
            }
            accepted += u64::from(reading.accepted == Some(true));
            largest = largest.max(reading.memory);
            longest = longest.max(reading.time);
        }
        println!(
            "fuzz {}: {cases} inputs of seed {seed} in {:.1} s, {accepted} accepted, at most {longest:.1?} and {:.1} MB",
            self.name,
            start.elapsed().as_secs_f64(),
            largest as f64 / 1e6
        );
    }
}

/// Returns the number in an environment variable.
fn number(variable: &str, default: u64) -> u64 {
    env::value(variable).map_or(default, |text| text.to_str().unwrap().parse().unwrap())
}

/// Returns the processor time of this thread; 0 if the system does not tell it.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics.split(' ').next().and_then(|field| field.parse().ok());
    nanoseconds.map_or(Duration::ZERO, Duration::from_nanos)
}

/// Returns a new folder, in memory where the system has a place for it.
fn temporary_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Writes a file, and the folder it is in.
#[expect(clippy::disallowed_methods, reason = "a million files need not survive a power cut")]
fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Returns the beginning of an input for a message, and the file with all of it.
fn shown(input: &[u8]) -> String {
    let path = std::env::temp_dir().join(format!("lth-fuzz-{}", std::process::id()));
    write(&path, input);
    format!("{} bytes in {}, {}", input.len(), path.display(), input[..input.len().min(400)].escape_ascii())
}
