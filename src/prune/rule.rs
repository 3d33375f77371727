//! One round of pruning: which layers compete, and how many weights go. Knows no training.

use wildmatch::WildMatch;

use super::criterion::{Life, score};
use super::select::{cut, cut_least};
use crate::base::mask::Mask;
use crate::base::random::Stream;
use crate::base::state::State;
use crate::config::{self, Criterion, Problem, Rate, Scope};
use crate::network::{Kind, Network, Weight};

/// How every round of an experiment prunes, resolved against the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruning {
    rates: Rates,
}

#[derive(Clone, Debug, PartialEq)]
enum Rates {
    /// One rate per weight tensor; 0 where it is not pruned.
    Layerwise(Vec<f64>),
    /// One rate over all tensors for which the flag stands.
    Global { rate: f64, included: Vec<bool> },
}

/// How many weights a round leaves, as far as that is known before anything is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Over the whole network.
    pub kept: u64,
    /// Per layer, where layers do not compete.
    pub layers: Option<Vec<u64>>,
}

impl Pruning {
    /// Finds every layer's rate.
    ///
    /// # Errors
    /// Names that fit no layer or kind.
    pub fn new(prune: &config::Prune, network: &Network) -> Result<Self, Vec<Problem>> {
        let weights = network.weights();
        let problems = unknown_names(prune, &weights);
        if !problems.is_empty() {
            return Err(problems);
        }
        let is_of = |names: &[String], weight: &Weight| names.iter().any(|name| means(name, weight));
        let takes_part = |weight: &Weight| {
            (prune.include.is_empty() || is_of(&prune.include, weight)) && !is_of(&prune.exclude, weight)
        };
        let included: Vec<bool> = weights.iter().map(takes_part).collect();
        let rates = match prune.scope {
            Scope::Layerwise => {
                let rate =
                    |(weight, &included): (&Weight, &bool)| if included { rate(&prune.rate, weight) } else { 0.0 };
                Rates::Layerwise(weights.iter().zip(&included).map(rate).collect())
            }
            Scope::Global => Rates::Global { rate: prune.rate.all(), included },
        };
        Ok(Self { rates })
    }

    /// What a round leaves of `before`; `all` has the size of every layer.
    pub fn next(&self, before: &Counts, all: &[u64]) -> Counts {
        self.cut_by(before, all, |rate| rate)
    }

    /// What is left where the layers with the largest rate lose `fraction` of their weights at once, and the others in
    /// proportion to their rates (the paper's one-shot pruning: the output layer at half the rate).
    pub fn at_once(&self, fraction: f64, all: &[u64]) -> Counts {
        let largest = match &self.rates {
            Rates::Layerwise(rates) => rates.iter().copied().fold(0.0, f64::max),
            Rates::Global { rate, .. } => *rate,
        };
        let whole = Counts { kept: all.iter().sum(), layers: Some(all.to_vec()) };
        self.cut_by(&whole, all, |rate| if rate > 0.0 { fraction * (rate / largest) } else { 0.0 })
    }

    /// What each layer keeps. Where layers compete, which is decided by trained weights, those that take part are taken to
    /// keep the same share each.
    pub fn by_layer(&self, counts: &Counts, all: &[u64]) -> Vec<u64> {
        let Rates::Global { included, .. } = &self.rates else {
            return counts.layers.clone().unwrap_or_else(|| all.to_vec());
        };
        let competing: u64 = all.iter().zip(included).filter(|(_, included)| **included).map(|(n, _)| n).sum();
        let cut = all.iter().sum::<u64>() - counts.kept;
        let share = 1.0 - cut as f64 / competing.max(1) as f64;
        let left = |(&n, &included): (&u64, &bool)| if included { (n as f64 * share).round() as u64 } else { n };
        all.iter().zip(included).map(left).collect()
    }

    fn cut_by(&self, before: &Counts, all: &[u64], fraction: impl Fn(f64) -> f64) -> Counts {
        match &self.rates {
            Rates::Layerwise(rates) => {
                let counts = before.layers.as_deref().unwrap_or(all);
                let left = |(&n, &rate): (&u64, &f64)| n - cut(fraction(rate), n);
                let layers: Vec<u64> = counts.iter().zip(rates).map(left).collect();
                Counts { kept: layers.iter().sum(), layers: Some(layers) }
            }
            Rates::Global { rate, included } => {
                let fixed: u64 = all.iter().zip(included).filter(|(_, included)| !**included).map(|(n, _)| n).sum();
                Counts { kept: before.kept - cut(fraction(*rate), before.kept - fixed), layers: None }
            }
        }
    }

    /// Cuts the least weights that `mask` keeps, until `counts` are left.
    ///
    /// # Errors
    /// Names the weight that a state lacks.
    pub fn cut_to(&self, counts: &Counts, mask: &Mask, weights: &Weights<'_>) -> Result<Mask, String> {
        let mut next = mask.clone();
        let all_scores = weights.scores(mask)?;
        match (&self.rates, &counts.layers) {
            (Rates::Layerwise(_), Some(layers)) => {
                for ((layer, scores), &left) in next.0.iter_mut().zip(&all_scores).zip(layers) {
                    let count = layer.count().saturating_sub(left);
                    cut_least(scores, &mut layer.kept, count);
                }
            }
            (Rates::Layerwise(_), None) => return Err("no count for each layer".to_owned()),
            (Rates::Global { included, .. }, _) => {
                let chosen = |i: &usize| included[*i];
                let indices: Vec<usize> = (0..next.0.len()).filter(chosen).collect();
                let mut kept: Vec<bool> = indices.iter().flat_map(|&i| next.0[i].kept.clone()).collect();
                let scores: Vec<f32> = indices.iter().flat_map(|&i| all_scores[i].clone()).collect();
                cut_least(&scores, &mut kept, mask.kept().saturating_sub(counts.kept));
                let mut rest = kept.as_slice();
                for i in indices {
                    let (head, tail) = rest.split_at(next.0[i].kept.len());
                    next.0[i].kept.copy_from_slice(head);
                    rest = tail;
                }
            }
        }
        Ok(next)
    }
}

/// What weights are judged by.
pub struct Weights<'a> {
    /// The criterion.
    pub criterion: Criterion,
    /// Their values before training.
    pub initial: &'a State,
    /// Their values after it.
    pub last: &'a State,
    /// What a criterion may draw from.
    pub stream: Stream,
}

impl Weights<'_> {
    /// The score of every weight, by layer.
    fn scores(&self, mask: &Mask) -> Result<Vec<Vec<f32>>, String> {
        let mut generator = self.stream.generator(0);
        let mut all = Vec::new();
        for layer in &mask.0 {
            let find = |state: &'_ State| state.get(&layer.name).map(|tensor| tensor.values.clone());
            let lacks = || format!("no weight `{}`", layer.name);
            let (initial, last) = (find(self.initial).ok_or_else(lacks)?, find(self.last).ok_or_else(lacks)?);
            let lives = initial.into_iter().zip(last).map(|(initial, last)| Life { initial, last });
            all.push(lives.map(|life| score(self.criterion, life, &mut generator)).collect());
        }
        Ok(all)
    }
}

/// A layer's own rate beats that of its kind.
fn rate(rate: &Rate, weight: &Weight) -> f64 {
    rate.layers.get(&weight.layer).copied().unwrap_or_else(|| match weight.kind {
        Kind::Conv => rate.conv(),
        Kind::Shortcut => rate.shortcut(),
        Kind::Linear => rate.linear(),
        Kind::Output => rate.output(),
    })
}

/// Whether a name means a weight: its layer, its kind, or a pattern of layer names.
fn means(name: &str, weight: &Weight) -> bool {
    name == weight.kind.word() || WildMatch::new(name).matches(&weight.layer)
}

/// Names that mean nothing here. Kinds may be named that only other networks have: one file may serve several.
fn unknown_names(prune: &config::Prune, weights: &[Weight]) -> Vec<Problem> {
    let layers: Vec<&str> = weights.iter().map(|weight| weight.layer.as_str()).collect();
    let mut names: Vec<&str> = layers.iter().copied().chain(Kind::ALL.map(Kind::word)).collect();
    names.sort_unstable();
    names.dedup();
    let rates = prune.rate.layers.keys().filter(|name| !layers.contains(&name.as_str())).map(|name| {
        let message = format!("the network has no layer `{name}`");
        Problem::new(format!("prune.rate.layers.{name}"), message)
            .hint(format!("its layers: {}", layers.join(", ")))
            .about_the_key()
    });
    let is_known = |name: &String| {
        Kind::ALL.iter().any(|kind| kind.word() == name) || weights.iter().any(|weight| means(name, weight))
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
        Problem::new(key, what).hint(format!("one of: {}", names.join(", ")))
    });
    rates.chain(stray).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::mask::LayerMask;
    use crate::base::random::Purpose;
    use crate::base::state::NamedTensor;
    use crate::config::Architecture;
    use crate::network::build;

    fn lenet() -> Network {
        build(&Architecture::Lenet300100.into(), [1, 28, 28], 10).unwrap()
    }

    fn paper() -> config::Prune {
        let rate = Rate { linear: Some(0.2), output: Some(0.1), ..Rate::default() };
        config::Prune { rate, ..config::Prune::default() }
    }

    #[test]
    fn the_papers_schedule_for_lenet() {
        // PAPER.md A.4: percent of all weights remaining after each round, layer-wise, 20 % and 10 %.
        let paper_percent =
            [80.04, 64.06, 51.28, 41.05, 32.87, 26.32, 21.07, 16.88, 13.52, 10.83, 8.68, 6.95, 5.57, 4.47, 3.58, 2.87];
        let pruning = Pruning::new(&paper(), &lenet()).unwrap();
        let all = [235_200, 30_000, 1_000];
        let mut counts = Counts { kept: 266_200, layers: Some(all.to_vec()) };
        let mut kept = Vec::new();
        for percent in paper_percent {
            counts = pruning.next(&counts, &all);
            kept.push(counts.kept);
            assert!((counts.kept as f64 / 2662.0 - percent).abs() < 0.005, "{percent} {}", counts.kept);
        }
        assert_eq!(kept[..2], [213_060, 170_538]);
    }

    fn tiny() -> (Mask, State) {
        let layer = |name: &str, n| LayerMask { name: name.into(), shape: vec![n], kept: vec![true; n] };
        let tensor = |name: &str, values: &[f32]| NamedTensor {
            name: name.into(),
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        let state = State(vec![tensor("a", &[0.1, -0.2, 0.3, -0.4]), tensor("b", &[0.01, 5.0]), tensor("c", &[0.0])]);
        (Mask(vec![layer("a", 4), layer("b", 2), layer("c", 1)]), state)
    }

    #[test]
    fn layers_prune_apart_or_together() {
        let (mask, state) = tiny();
        let (all, whole) = ([4, 2, 1], Counts { kept: 7, layers: Some(vec![4, 2, 1]) });
        let weights = |last| Weights {
            criterion: Criterion::Magnitude,
            initial: last,
            last,
            stream: Stream::of_replicate(1, 1, Purpose::Criterion),
        };
        let apart = Pruning { rates: Rates::Layerwise(vec![0.5, 0.5, 0.0]) };
        let counts = apart.next(&whole, &all);
        assert_eq!(apart.cut_to(&counts, &mask, &weights(&state)).unwrap().counts(), [2, 1, 1]);
        let included = vec![true, true, false];
        let together = Pruning { rates: Rates::Global { rate: 0.5, included } };
        let pruned = together.cut_to(&together.next(&whole, &all), &mask, &weights(&state)).unwrap();
        assert_eq!(pruned.0[0].kept, [false, false, true, true]);
        assert_eq!((pruned.0[1].kept.clone(), pruned.0[2].kept.clone()), (vec![false, true], vec![true]));
        let planned = together.next(&Counts { kept: 7, layers: None }, &[4, 2, 1]);
        assert_eq!(planned.kept, pruned.kept());
        assert!(apart.cut_to(&counts, &mask, &weights(&State::default())).unwrap_err().contains("`a`"));
    }

    #[test]
    fn at_once_layers_lose_in_proportion_to_their_rates() {
        let pruning = Pruning::new(&paper(), &lenet()).unwrap();
        let all = [235_200, 30_000, 1_000];
        // PAPER.md D.1: a grid in steps of 2.5 %, the output layer at half the rate.
        let left = |fraction| pruning.at_once(fraction, &all);
        assert_eq!(left(0.95).layers, Some(vec![11_760, 1_500, 525]));
        let percent = |fraction| format!("{:.2}", left(fraction).kept as f64 / 2662.0);
        assert_eq!([percent(0.05), percent(0.325), percent(0.825), percent(0.95)], ["95.01", "67.56", "17.65", "5.18"]);
        let global = config::Prune { scope: Scope::Global, exclude: vec!["output".into()], ..config::Prune::default() };
        let global = Pruning::new(&global, &lenet()).unwrap();
        let counts = global.at_once(0.9, &all);
        assert_eq!(counts, Counts { kept: 26_520 + 1_000, layers: None });
        assert_eq!(global.by_layer(&counts, &all), [23_520, 3_000, 1_000], "the same share, as long as nobody knows");
        assert_eq!(pruning.by_layer(&left(0.95), &all), [11_760, 1_500, 525]);
    }

    #[test]
    fn a_layers_rate_beats_its_kind_and_excluded_layers_stay() {
        let mut prune = paper();
        prune.rate.layers.insert("linear2".into(), 0.5);
        prune.exclude = vec!["output".into()];
        let pruning = Pruning::new(&prune, &lenet()).unwrap();
        assert_eq!(pruning.rates, Rates::Layerwise(vec![0.2, 0.5, 0.0]));
        prune.exclude = vec!["linear9".into(), "shortcut".into(), "conv?".into(), "out*".into()];
        prune.include = vec!["linear*".into(), "block*".into()];
        prune.rate.layers.insert("linear3".into(), 0.5);
        let keys: Vec<String> = Pruning::new(&prune, &lenet()).unwrap_err().into_iter().map(|p| p.key).collect();
        assert_eq!(keys, ["prune.rate.layers.linear3", "prune.include[1]", "prune.exclude[0]", "prune.exclude[2]"]);
    }

    #[test]
    fn what_is_included_is_pruned_but_for_what_is_excluded() {
        let rates = |include: &[&str], exclude: &[&str]| {
            let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            let prune = config::Prune { include: names(include), exclude: names(exclude), ..paper() };
            Pruning::new(&prune, &lenet()).unwrap().rates
        };
        assert_eq!(rates(&["linear"], &[]), Rates::Layerwise(vec![0.2, 0.2, 0.0]));
        assert_eq!(rates(&["*1", "output"], &[]), Rates::Layerwise(vec![0.2, 0.0, 0.1]));
        assert_eq!(rates(&["linear?"], &["linear2"]), Rates::Layerwise(vec![0.2, 0.0, 0.0]));
    }
}
