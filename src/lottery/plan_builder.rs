//! A plan being drawn: what each arm means at a replicate, a repeat and a round.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arm_graph;
use super::arm_graph::reference;
use super::resolved::ResolvedExperiment;
use super::training::{KeyContent, MaskRule, ReferencePoint, RewindPoint, SharedKeyContent, StartRule, TrainingSpec};
use super::validate_arms::grid;
use crate::base::key::ContentHash;
use crate::config::{
    Arm, Criterion, Diagnostic, Experiment, MaskSource, PruneConfig, ReferenceWeights, TargetSize, TrainingTime,
    WeightSource,
};
use crate::engine::EngineKind;
use crate::prune::RemainingCounts;

/// Changes when the meaning of a key's content changes: old results are then not mistaken for new ones.
const FORMAT: u32 = 2;

/// What determines the numbers of every training of an experiment that takes this engine.
fn shared(experiment: &Experiment, setting: &ResolvedExperiment, engine: EngineKind) -> Value {
    let Experiment { seed, network, train, data, .. } = experiment;
    let mut content = json!({
        "format": FORMAT,
        "data": {
            "source": setting.dataset.identity, "validation": data.validation, "normalize": data.normalize,
            "train_limit": data.train_limit, "test_limit": data.test_limit,
        },
        "network": setting.network,
        "init": [network.init, network.init_std],
        // An epoch and its iterations give the same numbers.
        "train": train.in_iterations(setting.iterations_per_epoch),
        "engine": engine.as_str(),
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
fn pruning(prune: &PruneConfig, has_equal_scores: bool) -> Value {
    let mut content =
        serde_json::to_value(PruneConfig { reference_weights: None, ..prune.clone() }).unwrap_or_default();
    if has_equal_scores {
        content["equal_scores"] = json!("random");
    }
    content
}

/// Where a training stands in the plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TrainingCoords {
    /// The arm by its number; `None` for the dense trainings.
    pub(super) arm: Option<usize>,
    pub(super) replicate: u32,
    pub(super) repeat: u32,
    pub(super) round: u32,
}

impl TrainingCoords {
    /// The dense training of a replicate.
    pub(super) fn dense(replicate: u32) -> Self {
        Self { arm: None, replicate, repeat: 1, round: 0 }
    }
}

/// An arm with its names resolved.
pub(super) struct ResolvedArm<'a> {
    pub(super) name: &'a str,
    pub(super) arm: &'a Arm,
    pub(super) rounds: Vec<u32>,
    /// The number of the arm it refers to.
    source: Option<usize>,
    /// Weights kept after each round, from 0.
    counts: Arc<Vec<RemainingCounts>>,
    /// The iteration of its rewind point: that of its own weights, or of the arm its mask refers to.
    rewind_to: u64,
    /// The iteration its trainings start at.
    starts_at: u64,
}

/// A plan being drawn.
pub(super) struct PlanBuilder<'a> {
    pub(super) arms: Vec<ResolvedArm<'a>>,
    pub(super) trainings: Vec<TrainingSpec>,
    setting: &'a ResolvedExperiment,
    /// By engine, in the order of [`Kind::ALL`].
    shared: [Arc<SharedKeyContent>; 2],
    /// The part of `[prune]` in the keys of masks: as it is, and with the mark of equal scores.
    pruning: [Value; 2],
    criterion: Criterion,
    /// The earlier weights that the criterion looks at; `None` where it looks at none.
    reference_weights: Option<ReferenceWeights>,
    /// What the dense network keeps.
    whole: RemainingCounts,
    by_place: BTreeMap<TrainingCoords, usize>,
}

impl<'a> PlanBuilder<'a> {
    /// Resolves the arms, which must make sense.
    pub(super) fn new(experiment: &'a Experiment, setting: &'a ResolvedExperiment) -> Result<Self, Vec<Diagnostic>> {
        let all = setting.network.sizes();
        let whole = RemainingCounts { kept: all.iter().sum(), layers: Some(all.to_vec()) };
        let mut counts = vec![whole.clone()];
        for round in 0..experiment.rounds as usize {
            counts.push(setting.pruning.after_round(&counts[round], all));
        }
        let schedule = Arc::new(counts);
        let mut sketch = Self {
            arms: Vec::new(),
            trainings: Vec::new(),
            setting,
            shared: EngineKind::ALL.map(|engine| Arc::new(SharedKeyContent::new(shared(experiment, setting, engine)))),
            pruning: [false, true].map(|has_equal_scores| pruning(&experiment.prune, has_equal_scores)),
            criterion: experiment.prune.criterion,
            reference_weights: experiment.prune.reference_weights,
            whole,
            by_place: BTreeMap::new(),
        };
        for (name, arm) in arm_graph::topological_order(&experiment.arms)? {
            let resolved = sketch.resolve(name, arm, experiment, &schedule).map_err(|problem| vec![problem])?;
            sketch.arms.push(resolved);
        }
        let chains = |resolved: &ResolvedArm<'_>| resolved.arm.mask == MaskSource::Iterative;
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
        schedule: &Arc<Vec<RemainingCounts>>,
    ) -> Result<ResolvedArm<'a>, Diagnostic> {
        let setting = self.setting;
        let source = reference(arm).and_then(|(other, _)| self.arms.iter().position(|known| known.name == other));
        let counts = match (grid(arm), source) {
            (Some(grid), _) => {
                let all = setting.network.sizes();
                let counts = grid.iter().map(|&fraction| setting.pruning.one_shot(fraction, all));
                Arc::new(std::iter::once(schedule[0].clone()).chain(counts).collect())
            }
            (None, Some(source)) => Arc::clone(&self.arms[source].counts),
            (None, None) => Arc::clone(schedule),
        };
        let step = |key: &str, step: Option<TrainingTime>| {
            let iteration = step.map_or(0, |step| step.iterations(setting.iterations_per_epoch));
            if iteration < experiment.train.iterations {
                return Ok(iteration);
            }
            let message = format!("iteration {iteration} is not before the last one, {}", experiment.train.iterations);
            Err(Diagnostic::new(format!("arms.{name}.{key}"), message)
                .hint(format!("an epoch has {} iterations; or raise `train.iterations`", setting.iterations_per_epoch)))
        };
        // An arm that only takes the size of another's mask has its own initial values.
        let of = source.filter(|_| matches!(arm.mask, MaskSource::Of(_) | MaskSource::Random(_)));
        let of = of.map(|source| &self.arms[source]);
        let (rewind_to, starts_at) = match arm.weights {
            WeightSource::Rewind => {
                let iteration = step("rewind_to", arm.rewind_to)?;
                (iteration, iteration)
            }
            WeightSource::Final => (0, step("lr_from", arm.lr_from)?),
            WeightSource::Reinit | WeightSource::Shuffle | WeightSource::ConstantSign | WeightSource::Noise => {
                of.map_or((0, 0), |of| (of.rewind_to, of.starts_at))
            }
        };
        Ok(ResolvedArm { name, arm, rounds: arm_graph::rounds(arm, experiment), source, counts, rewind_to, starts_at })
    }

    /// Where the mask of a training comes from.
    pub(super) fn mask(&self, place: TrainingCoords, previous: ContentHash, dense: ContentHash) -> MaskRule {
        let Some(at) = place.arm else { return MaskRule::Dense };
        let ResolvedArm { arm, source, .. } = &self.arms[at];
        match &arm.mask {
            MaskSource::Dense => MaskRule::Dense,
            MaskSource::Iterative => MaskRule::Prune { parent: previous, reference: self.reference(place) },
            // The first round of a chain prunes the dense network as well: the same training then.
            MaskSource::OneShot(TargetSize::Like(_)) if place.round == 1 && self.is_chain(*source) => {
                MaskRule::Prune { parent: dense, reference: ReferencePoint::Initial }
            }
            MaskSource::OneShot(_) => MaskRule::OneShot { parent: dense },
            MaskSource::MagnitudeAtInit(_) => MaskRule::MagnitudeAtInit,
            MaskSource::Of(_) => MaskRule::Of { parent: self.trainings[self.referred(place, *source)].key },
            MaskSource::Random(_) => MaskRule::Random { like: self.trainings[self.referred(place, *source)].key },
        }
    }

    /// The part of `[prune]` in the key of this mask. Many scores are equal with some criteria, and with most in a chain that
    /// starts each round from constants.
    fn pruning_of(&self, place: TrainingCoords, mask: &MaskRule) -> &Value {
        let is_pruned = matches!(mask, MaskRule::Prune { .. } | MaskRule::OneShot { .. });
        let starts_from_constants = place.round > 1
            && matches!(mask, MaskRule::Prune { .. })
            && place.arm.is_some_and(|at| self.arms[at].arm.weights == WeightSource::ConstantSign);
        let is_random = self.criterion == Criterion::Random;
        let has_equal_scores = self.criterion.gives_equal_scores() || starts_from_constants && !is_random;
        &self.pruning[usize::from(is_pruned && has_equal_scores)]
    }

    /// The weights that a criterion compares those of the chain's previous training with: where it started, unless the
    /// configuration asks for θ₀. The first round prunes the dense training, which starts from θ₀.
    fn reference(&self, place: TrainingCoords) -> ReferencePoint {
        let previous = TrainingCoords { round: place.round.saturating_sub(1), ..place };
        match self.by_place.get(&previous).map(|&number| &self.trainings[number]) {
            Some(training) if self.reference_weights == Some(ReferenceWeights::TrainingStart) => {
                if training.start.is_initial() {
                    return ReferencePoint::Initial;
                }
                ReferencePoint::TrainingStart { round: training.round, start: Box::new(training.start.clone()) }
            }
            _ => ReferencePoint::Initial,
        }
    }

    /// Where the weights of a training come from.
    pub(super) fn start(&self, place: TrainingCoords, mask: &MaskRule, dense: ContentHash) -> StartRule {
        let Some(at) = place.arm else { return StartRule::Initial };
        let ResolvedArm { arm, rewind_to, starts_at, .. } = self.arms[at];
        let point = RewindPoint { dense, iteration: rewind_to };
        match arm.weights {
            WeightSource::Rewind => StartRule::Rewind { point, moments: arm.rewind_moments.unwrap_or_default() },
            WeightSource::Reinit => StartRule::Reinit { iteration: starts_at },
            WeightSource::Shuffle => StartRule::Shuffle { point },
            WeightSource::ConstantSign => StartRule::ConstantSign { point },
            WeightSource::Noise => StartRule::Noise { point, factor: arm.noise.unwrap_or_default() },
            WeightSource::Final => StartRule::Final { parent: self.cut_from(place, mask), iteration: starts_at },
        }
    }

    /// Whether an arm prunes its own previous rounds.
    fn is_chain(&self, arm: Option<usize>) -> bool {
        arm.is_some_and(|at| self.arms[at].arm.mask == MaskSource::Iterative)
    }

    /// The training of the arm referred to, at the same replicate and round. An arm without repeats serves every repeat
    /// of those that refer to it.
    fn referred(&self, place: TrainingCoords, source: Option<usize>) -> usize {
        let at = |repeat| self.by_place.get(&TrainingCoords { arm: source, repeat, ..place });
        *at(place.repeat).or_else(|| at(1)).expect("arms are drawn behind those they refer to, whose rounds they have")
    }

    /// The training whose final weights a mask was cut from, by way of the masks it was taken from.
    fn cut_from(&self, place: TrainingCoords, mask: &MaskRule) -> ContentHash {
        match mask {
            MaskRule::Prune { parent, .. } | MaskRule::OneShot { parent } => *parent,
            _ => {
                let at = place.arm.expect("only arms go on from trained weights");
                let source = self.arms[at].source;
                let referred = &self.trainings[self.referred(place, source)];
                let there = TrainingCoords { arm: source, repeat: referred.repeat, ..place };
                self.cut_from(there, &referred.mask)
            }
        }
    }

    /// Adds a training; gives its key.
    pub(super) fn add(&mut self, arm: &str, place: TrainingCoords, mask: MaskRule, start: StartRule) -> ContentHash {
        let TrainingCoords { replicate, repeat, round, .. } = place;
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
        let engine = self.setting.engines.select(&self.setting.expected_per_layer(&counts));
        let content = KeyContent { shared: Arc::clone(&self.shared[engine as usize]), own };
        let key = content.key();
        self.by_place.insert(place, self.trainings.len());
        let arm = arm.to_owned();
        let training =
            TrainingSpec { key, content, arm, replicate, repeat, round, mask, start, counts, engine, data_order: 1 };
        self.trainings.push(training);
        key
    }
}

/// A round that would prune nothing.
fn rounds_without_effect(counts: &[RemainingCounts]) -> Option<Diagnostic> {
    let round = (1..counts.len()).find(|&round| counts[round].kept == counts[round - 1].kept)?;
    let message = format!("round {round} would prune nothing: {} weights are left", counts[round].kept);
    Some(if round == 1 {
        Diagnostic::new("prune", message).hint("raise `prune.rate` or exclude less")
    } else {
        Diagnostic::new("rounds", message).hint(format!("set `rounds` to {} or raise `prune.rate`", round - 1))
    })
}
