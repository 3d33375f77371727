//! The columns of `rounds.csv` on masks: what finding a mask has cost, its dead units, and its overlap with the mask of
//! the reference arm.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use super::store::{Store, StoredTraining, Unavailable};
use crate::base::key::ContentHash;
use crate::base::mask::Mask;
use crate::config::MaskSource;
use crate::lottery::{ArtifactSource as _, KnownTraining, SearchCost, Study, TrainingSpec};
use crate::network::dead_units;
use crate::system::retry::io_error;

/// The numbers of one training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MaskNumbers {
    /// Iterations of other training runs that mask and starting weights need.
    pub(super) search_iterations: Option<u64>,
    /// Multiply-adds of these training runs, and of the scores that masks were made with.
    pub(super) search_macs: Option<u64>,
    /// `search_macs` and those of the training run itself.
    pub(super) total_macs: Option<u64>,
    /// Number of weights that some mask of the training run kept.
    pub(super) ever_kept: Option<u64>,
    /// Number of units that no kept weight leads into or reads.
    pub(super) dead_units: Option<u64>,
    /// Intersection over union with the mask of the reference arm, and that arm's name.
    pub(super) mask_overlap: Option<(f64, String)>,
}

/// Computes the columns on masks. Remembers what it has read masks for.
pub struct MaskColumns<'a> {
    study: &'a Study,
    store: &'a Store,
    by_key: BTreeMap<ContentHash, &'a TrainingSpec>,
    /// The training runs by arm, replicate, repeat and round.
    by_place: BTreeMap<(&'a str, u32, u32, u32), &'a TrainingSpec>,
    ever_kept: Mutex<BTreeMap<ContentHash, Option<u64>>>,
    dead_units: Mutex<BTreeMap<ContentHash, Option<u64>>>,
    overlaps: Mutex<BTreeMap<(ContentHash, ContentHash), Option<f64>>>,
}

impl<'a> MaskColumns<'a> {
    /// Returns the columns of the training runs of `study` in `store`.
    pub fn new(study: &'a Study, store: &'a Store) -> Self {
        let trainings = &study.plan.trainings;
        let place = |spec: &'a TrainingSpec| (spec.arm.as_str(), spec.replicate, spec.repeat, spec.round.0);
        Self {
            study,
            store,
            by_key: trainings.iter().rev().map(|spec| (spec.key, spec)).collect(),
            by_place: trainings.iter().map(|spec| (place(spec), spec)).collect(),
            ever_kept: Mutex::default(),
            dead_units: Mutex::default(),
            overlaps: Mutex::default(),
        }
    }

    /// Returns the numbers of a stored training run. `stored` returns the result of a training run, if it has one.
    ///
    /// # Errors
    /// Fails if a mask cannot be read for a reason that may pass. Without it, bytes of the row would depend on the fault.
    pub(super) fn of(
        &self,
        spec: &TrainingSpec,
        result: &StoredTraining,
        stored: &dyn Fn(&TrainingSpec) -> Option<Arc<StoredTraining>>,
    ) -> Result<MaskNumbers> {
        let find = |key: &ContentHash| {
            let other = *self.by_key.get(key)?;
            let result = stored(other)?;
            let macs = self.study.mean_macs(other, &result.weights_kept);
            Some(KnownTraining { spec: other, macs, drawn_at: result.drawn_at })
        };
        let cost = self.study.search_cost(spec, &find);
        let own = self.study.training_macs(spec, self.study.mean_macs(spec, &result.weights_kept));
        let reference = self.reference(spec).filter(|reference| stored(reference).is_some());
        let overlap = match reference {
            Some(reference) => self.overlap(&spec.key, &reference.key)?.map(|value| (value, reference.arm.clone())),
            None => None,
        };
        Ok(MaskNumbers {
            search_iterations: cost.map(|cost| cost.iterations),
            search_macs: cost.map(|cost| cost.macs),
            total_macs: cost.map(|SearchCost { macs, .. }| macs.saturating_add(own)),
            dead_units: self.dead_units(&spec.key)?,
            ever_kept: self.ever_kept(spec, result)?,
            mask_overlap: overlap,
        })
    }

    /// Returns the number of weights that some mask of a training run kept; `None` if the file of them is damaged or
    /// missing.
    fn ever_kept(&self, spec: &TrainingSpec, result: &StoredTraining) -> Result<Option<u64>> {
        if spec.updates.is_none() {
            return Ok(Some(result.weights_kept.iter().sum()));
        }
        let known = || self.ever_kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = known().get(&spec.key) {
            return Ok(*count);
        }
        let count = readable(self.store.ever_kept(spec))?.map(|mask| mask.kept_total());
        known().insert(spec.key, count);
        Ok(count)
    }

    /// Returns the training run of the reference arm at the same replicate and round: of the arm whose mask or size the
    /// mask has, or else of the first other arm that is pruned iteratively, if that keeps as many weights.
    fn reference(&self, spec: &TrainingSpec) -> Option<&'a TrainingSpec> {
        let arms = &self.study.experiment.arms.0;
        let (_, arm) = arms.iter().find(|(name, _)| *name == spec.arm)?;
        let named = match arm.updated_size() {
            Some(size) => size.like(),
            None => arm.mask.reference().map(|(name, _)| name),
        };
        let iterative = || arms.iter().find(|(name, arm)| *name != spec.arm && arm.mask == MaskSource::Iterative);
        let name = named.or_else(|| iterative().map(|(name, _)| name.as_str()))?;
        let at = |repeat| self.by_place.get(&(name, spec.replicate, repeat, spec.round.0)).copied();
        let reference = at(spec.repeat).or_else(|| at(1))?;
        (named.is_some() || reference.counts.kept == spec.counts.kept).then_some(reference)
    }

    /// Returns the number of dead units of a mask; `None` if the mask is damaged or missing.
    fn dead_units(&self, key: &ContentHash) -> Result<Option<u64>> {
        let known = || self.dead_units.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = known().get(key) {
            return Ok(*count);
        }
        let mask = self.mask(key)?;
        let count = mask.map(|mask| dead_units(&self.study.resolved.network, &mask) as u64);
        known().insert(*key, count);
        Ok(count)
    }

    /// Returns the intersection over union of two masks; `None` if one is damaged or missing, or both keep nothing.
    fn overlap(&self, key: &ContentHash, reference: &ContentHash) -> Result<Option<f64>> {
        let known = || self.overlaps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(overlap) = known().get(&(*key, *reference)) {
            return Ok(*overlap);
        }
        let masks = self.mask(key)?.zip(self.mask(reference)?);
        let overlap = masks.and_then(|(mask, reference)| mask.overlap(&reference));
        known().insert((*key, *reference), overlap);
        Ok(overlap)
    }

    /// Returns a stored mask; `None` if it is damaged or missing.
    fn mask(&self, key: &ContentHash) -> Result<Option<Mask>> {
        readable(self.store.mask(key))
    }
}

/// Returns a mask that was read; `None` if it is damaged or missing.
///
/// # Errors
/// Fails if it could not be read for a reason that may pass.
fn readable(mask: Result<Mask>) -> Result<Option<Mask>> {
    match mask {
        Ok(mask) => Ok(Some(mask)),
        Err(error) if !error.is::<Unavailable>() && io_error(&error).is_some() => Err(error),
        Err(_) => Ok(None),
    }
}
