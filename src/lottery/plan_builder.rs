//! Builds the plan: the rules and the key of the training run of each arm, replicate, repeat and round.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arm_counts::ArmCounts;
use super::arm_graph;
use super::early_bird::EarlyBirdRule;
use super::plan_checks::{
    cannot_train_scores, denser_than_start, excluded_layers, rounds_without_effect, too_few_masks,
};
use super::resolved::ResolvedExperiment;
use super::rules::{MaskRule, ReferencePoint, RewindPoint, StartRule};
use super::training::{KeyContent, SharedKeyContent, TrainingSpec};
use super::update_rule::{MaskUpdateRule, UpdateTimes};
use super::validate_arms::ValidArms;
use crate::base::key::ContentHash;
use crate::base::units::{Fraction, Iteration, Round};
use crate::config::{
    Allocation, Arm, Criterion, Diagnostic, EarlyBird, Experiment, MaskSource, MaskUpdates, PruneConfig,
    ReferenceWeights, RewindOptimizerState, TargetSize, TrainingTime, WeightSource,
};
use crate::data::WHOLE_VALIDATION;
use crate::engine::EngineKind;
use crate::prune::RemainingCounts;

/// Version of the key format: raise it when the same JSON would give other results. This changes every key, so that
/// older results are never taken for new ones.
const FORMAT: u32 = 2;

/// Returns the part of the key content that all training runs of an experiment on this engine share.
fn shared_content(experiment: &Experiment, resolved: &ResolvedExperiment, engine: EngineKind) -> Value {
    let Experiment { seed, network, train, data, .. } = experiment;
    let mut content = json!({
        "format": FORMAT,
        "data": {
            "source": resolved.dataset.identity, "validation": data.validation, "normalize": data.normalize,
            "train_limit": data.train_limit, "test_limit": data.test_limit,
        },
        "network": resolved.network,
        "init": [network.init, network.init_std],
        // Times in epochs are converted, because they give the same numbers as the same times in iterations.
        "train": train.without_epochs(resolved.iterations_per_epoch),
        "engine": engine.as_str(),
        "device": resolved.device,
        "seed": seed,
    });
    if resolved.dataset.had_fewer_validation_images(data) {
        content["data"][WHOLE_VALIDATION] = json!(true);
    }
    if !data.augment.is_none() {
        content["data"]["augment"] = json!(data.augment);
    }
    content
}

/// The part of `[prune]` in the keys of masks. `reference_weights` is left out: `MaskRule::content` adds it where the
/// pruned training run did not start from θ₀.
struct PruneContent {
    /// For masks with few equal scores, and for masks that are not pruned by the criterion.
    plain: Value,
    /// For masks that the criterion prunes with many equal scores: marked by `"equal_scores": "random"`, because their
    /// ties are broken at random. Keys without the mark were made when ties were broken by index.
    with_equal_scores: Value,
}

impl PruneContent {
    fn new(prune: &PruneConfig) -> Self {
        let config = PruneConfig { reference_weights: None, ..prune.clone() };
        let plain = serde_json::to_value(config).unwrap_or_default();
        let mut with_equal_scores = plain.clone();
        with_equal_scores["equal_scores"] = json!("random");
        Self { plain, with_equal_scores }
    }
}

/// The coordinates of a training run in the plan: arm, replicate, repeat and round.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TrainingCoords {
    /// Index of the arm in [`PlanBuilder::arms`]; `None` for the dense training runs.
    pub(super) arm: Option<usize>,
    /// The replicate, from 1.
    pub(super) replicate: u32,
    /// The repeat within the replicate, from 1.
    pub(super) repeat: u32,
    /// The round, from 0.
    pub(super) round: Round,
}

impl TrainingCoords {
    /// Returns the coordinates of the dense training run of a replicate.
    pub(super) fn dense(replicate: u32) -> Self {
        Self { arm: None, replicate, repeat: 1, round: Round(0) }
    }
}

/// An arm with its references and times resolved.
pub(super) struct ResolvedArm<'a> {
    /// The arm's name.
    pub(super) name: &'a str,
    /// The arm as configured.
    pub(super) arm: &'a Arm,
    /// The rounds that it trains, in ascending order.
    pub(super) rounds: Vec<Round>,
    /// Index of the arm that its mask, or the size of its mask, comes from.
    source: Option<usize>,
    /// Index of the arm whose masks have the densities of its layers, if these are not known before training.
    layers_like: Option<usize>,
    /// The number of weights kept at the end of training.
    counts: ArmCounts,
    /// The number of weights kept at its start.
    start_counts: ArmCounts,
    /// The last iteration of its training runs.
    last_iteration: Iteration,
    /// `train.lr`.
    lr: f64,
    /// The iteration k of the rewind point θₖ: with weights `rewind` its own, with weights `final` 0 (not used), else
    /// that of the arm whose mask it takes, or 0.
    rewind_to: Iteration,
    /// The iteration that its training runs start at: with weights `rewind` that of `rewind_to`, with weights `final`
    /// that of `lr_from`, else that of the arm whose mask it takes, or 0.
    starts_at: Iteration,
}

impl ResolvedArm<'_> {
    /// Returns the rule by which the mask of the training run of a replicate and round changes, if it does. `layers_like`:
    /// the training run whose mask has the densities of the layers, if they are not known before.
    ///
    /// # Errors
    /// Fails if the updates end before they begin, or would have to add weights.
    fn update_rule(
        &self,
        replicate: u32,
        round: Round,
        layers_like: Option<ContentHash>,
        resolved: &ResolvedExperiment,
    ) -> Result<Option<MaskUpdateRule>, Diagnostic> {
        let per_epoch = resolved.iterations_per_epoch;
        let times = UpdateTimes { start: self.starts_at, last: self.last_iteration, per_epoch };
        let key = format!("arms.{}.mask_updates", self.name);
        Ok(match &self.arm.mask_updates {
            None | Some(MaskUpdates::Static) => None,
            Some(MaskUpdates::Regrow(regrowth)) => Some(MaskUpdateRule::regrow(regrowth, times, &key)?),
            Some(MaskUpdates::Learn(learning)) => Some(MaskUpdateRule::learn(*learning, self.lr, times)),
            Some(MaskUpdates::Gmp(pruning)) => {
                let (start, target) = (self.start_counts.of(replicate, round), self.counts.of(replicate, round));
                if let Some(problem) = denser_than_start(&start, &target, round, &key, &resolved.network) {
                    return Err(problem);
                }
                Some(MaskUpdateRule::prune(pruning, start, layers_like, times, &key)?)
            }
        })
    }
}

/// A plan under construction.
pub(super) struct PlanBuilder<'a> {
    /// The arms, each after the one it refers to.
    pub(super) arms: Vec<ResolvedArm<'a>>,
    /// The training runs added so far, each after those it depends on.
    pub(super) trainings: Vec<TrainingSpec>,
    resolved: &'a ResolvedExperiment,
    /// The shared part of the keys of training runs on the dense engine.
    shared_dense: Arc<SharedKeyContent>,
    /// The shared part of the keys of training runs on the sparse engine.
    shared_sparse: Arc<SharedKeyContent>,
    prune_content: PruneContent,
    /// The layers that a rate of 0 keeps whole.
    excluded_by_rate: Vec<String>,
    /// All layers that `[prune]` keeps whole.
    excluded: Vec<String>,
    criterion: Criterion,
    /// The reference weights that the configuration asks for; `None` if the criterion needs none.
    reference_weights: Option<ReferenceWeights>,
    /// The last iteration of a training run of length 1.
    last_iteration: Iteration,
    /// The counts of the dense network.
    dense_counts: RemainingCounts,
    /// The indices of the training runs in `trainings`.
    by_coords: BTreeMap<TrainingCoords, usize>,
}

impl<'a> PlanBuilder<'a> {
    /// Resolves the arms. Fails if a round would prune nothing, or if an arm would start at the last iteration or after
    /// it.
    pub(super) fn new(
        experiment: &'a Experiment,
        arms: &ValidArms,
        resolved: &'a ResolvedExperiment,
    ) -> Result<Self, Vec<Diagnostic>> {
        let sizes = resolved.network.weight_counts();
        let dense_counts = RemainingCounts { kept: sizes.iter().sum(), layers: Some(sizes.to_vec()) };
        // Every round prunes the same fractions of what the round before keeps.
        let mut counts_by_round = vec![dense_counts.clone()];
        for round in 0..experiment.rounds as usize {
            counts_by_round.push(resolved.pruning.after_round(&counts_by_round[round], sizes));
        }
        let counts_by_round = Arc::new(counts_by_round);
        let shared = |engine| Arc::new(SharedKeyContent::new(shared_content(experiment, resolved, engine)));
        let mut builder = Self {
            arms: Vec::new(),
            trainings: Vec::new(),
            resolved,
            shared_dense: shared(EngineKind::Dense),
            shared_sparse: shared(EngineKind::Sparse),
            prune_content: PruneContent::new(&experiment.prune),
            excluded_by_rate: resolved.pruning.excluded_by_rate(&experiment.prune, &resolved.network),
            excluded: excluded_layers(resolved),
            criterion: experiment.prune.criterion,
            reference_weights: experiment.prune.reference_weights,
            last_iteration: Iteration(experiment.train.iterations),
            dense_counts,
            by_coords: BTreeMap::new(),
        };
        for (name, arm) in arms.iter(&experiment.arms) {
            let arm = builder.resolve(name, arm, experiment, &counts_by_round).map_err(|mistake| vec![mistake])?;
            builder.arms.push(arm);
        }
        let has_chain = builder.arms.iter().any(|arm| arm.arm.mask == MaskSource::Iterative);
        match rounds_without_effect(&counts_by_round).filter(|_| has_chain) {
            Some(mistake) => Err(vec![mistake]),
            None => Ok(builder),
        }
    }

    /// Resolves one arm against the arms before it. `counts_by_round`: the number of weights kept by iterative pruning,
    /// by round from 0.
    fn resolve(
        &self,
        name: &'a str,
        arm: &'a Arm,
        experiment: &Experiment,
        counts_by_round: &Arc<Vec<RemainingCounts>>,
    ) -> Result<ResolvedArm<'a>, Diagnostic> {
        let resolved = self.resolved;
        let position = |other: &str| self.arms.iter().position(|resolved| resolved.name == other);
        let source = arm.mask.reference().and_then(|(other, _)| position(other));
        let start_counts = match (arm.mask.grid(), source, &arm.mask) {
            (Some(grid), ..) => self.grid_counts(grid),
            (None, Some(source), _) => self.arms[source].counts.clone(),
            (None, None, MaskSource::File(file)) => ArmCounts::of_files(name, file, experiment, arm, resolved)?,
            (None, None, MaskSource::Dense) if arm.mask_updates.is_some() => {
                let last = arm_graph::rounds(arm, experiment).into_iter().max().unwrap_or(0) as usize;
                ArmCounts::ByRound(Arc::new(vec![self.dense_counts.clone(); last + 1]))
            }
            (None, None, _) => ArmCounts::ByRound(Arc::clone(counts_by_round)),
        };
        let (source_of_size, counts) = match arm.updated_size() {
            Some(TargetSize::Cut(grid)) => (None, self.grid_counts(grid)),
            Some(TargetSize::Like(other)) => {
                let like = position(other);
                (like, like.map_or_else(|| start_counts.clone(), |like| self.arms[like].counts.clone()))
            }
            None => (source, start_counts.clone()),
        };
        let rounds: Vec<Round> = arm_graph::rounds(arm, experiment).into_iter().map(Round).collect();
        let like = arm.allocation.as_ref().and_then(Allocation::like).and_then(position);
        let counts = match &arm.allocation {
            Some(allocation) => {
                let like = like.map(|index| &self.arms[index].counts);
                counts.allocated(name, allocation, like, arm.mask == MaskSource::Iterative, &rounds, resolved)?
            }
            None => counts,
        };
        let is_known = rounds.iter().all(|&round| counts.of(1, round).layers.is_some());
        // An arm with the size of another has its layers too, unless the other's come from a ranking of all layers.
        let like = like.or_else(|| source_of_size.filter(|&source| self.arms[source].layers_like.is_some()));
        let layers_like = like.filter(|_| !is_known && arm.allocation != Some(Allocation::Global));
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
        // An arm with `like` takes only the size of another arm's mask, so it does not inherit the rewind point.
        let mask_source = source.filter(|_| arm.mask.copied_arm().is_some());
        let mask_source = mask_source.map(|source| &self.arms[source]);
        let (rewind_to, starts_at) = match arm.weights {
            WeightSource::Rewind { to } => {
                let iteration = iteration("rewind_to", to.map(|target| target.time))?;
                (iteration, iteration)
            }
            WeightSource::Final { lr_from } => (Iteration(0), iteration("lr_from", lr_from)?),
            WeightSource::File(_) => (Iteration(0), Iteration(0)),
            WeightSource::Reinit | WeightSource::Shuffle | WeightSource::ConstantSign | WeightSource::Noise { .. } => {
                mask_source.map_or((Iteration(0), Iteration(0)), |arm| (arm.rewind_to, arm.starts_at))
            }
        };
        let last_iteration = Iteration(experiment.train.iterations.saturating_mul(u64::from(arm.length)));
        if arm.length > 1 && starts_at > Iteration(0) {
            let message = format!(
                "`{name}` starts at iteration {starts_at}, and a longer training has other learning rates at that time"
            );
            let hint = "leave `length` out, or name an arm that starts at iteration 0";
            return Err(Diagnostic::new(format!("arms.{name}.length"), message).hint(hint));
        }
        if let MaskSource::EarlyBird(mask) = &arm.mask {
            too_few_masks(name, mask, experiment, resolved).map_or(Ok(()), Err)?;
        }
        if let Some(MaskUpdates::Learn(learning)) = &arm.mask_updates {
            cannot_train_scores(name, learning.supermask, experiment, resolved).map_or(Ok(()), Err)?;
        }
        let start_counts = if arm.updated_size().is_some() { start_counts } else { counts.clone() };
        let resolved_arm = ResolvedArm {
            name,
            arm,
            rounds,
            source,
            layers_like,
            counts,
            start_counts,
            last_iteration,
            lr: experiment.train.lr,
            rewind_to,
            starts_at,
        };
        for replicate in 1..=experiment.replicates {
            for &round in &resolved_arm.rounds {
                resolved_arm.update_rule(replicate, round, None, resolved)?;
            }
        }
        Ok(resolved_arm)
    }

    /// Returns the counts of masks that are pruned from the dense network by these fractions, one per round.
    fn grid_counts(&self, grid: &[f64]) -> ArmCounts {
        let sizes = self.resolved.network.weight_counts();
        let one_shot = |&fraction: &f64| self.resolved.pruning.one_shot(Fraction::saturating(fraction), sizes);
        let counts = grid.iter().map(one_shot);
        ArmCounts::ByRound(Arc::new(std::iter::once(self.dense_counts.clone()).chain(counts).collect()))
    }

    /// Returns the rule for the mask of the training run at `coords`. `previous`: the previous training run of its arm;
    /// `dense`: the dense training run of the replicate.
    pub(super) fn mask(&self, coords: TrainingCoords, previous: ContentHash, dense: ContentHash) -> MaskRule {
        let Some(index) = coords.arm else { return MaskRule::Dense };
        let ResolvedArm { arm, source, layers_like, .. } = &self.arms[index];
        let layers_like = layers_like.map(|other| self.trainings[self.referred_training(coords, Some(other))].key);
        match &arm.mask {
            MaskSource::Dense => MaskRule::Dense,
            MaskSource::Iterative => MaskRule::Prune {
                parent: previous,
                reference: self.reference_point(coords),
                is_allocated: arm.allocation.is_some(),
            },
            // Round 1 of a chain prunes the dense network too. The same rule gives the same key, so that it is one
            // training run.
            MaskSource::OneShot(TargetSize::Like(_))
                if coords.round == Round(1) && self.is_chain(*source) && arm.allocation.is_none() =>
            {
                let is_allocated = source.is_some_and(|source| self.arms[source].arm.allocation.is_some());
                MaskRule::Prune { parent: dense, reference: ReferencePoint::Initial, is_allocated }
            }
            MaskSource::OneShot(_) => MaskRule::OneShot { parent: dense, layers_like },
            MaskSource::AtInit(mask) => MaskRule::AtInit { scoring: mask.scoring, layers_like },
            MaskSource::EarlyBird(mask) => MaskRule::EarlyBird { rule: self.early_bird_rule(mask, dense), layers_like },
            MaskSource::File(file) => {
                MaskRule::File(self.resolved.files.mask_use(file, coords.replicate, coords.round.0))
            }
            MaskSource::Of(_) => MaskRule::Of { parent: self.trainings[self.referred_training(coords, *source)].key },
            MaskSource::Random(_) => {
                MaskRule::Random { like: self.trainings[self.referred_training(coords, *source)].key }
            }
        }
    }

    /// Returns the part of `[prune]` in the key of this mask. Scores are often equal with some criteria, and with any
    /// non-random criterion from round 2 of a `constant_sign` chain on.
    fn prune_content_of(&self, coords: TrainingCoords, mask: &MaskRule) -> &Value {
        let is_pruned = matches!(mask, MaskRule::Prune { .. } | MaskRule::OneShot { .. });
        let starts_from_constants = coords.round > Round(1)
            && matches!(mask, MaskRule::Prune { .. })
            && coords.arm.is_some_and(|arm| self.arms[arm].arm.weights == WeightSource::ConstantSign);
        let is_random = self.criterion.is_random();
        let has_equal_scores = self.criterion.gives_equal_scores() || starts_from_constants && !is_random;
        if is_pruned && has_equal_scores { &self.prune_content.with_equal_scores } else { &self.prune_content.plain }
    }

    /// Returns the reference weights for pruning the previous round: the weights it started from, or θ₀ if configured.
    /// Round 1 prunes the dense network, whose start is θ₀. The section [Reference weights](super#reference-weights)
    /// has an example.
    fn reference_point(&self, coords: TrainingCoords) -> ReferencePoint {
        let previous = TrainingCoords { round: Round(coords.round.0.saturating_sub(1)), ..coords };
        match self.by_coords.get(&previous).map(|&index| &self.trainings[index]) {
            Some(training) if self.reference_weights == Some(ReferenceWeights::TrainingStart) => {
                if training.start.is_initial() {
                    return ReferencePoint::Initial;
                }
                ReferencePoint::TrainingStart { round: training.round, start: Box::new(training.start.clone()) }
            }
            _ => ReferencePoint::Initial,
        }
    }

    /// Returns the rule for the weights that the training run at `coords` with this mask starts from. `dense`: the
    /// dense training run of the replicate.
    pub(super) fn start(&self, coords: TrainingCoords, mask: &MaskRule, dense: ContentHash) -> StartRule {
        let Some(index) = coords.arm else { return StartRule::Initial };
        let weights = self.weights(&self.arms[index], coords, mask, dense);
        if self.arms[index].arm.train {
            return weights;
        }
        StartRule::Untrained { weights: Box::new(weights), iteration: self.arms[index].last_iteration }
    }

    /// Returns the rule for the weights of an arm, whether they are trained or not.
    fn weights(
        &self,
        resolved: &ResolvedArm<'_>,
        coords: TrainingCoords,
        mask: &MaskRule,
        dense: ContentHash,
    ) -> StartRule {
        let &ResolvedArm { arm, rewind_to, starts_at, .. } = resolved;
        let point = RewindPoint { dense, iteration: rewind_to };
        match &arm.weights {
            WeightSource::Rewind { to } => {
                let moments = to.and_then(|target| target.optimizer_state).unwrap_or_default();
                // Without training there is nothing that moments would change; those of scores begin at 0.
                let trains_weights = arm.train && !matches!(arm.mask_updates, Some(MaskUpdates::Learn(_)));
                let moments = if trains_weights { moments } else { RewindOptimizerState::Reset };
                StartRule::Rewind { point, moments }
            }
            WeightSource::Reinit => StartRule::Reinit { iteration: starts_at },
            WeightSource::Shuffle => StartRule::Shuffle { point },
            WeightSource::ConstantSign => StartRule::ConstantSign { point },
            &WeightSource::Noise { factor } => StartRule::Noise { point, factor },
            WeightSource::File(weights) => {
                let file = self.resolved.files.weights_use(weights, coords.replicate, coords.round.0);
                StartRule::File { file, which: weights.which }
            }
            WeightSource::Final { .. } => {
                StartRule::Final { parent: self.pruned_by(coords, mask), iteration: starts_at }
            }
        }
    }

    /// Returns the rule by which an early-bird mask is drawn from the dense training run of a replicate.
    fn early_bird_rule(&self, mask: &EarlyBird, dense: ContentHash) -> EarlyBirdRule {
        let EarlyBird { every, window, threshold, distance, .. } = *mask;
        let every = every.to_iterations(self.resolved.iterations_per_epoch).max(1);
        let iterations = (0..=self.last_iteration.0 / every).map(|count| Iteration(count * every)).collect();
        EarlyBirdRule { dense, iterations, window, threshold, distance }
    }

    /// Returns whether an arm (by index) prunes its own previous round.
    fn is_chain(&self, arm: Option<usize>) -> bool {
        arm.is_some_and(|index| self.arms[index].arm.mask == MaskSource::Iterative)
    }

    /// Returns the index of the training run of arm `source` at the same replicate, round and repeat. If that arm has
    /// one repeat only, every repeat refers to it.
    fn referred_training(&self, coords: TrainingCoords, source: Option<usize>) -> usize {
        let find = |repeat| self.by_coords.get(&TrainingCoords { arm: source, repeat, ..coords });
        let index = find(coords.repeat).or_else(|| find(1));
        *index.expect("arms come after those they refer to, whose rounds they have")
    }

    /// Returns the training run by whose final weights a mask was pruned, directly or through the arms it was taken
    /// from.
    fn pruned_by(&self, coords: TrainingCoords, mask: &MaskRule) -> ContentHash {
        match mask {
            MaskRule::Prune { parent, .. } | MaskRule::OneShot { parent, .. } => *parent,
            _ => {
                let index = coords.arm.expect("only arms continue from trained weights");
                let source = self.arms[index].source;
                let referred = &self.trainings[self.referred_training(coords, source)];
                let referred_coords = TrainingCoords { arm: source, repeat: referred.repeat, ..coords };
                self.pruned_by(referred_coords, &referred.mask)
            }
        }
    }

    /// Adds a training run and returns its key.
    pub(super) fn add(&mut self, arm: &str, coords: TrainingCoords, mask: MaskRule, start: StartRule) -> ContentHash {
        let TrainingCoords { replicate, repeat, round, .. } = coords;
        let resolved_arm = coords.arm.map(|index| &self.arms[index]);
        let counts = match resolved_arm {
            Some(arm) => arm.counts.of(replicate, round),
            None => self.dense_counts.clone(),
        };
        let length = resolved_arm.map_or(1, |arm| arm.arm.length);
        let updates = resolved_arm.and_then(|arm| {
            let like = arm.layers_like.map(|other| self.trainings[self.referred_training(coords, Some(other))].key);
            arm.update_rule(replicate, round, like, self.resolved).ok().flatten()
        });
        let mut own = json!({
            "replicate": replicate,
            "repeat": repeat,
            "round": round,
            "mask": mask.content(self.prune_content_of(coords, &mask), &counts),
            "start": start.content(),
        });
        // Keys of masks that are pruned to a size are without rates, and without numbers of layers where these share a
        // ranking.
        let is_sized = matches!(mask, MaskRule::OneShot { .. } | MaskRule::AtInit { .. } | MaskRule::EarlyBird { .. });
        if is_sized && counts.layers.is_none() && !self.excluded_by_rate.is_empty() {
            own["mask"]["excluded"] = json!(self.excluded_by_rate);
        }
        if let Some(pretrained) = self.resolved.files.pretrained_use(replicate) {
            own["pretrained"] = pretrained.content;
        }
        if let Some(updates) = &updates {
            own["updates"] = updates.content(&counts);
            // Numbers of layers tell which are excluded, and one ranking of all does not.
            if updates.last_pruning().is_some() && counts.layers.is_none() && !self.excluded.is_empty() {
                own["updates"]["excluded"] = json!(self.excluded);
            }
        }
        if length > 1 {
            own["length"] = json!(length);
        }
        let starts_at = start.iteration();
        let last_iteration = resolved_arm.map_or(self.last_iteration, |arm| arm.last_iteration);
        let mean = self.resolved.mean_per_layer(&counts, updates.as_ref(), [starts_at, last_iteration]);
        // Scores are trained by gradients with respect to all weights.
        let trains_scores = updates.as_ref().is_some_and(|rule| rule.supermask().is_some());
        let engine = if trains_scores { EngineKind::Dense } else { self.resolved.engines.select(&mean) };
        let shared = match engine {
            EngineKind::Dense => &self.shared_dense,
            EngineKind::Sparse => &self.shared_sparse,
        };
        let content = KeyContent { shared: Arc::clone(shared), own };
        let key = content.key();
        let arm = arm.to_owned();
        self.by_coords.insert(coords, self.trainings.len());
        let data_order = 1;
        let training = TrainingSpec {
            key,
            content,
            arm,
            replicate,
            repeat,
            round,
            mask,
            start,
            updates,
            length,
            last_iteration,
            counts,
            engine,
            data_order,
        };
        self.trainings.push(training);
        key
    }
}
