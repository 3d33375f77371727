//! Builds the plan: what each arm means at a replicate, a repeat and a round, and the key of the training run there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arm_graph::{self, reference};
use super::resolved::ResolvedExperiment;
use super::training::{KeyContent, MaskRule, ReferencePoint, RewindPoint, SharedKeyContent, StartRule, TrainingSpec};
use super::validate_arms::{ValidArms, grid};
use crate::base::key::ContentHash;
use crate::base::units::{Fraction, Iteration, Round};
use crate::config::{
    Arm, Criterion, Diagnostic, Experiment, MaskSource, PruneConfig, ReferenceWeights, TargetSize, TrainingTime,
    WeightSource,
};
use crate::engine::EngineKind;
use crate::prune::RemainingCounts;

/// Version of the meaning of a key's content. Raising it changes every key, so that results of an older meaning are never taken
/// for results of the new one.
const FORMAT: u32 = 2;

/// Returns the part of a key that all training runs of an experiment on this engine share.
fn shared(experiment: &Experiment, resolved: &ResolvedExperiment, engine: EngineKind) -> Value {
    let Experiment { seed, network, train, data, .. } = experiment;
    let mut content = json!({
        "format": FORMAT,
        "data": {
            "source": resolved.dataset.identity, "validation": data.validation, "normalize": data.normalize,
            "train_limit": data.train_limit, "test_limit": data.test_limit,
        },
        "network": resolved.network,
        "init": [network.init, network.init_std],
        // An epoch and its iterations give the same numbers.
        "train": train.without_epochs(resolved.iterations_per_epoch),
        "engine": engine.as_str(),
        "device": resolved.device,
        "seed": seed,
    });
    if !data.augment.is_none() {
        content["data"]["augment"] = json!(data.augment);
    }
    content
}

/// Returns the part of `[prune]` in the key of a mask. `reference_weights` is left out: it is in the key of each training run that
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

/// The coordinates of a training run in the plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TrainingCoords {
    /// Number of the arm; `None` for the dense training runs.
    pub(super) arm: Option<usize>,
    pub(super) replicate: u32,
    pub(super) repeat: u32,
    pub(super) round: Round,
}

impl TrainingCoords {
    /// Returns those of the dense training run of a replicate.
    pub(super) fn dense(replicate: u32) -> Self {
        Self { arm: None, replicate, repeat: 1, round: Round(0) }
    }
}

/// An arm with its names resolved.
pub(super) struct ResolvedArm<'a> {
    pub(super) name: &'a str,
    pub(super) arm: &'a Arm,
    pub(super) rounds: Vec<Round>,
    /// The number of the arm it refers to.
    source: Option<usize>,
    /// Weights kept after each round, from 0.
    counts: Arc<Vec<RemainingCounts>>,
    /// The iteration of its rewind point: that of its own weights, or of the arm its mask refers to.
    rewind_to: Iteration,
    /// The iteration its trainings start at.
    starts_at: Iteration,
}

/// A plan under construction.
pub(super) struct PlanBuilder<'a> {
    pub(super) arms: Vec<ResolvedArm<'a>>,
    pub(super) trainings: Vec<TrainingSpec>,
    resolved: &'a ResolvedExperiment,
    /// The shared part of keys by engine, in the order of [`EngineKind::ALL`].
    shared: [Arc<SharedKeyContent>; 2],
    /// The part of `[prune]` in the keys of masks: as it is, and with the mark of equal scores.
    pruning: [Value; 2],
    criterion: Criterion,
    /// The earlier weights that the criterion looks at; `None` where it looks at none.
    reference_weights: Option<ReferenceWeights>,
    /// The counts of the dense network.
    whole: RemainingCounts,
    by_coords: BTreeMap<TrainingCoords, usize>,
}

impl<'a> PlanBuilder<'a> {
    /// Resolves the arms.
    pub(super) fn new(
        experiment: &'a Experiment,
        arms: &ValidArms,
        resolved: &'a ResolvedExperiment,
    ) -> Result<Self, Vec<Diagnostic>> {
        let sizes = resolved.network.sizes();
        let whole = RemainingCounts { kept: sizes.iter().sum(), layers: Some(sizes.to_vec()) };
        let mut schedule = vec![whole.clone()];
        for round in 0..experiment.rounds as usize {
            schedule.push(resolved.pruning.after_round(&schedule[round], sizes));
        }
        let schedule = Arc::new(schedule);
        let mut builder = Self {
            arms: Vec::new(),
            trainings: Vec::new(),
            resolved,
            shared: EngineKind::ALL.map(|engine| Arc::new(SharedKeyContent::new(shared(experiment, resolved, engine)))),
            pruning: [false, true].map(|has_equal_scores| pruning(&experiment.prune, has_equal_scores)),
            criterion: experiment.prune.criterion,
            reference_weights: experiment.prune.reference_weights,
            whole,
            by_coords: BTreeMap::new(),
        };
        for (name, arm) in arms.iter(&experiment.arms) {
            let arm = builder.resolve(name, arm, experiment, &schedule).map_err(|mistake| vec![mistake])?;
            builder.arms.push(arm);
        }
        let has_chain = builder.arms.iter().any(|arm| arm.arm.mask == MaskSource::Iterative);
        match rounds_without_effect(&schedule).filter(|_| has_chain) {
            Some(mistake) => Err(vec![mistake]),
            None => Ok(builder),
        }
    }

    fn resolve(
        &self,
        name: &'a str,
        arm: &'a Arm,
        experiment: &Experiment,
        schedule: &Arc<Vec<RemainingCounts>>,
    ) -> Result<ResolvedArm<'a>, Diagnostic> {
        let resolved = self.resolved;
        let source = reference(arm).and_then(|(other, _)| self.arms.iter().position(|known| known.name == other));
        let counts = match (grid(arm), source) {
            (Some(grid), _) => {
                let sizes = resolved.network.sizes();
                let one_shot = |&fraction: &f64| resolved.pruning.one_shot(Fraction::saturating(fraction), sizes);
                let counts = grid.iter().map(one_shot);
                Arc::new(std::iter::once(schedule[0].clone()).chain(counts).collect())
            }
            (None, Some(source)) => Arc::clone(&self.arms[source].counts),
            (None, None) => Arc::clone(schedule),
        };
        let iteration = |key: &str, time: Option<TrainingTime>| {
            let iteration = time.map_or(0, |time| time.to_iterations(resolved.iterations_per_epoch));
            if iteration < experiment.train.iterations {
                return Ok(Iteration(iteration));
            }
            let message = format!("iteration {iteration} is not before the last one, {}", experiment.train.iterations);
            Err(Diagnostic::new(format!("arms.{name}.{key}"), message).hint(format!(
                "an epoch has {} iterations; or raise `train.iterations`",
                resolved.iterations_per_epoch
            )))
        };
        // An arm that takes only the size of another's mask has its own initial values.
        let mask_source = source.filter(|_| matches!(arm.mask, MaskSource::Of(_) | MaskSource::Random(_)));
        let mask_source = mask_source.map(|source| &self.arms[source]);
        let (rewind_to, starts_at) = match arm.weights {
            WeightSource::Rewind { to } => {
                let iteration = iteration("rewind_to", to.map(|target| target.time))?;
                (iteration, iteration)
            }
            WeightSource::Final { lr_from } => (Iteration(0), iteration("lr_from", lr_from)?),
            WeightSource::Reinit | WeightSource::Shuffle | WeightSource::ConstantSign | WeightSource::Noise { .. } => {
                mask_source.map_or((Iteration(0), Iteration(0)), |arm| (arm.rewind_to, arm.starts_at))
            }
        };
        let rounds = arm_graph::rounds(arm, experiment).into_iter().map(Round).collect();
        Ok(ResolvedArm { name, arm, rounds, source, counts, rewind_to, starts_at })
    }

    /// Returns the rule for the mask of the training run at `coords`. `previous`: the previous training run of its arm, `dense`: that of
    /// the dense network.
    pub(super) fn mask(&self, coords: TrainingCoords, previous: ContentHash, dense: ContentHash) -> MaskRule {
        let Some(number) = coords.arm else { return MaskRule::Dense };
        let ResolvedArm { arm, source, .. } = &self.arms[number];
        match &arm.mask {
            MaskSource::Dense => MaskRule::Dense,
            MaskSource::Iterative => MaskRule::Prune { parent: previous, reference: self.reference(coords) },
            // The first round of a chain prunes the dense network too: that is the same training run.
            MaskSource::OneShot(TargetSize::Like(_)) if coords.round == Round(1) && self.is_chain(*source) => {
                MaskRule::Prune { parent: dense, reference: ReferencePoint::Initial }
            }
            MaskSource::OneShot(_) => MaskRule::OneShot { parent: dense },
            MaskSource::MagnitudeAtInit(_) => MaskRule::MagnitudeAtInit,
            MaskSource::Of(_) => MaskRule::Of { parent: self.trainings[self.referred(coords, *source)].key },
            MaskSource::Random(_) => MaskRule::Random { like: self.trainings[self.referred(coords, *source)].key },
        }
    }

    /// Returns the part of `[prune]` in the key of this mask. With some criteria many scores are equal, and with most criteria in a chain
    /// that starts each round from constants.
    fn pruning_of(&self, coords: TrainingCoords, mask: &MaskRule) -> &Value {
        let is_pruned = matches!(mask, MaskRule::Prune { .. } | MaskRule::OneShot { .. });
        let starts_from_constants = coords.round > Round(1)
            && matches!(mask, MaskRule::Prune { .. })
            && coords.arm.is_some_and(|arm| self.arms[arm].arm.weights == WeightSource::ConstantSign);
        let is_random = self.criterion.is_random();
        let has_equal_scores = self.criterion.gives_equal_scores() || starts_from_constants && !is_random;
        &self.pruning[usize::from(is_pruned && has_equal_scores)]
    }

    /// Returns the weights that a criterion compares the trained ones of the chain's previous training run with: those it started
    /// from, unless the configuration asks for θ₀. The first round prunes the dense network, which starts from θ₀.
    fn reference(&self, coords: TrainingCoords) -> ReferencePoint {
        let previous = TrainingCoords { round: Round(coords.round.0.saturating_sub(1)), ..coords };
        match self.by_coords.get(&previous).map(|&number| &self.trainings[number]) {
            Some(training) if self.reference_weights == Some(ReferenceWeights::TrainingStart) => {
                if training.start.is_initial() {
                    return ReferencePoint::Initial;
                }
                ReferencePoint::TrainingStart { round: training.round, start: Box::new(training.start.clone()) }
            }
            _ => ReferencePoint::Initial,
        }
    }

    /// Returns the rule for the weights that the training run at `coords` starts from.
    pub(super) fn start(&self, coords: TrainingCoords, mask: &MaskRule, dense: ContentHash) -> StartRule {
        let Some(number) = coords.arm else { return StartRule::Initial };
        let ResolvedArm { arm, rewind_to, starts_at, .. } = self.arms[number];
        let point = RewindPoint { dense, iteration: rewind_to };
        match arm.weights {
            WeightSource::Rewind { to } => {
                let moments = to.and_then(|target| target.optimizer_state).unwrap_or_default();
                StartRule::Rewind { point, moments }
            }
            WeightSource::Reinit => StartRule::Reinit { iteration: starts_at },
            WeightSource::Shuffle => StartRule::Shuffle { point },
            WeightSource::ConstantSign => StartRule::ConstantSign { point },
            WeightSource::Noise { factor } => StartRule::Noise { point, factor },
            WeightSource::Final { .. } => {
                StartRule::Final { parent: self.pruned_by(coords, mask), iteration: starts_at }
            }
        }
    }

    /// Whether an arm prunes its own previous rounds.
    fn is_chain(&self, arm: Option<usize>) -> bool {
        arm.is_some_and(|number| self.arms[number].arm.mask == MaskSource::Iterative)
    }

    /// Returns the number of the training run of arm `source` at the same replicate and round. An arm without repeats serves every repeat
    /// of the arms that refer to it.
    fn referred(&self, coords: TrainingCoords, source: Option<usize>) -> usize {
        let number = |repeat| self.by_coords.get(&TrainingCoords { arm: source, repeat, ..coords });
        let number = number(coords.repeat).or_else(|| number(1));
        *number.expect("arms come after those they refer to, whose rounds they have")
    }

    /// Returns the training run by whose final weights a mask was pruned, following the masks it was taken from.
    fn pruned_by(&self, coords: TrainingCoords, mask: &MaskRule) -> ContentHash {
        match mask {
            MaskRule::Prune { parent, .. } | MaskRule::OneShot { parent } => *parent,
            _ => {
                let number = coords.arm.expect("only arms continue from trained weights");
                let source = self.arms[number].source;
                let referred = &self.trainings[self.referred(coords, source)];
                let referred_coords = TrainingCoords { arm: source, repeat: referred.repeat, ..coords };
                self.pruned_by(referred_coords, &referred.mask)
            }
        }
    }

    /// Adds a training run and returns its key.
    pub(super) fn add(&mut self, arm: &str, coords: TrainingCoords, mask: MaskRule, start: StartRule) -> ContentHash {
        let TrainingCoords { replicate, repeat, round, .. } = coords;
        let counts = match coords.arm {
            Some(number) => self.arms[number].counts[round.0 as usize].clone(),
            None => self.whole.clone(),
        };
        let own = json!({
            "replicate": replicate,
            "repeat": repeat,
            "round": round,
            "mask": mask.content(self.pruning_of(coords, &mask), &counts),
            "start": start.content(),
        });
        let engine = self.resolved.engines.select(&self.resolved.expected_per_layer(&counts));
        let content = KeyContent { shared: Arc::clone(&self.shared[engine as usize]), own };
        let key = content.key();
        self.by_coords.insert(coords, self.trainings.len());
        let arm = arm.to_owned();
        let training =
            TrainingSpec { key, content, arm, replicate, repeat, round, mask, start, counts, engine, data_order: 1 };
        self.trainings.push(training);
        key
    }
}

/// Reports the first round that would prune nothing.
fn rounds_without_effect(counts: &[RemainingCounts]) -> Option<Diagnostic> {
    let round = (1..counts.len()).find(|&round| counts[round].kept == counts[round - 1].kept)?;
    let message = format!("round {round} would prune nothing: {} weights are left", counts[round].kept);
    Some(if round == 1 {
        Diagnostic::new("prune", message).hint("raise `prune.rate` or exclude less")
    } else {
        Diagnostic::new("rounds", message).hint(format!("set `rounds` to {} or raise `prune.rate`", round - 1))
    })
}
