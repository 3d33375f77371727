//! A plan being drawn: what each arm means at a replicate, a repeat and a round.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arms::{self, refers_to};
use super::check::grid;
use super::setting::Setting;
use super::training::{Content, MaskRule, Reference, RewindPoint, Shared, StartRule, Training};
use crate::base::key::Key;
use crate::config::{Arm, Criterion, Experiment, MaskFrom, Problem, Prune, ReferenceWeights, Size, Step, WeightsFrom};
use crate::engine::Kind;
use crate::prune::Counts;

/// Changes when the meaning of a key's content changes: old results are then not mistaken for new ones.
const FORMAT: u32 = 2;

/// What determines the numbers of every training of an experiment that takes this engine.
fn shared(experiment: &Experiment, setting: &Setting, engine: Kind) -> Value {
    let Experiment { seed, network, train, data, .. } = experiment;
    let mut content = json!({
        "format": FORMAT,
        "data": {
            "source": setting.source.identity, "validation": data.validation, "normalize": data.normalize,
            "train_limit": data.train_limit, "test_limit": data.test_limit,
        },
        "network": setting.network,
        "init": [network.init, network.init_std],
        // An epoch and its iterations give the same numbers.
        "train": train.in_iterations(setting.iterations_per_epoch),
        "engine": engine.name(),
        "device": setting.device,
        "seed": seed,
    });
    if !data.augment.is_none() {
        content["data"]["augment"] = json!(data.augment);
    }
    content
}

/// The part of `[prune]` in the key of a mask. `reference_weights` is left out: it is in the key of each training run that
/// does not start from θ₀. `equal_scores` marks masks whose ties are broken at random: keys of this format without it are
/// older, and had ties broken by index.
fn pruning(prune: &Prune, has_equal_scores: bool) -> Value {
    let mut content = serde_json::to_value(Prune { reference_weights: None, ..prune.clone() }).unwrap_or_default();
    if has_equal_scores {
        content["equal_scores"] = json!("random");
    }
    content
}

/// Where a training stands in the plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The arm by its number; `None` for the dense trainings.
    pub(super) arm: Option<usize>,
    pub(super) replicate: u32,
    pub(super) repeat: u32,
    pub(super) round: u32,
}

impl Place {
    /// The dense training of a replicate.
    pub(super) fn dense(replicate: u32) -> Self {
        Self { arm: None, replicate, repeat: 1, round: 0 }
    }
}

/// An arm with its names resolved.
pub(super) struct Resolved<'a> {
    pub(super) name: &'a str,
    pub(super) arm: &'a Arm,
    pub(super) rounds: Vec<u32>,
    /// The number of the arm it refers to.
    source: Option<usize>,
    /// Weights kept after each round, from 0.
    counts: Arc<Vec<Counts>>,
    /// The iteration of its rewind point: that of its own weights, or of the arm its mask refers to.
    rewind_to: u64,
    /// The iteration its trainings start at.
    starts_at: u64,
}

/// A plan being drawn.
pub(super) struct Sketch<'a> {
    pub(super) arms: Vec<Resolved<'a>>,
    pub(super) trainings: Vec<Training>,
    setting: &'a Setting,
    /// By engine, in the order of [`Kind::ALL`].
    shared: [Arc<Shared>; 2],
    /// The part of `[prune]` in the keys of masks: as it is, and with the mark of equal scores.
    pruning: [Value; 2],
    criterion: Criterion,
    /// The earlier weights that the criterion looks at; `None` where it looks at none.
    reference_weights: Option<ReferenceWeights>,
    /// What the dense network keeps.
    whole: Counts,
    by_place: BTreeMap<Place, usize>,
}

impl<'a> Sketch<'a> {
    /// Resolves the arms, which must make sense.
    pub(super) fn new(experiment: &'a Experiment, setting: &'a Setting) -> Result<Self, Vec<Problem>> {
        let all = setting.network.sizes();
        let whole = Counts { kept: all.iter().sum(), layers: Some(all.clone()) };
        let mut counts = vec![whole.clone()];
        for round in 0..experiment.rounds as usize {
            counts.push(setting.pruning.next(&counts[round], &all));
        }
        let schedule = Arc::new(counts);
        let mut sketch = Self {
            arms: Vec::new(),
            trainings: Vec::new(),
            setting,
            shared: Kind::ALL.map(|engine| Arc::new(Shared::new(shared(experiment, setting, engine)))),
            pruning: [false, true].map(|has_equal_scores| pruning(&experiment.prune, has_equal_scores)),
            criterion: experiment.prune.criterion,
            reference_weights: experiment.prune.reference_weights,
            whole,
            by_place: BTreeMap::new(),
        };
        for (name, arm) in arms::in_order(&experiment.arms)? {
            let resolved = sketch.resolve(name, arm, experiment, &schedule).map_err(|problem| vec![problem])?;
            sketch.arms.push(resolved);
        }
        let chains = |resolved: &Resolved<'_>| resolved.arm.mask == MaskFrom::Iterative;
        match rounds_without_effect(&schedule).filter(|_| sketch.arms.iter().any(chains)) {
            Some(problem) => Err(vec![problem]),
            None => Ok(sketch),
        }
    }

    fn resolve(
        &self,
        name: &'a str,
        arm: &'a Arm,
        experiment: &Experiment,
        schedule: &Arc<Vec<Counts>>,
    ) -> Result<Resolved<'a>, Problem> {
        let setting = self.setting;
        let source = refers_to(arm).and_then(|(other, _)| self.arms.iter().position(|known| known.name == other));
        let counts = match (grid(arm), source) {
            (Some(grid), _) => {
                let all = setting.network.sizes();
                let counts = grid.iter().map(|&fraction| setting.pruning.at_once(fraction, &all));
                Arc::new(std::iter::once(schedule[0].clone()).chain(counts).collect())
            }
            (None, Some(source)) => Arc::clone(&self.arms[source].counts),
            (None, None) => Arc::clone(schedule),
        };
        let step = |key: &str, step: Option<Step>| {
            let iteration = step.map_or(0, |step| step.iterations(setting.iterations_per_epoch));
            if iteration < experiment.train.iterations {
                return Ok(iteration);
            }
            let message = format!("iteration {iteration} is not before the last one, {}", experiment.train.iterations);
            Err(Problem::new(format!("arms.{name}.{key}"), message)
                .hint(format!("an epoch has {} iterations; or raise `train.iterations`", setting.iterations_per_epoch)))
        };
        // An arm that only takes the size of another's mask has its own initial values.
        let of = source.filter(|_| matches!(arm.mask, MaskFrom::Of(_) | MaskFrom::Random(_)));
        let of = of.map(|source| &self.arms[source]);
        let (rewind_to, starts_at) = match arm.weights {
            WeightsFrom::Rewind => {
                let iteration = step("rewind_to", arm.rewind_to)?;
                (iteration, iteration)
            }
            WeightsFrom::Final => (0, step("lr_from", arm.lr_from)?),
            WeightsFrom::Reinit | WeightsFrom::Shuffle | WeightsFrom::ConstantSign | WeightsFrom::Noise => {
                of.map_or((0, 0), |of| (of.rewind_to, of.starts_at))
            }
        };
        Ok(Resolved { name, arm, rounds: arms::rounds(arm, experiment), source, counts, rewind_to, starts_at })
    }

    /// Where the mask of a training comes from.
    pub(super) fn mask(&self, place: Place, previous: Key, dense: Key) -> MaskRule {
        let Some(at) = place.arm else { return MaskRule::Dense };
        let Resolved { arm, source, .. } = &self.arms[at];
        match &arm.mask {
            MaskFrom::Dense => MaskRule::Dense,
            MaskFrom::Iterative => MaskRule::Prune { parent: previous, reference: self.reference(place) },
            // The first round of a chain prunes the dense network as well: the same training then.
            MaskFrom::OneShot(Size::Like(_)) if place.round == 1 && self.is_chain(*source) => {
                MaskRule::Prune { parent: dense, reference: Reference::Initial }
            }
            MaskFrom::OneShot(_) => MaskRule::OneShot { parent: dense },
            MaskFrom::MagnitudeAtInit(_) => MaskRule::MagnitudeAtInit,
            MaskFrom::Of(_) => MaskRule::Of { parent: self.trainings[self.referred(place, *source)].key },
            MaskFrom::Random(_) => MaskRule::Random { like: self.trainings[self.referred(place, *source)].key },
        }
    }

    /// The part of `[prune]` in the key of this mask. Many scores are equal with some criteria, and with most in a chain that
    /// starts each round from constants.
    fn pruning_of(&self, place: Place, mask: &MaskRule) -> &Value {
        let is_pruned = matches!(mask, MaskRule::Prune { .. } | MaskRule::OneShot { .. });
        let starts_from_constants = place.round > 1
            && matches!(mask, MaskRule::Prune { .. })
            && place.arm.is_some_and(|at| self.arms[at].arm.weights == WeightsFrom::ConstantSign);
        let is_random = self.criterion == Criterion::Random;
        let has_equal_scores = self.criterion.gives_equal_scores() || starts_from_constants && !is_random;
        &self.pruning[usize::from(is_pruned && has_equal_scores)]
    }

    /// The weights that a criterion compares those of the chain's previous training with: where it started, unless the
    /// configuration asks for θ₀. The first round prunes the dense training, which starts from θ₀.
    fn reference(&self, place: Place) -> Reference {
        let previous = Place { round: place.round.saturating_sub(1), ..place };
        match self.by_place.get(&previous).map(|&number| &self.trainings[number]) {
            Some(training) if self.reference_weights == Some(ReferenceWeights::TrainingStart) => {
                if training.start.is_initial() {
                    return Reference::Initial;
                }
                Reference::TrainingStart { round: training.round, start: Box::new(training.start.clone()) }
            }
            _ => Reference::Initial,
        }
    }

    /// Where the weights of a training come from.
    pub(super) fn start(&self, place: Place, mask: &MaskRule, dense: Key) -> StartRule {
        let Some(at) = place.arm else { return StartRule::Initial };
        let Resolved { arm, rewind_to, starts_at, .. } = self.arms[at];
        let point = RewindPoint { dense, iteration: rewind_to };
        match arm.weights {
            WeightsFrom::Rewind => StartRule::Rewind { point, moments: arm.rewind_moments.unwrap_or_default() },
            WeightsFrom::Reinit => StartRule::Reinit { iteration: starts_at },
            WeightsFrom::Shuffle => StartRule::Shuffle { point },
            WeightsFrom::ConstantSign => StartRule::ConstantSign { point },
            WeightsFrom::Noise => StartRule::Noise { point, factor: arm.noise.unwrap_or_default() },
            WeightsFrom::Final => StartRule::Final { parent: self.cut_from(place, mask), iteration: starts_at },
        }
    }

    /// Whether an arm prunes its own previous rounds.
    fn is_chain(&self, arm: Option<usize>) -> bool {
        arm.is_some_and(|at| self.arms[at].arm.mask == MaskFrom::Iterative)
    }

    /// The training of the arm referred to, at the same replicate and round. An arm without repeats serves every repeat
    /// of those that refer to it.
    fn referred(&self, place: Place, source: Option<usize>) -> usize {
        let at = |repeat| self.by_place.get(&Place { arm: source, repeat, ..place });
        *at(place.repeat).or_else(|| at(1)).expect("arms are drawn behind those they refer to, whose rounds they have")
    }

    /// The training whose final weights a mask was cut from, by way of the masks it was taken from.
    fn cut_from(&self, place: Place, mask: &MaskRule) -> Key {
        match mask {
            MaskRule::Prune { parent, .. } | MaskRule::OneShot { parent } => *parent,
            _ => {
                let at = place.arm.expect("only arms go on from trained weights");
                let source = self.arms[at].source;
                let referred = &self.trainings[self.referred(place, source)];
                let there = Place { arm: source, repeat: referred.repeat, ..place };
                self.cut_from(there, &referred.mask)
            }
        }
    }

    /// Adds a training; gives its key.
    pub(super) fn add(&mut self, arm: &str, place: Place, mask: MaskRule, start: StartRule) -> Key {
        let Place { replicate, repeat, round, .. } = place;
        let counts = match place.arm {
            Some(at) => self.arms[at].counts[round as usize].clone(),
            None => self.whole.clone(),
        };
        let own = json!({
            "replicate": replicate,
            "repeat": repeat,
            "round": round,
            "mask": mask.content(self.pruning_of(place, &mask), &counts),
            "start": start.content(),
        });
        let engine = self.setting.choice.of(&self.setting.by_layer(&counts));
        let content = Content { shared: Arc::clone(&self.shared[engine as usize]), own };
        let key = content.key();
        self.by_place.insert(place, self.trainings.len());
        let arm = arm.to_owned();
        let training = Training { key, content, arm, replicate, repeat, round, mask, start, counts, engine, order: 1 };
        self.trainings.push(training);
        key
    }
}

/// A round that would prune nothing.
fn rounds_without_effect(counts: &[Counts]) -> Option<Problem> {
    let round = (1..counts.len()).find(|&round| counts[round].kept == counts[round - 1].kept)?;
    let message = format!("round {round} would prune nothing: {} weights are left", counts[round].kept);
    Some(if round == 1 {
        Problem::new("prune", message).hint("raise `prune.rate` or exclude less")
    } else {
        Problem::new("rounds", message).hint(format!("set `rounds` to {} or raise `prune.rate`", round - 1))
    })
}
