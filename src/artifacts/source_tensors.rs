//! Reads the files that masks and weights are taken from: tickets, and state dicts of `PyTorch` saved as safetensors.

use anyhow::{Context as _, Result, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::ticket::{Ticket, is_ticket};
use crate::base::key::sha256;
use crate::base::mask::LayerMask;
use crate::base::tensors::{NamedTensor, TensorMap};
use crate::lottery::FileContents;

/// The end of the name of a mask that `torch.nn.utils.prune` adds to a module.
const PRUNE_MASK: &str = "_mask";
/// The end of the name that `torch.nn.utils.prune` gives a weight with a mask.
const PRUNE_WEIGHT: &str = "_orig";

/// Reads the tensors of a ticket or of a state dict.
///
/// # Errors
/// Fails if the bytes are not those of a safetensors file or are damaged, if a ticket is compact, or if a tensor has a
/// type that weights do not have.
pub fn file_contents(bytes: &[u8]) -> Result<FileContents> {
    let sha256 = sha256(bytes);
    if !is_ticket(bytes) {
        let (masks, trained) = state_dict(bytes)?;
        return Ok(FileContents { sha256, masks, start: trained.clone(), trained });
    }
    let ticket = Ticket::from_bytes(bytes)?;
    let Some(start) = ticket.start else {
        bail!("it is a compact ticket, whose network has fewer units; name the ticket that it was made from");
    };
    Ok(FileContents { sha256, masks: ticket.mask.0, start, trained: ticket.trained })
}

/// Reads the masks and the weights of a state dict, with the names that modules have without `torch.nn.utils.prune`.
fn state_dict(bytes: &[u8]) -> Result<(Vec<LayerMask>, TensorMap)> {
    let file = SafeTensors::deserialize(bytes).context("it is no safetensors file, or cut off or damaged")?;
    let (mut masks, mut tensors) = (Vec::new(), Vec::new());
    let names = file.names();
    for (name, view) in file.tensors() {
        let shape = view.shape().to_vec();
        // A module with a pruned weight has it under two names, and its mask beside.
        let pruned =
            name.strip_suffix(PRUNE_MASK).filter(|weight| names.contains(&format!("{weight}{PRUNE_WEIGHT}").as_str()));
        if let Some(weight) = pruned {
            let kept = floats(&name, &view)?.into_iter().map(|value| is_kept(&name, value)).collect::<Result<_>>()?;
            masks.push(LayerMask { name: weight.to_owned(), shape, kept });
        } else if !matches!(view.dtype(), Dtype::I64) {
            // (The integers of a state dict count the batches of batch norms.)
            let values = floats(&name, &view)?;
            let name = name.strip_suffix(PRUNE_WEIGHT).unwrap_or(&name).to_owned();
            tensors.push(NamedTensor { name, shape, values });
        }
    }
    Ok((masks, TensorMap(tensors)))
}

/// Returns whether a value of a mask keeps a weight.
fn is_kept(name: &str, value: f32) -> Result<bool> {
    ensure!(value == 0.0 || value == 1.0, "`{name}` has the value {value}, and a mask has 0 and 1");
    Ok(value == 1.0)
}

/// Returns the values of a tensor in float32.
fn floats(name: &str, view: &TensorView<'_>) -> Result<Vec<f32>> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data.chunks_exact(4).map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])).collect(),
        Dtype::F64 => {
            let value = |x: &[u8]| x.try_into().map(f64::from_le_bytes).unwrap_or_default() as f32;
            data.chunks_exact(8).map(value).collect()
        }
        Dtype::BF16 => data.chunks_exact(2).map(|x| f32::from_le_bytes([0, 0, x[0], x[1]])).collect(),
        Dtype::BOOL | Dtype::U8 => data.iter().map(|&x| f32::from(x)).collect(),
        other => bail!("`{name}` has the type {other}; save it as float32, such as by `.float()`"),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tensor_files::{TensorBytes, serialize_with};
    use super::*;

    fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
        let tensor = |(name, dtype, shape, data): &(&str, Dtype, &[usize], Vec<u8>)| {
            ((*name).to_owned(), TensorBytes { dtype: *dtype, shape: shape.to_vec(), data: data.clone() })
        };
        serialize_with(&tensors.iter().map(tensor).collect::<Vec<_>>(), "{}".to_owned()).unwrap()
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn state_dict_has_the_masks_of_torch_prune_and_values_of_every_type() {
        let contents = file_contents(&file(&[
            ("fc.weight_orig", Dtype::F32, &[1, 2], bytes(&[1.0, 2.0])),
            ("fc.weight_mask", Dtype::F32, &[1, 2], bytes(&[1.0, 0.0])),
            ("fc.bias", Dtype::F64, &[1], 0.5_f64.to_le_bytes().to_vec()),
            ("bn.weight", Dtype::BF16, &[1], vec![0x80, 0x3f]),
            ("bn.num_batches_tracked", Dtype::I64, &[], 7_i64.to_le_bytes().to_vec()),
        ]))
        .unwrap();
        let mask = LayerMask { name: "fc.weight".into(), shape: vec![1, 2], kept: vec![true, false] };
        assert_eq!(contents.masks, [mask]);
        let values = |name: &str| contents.trained.get(name).unwrap().values.clone();
        assert_eq!(
            (values("fc.weight"), values("fc.bias"), values("bn.weight")),
            (vec![1.0, 2.0], vec![0.5], vec![1.0])
        );
        assert_eq!((contents.trained.0.len(), &contents.start), (3, &contents.trained));
    }

    #[test]
    fn state_dicts_that_cannot_be_used_are_refused() {
        let error = |bytes: &[u8]| format!("{:#}", file_contents(bytes).unwrap_err());
        assert!(error(b"PK\x03\x04 a pickle").contains("no safetensors file"));
        let half = file(&[("fc.weight", Dtype::F16, &[1], vec![0, 0])]);
        assert_eq!(error(&half), "`fc.weight` has the type F16; save it as float32, such as by `.float()`");
        let mask = [("w_orig", Dtype::F32, &[1][..], bytes(&[1.0])), ("w_mask", Dtype::F32, &[1], bytes(&[0.5]))];
        assert_eq!(error(&file(&mask)), "`w_mask` has the value 0.5, and a mask has 0 and 1");
        let whole = file(&[("fc.weight", Dtype::F32, &[2], bytes(&[1.0, 2.0]))]);
        assert!(error(&whole[..whole.len() - 1]).contains("cut off or damaged"));
    }
}
