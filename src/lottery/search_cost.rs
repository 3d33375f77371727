//! The cost of finding a mask: the training that mask and starting weights of a training run need, and the scores that
//! masks are made with.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Dependency, MaskRule};
use super::study::Study;
use super::training::TrainingSpec;
use super::update_rule::{MaskUpdateRule, UpdateKind};
use crate::base::key::ContentHash;
use crate::base::units::Iteration;
use crate::config::{AtInitMethod, Growth, ScoreImages, Scoring};
use crate::prune::RemainingCounts;
use crate::train::DropAndGrow;

/// Multiply-adds of a forward and a backward pass, in those of a forward pass: the backward pass multiplies twice, for the
/// gradients of inputs and of weights.
const GRADIENT: u64 = 3;
/// Multiply-adds of a gradient and a Hessian-gradient product, in those of a forward pass: the product is the gradient of a
/// function that contains a gradient.
const HESSIAN_PRODUCT: u64 = 4 * GRADIENT;

/// What finding a mask has cost before the training run with that mask begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchCost {
    /// Iterations of other training runs, each counted once.
    pub iterations: u64,
    /// Multiply-adds of these iterations with the weights that their masks keep, and of scores with all weights.
    pub macs: u64,
}

/// A training run of the plan, and what is known of its result.
#[derive(Clone, Copy, Debug)]
pub struct KnownTraining<'p> {
    /// The training run.
    pub spec: &'p TrainingSpec,
    /// The multiply-adds for one image with the weights that its mask keeps.
    pub macs: u64,
    /// The iteration of the dense network at which its mask was drawn, if it is an early-bird mask.
    pub drawn_at: Option<u64>,
}

/// Returns a training run of the plan; `None` if its result is not known.
pub(super) type FindTraining<'f, 'p> = &'f dyn Fn(&ContentHash) -> Option<KnownTraining<'p>>;

/// The training runs and scores that a mask needs.
#[derive(Default)]
struct Needed {
    /// The iterations of each training run.
    iterations: BTreeMap<ContentHash, u64>,
    /// The training runs for whose masks weights were scored.
    scored: BTreeSet<ContentHash>,
    /// The training runs that have been followed to their end, with everything that they need. Masks and starting weights
    /// often lead to the same one.
    followed: BTreeSet<ContentHash>,
}

impl Study {
    /// Returns the cost of everything that a training run needs before it begins; `None` if that is not known.
    pub fn search_cost<'p>(&'p self, spec: &'p TrainingSpec, find: FindTraining<'_, 'p>) -> Option<SearchCost> {
        let mut needed = Needed::default();
        self.add_start(spec, find, &mut needed)?;
        self.add_mask(spec, find, &mut needed)?;
        let mut cost = SearchCost::default();
        for (key, iterations) in &needed.iterations {
            cost.iterations += iterations;
            let KnownTraining { spec, macs, .. } = find(key)?;
            let of_iterations = self.iteration_macs(macs).saturating_mul(*iterations);
            cost.macs = cost.macs.saturating_add(of_iterations).saturating_add(self.update_macs(spec, macs));
        }
        for key in &needed.scored {
            let scored = if *key == spec.key { spec } else { find(key)?.spec };
            cost.macs = cost.macs.saturating_add(self.score_macs(&scored.mask));
        }
        Some(cost)
    }

    /// Returns the multiply-adds of a whole training run. `macs`: those for one image with the weights that its mask keeps.
    pub fn training_macs(&self, spec: &TrainingSpec, macs: u64) -> u64 {
        let of_iterations = self.iteration_macs(macs).saturating_mul(self.own_iterations(spec));
        of_iterations.saturating_add(self.update_macs(spec, macs))
    }

    /// Returns the multiply-adds of a forward pass of one image, on average over the iterations of a training run, whose mask
    /// keeps `kept` weights of each layer at the end.
    pub fn mean_macs(&self, spec: &TrainingSpec, kept: &[u64]) -> u64 {
        let network = &self.resolved.network;
        let counts = RemainingCounts { kept: kept.iter().sum(), layers: Some(kept.to_vec()) };
        let between = [spec.start.iteration(), spec.last_iteration];
        network.macs(&self.resolved.mean_per_layer(&counts, spec.updates.as_ref(), between))
    }

    /// Returns what updates of the mask add to the multiply-adds of a training run: where weights with a large gradient grow,
    /// and where scores are trained, the gradient of all weights instead of that of the kept ones (Evci et al. 2020, arXiv
    /// 1911.11134, appendix H).
    fn update_macs(&self, spec: &TrainingSpec, macs: u64) -> u64 {
        let Some(MaskUpdateRule { schedule, kind }) = &spec.updates else { return 0 };
        let needs_all_gradients =
            matches!(kind, UpdateKind::Regrow(DropAndGrow { growth: Growth::Gradient, .. }) | UpdateKind::Learn { .. });
        if !needs_all_gradients {
            return 0;
        }
        let network = &self.resolved.network;
        let more = network.macs(network.weight_counts()).saturating_sub(macs);
        more.saturating_mul(u64::from(self.experiment.train.batch_size)).saturating_mul(schedule.count)
    }

    /// Returns the number of iterations of a training run.
    pub fn own_iterations(&self, spec: &TrainingSpec) -> u64 {
        spec.last_iteration.0 - spec.start.iteration().0
    }

    /// Returns the multiply-adds of an iteration.
    fn iteration_macs(&self, macs: u64) -> u64 {
        macs.saturating_mul(GRADIENT * u64::from(self.experiment.train.batch_size))
    }

    /// Adds a training run that is needed to its end, and what it needs.
    fn add_training<'p>(&'p self, key: &ContentHash, find: FindTraining<'_, 'p>, needed: &mut Needed) -> Option<()> {
        if !needed.followed.insert(*key) {
            return Some(());
        }
        let spec = find(key)?.spec;
        needed.iterations.insert(*key, self.own_iterations(spec));
        self.add_start(spec, find, needed)?;
        self.add_mask(spec, find, needed)
    }

    /// Adds what the starting weights of a training run need.
    fn add_start<'p>(&'p self, spec: &'p TrainingSpec, find: FindTraining<'_, 'p>, needed: &mut Needed) -> Option<()> {
        match spec.start.dependency() {
            Some((dense, Dependency::Snapshot(Iteration(iteration)))) => {
                let iterations = needed.iterations.entry(*dense).or_default();
                *iterations = iteration.max(*iterations);
                Some(())
            }
            Some((parent, Dependency::FinalWeights)) => self.add_training(parent, find, needed),
            Some((_, Dependency::Entry)) | None => Some(()),
        }
    }

    /// Adds what the mask of a training run needs.
    fn add_mask<'p>(&'p self, spec: &'p TrainingSpec, find: FindTraining<'_, 'p>, needed: &mut Needed) -> Option<()> {
        if self.needs_probe(&spec.mask) {
            needed.scored.insert(spec.key);
        }
        match &spec.mask {
            MaskRule::Prune { parent, .. } | MaskRule::OneShot { parent, .. } => {
                self.add_training(parent, find, needed)?;
            }
            MaskRule::Of { parent: other } | MaskRule::Random { like: other } => {
                self.add_mask_of(other, find, needed)?;
            }
            MaskRule::EarlyBird { rule, .. } => {
                let iterations = needed.iterations.entry(rule.dense).or_default();
                *iterations = find(&spec.key)?.drawn_at?.max(*iterations);
            }
            MaskRule::Dense | MaskRule::AtInit { .. } | MaskRule::File(_) => {}
        }
        match spec.layers_like() {
            Some(other) => self.add_mask_of(other, find, needed),
            None => Some(()),
        }
    }

    /// Adds what the mask of another training run needs: not its training, unless that changes the mask.
    fn add_mask_of<'p>(&'p self, other: &ContentHash, find: FindTraining<'_, 'p>, needed: &mut Needed) -> Option<()> {
        let spec = find(other)?.spec;
        if spec.updates.is_some() { self.add_training(other, find, needed) } else { self.add_mask(spec, find, needed) }
    }

    /// Returns the multiply-adds of the scores of a mask that needs images or gradients, with all weights.
    pub fn score_macs(&self, mask: &MaskRule) -> u64 {
        let network = &self.resolved.network;
        let forward = network.macs(network.weight_counts());
        // No image is taken twice. Classes are taken to have equally many.
        let images = |images: ScoreImages| {
            let named = match images {
                ScoreImages::ImagesPerClass(count) => u64::from(count) * network.classes as u64,
                ScoreImages::Batches(count) => u64::from(count) * u64::from(self.experiment.train.batch_size),
            };
            named.min(u64::from(self.resolved.images.train))
        };
        match mask {
            MaskRule::AtInit { scoring: Scoring { method, steps, images: on, .. }, .. } => {
                let passes = if *method == AtInitMethod::Grasp { HESSIAN_PRODUCT } else { GRADIENT };
                // SynFlow has one image of ones.
                forward.saturating_mul(passes * u64::from(*steps) * on.map_or(1, images))
            }
            _ => forward.saturating_mul(self.experiment.prune.score.map_or(0, images)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::study;
    use super::*;

    #[test]
    fn cost_of_masks_by_hand() {
        let arms = "arms={ticket={mask='iterative',weights='rewind'},late={mask='iterative',weights='rewind',\
                    rewind_to='20it'},tuned={mask='iterative',weights='final'},\
                    reinit={mask={of='ticket'},weights='reinit'},random={mask={random='ticket'},weights='reinit'},\
                    shot={mask={one_shot={like='ticket'}},weights='rewind'},\
                    snip={mask={at_init={method='snip',like='ticket'}},weights='rewind'},\
                    grasp={mask={at_init={method='grasp',like='ticket',score={batches=2}}},weights='rewind'},\
                    synflow={mask={at_init={method='synflow',like='ticket'}},weights='rewind',rewind_to='20it'},\
                    all={mask={at_init={method='snip',like='ticket',score={batches=1000}}},weights='rewind'},\
                    early={mask={early_bird={like='ticket',every='10it'}},weights='rewind'},\
                    magnitude={mask={at_init={method='magnitude',like='ticket'}},weights='rewind'}}";
        let study = study(&["replicates=1", "rounds=3", "train.iterations=100", "train.batch_size=50", arms]);
        let trainings = &study.plan.trainings;
        // Dense networks have 25,760 multiply-adds for an image; pruned ones are taken to have as many thousands as rounds.
        let macs = |spec: &TrainingSpec| if spec.round.0 == 0 { 25_760 } else { 1000 * u64::from(spec.round.0) };
        let known = |spec| KnownTraining { spec, macs: macs(spec), drawn_at: Some(30) };
        let find = |key: &ContentHash| trainings.iter().find(|spec| spec.key == *key).map(known);
        let cost = |arm: &str, round: u32| {
            let spec = trainings.iter().find(|spec| spec.arm == arm && spec.round.0 == round).unwrap();
            let SearchCost { iterations, macs } = study.search_cost(spec, &find).unwrap();
            (iterations, macs)
        };
        // Three times 50 images in each iteration.
        let (dense, round_1, round_2) = (100 * 150 * 25_760, 100 * 150 * 1000, 100 * 150 * 2000);
        assert_eq!(cost("dense", 0), (0, 0));
        assert_eq!(cost("ticket", 1), (100, dense));
        assert_eq!(cost("ticket", 3), (300, dense + round_1 + round_2));
        // 80 iterations of each round after the rewind; those of the dense network before it are counted already.
        assert_eq!(cost("late", 2), (180, dense + 80 * 150 * 1000));
        assert_eq!(cost("tuned", 2), (200, dense + round_1));
        assert_eq!((cost("reinit", 3), cost("random", 3)), (cost("ticket", 3), cost("ticket", 3)));
        assert_eq!(cost("shot", 3), (100, dense));
        assert_eq!(cost("snip", 2), (0, 3 * 10 * 10 * 25_760), "ten images of each of ten classes");
        assert_eq!(cost("grasp", 2), (0, 12 * 2 * 50 * 25_760));
        assert_eq!(
            cost("synflow", 2),
            (20, 3 * 100 * 25_760 + 20 * 150 * 25_760),
            "and 20 iterations to the rewind point"
        );
        assert_eq!(cost("magnitude", 2), (0, 0));
        assert_eq!(cost("early", 2), (30, 30 * 150 * 25_760), "the dense network until the mask was drawn");
        assert_eq!(cost("all", 2), (0, 3 * 1200 * 25_760), "all training images, of which there are 1,200");
    }

    #[test]
    fn cost_of_masks_that_change_by_hand() {
        let random = "mask={at_init={method='random',cut=[0.8]}},weights='rewind'";
        let arms = format!(
            "arms={{set={{{random},mask_updates={{method='set',every='10it'}}}},\
             rigl={{{random},mask_updates={{method='rigl',every='10it'}},length=2}},\
             gmp={{mask='dense',weights='rewind',mask_updates={{method='gmp',cut=[0.8],every='10it'}}}},\
             of={{mask={{of='rigl'}},weights='reinit'}}}}"
        );
        let study = study(&["replicates=1", "rounds=1", "train.iterations=100", "train.batch_size=50", &arms]);
        let trainings = &study.plan.trainings;
        let spec = |arm: &str| trainings.iter().find(|spec| spec.arm == arm).unwrap();
        let kept = spec("set").counts.layers.clone().unwrap();
        let (sparse, dense) = (study.resolved.network.macs(&kept), 25_760);
        let whole = |arm: &str| {
            let spec = spec(arm);
            study.training_macs(spec, study.mean_macs(spec, &kept))
        };
        assert_eq!(whole("set"), 100 * 150 * sparse);
        // Fifteen updates of 200 iterations, each with a gradient of all weights instead of the kept ones.
        assert_eq!(whole("rigl"), 200 * 150 * sparse + 15 * 50 * (dense - sparse));
        // Prunings at the iterations 20, 30, …, 70, after which 1, (4/5)³, …, 0 of what is pruned at last remain for ten
        // iterations each: 20 + 10 · 1.8 of 100 iterations with all of it.
        let mean = sparse as f64 + 0.38 * (dense - sparse) as f64;
        let error = (whole("gmp") as f64 / (100.0 * 150.0 * mean) - 1.0).abs();
        assert!(error < 1e-3, "{error}: counts are rounded in each layer");
        let find = |key: &ContentHash| {
            let known = |spec| KnownTraining { spec, macs: study.mean_macs(spec, &kept), drawn_at: None };
            trainings.iter().find(|spec| spec.key == *key).map(known)
        };
        let cost = study.search_cost(spec("of"), &find).unwrap();
        assert_eq!((cost.iterations, cost.macs), (200, whole("rigl")), "the mask at the end needs the training");
        assert_eq!(study.search_cost(spec("rigl"), &find).unwrap(), SearchCost::default());
    }

    // regression: each round of fine-tuning was followed twice, by its mask and by its weights: 2^40 steps
    #[test]
    fn cost_of_a_long_chain_of_fine_tuning_is_found_at_once() {
        let arms = "arms={tuned={mask='iterative',weights='final'}}";
        let study = study(&["replicates=1", "rounds=24", "prune.rate={linear=0.05,output=0.05}", arms]);
        let trainings = &study.plan.trainings;
        let known = |spec| KnownTraining { spec, macs: 1, drawn_at: None };
        let find = |key: &ContentHash| trainings.iter().find(|spec| spec.key == *key).map(known);
        let start = std::time::Instant::now();
        let cost = study.search_cost(trainings.last().unwrap(), &find).unwrap();
        assert_eq!(cost.iterations, 24 * study.experiment.train.iterations);
        assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    }
}
