//! Progress snapshots: the state of a training run in progress, from which an interrupted run resumes.
//!
//! The first line of a file names the format and has the SHA-256 of everything after it. The second line is a header in
//! JSON. After it comes the state of the network as a safetensors file, one more safetensors file for each snapshot at a
//! rewind point that has been taken, and two files of masks if the mask changes during training.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plan_keys::plan_keys;
use super::rows::DeviceKind;
use super::tensor_files::{mask_from_bytes, mask_to_bytes, snapshot_from_bytes, snapshot_to_bytes};
use crate::base::category::Category;
use crate::base::curve::Curve;
use crate::base::key::{ContentHash, sha256};
use crate::base::tensors::LaneState;
use crate::base::units::Iteration;
use crate::config::Dtype;
use crate::system::files;
use crate::system::paths::{RunDir, RunsDir, TrainingDir};
use crate::train::{TrainingProgress, UpdatedMasks};

/// The beginning of the first line; a version and the checksum follow.
const FORMAT: &str = "lth progress snapshot, format 1, SHA-256 ";

/// The largest header that is read, in bytes: a curve of 100,000 evaluations takes about 30 MB.
const MAX_HEADER: u64 = 64 << 20;

/// The header of a progress snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressHeader {
    /// What the snapshot is of.
    #[serde(flatten)]
    pub label: ProgressLabel,
    /// The number of steps from the initial weights to this state; a training run that starts at θₖ begins at k.
    pub iteration: u64,
    /// The iteration at which the training run diverged, while others of its lockstep group go on; else `null`.
    diverged_at: Option<u64>,
    /// The type of the network's state.
    dtype: Dtype,
    /// The evaluations until now.
    curve: Curve,
    /// The lengths in bytes of the files after the header: the state, then the snapshots, then the masks.
    parts: Vec<u64>,
    /// Whether there are masks: the one now, and the weights that some mask has kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    has_masks: bool,
}

/// What a progress snapshot is of, beside the progress itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProgressLabel {
    /// The key of the training run.
    pub key: ContentHash,
    /// The training run in words, for display: its arm, round and replicate in the experiment that began it.
    pub training: String,
    /// The key of the training run that it is a copy of, for an instability analysis; `null` if it is no copy.
    pub copy_of: Option<String>,
    /// The last iteration of the training run.
    pub last_iteration: u64,
    /// Where it was trained: the last digits of a network depend on it.
    pub place: TrainingPlace,
    /// Seconds of training until now, in all processes; with several lanes, those of the lockstep group.
    pub seconds: f64,
}

/// Where a training run is trained: progress goes on only in the same place, because the last digits of the weights
/// depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingPlace {
    /// The number of lanes of the lockstep group.
    pub lanes: usize,
    /// The lane, from 0.
    pub lane: usize,
    /// The kind of device.
    pub device: Category<DeviceKind>,
}

/// Returns the bytes of a progress snapshot.
///
/// # Errors
/// Fails if the tensors cannot be serialized.
pub fn progress_to_bytes(label: ProgressLabel, progress: &TrainingProgress) -> Result<Vec<u8>> {
    let (dtype, state) = match &progress.state {
        LaneState::Float32(state) => (Dtype::Float32, snapshot_to_bytes(state)?),
        LaneState::Float64(state) => (Dtype::Float64, snapshot_to_bytes(state)?),
    };
    let mut parts = vec![state];
    for snapshot in &progress.snapshots {
        parts.push(snapshot_to_bytes(snapshot)?);
    }
    if let Some(UpdatedMasks { current, ever_kept }) = &progress.masks {
        parts.extend([mask_to_bytes(current)?, mask_to_bytes(ever_kept)?]);
    }
    let header = ProgressHeader {
        label,
        iteration: progress.state.iteration(),
        diverged_at: progress.diverged_at.map(|iteration| iteration.0),
        dtype,
        curve: progress.curve.clone(),
        parts: parts.iter().map(|part| part.len() as u64).collect(),
        has_masks: progress.masks.is_some(),
    };
    let mut body = serde_json::to_vec(&header)?;
    body.push(b'\n');
    body.extend(parts.into_iter().flatten());
    let mut bytes = format!("{FORMAT}{}\n", sha256(&body)).into_bytes();
    bytes.append(&mut body);
    Ok(bytes)
}

/// Reads a progress snapshot.
///
/// # Errors
/// Fails if it is damaged, or another version of this program wrote it.
pub fn progress_from_bytes(bytes: &[u8]) -> Result<(ProgressHeader, TrainingProgress)> {
    let (first, body) = split_line(bytes)?;
    let checksum = first.strip_prefix(FORMAT.as_bytes()).context("no progress snapshot of this version")?;
    ensure!(checksum == sha256(body).as_bytes(), "its checksum is wrong");
    let (header, mut rest) = split_line(body)?;
    let header: ProgressHeader = serde_json::from_slice(header).context("its header is damaged")?;
    let mut parts = Vec::new();
    for &length in &header.parts {
        let (part, after) = rest.split_at_checked(length as usize).context("it is not whole")?;
        parts.push(part);
        rest = after;
    }
    let parts = parts.split_first().filter(|_| rest.is_empty());
    let (state, snapshots) = parts.context("its parts are not those of its header")?;
    let (snapshots, masks) = match (header.has_masks, snapshots) {
        (false, snapshots) => (snapshots, None),
        (true, [snapshots @ .., current, ever_kept]) => {
            let masks = UpdatedMasks { current: mask_from_bytes(current)?, ever_kept: mask_from_bytes(ever_kept)? };
            (snapshots, Some(masks))
        }
        (true, _) => bail!("its masks are missing"),
    };
    let state = match header.dtype {
        Dtype::Float32 => LaneState::Float32(snapshot_from_bytes(state)?),
        Dtype::Float64 => LaneState::Float64(snapshot_from_bytes(state)?),
    };
    ensure!(state.iteration() == header.iteration, "its state is of another iteration");
    let progress = TrainingProgress {
        state,
        curve: header.curve.clone(),
        snapshots: snapshots.iter().map(|part| snapshot_from_bytes(part)).collect::<Result<_>>()?,
        masks,
        diverged_at: header.diverged_at.map(Iteration),
    };
    Ok((header, progress))
}

/// Returns the iteration and the path of each progress snapshot of a training run, the newest first; none if its folder
/// cannot be listed.
pub fn progress_files(entry: &TrainingDir) -> Vec<(u64, PathBuf)> {
    let paths = files::list(&entry.0).unwrap_or_default().into_iter();
    let iteration = |path: &Path| TrainingDir::progress_iteration(path.file_name()?.to_str()?);
    let mut files: Vec<(u64, PathBuf)> = paths.filter_map(|path| Some((iteration(&path)?, path))).collect();
    files.sort_by_key(|(iteration, _)| std::cmp::Reverse(*iteration));
    files
}

/// Returns the header of the newest progress snapshot of a training run that has one; `None` without snapshots. Does
/// not check the file.
pub fn newest_progress(entry: &TrainingDir) -> Option<ProgressHeader> {
    progress_files(entry).into_iter().find_map(|(_, path)| read_progress_header(&path).ok())
}

/// A training run in progress, by its newest progress snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct InProgress {
    /// Its key.
    pub key: String,
    /// Its arm, round and replicate in the experiment that began it.
    pub training: String,
    /// The iteration of the snapshot: the number of steps from the initial weights.
    pub iteration: u64,
    /// The iteration at which it ends.
    pub last_iteration: u64,
}

/// Returns the training runs of a run that have progress and no result, by key.
pub fn in_progress(run: &RunDir) -> Vec<InProgress> {
    let runs = RunsDir(run.0.parent().unwrap_or(Path::new(".")).to_owned());
    let keys = plan_keys(run).unwrap_or_default();
    let entries = keys.iter().map(|key| TrainingDir(runs.store().join(key)));
    let headers = entries.filter(|entry| !entry.manifest_file().exists()).filter_map(|entry| newest_progress(&entry));
    let training = |ProgressHeader { label, iteration, .. }: ProgressHeader| InProgress {
        key: label.key.to_string(),
        training: label.training,
        iteration,
        last_iteration: label.last_iteration,
    };
    headers.map(training).collect()
}

/// Reads the header of the progress snapshot at `path`, without checking the file.
///
/// # Errors
/// Fails if the file cannot be read, or does not begin with a header.
pub fn read_progress_header(path: &Path) -> Result<ProgressHeader> {
    let file = File::open(path).with_context(|| format!("could not read `{}`", path.display()))?;
    let mut reader = BufReader::new(file).take(MAX_HEADER);
    let mut line = Vec::new();
    // The first line has the checksum, which is not needed here.
    for _ in 0..2 {
        line.clear();
        reader.read_until(b'\n', &mut line).with_context(|| format!("could not read `{}`", path.display()))?;
    }
    serde_json::from_slice(&line).with_context(|| format!("`{}` has no header", path.display()))
}

/// Returns the first line of `bytes`, without its end, and what follows.
fn split_line(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let end = bytes.iter().take(MAX_HEADER as usize).position(|&byte| byte == b'\n').context("it is not whole")?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::curve::{Evaluation, Score};
    use crate::base::mask::{LayerMask, Mask};
    use crate::base::tensors::{Float, NamedTensor, Snapshot, TensorMap};

    fn state<T: Float>(iteration: u64, value: f64) -> Snapshot<T> {
        let tensor = NamedTensor { name: "a.weight".into(), shape: vec![2], values: vec![T::from_f64(value); 2] };
        let tensors = TensorMap(vec![tensor]);
        Snapshot {
            weights: tensors.clone(),
            moments: vec![tensors],
            iteration,
            optimizer_steps: 7,
            ..Snapshot::default()
        }
    }

    fn progress(state: LaneState) -> TrainingProgress {
        let score = Score { loss: 1.0 / 3.0, accuracy: 0.1 };
        let curve = Curve(vec![Evaluation { iteration: 0, train: score, validation: score, test: score }]);
        let diverged_at = Some(Iteration(6));
        TrainingProgress { state, curve, snapshots: vec![self::state(5, 0.5)], masks: None, diverged_at }
    }

    fn bytes(progress: &TrainingProgress) -> Vec<u8> {
        let label = ProgressLabel {
            key: ContentHash::of_json_text("1"),
            training: "ticket round 1 replicate 1".into(),
            copy_of: None,
            last_iteration: 20,
            place: TrainingPlace { lanes: 4, lane: 2, device: DeviceKind::Cpu.into() },
            seconds: 1.5,
        };
        progress_to_bytes(label, progress).unwrap()
    }

    #[test]
    fn progress_reads_back_exactly_in_float32_and_float64() {
        for state in [LaneState::Float32(state(9, 1.0 / 3.0)), LaneState::Float64(state(9, 1.0 / 3.0))] {
            let progress = progress(state);
            let bytes = bytes(&progress);
            let (header, read) = progress_from_bytes(&bytes).unwrap();
            assert_eq!(read, progress);
            assert_eq!((header.iteration, header.label.place.lane, header.label.seconds), (9, 2, 1.5));
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            files::write(&path, &bytes).unwrap();
            assert_eq!(read_progress_header(&path).unwrap(), header);
        }
    }

    #[test]
    fn progress_of_changing_masks_reads_back_exactly() {
        let layer = |kept: [bool; 3]| LayerMask { name: "a.weight".into(), shape: vec![3], kept: kept.to_vec() };
        let mask = |kept| Mask(vec![layer(kept)]);
        let masks = UpdatedMasks { current: mask([true, false, false]), ever_kept: mask([true, true, false]) };
        let progress = TrainingProgress { masks: Some(masks), ..progress(LaneState::Float32(state(9, 0.5))) };
        assert_eq!(progress_from_bytes(&bytes(&progress)).unwrap().1, progress);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_of_a_progress_snapshot_is_found() {
        let whole = bytes(&progress(LaneState::Float32(state(9, 0.25))));
        for position in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[position] ^= 1 << (position % 8);
            assert!(progress_from_bytes(&flipped).is_err(), "bit of byte {position}");
            assert!(progress_from_bytes(&whole[..position]).is_err(), "cut at {position}");
        }
        assert!(progress_from_bytes(&[whole.as_slice(), b"x"].concat()).is_err(), "longer");
    }
}
