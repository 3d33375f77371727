//! One round of pruning: which layers compete, and how many weights go. Knows no training.

use wildmatch::WildMatch;

use super::criterion::{WeightPair, score};
use super::select::{prune_count, prune_lowest};
use crate::base::mask::Mask;
use crate::base::rng::{CounterRng, Stream, mix};
use crate::base::tensors::TensorMap;
use crate::config::{self, Criterion, Diagnostic, RateConfig, Scope};
use crate::network::{Network, PrunableTensor, WeightKind};

/// How every round of an experiment prunes, resolved against the network.
#[derive(Clone, Debug, PartialEq)]
pub struct PruningSchedule {
    rates: PruningRates,
}

#[derive(Clone, Debug, PartialEq)]
enum PruningRates {
    /// One rate per weight tensor; 0 where it is not pruned.
    Layerwise(Vec<f64>),
    /// One rate over all tensors for which the flag stands.
    Global { rate: f64, included: Vec<bool> },
}

/// How many weights a round leaves, as far as that is known before anything is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemainingCounts {
    /// Over the whole network.
    pub kept: u64,
    /// Per layer, where layers do not compete.
    pub layers: Option<Vec<u64>>,
}

impl PruningSchedule {
    /// Finds every layer's rate.
    ///
    /// # Errors
    /// Names that fit no layer or kind.
    pub fn new(prune: &config::PruneConfig, network: &Network) -> Result<Self, Vec<Diagnostic>> {
        let weights = network.weights();
        let problems = unknown_names(prune, weights);
        if !problems.is_empty() {
            return Err(problems);
        }
        let is_of = |names: &[String], weight: &PrunableTensor| names.iter().any(|name| matches_name(name, weight));
        let takes_part = |weight: &PrunableTensor| {
            (prune.include.is_empty() || is_of(&prune.include, weight)) && !is_of(&prune.exclude, weight)
        };
        let included: Vec<bool> = weights.iter().map(takes_part).collect();
        let rates = match prune.scope {
            Scope::Layerwise => {
                let rate = |(weight, &included): (&PrunableTensor, &bool)| {
                    if included { rate(&prune.rate, weight) } else { 0.0 }
                };
                PruningRates::Layerwise(weights.iter().zip(&included).map(rate).collect())
            }
            Scope::Global => PruningRates::Global { rate: prune.rate.all(), included },
        };
        Ok(Self { rates })
    }

    /// What a round leaves of `before`; `all` has the size of every layer.
    pub fn after_round(&self, before: &RemainingCounts, all: &[u64]) -> RemainingCounts {
        self.reduce_by(before, all, |rate| rate)
    }

    /// What is left where the layers with the largest rate lose `fraction` of their weights at once, and the others in
    /// proportion to their rates (the paper's one-shot pruning: the output layer at half the rate).
    pub fn one_shot(&self, fraction: f64, all: &[u64]) -> RemainingCounts {
        let largest = match &self.rates {
            PruningRates::Layerwise(rates) => rates.iter().copied().fold(0.0, f64::max),
            PruningRates::Global { rate, .. } => *rate,
        };
        let whole = RemainingCounts { kept: all.iter().sum(), layers: Some(all.to_vec()) };
        self.reduce_by(&whole, all, |rate| if rate > 0.0 { fraction * (rate / largest) } else { 0.0 })
    }

    /// What each layer keeps. Where layers compete, which is decided by trained weights, those that take part are taken to
    /// keep the same share each.
    pub fn expected_per_layer(&self, counts: &RemainingCounts, all: &[u64]) -> Vec<u64> {
        let PruningRates::Global { included, .. } = &self.rates else {
            return counts.layers.clone().unwrap_or_else(|| all.to_vec());
        };
        let competing: u64 = all.iter().zip(included).filter(|(_, included)| **included).map(|(n, _)| n).sum();
        let cut = all.iter().sum::<u64>() - counts.kept;
        let share = 1.0 - cut as f64 / competing.max(1) as f64;
        let left = |(&n, &included): (&u64, &bool)| if included { (n as f64 * share).round() as u64 } else { n };
        all.iter().zip(included).map(left).collect()
    }

    fn reduce_by(&self, before: &RemainingCounts, all: &[u64], fraction: impl Fn(f64) -> f64) -> RemainingCounts {
        match &self.rates {
            PruningRates::Layerwise(rates) => {
                let counts = before.layers.as_deref().unwrap_or(all);
                let left = |(&n, &rate): (&u64, &f64)| n - prune_count(fraction(rate), n);
                let layers: Vec<u64> = counts.iter().zip(rates).map(left).collect();
                RemainingCounts { kept: layers.iter().sum(), layers: Some(layers) }
            }
            PruningRates::Global { rate, included } => {
                let fixed: u64 = all.iter().zip(included).filter(|(_, included)| !**included).map(|(n, _)| n).sum();
                RemainingCounts { kept: before.kept - prune_count(fraction(*rate), before.kept - fixed), layers: None }
            }
        }
    }

    /// Prunes the weights of `mask` with the lowest scores, until `counts` are left. Ties are broken at random,
    /// by the stream of `weights`.
    ///
    /// # Errors
    /// Names the weight that a state lacks.
    pub fn prune_to(&self, counts: &RemainingCounts, mask: &Mask, weights: &ScoreInputs<'_>) -> Result<Mask, String> {
        let mut next = mask.clone();
        let all_scores = weights.scores(mask)?;
        let tie_break = TieBreak::new(weights.stream);
        match (&self.rates, &counts.layers) {
            (PruningRates::Layerwise(_), Some(layers)) => {
                for (number, ((layer, scores), &left)) in next.0.iter_mut().zip(&all_scores).zip(layers).enumerate() {
                    let count = layer.count().saturating_sub(left);
                    prune_lowest(scores, &mut layer.kept, count, |i| tie_break.of(number, i));
                }
            }
            (PruningRates::Layerwise(_), None) => return Err("no count for each layer".to_owned()),
            (PruningRates::Global { included, .. }, _) => {
                let numbers: Vec<usize> = (0..next.0.len()).filter(|&number| included[number]).collect();
                let mut kept: Vec<bool> = numbers.iter().flat_map(|&number| next.0[number].kept.clone()).collect();
                let scores: Vec<f32> = numbers.iter().flat_map(|&number| all_scores[number].clone()).collect();
                // The layer of each weight of the concatenation, and its index there.
                let starts: Vec<usize> = numbers
                    .iter()
                    .scan(0, |start, &number| Some(std::mem::replace(start, *start + next.0[number].kept.len())))
                    .collect();
                let tie_break = |i: usize| {
                    let at = starts.partition_point(|&start| start <= i) - 1;
                    tie_break.of(numbers[at], i - starts[at])
                };
                prune_lowest(&scores, &mut kept, mask.kept().saturating_sub(counts.kept), tie_break);
                let mut rest = kept.as_slice();
                for number in numbers {
                    let (head, tail) = rest.split_at(next.0[number].kept.len());
                    next.0[number].kept.copy_from_slice(head);
                    rest = tail;
                }
            }
        }
        Ok(next)
    }
}

/// The order of weights with equal scores: a random number for each weight, keyed by the criterion's stream (seed,
/// replicate, repeat, round), the layer's number and the weight's index in the layer. Zhou et al. 2019 choose among equal
/// scores at random too; an order by index would prune the first units of a layer, and with scope `global` the first
/// layer.
struct TieBreak(CounterRng);

impl TieBreak {
    fn new(stream: Stream) -> Self {
        Self(stream.counter_rng())
    }

    /// The number of weight `index` of layer `layer`; of equal scores the lowest number is pruned first.
    fn of(&self, layer: usize, index: usize) -> u64 {
        mix(self.0.key(0, layer as u64), index as u64)
    }
}

/// The values that weights are scored by.
pub struct ScoreInputs<'a> {
    /// The criterion.
    pub criterion: Criterion,
    /// The earlier weights that some criteria look at (see [`Criterion::needs_reference_weights`]).
    pub reference: &'a TensorMap,
    /// The trained weights.
    pub trained: &'a TensorMap,
    /// The random stream of the criterion, which also breaks ties.
    pub stream: Stream,
}

impl ScoreInputs<'_> {
    /// The score of every weight, by layer.
    fn scores(&self, mask: &Mask) -> Result<Vec<Vec<f32>>, String> {
        let mut generator = self.stream.generator(0);
        let mut all = Vec::new();
        for layer in &mask.0 {
            let find = |state: &'_ TensorMap| state.get(&layer.name).map(|tensor| tensor.values.clone());
            let lacks = || format!("no weight `{}`", layer.name);
            let (reference, last) = (find(self.reference).ok_or_else(lacks)?, find(self.trained).ok_or_else(lacks)?);
            let values =
                reference.into_iter().zip(last).map(|(reference, last)| WeightPair { reference, trained: last });
            all.push(values.map(|weight| score(self.criterion, weight, &mut generator)).collect());
        }
        Ok(all)
    }
}

/// A layer's own rate beats that of its kind.
fn rate(rate: &RateConfig, weight: &PrunableTensor) -> f64 {
    rate.layers.get(&weight.layer).copied().unwrap_or_else(|| match weight.kind {
        WeightKind::Conv => rate.conv(),
        WeightKind::Shortcut => rate.shortcut(),
        WeightKind::Linear => rate.linear(),
        WeightKind::Output => rate.output(),
    })
}

/// Whether a name means a weight: its layer, its kind, or a pattern of layer names.
fn matches_name(name: &str, weight: &PrunableTensor) -> bool {
    name == weight.kind.as_str() || WildMatch::new(name).matches(&weight.layer)
}

/// Names that mean nothing here. Kinds may be named that only other networks have: one file may serve several.
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
    let stray = lists.into_iter().flat_map(|(list, given)| {
        let strange = given.iter().enumerate().filter(|(_, name)| !is_known(name));
        strange.map(move |(i, name)| (format!("prune.{list}[{i}]"), name))
    });
    let stray = stray.map(|(key, name)| {
        let what = if name.contains(['*', '?']) {
            format!("the pattern `{name}` fits no layer of the network")
        } else {
            format!("the network has no layer or kind `{name}`")
        };
        Diagnostic::new(key, what).hint(format!("one of: {}", names.join(", ")))
    });
    rates.chain(stray).collect()
}

#[cfg(test)]
mod tests;
