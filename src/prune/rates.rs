//! The pruning rates: the rate of each layer, the number of weights that remain after a round, and the pruning of a
//! mask to that number.

use std::collections::BTreeMap;

use wildmatch::WildMatch;

use super::criterion::{LayerWeights, scores};
use super::select::{prune_count, prune_lowest};
use super::tie_break::TieBreak;
use crate::base::mask::{LayerMask, Mask};
use crate::base::rng::Stream;
use crate::base::tensors::TensorMap;
use crate::base::units::Fraction;
use crate::config::{self, Criterion, Diagnostic, RateConfig, Scope};
use crate::network::{Network, PrunableTensor, WeightKind};

/// The rates by which every round of an experiment prunes, resolved against its network.
#[derive(Clone, Debug, PartialEq)]
pub struct PruningRates {
    rule: RateRule,
}

/// The fractions of the remaining weights that a round prunes, by [`Scope`].
#[derive(Clone, Debug, PartialEq)]
enum RateRule {
    /// One rate per layer, in the network's order; 0 for layers that are not pruned.
    Layerwise(Vec<Fraction>),
    /// One rate for all included layers together, which share one ranking of scores.
    Global {
        /// The fraction of the weights of all included layers.
        rate: Fraction,
        /// Whether each layer is included, in the network's order.
        included: Vec<bool>,
    },
}

/// The numbers of weights that remain after a round, as far as they are known before anything is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainingCounts {
    /// Over the whole network.
    pub kept: u64,
    /// Per layer, in the network's order. `None` with scope or allocation `global`: the included layers share one ranking
    /// of scores, so that the counts depend on trained weights.
    pub layers: Option<Vec<u64>>,
}

impl PruningRates {
    /// Resolves the rate of every layer.
    ///
    /// # Errors
    /// Fails if `include`, `exclude` or `rate.layers` have names that match no layer and no kind of layer.
    pub fn new(prune: &config::PruneConfig, network: &Network) -> Result<Self, Vec<Diagnostic>> {
        let weights = network.weights();
        let problems = unknown_names(prune, weights);
        if !problems.is_empty() {
            return Err(problems);
        }
        let included: Vec<bool> = weights.iter().map(|weight| is_included(prune, weight)).collect();
        if let Some(problem) = convolution_without_score(prune, weights, &included) {
            return Err(vec![problem]);
        }
        let rule = match prune.scope {
            Scope::Layerwise => {
                let layers = weights.iter().zip(&included);
                let rates =
                    layers.map(|(weight, &included)| if included { layer_rate(&prune.rate, weight) } else { 0.0 });
                RateRule::Layerwise(rates.map(Fraction::saturating).collect())
            }
            Scope::Global => RateRule::Global { rate: Fraction::saturating(prune.rate.all()), included },
        };
        Ok(Self { rule })
    }

    /// Returns the number of weights that remain of `before` after one round of pruning. `sizes`: the number of weights
    /// of every layer, in the network's order.
    pub fn after_round(&self, before: &RemainingCounts, sizes: &[u64]) -> RemainingCounts {
        self.reduce_by(before, sizes, |rate| rate)
    }

    /// Returns the number of weights that remain if the layers with the largest rate lose `fraction` of their weights
    /// at once, and the others in proportion to their rates (one-shot pruning of Frankle & Carbin 2019: the output
    /// layer at half the rate). `sizes` as in [`PruningRates::after_round`].
    pub fn one_shot(&self, fraction: Fraction, sizes: &[u64]) -> RemainingCounts {
        let largest = match &self.rule {
            RateRule::Layerwise(rates) => rates.iter().map(|rate| rate.get()).fold(0.0, f64::max),
            RateRule::Global { rate, .. } => rate.get(),
        };
        let dense_counts = RemainingCounts { kept: sizes.iter().sum(), layers: Some(sizes.to_vec()) };
        self.reduce_by(&dense_counts, sizes, |rate| {
            if rate > Fraction::ZERO {
                Fraction::saturating(fraction.get() * (rate.get() / largest))
            } else {
                Fraction::ZERO
            }
        })
    }

    /// Returns the number of weights that each layer keeps. Without numbers in `counts` they depend on trained weights:
    /// each included layer is expected to keep the same share. `sizes` as in [`PruningRates::after_round`].
    pub fn expected_per_layer(&self, counts: &RemainingCounts, sizes: &[u64]) -> Vec<u64> {
        if let Some(layers) = &counts.layers {
            return layers.clone();
        }
        let included = &self.included();
        let total = sizes.iter().sum::<u64>();
        let rankable = total - excluded_weights(sizes, included);
        let pruned = total - counts.kept;
        let share = 1.0 - pruned as f64 / rankable.max(1) as f64;
        let expected = |size: u64| (size as f64 * share).round() as u64;
        sizes.iter().zip(included).map(|(&size, &included)| if included { expected(size) } else { size }).collect()
    }

    /// Returns the number of weights that remain of `before` if a rate r prunes the fraction `fraction(r)` of the
    /// weights that it applies to.
    fn reduce_by(
        &self,
        before: &RemainingCounts,
        sizes: &[u64],
        fraction: impl Fn(Fraction) -> Fraction,
    ) -> RemainingCounts {
        match &self.rule {
            RateRule::Layerwise(rates) => {
                let counts = before.layers.as_deref().unwrap_or(sizes).iter().zip(rates);
                let layers: Vec<u64> = counts.map(|(&n, &rate)| n - prune_count(fraction(rate), n)).collect();
                RemainingCounts { kept: layers.iter().sum(), layers: Some(layers) }
            }
            RateRule::Global { rate, included } => {
                let ranked = before.kept - excluded_weights(sizes, included);
                RemainingCounts { kept: before.kept - prune_count(fraction(*rate), ranked), layers: None }
            }
        }
    }

    /// Returns `mask` with the weights of the lowest scores pruned, so that `counts` remain: within each layer if `counts`
    /// has the numbers of the layers, else in one ranking of all layers that are pruned. `scores`: of every weight, by
    /// layer in the mask's order. Ties are broken at random, by `stream`.
    pub fn prune_to(&self, counts: &RemainingCounts, mask: &Mask, scores: &[Vec<f64>], stream: Stream) -> Mask {
        let tie_break = TieBreak::new(stream, 0);
        let mut pruned = mask.clone();
        if let Some(remaining) = &counts.layers {
            let layers = pruned.0.iter_mut().zip(scores).zip(remaining);
            for (index, ((layer, scores), &remaining)) in layers.enumerate() {
                let count = layer.kept_count().saturating_sub(remaining);
                prune_lowest(scores, &mut layer.kept, count, |weight| tie_break.rank(index, weight));
            }
        } else {
            let count = mask.kept_total().saturating_sub(counts.kept);
            prune_across_layers(&mut pruned, &self.included(), scores, count, &tie_break);
        }
        pruned
    }

    /// Returns whether each layer is pruned, in the network's order.
    pub fn included(&self) -> Vec<bool> {
        self.layer_rates().iter().map(|&rate| rate > Fraction::ZERO).collect()
    }

    /// Returns the names of the layers that are kept whole by a rate of 0, and not by `include` or `exclude`.
    pub fn excluded_by_rate(&self, prune: &config::PruneConfig, network: &Network) -> Vec<String> {
        let layers = network.weights().iter().zip(self.included());
        let is_excluded = |(weight, included): &(&PrunableTensor, bool)| !included && is_included(prune, weight);
        layers.filter(is_excluded).map(|(weight, _)| weight.layer.clone()).collect()
    }

    /// Returns the rate of each layer, in the network's order: 0 for layers that are not pruned.
    pub fn layer_rates(&self) -> Vec<Fraction> {
        match &self.rule {
            RateRule::Layerwise(rates) => rates.clone(),
            RateRule::Global { rate, included } => {
                included.iter().map(|&included| if included { *rate } else { Fraction::ZERO }).collect()
            }
        }
    }
}

/// Returns the number of weights in layers that are not pruned.
fn excluded_weights(sizes: &[u64], included: &[bool]) -> u64 {
    sizes.iter().zip(included).filter(|(_, included)| !**included).map(|(size, _)| size).sum()
}

/// Prunes the `count` weights with the lowest scores among all included layers, in one ranking. `scores`: of every
/// weight, by layer.
fn prune_across_layers(mask: &mut Mask, included: &[bool], scores: &[Vec<f64>], count: u64, tie_break: &TieBreak) {
    let layers: Vec<usize> = (0..mask.0.len()).filter(|&layer| included[layer]).collect();
    let mut kept: Vec<bool> = layers.iter().flat_map(|&layer| mask.0[layer].kept.iter().copied()).collect();
    let ranked: Vec<f64> = layers.iter().flat_map(|&layer| scores[layer].iter().copied()).collect();
    // The index in the concatenation at which each layer begins.
    let starts: Vec<usize> =
        layers.iter().scan(0, |end, &layer| Some(std::mem::replace(end, *end + mask.0[layer].kept.len()))).collect();
    let rank = |index: usize| {
        let position = starts.partition_point(|&start| start <= index) - 1;
        tie_break.rank(layers[position], index - starts[position])
    };
    prune_lowest(&ranked, &mut kept, count, rank);
    for (&layer, &start) in layers.iter().zip(&starts) {
        let layer_kept = &mut mask.0[layer].kept;
        let end = start + layer_kept.len();
        layer_kept.copy_from_slice(&kept[start..end]);
    }
}

/// The values by which weights are scored.
pub struct ScoreInputs<'a> {
    /// The criterion.
    pub criterion: Criterion,
    /// The reference weights: earlier ones that some criteria compare the trained ones with (see
    /// [`Criterion::needs_reference_weights`]).
    pub reference: &'a TensorMap,
    /// The trained weights.
    pub trained: &'a TensorMap,
    /// With [`Criterion::Wanda`]: the norms of the inputs of linear layers, by the name of the weight; else empty.
    pub input_norms: &'a BTreeMap<String, Vec<f64>>,
    /// The random stream of the criterion.
    pub stream: Stream,
}

impl ScoreInputs<'_> {
    /// Returns the scores of every weight, by layer in the mask's order.
    ///
    /// # Errors
    /// Fails if a tensor is missing or does not have the size of its mask (the message names it).
    pub fn scores(&self, mask: &Mask) -> Result<Vec<Vec<f64>>, String> {
        let mut generator = self.stream.generator(0);
        let mut layers = Vec::new();
        for layer in &mask.0 {
            let reference = values(self.reference, layer)?;
            let trained = values(self.trained, layer)?;
            let mut out = vec![0.0; layer.kept.len()];
            let input_norms = self.input_norms.get(&layer.name).map(Vec::as_slice).unwrap_or_default();
            let weights = LayerWeights { reference, trained, kept: &layer.kept, input_norms };
            scores(self.criterion, &weights, &mut generator, &mut out);
            layers.push(out);
        }
        Ok(layers)
    }
}

/// Returns the values of a layer's weights; the error names the layer.
fn values<'a>(tensors: &'a TensorMap, layer: &LayerMask) -> Result<&'a [f32], String> {
    let tensor = tensors.get(&layer.name).filter(|tensor| tensor.values.len() == layer.kept.len());
    tensor.map(|tensor| tensor.values.as_slice()).ok_or_else(|| format!("no weight `{}`", layer.name))
}

/// Reports a convolution that the criterion cannot score.
fn convolution_without_score(
    prune: &config::PruneConfig,
    weights: &[PrunableTensor],
    included: &[bool],
) -> Option<Diagnostic> {
    let is_conv = |weight: &PrunableTensor| matches!(weight.kind, WeightKind::Conv | WeightKind::Shortcut);
    let (weight, _) = weights.iter().zip(included).find(|(weight, included)| **included && is_conv(weight))?;
    let message = format!("`wanda` scores linear layers, and `{}` is a convolution", weight.layer);
    let hint = "prune only linear layers (`prune.include = [\"linear\", \"output\"]`), or choose another criterion";
    (prune.criterion == Criterion::Wanda).then(|| Diagnostic::new("prune.criterion", message).hint(hint))
}

/// Returns whether the weights of a layer are pruned.
fn is_included(prune: &config::PruneConfig, weight: &PrunableTensor) -> bool {
    let matches_any = |names: &[String]| names.iter().any(|name| matches_name(name, weight));
    (prune.include.is_empty() || matches_any(&prune.include)) && !matches_any(&prune.exclude)
}

/// Returns the rate of a layer: its own if it has one, else that of its kind.
fn layer_rate(config: &RateConfig, weight: &PrunableTensor) -> f64 {
    config.layers.get(&weight.layer).copied().unwrap_or_else(|| match weight.kind {
        WeightKind::Conv => config.conv(),
        WeightKind::Shortcut => config.shortcut(),
        WeightKind::Linear => config.linear(),
        WeightKind::Output => config.output(),
    })
}

/// Returns whether a name denotes a weight: the name of its layer or kind, or a pattern of layer names.
fn matches_name(name: &str, weight: &PrunableTensor) -> bool {
    name == weight.kind.as_str() || WildMatch::new(name).matches(&weight.layer)
}

/// Returns a mistake for each name that matches no layer. Kinds of layers that only other networks have are accepted,
/// so that one file can serve several networks.
fn unknown_names(prune: &config::PruneConfig, weights: &[PrunableTensor]) -> Vec<Diagnostic> {
    let layers: Vec<&str> = weights.iter().map(|weight| weight.layer.as_str()).collect();
    let mut names: Vec<&str> = layers.iter().copied().chain(WeightKind::ALL.map(WeightKind::as_str)).collect();
    names.sort_unstable();
    names.dedup();
    let rates = prune.rate.layers.keys().filter(|name| !layers.contains(&name.as_str())).map(|name| {
        let message = format!("the network has no layer `{name}`");
        Diagnostic::new(format!("prune.rate.layers.{name}"), message)
            .hint(format!("its layers: {}", layers.join(", ")))
            .on_key()
    });
    let is_known = |name: &String| {
        WeightKind::ALL.iter().any(|kind| kind.as_str() == name)
            || weights.iter().any(|weight| matches_name(name, weight))
    };
    let lists = [("include", &prune.include), ("exclude", &prune.exclude)];
    let unknown = lists.into_iter().flat_map(|(list, given)| {
        let unmatched = given.iter().enumerate().filter(|(_, name)| !is_known(name));
        unmatched.map(move |(i, name)| (format!("prune.{list}[{i}]"), name))
    });
    let unknown = unknown.map(|(key, name)| {
        let message = if name.contains(['*', '?']) {
            format!("the pattern `{name}` fits no layer of the network")
        } else {
            format!("the network has no layer or kind `{name}`")
        };
        Diagnostic::new(key, message).hint(format!("one of: {}", names.join(", ")))
    });
    rates.chain(unknown).collect()
}

#[cfg(test)]
mod tests;
