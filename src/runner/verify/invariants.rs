//! Checks the masks and weights of the store by the invariants of the audit, and makes again what can be made from
//! other stored files.

use anyhow::{Result, ensure};

use super::super::events::TrainingId;
use super::super::store::{Unavailable, read_verified};
use super::check::{Check, DEFECT, advice_on_error};
use super::verifier::Verifier;
use crate::artifacts::EntryManifest;
use crate::base::curve::Curve;
use crate::base::key::sha256;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::tensors::Snapshot;
use crate::base::units::Iteration;
use crate::lottery::{
    ArtifactSource as _, AuditError, StartRule, TrainingSpec, audit_end, audit_initial, audit_learned_weights,
    audit_mask, audit_stored_start, audit_updated_masks, prepare, weight_stats,
};
use crate::system::paths::TrainingDir;
use crate::train::UpdatedMasks;

/// The outcome of a check of one training run.
enum Finding {
    /// Everything holds.
    Holds,
    /// Something does not hold or cannot be read, and what to do.
    Broken(String, &'static str),
    /// It could not be checked: a file that it needs was freed or is damaged, which the check of entries reports.
    Unknown,
}

impl Finding {
    /// Returns the finding of a check that fails where an invariant does not hold, or with [`Unavailable`].
    fn of(result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::Holds,
            Err(error) if error.is::<Unavailable>() => Self::Unknown,
            Err(error) => Self::Broken(format!("{error:#}"), advice_on_error(&error, DEFECT)),
        }
    }
}

impl Verifier<'_> {
    /// Returns the checks of masks, starting states, final weights, curves and weight statistics.
    pub(super) fn check_invariants(&self) -> Vec<Check> {
        let freed = "weights that they need were freed";
        vec![
            self.check_each(
                "masks",
                "weights kept as planned, masks within their parents', controls with the counts of their tickets",
                "a mask that it needs is missing",
                |spec, manifest| self.check_mask(spec, manifest),
            ),
            self.check_pruning(freed),
            self.check_each(
                "starts",
                "starting weights made again: θ₀ from the seed, tickets rewound to θ₀ or θₖ exactly",
                freed,
                |spec, _| self.check_start(spec),
            ),
            self.check_each("weights", "pruned weights exactly 0, in stored final weights and snapshots", freed, {
                |spec, manifest| self.check_weights(spec, manifest)
            }),
            self.check_each(
                "curves",
                "evaluations at the planned iterations, with finite losses",
                "their curves are missing",
                |spec, manifest| self.check_curve(spec, manifest),
            ),
            self.check_each("weight statistics", "weights.json made again from the stored weights", freed, {
                |spec, manifest| self.check_stats(spec, manifest)
            }),
        ]
    }

    /// Returns a check of each training run whose entry is whole. `left_out`: the reason why some could not be checked.
    fn check_each(
        &self,
        name: &'static str,
        about: &'static str,
        left_out: &str,
        audit: impl Fn(&TrainingSpec, &EntryManifest) -> Result<()>,
    ) -> Check {
        check_each_of(self.trainings(), name, about, left_out, audit)
    }

    /// Returns the mask of a training run whose entry is whole.
    fn mask(&self, spec: &TrainingSpec) -> Result<Mask> {
        self.store.mask(&spec.key)
    }

    /// Fails if the mask has other counts than the manifest says, or breaks an invariant of masks.
    fn check_mask(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Result<()> {
        let mask = self.mask(spec)?;
        let is_counted = mask.kept_counts() == manifest.weights_kept;
        ensure!(is_counted, AuditError::new("its mask keeps other counts than its manifest says"));
        let start = self.store.start_mask(spec)?;
        if spec.updates.is_some() && manifest.outcome == Outcome::Done {
            let masks = UpdatedMasks { current: mask, ever_kept: self.store.ever_kept(spec)? };
            audit_updated_masks(spec, self.context(), &start, &masks)?;
        }
        audit_mask(spec, self.context(), &start)
    }

    /// Returns the check of the masks that can be made again without the training images.
    fn check_pruning(&self, freed: &str) -> Check {
        let (with_images, others): (Vec<_>, Vec<_>) =
            self.trainings().into_iter().partition(|(spec, _)| self.study.needs_probe(&spec.mask));
        let mut check =
            check_each_of(others, "pruning", "masks made again from the stored weights", freed, |spec, _| {
                let made = prepare(spec, self.context())?;
                ensure!(
                    made.mask == self.store.start_mask(spec)?,
                    AuditError::new("its mask is not the one that pruning makes")
                );
                Ok(())
            });
        check.note_left_out(
            with_images.len(),
            "their scores need the images; the check `scores` of `--deep` makes them",
        );
        check
    }

    /// Fails if the starting weights are not those that the plan determines.
    fn check_start(&self, spec: &TrainingSpec) -> Result<()> {
        let mask = self.store.start_mask(spec)?;
        if spec.start == StartRule::Initial {
            audit_initial(spec, self.context(), &self.store.initial_weights(&spec.key)?)?;
        }
        audit_stored_start(spec, self.context(), &mask)
    }

    /// Fails if a pruned weight is not 0 in a stored state, and with [`Unavailable`] if all states were freed.
    fn check_weights(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Result<()> {
        let mask = self.mask(spec)?;
        let mut result = Err(Unavailable(self.store.runs.training_dir(&spec.key).0).into());
        for name in manifest.files.keys().filter(|name| TrainingDir::can_be_freed(name)) {
            match self.state(spec, name) {
                Ok(state) => {
                    audit_end(&mask, &state)?;
                    if spec.supermask().is_some() {
                        let (weights, _) = self.context().split_buffers(state.weights);
                        audit_learned_weights(spec, self.context(), [&self.store.start_mask(spec)?, &mask], &weights)?;
                    }
                    result = Ok(());
                }
                Err(error) if error.is::<Unavailable>() => {}
                Err(error) => return Err(error),
            }
        }
        result
    }

    /// Returns the stored state in the file `name` of a training run: its final weights, or a snapshot.
    fn state(&self, spec: &TrainingSpec, name: &str) -> Result<Snapshot> {
        match TrainingDir::iteration_of_snapshot(name) {
            Some(iteration) => self.store.snapshot(&spec.key, Iteration(iteration)),
            None => Ok(Snapshot::initial(self.store.final_weights(&spec.key)?)),
        }
    }

    /// Fails if a curve has other iterations than planned, or a loss or accuracy out of range.
    fn check_curve(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Result<()> {
        let entry = self.store.runs.training_dir(&spec.key);
        let bytes = read_verified(&entry, manifest, TrainingDir::CURVE)?;
        let curve: Curve = serde_json::from_slice(&bytes.ok_or_else(|| Unavailable(entry.file(TrainingDir::CURVE)))?)?;
        let last = match manifest.outcome {
            Outcome::Diverged { iteration } => iteration.saturating_sub(1),
            _ => spec.last_iteration.0,
        };
        let (first, every) = (spec.start.iteration().0, self.study.experiment.train.evaluate_every);
        let is_due = |&iteration: &u64| {
            iteration == first || iteration == spec.last_iteration.0 || iteration.is_multiple_of(every)
        };
        let expected = (first..=last).filter(is_due);
        ensure!(
            curve.0.iter().map(|evaluation| evaluation.iteration).eq(expected),
            AuditError::new("it has evaluations at other iterations than planned")
        );
        let losses = curve.0.iter().flat_map(|point| [point.train, point.validation, point.test]);
        ensure!(
            losses.into_iter().all(|score| score.loss.is_finite() && (0.0..=1.0).contains(&score.accuracy)),
            AuditError::new("it has a loss that is not finite, or an accuracy outside 0..=1")
        );
        Ok(())
    }

    /// Fails if the stored statistics are not those of the stored weights.
    fn check_stats(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Result<()> {
        let stats = weight_stats(spec, self.context(), &self.mask(spec)?)?;
        let expected = stats.filter(|_| manifest.outcome == Outcome::Done);
        let bytes = expected.map(|stats| serde_json::to_vec(&stats)).transpose()?;
        let stored = manifest.files.get(TrainingDir::WEIGHT_STATS).map(|sum| sum.sha256.clone());
        let is_equal = bytes.map(|bytes| sha256(&bytes)) == stored;
        ensure!(is_equal, AuditError::new("its statistics are not those of its weights"));
        Ok(())
    }
}

/// Returns a check of each of `trainings`. `left_out`: the reason why some could not be checked.
fn check_each_of(
    trainings: Vec<(&TrainingSpec, &EntryManifest)>,
    name: &'static str,
    about: &'static str,
    left_out: &str,
    audit: impl Fn(&TrainingSpec, &EntryManifest) -> Result<()>,
) -> Check {
    let mut check = Check::new(name, about, "training run");
    let mut unknown = 0;
    for (spec, manifest) in trainings {
        match Finding::of(audit(spec, manifest)) {
            Finding::Holds => check.pass(),
            Finding::Broken(what, advice) => check.differ(TrainingId::of(spec).to_string(), what, advice),
            Finding::Unknown => unknown += 1,
        }
    }
    check.note_left_out(unknown, left_out);
    check
}
