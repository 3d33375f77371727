//! Weights, snapshots and masks as safetensors files, and the files' values in float32 or float64. Equal values give
//! equal bytes. Other programs that read safetensors can read them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::base::mask::{LayerMask, Mask};
use crate::base::tensors::{Float, NamedTensor, Snapshot, TensorMap};

/// The key of the only metadata entry of a file, which is JSON. The entry has the order of the tensors, because
/// safetensors sorts them in its own way. The entry has the shapes of the tensors, because the packed bits of a mask
/// have lost theirs. There is only one entry, because safetensors does not fix the order of entries, and equal values
/// must give equal bytes.
pub(super) const METADATA: &str = "lth";

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
struct FileMetadata {
    /// Names and shapes of the tensors, in order.
    tensors: Vec<(String, Vec<usize>)>,
    /// Counters of a snapshot; `None` in other files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotCounters>,
}

/// Counters of a [`Snapshot`]. The tensors of its file are in this order: weights, first moments, second moments (as
/// many moments as `moments`), buffers, scores.
#[derive(Serialize, Deserialize)]
struct SnapshotCounters {
    /// The iteration after which the snapshot was taken.
    iteration: u64,
    /// Number of optimizer steps that the moments result from.
    optimizer_steps: u64,
    /// Number of moments per parameter: 0, 1 or 2.
    moments: usize,
    /// Number of buffers.
    #[serde(default, skip_serializing_if = "is_zero")]
    buffers: usize,
    /// Number of score tensors.
    #[serde(default, skip_serializing_if = "is_zero")]
    scores: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "`skip_serializing_if` passes a reference")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// A floating-point type of the values in a file.
pub trait StoredFloat: Float {
    /// The type in safetensors.
    const DTYPE: Dtype;
    /// The bytes of a value.
    type Bytes: IntoIterator<Item = u8>;
    /// Returns the bytes, little endian.
    fn to_bytes(self) -> Self::Bytes;
    /// Returns the value of these little-endian bytes, whose number is that of [`StoredFloat::Bytes`].
    fn from_slice(bytes: &[u8]) -> Self;
}

macro_rules! stored_float {
    ($float:ty, $dtype:expr) => {
        impl StoredFloat for $float {
            const DTYPE: Dtype = $dtype;
            type Bytes = [u8; size_of::<$float>()];
            fn to_bytes(self) -> Self::Bytes {
                self.to_le_bytes()
            }
            fn from_slice(bytes: &[u8]) -> Self {
                bytes.try_into().map(Self::from_le_bytes).unwrap_or_default()
            }
        }
    };
}

stored_float!(f32, Dtype::F32);
stored_float!(f64, Dtype::F64);

/// A tensor as safetensors stores it: little endian, row-major.
pub(super) struct TensorBytes {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<u8>,
}

impl View for &TensorBytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// Returns a safetensors file with these tensors and metadata.
fn serialize(tensors: &[(String, TensorBytes)], metadata: &FileMetadata) -> Result<Vec<u8>> {
    serialize_with(tensors, serde_json::to_string(metadata)?)
}

/// Returns a safetensors file with these tensors and this text as its only metadata entry.
pub(super) fn serialize_with(tensors: &[(String, TensorBytes)], metadata: String) -> Result<Vec<u8>> {
    let metadata = [(METADATA.to_owned(), metadata)];
    let views = tensors.iter().map(|(name, bytes)| (name, bytes));
    safetensors::serialize(views, Some(metadata.into())).context("could not serialize tensors")
}

/// Largest number of moments per parameter: those of Adam.
const MAX_MOMENTS: usize = 2;

/// Reads the metadata of a safetensors file, and checks them against the tensors in it: each is named once, so that what
/// is read takes no more memory than the file (a mask eight times as much).
fn metadata(bytes: &[u8]) -> Result<FileMetadata> {
    let (_, header) = SafeTensors::read_metadata(bytes).context("it is no safetensors file, or damaged")?;
    let text = header.metadata().as_ref().and_then(|map| map.get(METADATA));
    let text = text.context("no file of this program: its metadata have no `lth`")?;
    let metadata: FileMetadata = serde_json::from_str(text).context("its metadata are damaged")?;
    let names: BTreeSet<&str> = metadata.tensors.iter().map(|(name, _)| name.as_str()).collect();
    let is_each_once = names.len() == metadata.tensors.len() && names.len() == header.tensors().len();
    let (named, found) = (metadata.tensors.len(), header.tensors().len());
    ensure!(is_each_once, "its metadata name {named} tensors, and it has {found}");
    Ok(metadata)
}

/// Returns the number of elements of a tensor of this shape; `None` if it cannot be represented.
fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1_usize, |count, &size| count.checked_mul(size))
}

/// Returns tensors as a safetensors file in float32.
///
/// # Errors
/// Fails if the tensors cannot be serialized.
pub fn tensors_to_bytes(tensors: &TensorMap) -> Result<Vec<u8>> {
    floats_to_bytes(&tensors.0.iter().map(|tensor| (tensor.name.clone(), tensor)).collect::<Vec<_>>(), None)
}

/// Returns named tensors as a safetensors file, with the counters of a snapshot if it is one.
fn floats_to_bytes<T: StoredFloat>(
    named: &[(String, &NamedTensor<T>)],
    snapshot: Option<SnapshotCounters>,
) -> Result<Vec<u8>> {
    let tensors = named.iter().map(|(name, tensor)| {
        let data = tensor.values.iter().flat_map(|value| value.to_bytes()).collect();
        (name.clone(), TensorBytes { dtype: T::DTYPE, shape: tensor.shape.clone(), data })
    });
    let tensors: Vec<_> = tensors.collect();
    let names = named.iter().map(|(name, tensor)| (name.clone(), tensor.shape.clone()));
    serialize(&tensors, &FileMetadata { tensors: names.collect(), snapshot })
}

/// Returns the name of a parameter's moment, such as `moment1.linear1.weight`; `moment` is 1 for first moments, 2 for
/// second ones.
fn moment_name(moment: usize, parameter: &str) -> String {
    format!("moment{moment}.{parameter}")
}

/// Beginning of the names of scores.
const SCORE: &str = "score.";

/// Returns a snapshot as a safetensors file: weights under their names, moments as `moment1.NAME`, then buffers, then scores
/// as `score.NAME`.
///
/// # Errors
/// Fails if the tensors cannot be serialized.
pub fn snapshot_to_bytes<T: StoredFloat>(snapshot: &Snapshot<T>) -> Result<Vec<u8>> {
    let Snapshot { weights, moments, buffers, scores, iteration, optimizer_steps } = snapshot;
    let mut named: Vec<(String, &NamedTensor<T>)> =
        weights.0.iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
    for (moment, state) in (1..).zip(moments) {
        named.extend(state.0.iter().map(|tensor| (moment_name(moment, &tensor.name), tensor)));
    }
    named.extend(buffers.0.iter().map(|tensor| (tensor.name.clone(), tensor)));
    named.extend(scores.0.iter().map(|tensor| (format!("{SCORE}{}", tensor.name), tensor)));
    let counters = SnapshotCounters {
        iteration: *iteration,
        optimizer_steps: *optimizer_steps,
        moments: moments.len(),
        buffers: buffers.0.len(),
        scores: scores.0.len(),
    };
    floats_to_bytes(&named, Some(counters))
}

/// Reads a snapshot from a safetensors file.
///
/// # Errors
/// Fails if the file is damaged or is no snapshot, or has values of another type.
pub fn snapshot_from_bytes<T: StoredFloat>(bytes: &[u8]) -> Result<Snapshot<T>> {
    let counters = metadata(bytes)?.snapshot.context("it is no snapshot: it has no iteration")?;
    ensure!(counters.moments <= MAX_MOMENTS, "it has {} moments; {MAX_MOMENTS} are the most", counters.moments);
    let mut weights = floats_from_bytes::<T>(bytes)?.0;
    ensure!(weights.len() >= counters.scores, "its scores are not whole");
    let mut scores = TensorMap(weights.split_off(weights.len() - counters.scores));
    for tensor in &mut scores.0 {
        let name = tensor.name.strip_prefix(SCORE).with_context(|| format!("`{}` is out of place", tensor.name))?;
        tensor.name = name.to_owned();
    }
    ensure!(weights.len() >= counters.buffers, "its buffers are not whole");
    let buffers = TensorMap(weights.split_off(weights.len() - counters.buffers));
    ensure!(weights.len().is_multiple_of(counters.moments + 1), "its moments are not whole");
    let parameters = weights.len() / (counters.moments + 1);
    let mut moment_tensors = weights.split_off(parameters);
    let mut moments = Vec::new();
    for moment in 1..=counters.moments {
        let later_moments = moment_tensors.split_off(parameters);
        for (tensor, weight) in moment_tensors.iter_mut().zip(&weights) {
            ensure!(tensor.name == moment_name(moment, &weight.name), "`{}` is out of place", tensor.name);
            tensor.name.clone_from(&weight.name);
        }
        moments.push(TensorMap(std::mem::replace(&mut moment_tensors, later_moments)));
    }
    let SnapshotCounters { iteration, optimizer_steps, .. } = counters;
    Ok(Snapshot { weights: TensorMap(weights), moments, iteration, optimizer_steps, buffers, scores })
}

/// Reads tensors in float32 from a safetensors file.
///
/// # Errors
/// Fails if the file is damaged, or its tensors are not those of its metadata.
pub fn tensors_from_bytes(bytes: &[u8]) -> Result<TensorMap> {
    floats_from_bytes(bytes)
}

/// Reads the tensors of a safetensors file, all of type `T`.
fn floats_from_bytes<T: StoredFloat>(bytes: &[u8]) -> Result<TensorMap<T>> {
    let metadata = metadata(bytes)?;
    let file = SafeTensors::deserialize(bytes).context("it is no safetensors file, or damaged")?;
    let read = |(name, shape): (String, Vec<usize>)| {
        let tensor = file.tensor(&name).with_context(|| format!("it has no `{name}`"))?;
        ensure!(tensor.dtype() == T::DTYPE && tensor.shape() == shape, "`{name}` is not what its metadata say");
        let values = tensor.data().chunks_exact(size_of::<T>()).map(T::from_slice).collect();
        Ok(NamedTensor { name, shape, values })
    };
    Ok(TensorMap(metadata.tensors.into_iter().map(read).collect::<Result<_>>()?))
}

/// Returns a mask as a safetensors file: eight weights per byte, the first in the lowest bit.
///
/// # Errors
/// Fails if the tensors cannot be serialized.
pub fn mask_to_bytes(mask: &Mask) -> Result<Vec<u8>> {
    let pack = |bits: &[bool]| bits.iter().enumerate().fold(0_u8, |byte, (i, &kept)| byte | u8::from(kept) << i);
    let tensors = mask.0.iter().map(|layer| {
        let data: Vec<u8> = layer.kept.chunks(8).map(pack).collect();
        (layer.name.clone(), TensorBytes { dtype: Dtype::U8, shape: vec![data.len()], data })
    });
    let names = mask.0.iter().map(|layer| (layer.name.clone(), layer.shape.clone()));
    serialize(&tensors.collect::<Vec<_>>(), &FileMetadata { tensors: names.collect(), snapshot: None })
}

/// Reads a mask from a safetensors file.
///
/// # Errors
/// Fails if the file is damaged, or its tensors are not those of its metadata.
pub fn mask_from_bytes(bytes: &[u8]) -> Result<Mask> {
    let metadata = metadata(bytes)?;
    let file = SafeTensors::deserialize(bytes).context("it is no safetensors file, or damaged")?;
    let read = |(name, shape): (String, Vec<usize>)| {
        let tensor = file.tensor(&name).with_context(|| format!("it has no `{name}`"))?;
        let is_whole = |count: &usize| tensor.dtype() == Dtype::U8 && tensor.data().len() == count.div_ceil(8);
        let count = element_count(&shape).filter(is_whole);
        let count = count.with_context(|| format!("`{name}` is not what its metadata say"))?;
        let kept = (0..count).map(|i| tensor.data()[i / 8] >> (i % 8) & 1 == 1).collect();
        Ok(LayerMask { name, shape, kept })
    };
    Ok(Mask(metadata.tensors.into_iter().map(read).collect::<Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensor_files_read_back_in_the_same_order_and_with_the_same_bytes() {
        let tensor = |name: &str, values: &[f32]| NamedTensor {
            name: name.into(),
            shape: vec![1, values.len()],
            values: values.to_vec(),
        };
        let state = TensorMap(vec![tensor("z.weight", &[1.5, -0.0, f32::MIN_POSITIVE]), tensor("a.bias", &[])]);
        let bytes = tensors_to_bytes(&state).unwrap();
        assert_eq!(bytes, tensors_to_bytes(&state).unwrap());
        assert_eq!(tensors_from_bytes(&bytes).unwrap(), state);
        let moments = vec![state.clone(), TensorMap(vec![tensor("z.weight", &[0.0, 2.0, 4.0]), tensor("a.bias", &[])])];
        let mut snapshot =
            Snapshot { weights: state, moments, iteration: 7, optimizer_steps: 5, ..Snapshot::default() };
        assert_eq!(snapshot_from_bytes(&snapshot_to_bytes(&snapshot).unwrap()).unwrap(), snapshot);
        snapshot.buffers = TensorMap(vec![tensor("bn1.running_mean", &[0.5]), tensor("bn1.running_var", &[2.0])]);
        assert_eq!(snapshot_from_bytes(&snapshot_to_bytes(&snapshot).unwrap()).unwrap(), snapshot);
        let third = NamedTensor { name: "a.bias".into(), shape: vec![1], values: vec![1.0_f64 / 3.0] };
        let precise = Snapshot { weights: TensorMap(vec![third]), iteration: 3, ..Snapshot::default() };
        let bytes_of_precise = snapshot_to_bytes(&precise).unwrap();
        assert_eq!(snapshot_from_bytes(&bytes_of_precise).unwrap(), precise);
        assert!(snapshot_from_bytes::<f32>(&bytes_of_precise).is_err(), "another type");
        assert!(snapshot_from_bytes::<f32>(&bytes).is_err(), "weights alone are no network at an iteration");
        let kept = (0..19).map(|i| i % 3 == 0).collect();
        let mask = Mask(vec![LayerMask { name: "z.weight".into(), shape: vec![19], kept }]);
        let bytes = mask_to_bytes(&mask).unwrap();
        assert_eq!(mask_from_bytes(&bytes).unwrap(), mask);
        assert!(mask_from_bytes(&bytes[..bytes.len() - 1]).is_err());
    }

    /// Returns a file with one tensor `a` of these bytes and these metadata.
    fn file_with(metadata: &FileMetadata, dtype: Dtype, shape: &[usize], data: &[u8]) -> Vec<u8> {
        let tensor = TensorBytes { dtype, shape: shape.to_vec(), data: data.to_vec() };
        serialize(&[("a".to_owned(), tensor)], metadata).unwrap()
    }

    #[test]
    fn mask_whose_size_overflows_is_refused() {
        // The product of the sizes is 2^64, which is 0 in 64 bits, and so is the number of bytes.
        let metadata = FileMetadata { tensors: vec![("a".into(), vec![1 << 32, 1 << 32])], snapshot: None };
        let error = mask_from_bytes(&file_with(&metadata, Dtype::U8, &[0], &[])).unwrap_err().to_string();
        assert_eq!(error, "`a` is not what its metadata say");
    }

    #[test]
    fn tensor_named_many_times_is_read_once_or_refused() {
        let metadata = FileMetadata { tensors: vec![("a".into(), vec![1]); 1000], snapshot: None };
        let error = tensors_from_bytes(&file_with(&metadata, Dtype::F32, &[1], &[0; 4])).unwrap_err().to_string();
        assert_eq!(error, "its metadata name 1000 tensors, and it has 1");
    }

    // regression: 2^64 − 1 moments divided by zero, and many were made without end
    #[test]
    fn snapshot_with_impossible_counters_is_refused() {
        for (moments, buffers) in [(usize::MAX, 0), (usize::MAX, 1), (1 << 40, 1), (0, usize::MAX), (1, 0), (0, 2)] {
            let snapshot = Some(SnapshotCounters { iteration: 1, optimizer_steps: 1, moments, buffers, scores: 0 });
            let metadata = FileMetadata { tensors: vec![("a".into(), vec![1])], snapshot };
            let file = file_with(&metadata, Dtype::F32, &[1], &[0; 4]);
            assert!(snapshot_from_bytes::<f32>(&file).is_err(), "{moments} moments, {buffers} buffers");
        }
    }

    #[test]
    fn tensor_file_with_data_of_another_length_is_refused() {
        let metadata = FileMetadata { tensors: vec![("a".into(), vec![2])], snapshot: None };
        let file = file_with(&metadata, Dtype::F32, &[2], &[0; 8]);
        assert!(tensors_from_bytes(&file).is_ok());
        for changed in [&file[..file.len() - 1], &[&file[..], &[0]].concat(), &[255; 9], b""] {
            let error = tensors_from_bytes(changed).unwrap_err().to_string();
            assert_eq!(error, "it is no safetensors file, or damaged");
        }
        let shape = |from: &str, to: &str| {
            let start = file.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            [&file[..start], to.as_bytes(), &file[start + from.len()..]].concat()
        };
        assert!(tensors_from_bytes(&shape("\"shape\":[2]", "\"shape\":[9]")).is_err());
    }
}
