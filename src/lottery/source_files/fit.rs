//! Fits the tensors of a file to a network.

use std::collections::BTreeSet;

use super::FileContents;
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::Generator;
use crate::base::tensors::{NamedTensor, Snapshot, TensorMap};
use crate::config::{FileTensors, SourceFile};
use crate::network::{Network, TensorSpec, WeightKind};
use crate::prune::random_mask;

/// Largest number of tensors that a message lists.
const MAX_LISTED: usize = 12;

/// A file, and the network that its tensors are for.
pub(super) struct Fit<'a> {
    pub(super) network: &'a Network,
    pub(super) file: &'a SourceFile,
    pub(super) contents: &'a FileContents,
}

/// A mask from a file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::lottery) struct FittedMask {
    /// The mask. That of the output layer has the right number of kept weights only, if `draws_output`.
    mask: Mask,
    /// Whether the positions of the kept weights of the output layer are drawn.
    draws_output: bool,
}

impl FittedMask {
    /// Returns the number of kept weights of each layer.
    pub(in crate::lottery) fn kept_counts(&self) -> Vec<u64> {
        self.mask.kept_counts()
    }

    /// Returns the mask, with the positions of the output layer drawn from `generator` if they are not in the file.
    pub(in crate::lottery) fn mask(&self, generator: &mut Generator) -> Mask {
        let Mask(mut layers) = self.mask.clone();
        if self.draws_output
            && let Some(output) = layers.pop()
        {
            layers.extend(random_mask(&Mask(vec![output]), generator).0);
        }
        Mask(layers)
    }
}

/// Weights from a file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::lottery) struct FittedWeights {
    /// The parameters that are in the file, in the network's order; without those of an output layer that is drawn.
    parameters: TensorMap,
    /// The running statistics.
    buffers: TensorMap,
    /// A note on tensors of the file that the network has no use for.
    note: Option<String>,
}

impl FittedWeights {
    /// Returns the state of a network with these weights at iteration 0. Parameters that are not in the file are those
    /// of `drawn`.
    pub(in crate::lottery) fn state(&self, drawn: TensorMap) -> Snapshot {
        let take = |tensor: NamedTensor| self.parameters.get(&tensor.name).cloned().unwrap_or(tensor);
        let weights = TensorMap(drawn.0.into_iter().map(take).collect());
        Snapshot { buffers: self.buffers.clone(), ..Snapshot::initial(weights) }
    }

    /// Returns the running statistics.
    pub(in crate::lottery) fn buffers(&self) -> &TensorMap {
        &self.buffers
    }

    /// Returns the note on tensors of the file that the network has no use for.
    pub(super) fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }
}

/// A tensor of the file in the shape that the network needs, or what is done instead.
enum Found<T> {
    /// The values, row-major.
    Values(Vec<T>),
    /// It is drawn.
    Drawn,
    /// It does not fit; with the reason.
    Misfit(String),
}

impl Fit<'_> {
    /// Returns the mask of the file.
    ///
    /// # Errors
    /// Fails with a list of the tensors that do not fit.
    pub(super) fn mask(&self) -> Result<FittedMask, String> {
        if self.contents.masks.is_empty() {
            let text = "it has no masks: neither is it a ticket, nor has it a tensor such as `linear1.weight_mask`";
            return Err(text.to_owned());
        }
        let (mut layers, mut misfits, mut draws_output) = (Vec::new(), Vec::new(), false);
        for weight in self.network.weights() {
            let spec = &weight.parameter;
            let source = self.source_name(&spec.name);
            let mask = self.contents.masks.iter().find(|mask| mask.name == source);
            let any_kept = |kept: &[bool]| kept.iter().any(|&kept| kept);
            let found = self.found(spec, mask.map(|mask| (mask.shape.as_slice(), mask.kept.as_slice())), any_kept);
            let kept = match (found, mask) {
                (Found::Values(kept), _) => kept,
                (Found::Drawn, Some(mask)) => {
                    draws_output = true;
                    let share = mask.kept_count() as f64 / mask.kept.len().max(1) as f64;
                    let count = (share * spec.len() as f64).round() as usize;
                    (0..spec.len()).map(|index| index < count).collect()
                }
                (Found::Drawn, None) => vec![true; spec.len()],
                (Found::Misfit(misfit), _) => {
                    misfits.push(misfit);
                    continue;
                }
            };
            layers.push(LayerMask { name: spec.name.clone(), shape: spec.shape.clone(), kept });
        }
        let names = self.contents.masks.iter().map(|mask| mask.name.as_str()).collect();
        self.refuse_misfits(&misfits, layers.len(), &names)?;
        Ok(FittedMask { mask: Mask(layers), draws_output })
    }

    /// Returns weights of the file.
    ///
    /// # Errors
    /// Fails with a list of the tensors that do not fit.
    pub(super) fn weights(&self, which: FileTensors) -> Result<FittedWeights, String> {
        let tensors = match which {
            FileTensors::Start => &self.contents.start,
            FileTensors::Trained => &self.contents.trained,
        };
        let mut misfits = Vec::new();
        let mut read = |specs: &[TensorSpec]| {
            let mut fitted = Vec::new();
            for spec in specs {
                let tensor = tensors.get(&self.source_name(&spec.name));
                let sum = |values: &[f32]| values.iter().sum::<f32>();
                let found = self.found(spec, tensor.map(|t| (t.shape.as_slice(), t.values.as_slice())), sum);
                match found {
                    Found::Values(values) => {
                        fitted.push(NamedTensor { name: spec.name.clone(), shape: spec.shape.clone(), values });
                    }
                    Found::Drawn => {}
                    Found::Misfit(misfit) => misfits.push(misfit),
                }
            }
            TensorMap(fitted)
        };
        let parameters = read(self.network.parameters());
        let buffers = read(self.network.buffers());
        let names: BTreeSet<&str> = tensors.0.iter().map(|tensor| tensor.name.as_str()).collect();
        self.refuse_misfits(&misfits, parameters.0.len() + buffers.0.len(), &names)?;
        if !parameters.is_finite() || !buffers.is_finite() {
            return Err("it has values that are not finite".to_owned());
        }
        let unused = self.unused(&names);
        let note = (!unused.is_empty())
            .then(|| format!("tensors of a file that the network has no use for: {}", listed(&unused)));
        Ok(FittedWeights { parameters, buffers, note })
    }

    /// Returns the name that the file has for a tensor of the network.
    fn source_name(&self, tensor: &str) -> String {
        if let Some(name) = self.file.names.get(tensor) {
            return name.clone();
        }
        let (layer, parameter) = tensor.rsplit_once('.').unwrap_or((tensor, ""));
        self.file.names.get(layer).map_or_else(|| tensor.to_owned(), |layer| format!("{layer}.{parameter}"))
    }

    /// Returns the tensor `spec` of the network from one of the file, given as shape and values. `merge`: the value of
    /// one input channel that replaces several.
    fn found<T: Copy + Scale>(
        &self,
        spec: &TensorSpec,
        tensor: Option<(&[usize], &[T])>,
        merge: impl Fn(&[T]) -> T,
    ) -> Found<T> {
        let is_output = self.is_output(&spec.name);
        let Some((shape, values)) = tensor else {
            if is_output && self.file.new_output {
                return Found::Drawn;
            }
            return Found::Misfit(format!("`{}` is not in it", self.source_name(&spec.name)));
        };
        let has_other_classes = is_output && shape.len() == spec.shape.len() && shape[1..] == spec.shape[1..];
        if is_output && self.file.new_output || has_other_classes && shape != spec.shape {
            return Found::Drawn;
        }
        if shape == spec.shape {
            return Found::Values(values.to_vec());
        }
        let is_first = self.network.weights().first().is_some_and(|weight| weight.parameter.name == spec.name);
        let misfit = |advice: &str| {
            let name = &spec.name;
            Found::Misfit(format!("`{name}` is {:?} in the network and {shape:?} in the file{advice}", spec.shape))
        };
        let ([outputs, inputs, rest @ ..], [own_outputs, own_inputs, own_rest @ ..]) = (shape, &spec.shape[..]) else {
            return misfit("");
        };
        let differs_in_channels = is_first && !rest.is_empty() && outputs == own_outputs && rest == own_rest;
        if !differs_in_channels || *inputs != 1 && *own_inputs != 1 {
            return misfit("");
        }
        if !self.file.adapt_input {
            return misfit(" (`adapt_input = true` adapts input channels)");
        }
        let pixels: usize = rest.iter().product();
        let mut adapted = Vec::with_capacity(spec.len());
        for filter in values.chunks_exact((inputs * pixels).max(1)) {
            for _ in 0..*own_inputs {
                for pixel in 0..pixels {
                    let channels: Vec<T> = (0..*inputs).map(|channel| filter[channel * pixels + pixel]).collect();
                    adapted.push(merge(&channels).divided(*own_inputs));
                }
            }
        }
        Found::Values(adapted)
    }

    /// Returns whether a tensor belongs to the output layer.
    fn is_output(&self, tensor: &str) -> bool {
        let output = self.network.weights().last().filter(|weight| weight.kind == WeightKind::Output);
        output.is_some_and(|output| tensor.rsplit_once('.').is_some_and(|(layer, _)| layer == output.layer))
    }

    /// Returns the names in the file that stand for no tensor of the network.
    fn unused<'n>(&self, names: &BTreeSet<&'n str>) -> Vec<&'n str> {
        let own = self.network.parameters().iter().chain(self.network.buffers());
        let used: BTreeSet<String> = own.map(|spec| self.source_name(&spec.name)).collect();
        names.iter().copied().filter(|name| !used.contains(*name)).collect()
    }

    /// Fails with a list if something does not fit. `fitting`: the number of tensors that do; `names`: those in the file.
    fn refuse_misfits(&self, misfits: &[String], fitting: usize, names: &BTreeSet<&str>) -> Result<(), String> {
        if misfits.is_empty() {
            return Ok(());
        }
        let unused = self.unused(names);
        let misfits: Vec<&str> = misfits.iter().map(String::as_str).collect();
        let text = format!("{} of {} tensors do not fit: {}", misfits.len(), misfits.len() + fitting, listed(&misfits));
        if unused.is_empty() {
            return Err(text);
        }
        Err(format!(
            "{text}; the file also has {} (where names differ, `names = {{ linear1 = \"fc1\" }}` says which is which)",
            listed(&unused)
        ))
    }
}

/// Returns the first texts, separated by commas, and how many there are more.
fn listed(texts: &[&str]) -> String {
    let more = texts.len().saturating_sub(MAX_LISTED);
    let shown = texts[..texts.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// A value of one input channel that is divided among several.
trait Scale {
    /// Returns the part of each of `count` channels.
    fn divided(self, count: usize) -> Self;
}

impl Scale for f32 {
    fn divided(self, count: usize) -> Self {
        self / count as f32
    }
}

impl Scale for bool {
    fn divided(self, _: usize) -> Self {
        self
    }
}
