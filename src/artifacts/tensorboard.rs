//! Event files of TensorBoard: the scalars of a run, made from its rows. Only scalars are written, with the few messages
//! of the format that they need. Does not know when files are written.
//!
//! A file is a sequence of records (TFRecord): the length of the data (u64), its checksum (u32), the data, and their
//! checksum (u32), all little-endian. Each record holds one protocol buffer, `tensorflow.Event` (event.proto and
//! summary.proto of TensorFlow).

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{CurveRow, RoundRow};
use crate::base::outcome::OutcomeKind;
use crate::lottery::DENSE;
use crate::system::paths::RunDir;

/// The scalars of an event file by step, each as (tag, value).
type Scalars = BTreeMap<u64, Vec<(&'static str, f64)>>;

/// Returns the event files of a run, each as (name in the folder of the run, bytes). Their folders are the names that
/// TensorBoard shows: one for each training run, with its evaluations by iteration, and above these one for each replicate
/// of an arm, with its results by round. `repeated`: the arms with several repeats, each of which has its folder.
///
/// The bytes follow from the rows alone: the time of an event, in seconds, is its step.
pub fn event_files(rounds: &[RoundRow], curves: &[CurveRow], repeated: &BTreeSet<&str>) -> Vec<(String, Vec<u8>)> {
    let mut files: BTreeMap<String, Scalars> = BTreeMap::new();
    let repeat_of = |arm: &str, repeat| repeated.contains(arm).then_some(repeat);
    for row in curves {
        let name = RunDir::event_file(&row.arm, row.replicate, repeat_of(&row.arm, row.repeat), Some(row.round));
        files.entry(name).or_default().insert(row.iteration, evaluation(row));
    }
    let is_done = |row: &&RoundRow| row.outcome.is(OutcomeKind::Done);
    let dense: BTreeMap<u32, &RoundRow> =
        rounds.iter().filter(is_done).filter(|row| row.arm == DENSE).map(|row| (row.replicate, row)).collect();
    for row in rounds.iter().filter(is_done) {
        let name = RunDir::event_file(&row.arm, row.replicate, repeat_of(&row.arm, row.repeat), None);
        let scalars = files.entry(name).or_default();
        // The dense networks are round 0 of every arm.
        if let Some(dense) = dense.get(&row.replicate) {
            scalars.entry(0).or_insert_with(|| results(dense));
        }
        scalars.insert(u64::from(row.round), results(row));
    }
    files.into_iter().map(|(name, scalars)| (name, event_file(&scalars))).collect()
}

/// Returns the scalars of an evaluation.
fn evaluation(row: &CurveRow) -> Vec<(&'static str, f64)> {
    vec![
        ("accuracy/train", row.train_accuracy),
        ("accuracy/validation", row.validation_accuracy),
        ("accuracy/test", row.test_accuracy),
        ("loss/train", row.train_loss),
        ("loss/validation", row.validation_loss),
        ("loss/test", row.test_loss),
    ]
}

/// Returns the scalars of a training run's result, under the names of the columns of `rounds.csv`.
fn results(row: &RoundRow) -> Vec<(&'static str, f64)> {
    let scalars = [
        ("rounds/weights_remaining", Some(row.weights_remaining)),
        ("rounds/early_stop_iteration", row.early_stop_iteration.map(|iteration| iteration as f64)),
        ("rounds/early_stop_test_accuracy", row.early_stop_test_accuracy),
        ("rounds/final_test_accuracy", row.final_test_accuracy),
    ];
    scalars.into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
}

/// Returns an event file: an event with the version of the format, then one for each step.
fn event_file(scalars: &Scalars) -> Vec<u8> {
    // Event: 1 wall_time (double), 2 step (int64), 3 file_version (string), 5 summary (message).
    let mut bytes = record(&bytes_field(3, b"brain.Event:2"));
    for (&step, values) in scalars {
        // Summary: 1 value (repeated message). Value: 1 tag (string), 2 simple_value (float).
        let value = |&(tag, value): &(&str, f64)| {
            let message = [bytes_field(1, tag.as_bytes()), fixed_field(2, 5, &(value as f32).to_le_bytes())].concat();
            bytes_field(1, &message)
        };
        let summary: Vec<u8> = values.iter().flat_map(value).collect();
        let wall_time = fixed_field(1, 1, &(step as f64).to_le_bytes());
        let event = [wall_time, vec![2 << 3], varint(step), bytes_field(5, &summary)].concat();
        bytes.extend(record(&event));
    }
    bytes
}

/// Returns a record of an event file.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length, &masked_crc32c(&length).to_le_bytes()[..], data, &masked_crc32c(data).to_le_bytes()].concat()
}

/// Returns a field of a protocol buffer that holds a string or a message.
fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], &varint(bytes.len() as u64)[..], bytes].concat()
}

/// Returns a field of a protocol buffer that holds a number of fixed length: 8 bytes with `wire_type` 1, 4 with 5.
fn fixed_field(number: u8, wire_type: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | wire_type], bytes].concat()
}

/// Returns a number in groups of seven bits, the lowest first; the top bit of a byte says that another one follows.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// Returns the checksum of a record: the CRC-32C, rotated and shifted, so that data that contain checksums have another
/// one.
fn masked_crc32c(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Returns the CRC-32C (Castagnoli; RFC 3720, appendix B.4).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| crc >> 8 ^ CRC_TABLE[usize::from(crc as u8 ^ byte)])
}

/// The CRC-32C of each byte.
const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            // The polynomial with its bits reversed.
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 3720, appendix B.4, and the common one.
    #[test]
    fn crc32c_is_that_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn varint_has_seven_bits_in_a_byte() {
        assert_eq!(
            [varint(0), varint(127), varint(128), varint(300)],
            [vec![0], vec![0x7f], vec![0x80, 1], vec![0xac, 2]]
        );
    }

    /// The bytes that the package `tensorboard` 2.21.0 writes for these events.
    #[test]
    fn event_file_is_that_of_tensorboard() {
        let scalars = Scalars::from([(300, vec![("loss/test", 0.5)])]);
        let hex: Vec<String> = event_file(&scalars).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.concat(), EXPECTED);
    }

    const EXPECTED: &str = concat!(
        "0f000000000000006d532b091a0d627261696e2e4576656e743a32fc985129200000000000000029eda9500900000000",
        "00c0724010ac022a120a100a096c6f73732f74657374150000003f7a5336fa",
    );

    #[test]
    fn dense_network_is_round_0_of_every_arm_and_repeats_have_folders() {
        let row = |arm: &str, repeat, round| RoundRow {
            arm: arm.into(),
            replicate: 1,
            repeat,
            round,
            outcome: OutcomeKind::Done.into(),
            ..RoundRow::default()
        };
        let curve = CurveRow { arm: "reinit".into(), replicate: 1, repeat: 2, round: 3, ..CurveRow::default() };
        let rounds = [row(DENSE, 1, 0), row("ticket", 1, 1), row("reinit", 2, 3)];
        let files = event_files(&rounds, &[curve], &BTreeSet::from(["reinit"]));
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let file = "events.out.tfevents.0.lth";
        assert_eq!(
            names,
            [
                &format!("tensorboard/dense/replicate_1/{file}"),
                &format!("tensorboard/reinit/replicate_1/repeat_2/{file}"),
                &format!("tensorboard/reinit/replicate_1/repeat_2/round_3/{file}"),
                &format!("tensorboard/ticket/replicate_1/{file}"),
            ]
        );
        let ticket = Scalars::from([(0, results(&rounds[0])), (1, results(&rounds[1]))]);
        assert_eq!(files[3].1, event_file(&ticket));
    }
}
