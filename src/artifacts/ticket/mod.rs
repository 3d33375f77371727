//! Exported tickets: mask, starting weights, trained weights and their description in one safetensors file.
//!
//! | tensor | type | contents |
//! | --- | --- | --- |
//! | `mask.NAME` | bool | whether each weight is kept |
//! | `start.NAME` | float32 | the weights that training started from, before the mask is applied |
//! | `trained.NAME` | float32 | the weights and running statistics after training; pruned weights are 0 |
//!
//! `NAME` is the name of a tensor in the network, such as `linear1.weight`. In a compact file, `start` and `mask` are
//! left out, and a trained weight tensor is stored as its kept values where that is shorter: `trained.NAME.values` in
//! row-major order, and `trained.NAME.gaps`, whose running sums are the positions of the values.
//!
//! The metadata entry `lth` is a [`TicketInfo`] as JSON, which carries a checksum of itself and one of the tensors.

mod info;
mod results;
mod summary;

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors};
use serde::Deserialize;

use super::checksummed_json::{ChecksumState, checksum_state, to_checksummed_json};
use super::tensor_files::{METADATA, StoredFloat as _, TensorBytes, serialize_with};
use crate::base::key::sha256_of_parts;
use crate::base::mask::{LayerMask, Mask};
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::config::{self, ConfigDocument, Experiment};
use crate::network::{CompactNetwork, LayerUnits, Network, NetworkDescription, PrunableTensor, TensorSpec, compact};

pub use info::{InputMap, TicketInfo, TicketOrigin, TicketScore};
pub use results::{InferenceTiming, TicketSizes, VerifiedScore};
pub use summary::{TicketCheck, TicketLayer, WeightHistogram};

/// A ticket: a mask, and the weights before and after training under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticket {
    /// The description; its `tensors_sha256` is computed when the file is written.
    pub info: TicketInfo,
    /// The network of the description.
    pub network: Network,
    /// The mask.
    pub mask: Mask,
    /// The weights that training started from, before the mask is applied, then the buffers; `None` in a compact file.
    pub start: Option<TensorMap>,
    /// The weights after training, then the buffers.
    pub trained: TensorMap,
}

/// The prefixes of the names of tensors.
const MASK: &str = "mask";
const START: &str = "start";
const TRAINED: &str = "trained";
/// The suffixes of the names of the two parts of a tensor that is stored as its kept values.
const VALUES: &str = "values";
const GAPS: &str = "gaps";

impl TicketInfo {
    /// The version of the format that this program writes.
    pub const FORMAT: u32 = 1;
}

impl Ticket {
    /// Returns the bytes of the file of the ticket. Equal tickets give equal bytes.
    ///
    /// # Errors
    /// Fails if the tensors cannot be serialized.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let tensors = self.tensors();
        let tensors_sha256 = checksum(
            tensors
                .iter()
                .map(|(name, bytes)| (name.as_str(), bytes.dtype, bytes.shape.as_slice(), bytes.data.as_slice())),
        );
        let info = TicketInfo { tensors_sha256, ..self.info.clone() };
        serialize_with(&tensors, String::from_utf8(to_checksummed_json(&info)?)?)
    }

    /// Returns the tensors of the file by their names.
    fn tensors(&self) -> Vec<(String, TensorBytes)> {
        let mut tensors = Vec::new();
        if !self.info.is_compact {
            tensors.extend(self.mask.0.iter().map(|layer| (format!("{MASK}.{}", layer.name), bool_bytes(layer))));
        }
        let start = self.start.iter().flat_map(|start| &start.0);
        tensors.extend(start.map(|tensor| (format!("{START}.{}", tensor.name), float_bytes(tensor))));
        for tensor in &self.trained.0 {
            let name = format!("{TRAINED}.{}", tensor.name);
            let layer = self.mask.0.iter().find(|layer| self.info.is_compact && layer.name == tensor.name);
            match layer.and_then(|layer| compressed(tensor, layer)) {
                Some([values, gaps]) => {
                    tensors.extend([(format!("{name}.{VALUES}"), values), (format!("{name}.{GAPS}"), gaps)]);
                }
                None => tensors.push((name, float_bytes(tensor))),
            }
        }
        tensors
    }

    /// Returns the trained weights and buffers as a state that an engine evaluates.
    pub fn trained_state(&self) -> Snapshot {
        let (weights, buffers) = self.network.split_buffers(self.trained.clone());
        Snapshot { buffers, ..Snapshot::initial(weights) }
    }

    /// Returns the ticket without the units that have no effect and without starting weights, and the units of each layer.
    pub fn compact(&self) -> (Self, Vec<LayerUnits>) {
        let CompactNetwork { network, mask, tensors, units } = compact(&self.network, &self.mask, &self.trained);
        let description = NetworkDescription::of(&network);
        let info = TicketInfo { is_compact: true, network: description, ..self.info.clone() };
        (Self { info, network, mask, start: None, trained: tensors }, units)
    }

    /// Returns the experiment that the network was trained in.
    ///
    /// # Errors
    /// Fails if the configuration in the file is of a version with other keys.
    pub fn experiment(&self) -> Result<Experiment> {
        let document = ConfigDocument::parse("the configuration in the ticket", &self.info.training.config, &[]);
        Ok(config::read(&document.map_err(anyhow::Error::msg)?)?)
    }

    /// Returns the number of bytes of the trained weights and running statistics in the file, without its description.
    pub fn trained_bytes(&self) -> u64 {
        let tensors = self.tensors();
        let trained = tensors.iter().filter(|(name, _)| name.starts_with(TRAINED));
        trained.map(|(_, bytes)| bytes.data.len() as u64).sum()
    }

    /// Reads a ticket from the bytes of its file, and checks everything that the file says about itself: checksums,
    /// names, shapes and types of tensors, the network, the counts and the zeros of pruned weights.
    ///
    /// # Errors
    /// Fails if the file is no ticket, is damaged or was changed, or was written by a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let info = read_info(bytes)?;
        let file = SafeTensors::deserialize(bytes).context("it is cut off or damaged")?;
        let tensors = file.tensors();
        let found =
            checksum(tensors.iter().map(|(name, view)| (name.as_str(), view.dtype(), view.shape(), view.data())));
        ensure!(found == info.tensors_sha256, "its tensors are damaged or were changed: their checksum is {found}");
        let network = info.network.network()?;
        let reader = TicketReader { file: &file, is_compact: info.is_compact };
        let mask = Mask(network.weights().iter().map(|weight| reader.mask(weight)).collect::<Result<_>>()?);
        let all = network.parameters().iter().chain(network.buffers());
        let trained = TensorMap(all.clone().map(|spec| reader.trained(spec)).collect::<Result<_>>()?);
        let start =
            all.map(|spec| reader.floats(&format!("{START}.{}", spec.name), &spec.shape)).collect::<Result<_>>();
        let start = if info.is_compact { None } else { Some(TensorMap(start?)) };
        ensure!(mask.is_respected_by(&trained), "a pruned weight of it is not 0");
        let kept = mask.kept_total();
        ensure!(
            info.is_compact || (kept, mask.total()) == (info.training.weights_kept, info.training.weights_total),
            "its mask keeps {kept} weights, and its description has {}",
            info.training.weights_kept
        );
        Ok(Self { info, network, mask, start, trained })
    }
}

/// Returns whether the bytes are those of a safetensors file that this program made from a ticket, damaged or not.
pub fn is_ticket(bytes: &[u8]) -> bool {
    metadata_text(bytes).is_ok_and(|text| text.is_some_and(|text| text.contains("\"tensors_sha256\"")))
}

/// Returns the metadata entry of this program in a safetensors file; `None` if the file has none.
///
/// # Errors
/// Fails if the bytes are not those of a safetensors file.
fn metadata_text(bytes: &[u8]) -> Result<Option<String>> {
    let (_, header) = SafeTensors::read_metadata(bytes).context("it is no safetensors file, or cut off or damaged")?;
    Ok(header.metadata().as_ref().and_then(|entries| entries.get(METADATA)).cloned())
}

/// Reads the description of a ticket.
fn read_info(bytes: &[u8]) -> Result<TicketInfo> {
    /// The part of a description that every version has.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
        #[expect(dead_code, reason = "only descriptions of tickets have it")]
        tensors_sha256: String,
    }
    let text = metadata_text(bytes)?.context("it was not made by `lth ticket export`: its metadata have no `lth`")?;
    let version: Version =
        serde_json::from_str(&text).map_err(|_| anyhow!("it is no ticket, but another file of this program"))?;
    if version.format > TicketInfo::FORMAT {
        bail!("a newer version of this program wrote it (format {}); use that version", version.format);
    }
    ensure!(checksum_state(text.as_bytes()) == ChecksumState::Intact, "its description is damaged or was changed");
    serde_json::from_str(&text).context("its description is not complete")
}

/// Returns the SHA-256 of the tensors in the order of their names: for each, its name, type and shape as JSON, a line
/// break, and its bytes.
fn checksum<'a>(tensors: impl Iterator<Item = (&'a str, Dtype, &'a [usize], &'a [u8])>) -> String {
    let sorted: BTreeMap<&str, _> = tensors.map(|(name, dtype, shape, data)| (name, (dtype, shape, data))).collect();
    let heads: Vec<String> = sorted
        .iter()
        .map(|(name, (dtype, shape, _))| serde_json::json!([name, dtype.to_string(), shape]).to_string() + "\n")
        .collect();
    let parts = heads.iter().zip(sorted.values()).flat_map(|(head, (_, _, data))| [head.as_bytes(), data]);
    sha256_of_parts(&parts.collect::<Vec<_>>())
}

fn bool_bytes(layer: &LayerMask) -> TensorBytes {
    TensorBytes {
        dtype: Dtype::BOOL,
        shape: layer.shape.clone(),
        data: layer.kept.iter().map(|&kept| kept.into()).collect(),
    }
}

fn float_bytes(tensor: &NamedTensor) -> TensorBytes {
    let data = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
    TensorBytes { dtype: Dtype::F32, shape: tensor.shape.clone(), data }
}

/// Returns the kept values of a tensor and the gaps between them; `None` if the tensor itself is as short.
fn compressed(tensor: &NamedTensor, layer: &LayerMask) -> Option<[TensorBytes; 2]> {
    let positions: Vec<usize> = layer.kept.iter().enumerate().filter(|(_, kept)| **kept).map(|(i, _)| i).collect();
    let previous = std::iter::once(0).chain(positions.iter().copied());
    let gaps: Vec<usize> = positions.iter().zip(previous).map(|(position, previous)| position - previous).collect();
    let has_small_gaps = gaps.iter().all(|&gap| i16::try_from(gap).is_ok());
    let (dtype, gap_bytes): (Dtype, Vec<u8>) = if has_small_gaps {
        (Dtype::I16, gaps.iter().flat_map(|&gap| (gap as i16).to_le_bytes()).collect())
    } else {
        let gaps: Option<Vec<i32>> = gaps.iter().map(|&gap| i32::try_from(gap).ok()).collect();
        (Dtype::I32, gaps?.iter().flat_map(|gap| gap.to_le_bytes()).collect())
    };
    let values: Vec<u8> = positions.iter().flat_map(|&position| tensor.values[position].to_le_bytes()).collect();
    let is_shorter = values.len() + gap_bytes.len() < 4 * tensor.values.len();
    let vector = |dtype, data| TensorBytes { dtype, shape: vec![positions.len()], data };
    is_shorter.then(|| [vector(Dtype::F32, values), vector(dtype, gap_bytes)])
}

/// Reads the tensors of a ticket's file.
struct TicketReader<'a> {
    file: &'a SafeTensors<'a>,
    is_compact: bool,
}

impl TicketReader<'_> {
    /// Returns the bytes of a tensor of this type and shape.
    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<Cow<'_, [u8]>> {
        let tensor = self.file.tensor(name).with_context(|| format!("it has no tensor `{name}`"))?;
        ensure!(
            tensor.dtype() == dtype && tensor.shape() == shape,
            "`{name}` is {} of shape {:?} instead of {dtype} of shape {shape:?}",
            tensor.dtype(),
            tensor.shape()
        );
        Ok(Cow::Borrowed(tensor.data()))
    }

    fn floats(&self, name: &str, shape: &[usize]) -> Result<NamedTensor> {
        let bytes = self.bytes(name, Dtype::F32, shape)?;
        let values = bytes.chunks_exact(4).map(f32::from_slice).collect();
        let name = name.split_once('.').map_or(name, |(_, name)| name).to_owned();
        Ok(NamedTensor { name, shape: shape.to_vec(), values })
    }

    /// Returns the mask of a weight. In a compact file the values say which weights are kept; all are where the tensor
    /// is not stored as its kept values, except for those that are 0.
    fn mask(&self, weight: &PrunableTensor) -> Result<LayerMask> {
        let TensorSpec { name, shape, .. } = &weight.parameter;
        let kept = if !self.is_compact {
            let bytes = self.bytes(&format!("{MASK}.{name}"), Dtype::BOOL, shape)?;
            ensure!(bytes.iter().all(|&byte| byte <= 1), "`{MASK}.{name}` has values that are neither 0 nor 1");
            bytes.iter().map(|&byte| byte == 1).collect()
        } else if let Some((positions, _)) = self.kept_values(&weight.parameter)? {
            let mut kept = vec![false; weight.parameter.len()];
            for position in positions {
                kept[position] = true;
            }
            kept
        } else {
            self.trained(&weight.parameter)?.values.iter().map(|value| value.to_bits() != 0).collect()
        };
        Ok(LayerMask { name: name.clone(), shape: shape.clone(), kept })
    }

    fn trained(&self, spec: &TensorSpec) -> Result<NamedTensor> {
        let Some((positions, kept)) = self.kept_values(spec)? else {
            return self.floats(&format!("{TRAINED}.{}", spec.name), &spec.shape);
        };
        let mut values = vec![0.0; spec.len()];
        for (position, value) in positions.into_iter().zip(kept) {
            values[position] = value;
        }
        Ok(NamedTensor { name: spec.name.clone(), shape: spec.shape.clone(), values })
    }

    /// Returns the positions and the values of the kept weights of a tensor; `None` if it is stored whole.
    fn kept_values(&self, spec: &TensorSpec) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let name = |part: &str| format!("{TRAINED}.{}.{part}", spec.name);
        let Some(gaps) = self.file.tensor(&name(GAPS)).ok().filter(|_| self.is_compact) else { return Ok(None) };
        let data = gaps.data();
        let gaps: Vec<i64> = match gaps.dtype() {
            Dtype::I16 => data.chunks_exact(2).map(|gap| i16::from_le_bytes([gap[0], gap[1]]).into()).collect(),
            Dtype::I32 => {
                data.chunks_exact(4).map(|gap| i32::from_le_bytes([gap[0], gap[1], gap[2], gap[3]]).into()).collect()
            }
            other => bail!("`{}` is {other} instead of I16 or I32", name(GAPS)),
        };
        let mut positions = Vec::with_capacity(gaps.len());
        for (index, gap) in gaps.iter().enumerate() {
            let position = positions.last().map_or(0, |&last: &usize| last as i64) + gap;
            let is_next = *gap > 0 || index == 0 && *gap == 0;
            let is_inside = position < spec.len() as i64;
            ensure!(is_next && is_inside, "`{}` leads out of the tensor or back", name(GAPS));
            positions.push(position as usize);
        }
        let values = self.floats(&name(VALUES), &[positions.len()])?.values;
        Ok(Some((positions, values)))
    }
}
