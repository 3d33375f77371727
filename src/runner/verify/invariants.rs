//! Checks the masks and weights of the store by the invariants of the audit, and makes again what can be made from
//! other stored files.

use anyhow::{Result, anyhow, ensure};

use super::super::events::TrainingId;
use super::super::store::read_verified;
use super::check::{Check, DEFECT};
use super::verifier::Verifier;
use crate::artifacts::EntryManifest;
use crate::base::curve::Curve;
use crate::base::mask::Mask;
use crate::base::outcome::Outcome;
use crate::base::tensors::Snapshot;
use crate::base::units::Iteration;
use crate::lottery::{
    ArtifactSource as _, AuditError, StartRule, TrainingSpec, audit_end, audit_initial, audit_mask, audit_stored_start,
    prepare, weight_stats,
};
use crate::system::paths::TrainingDir;

/// The outcome of a check of one training run.
enum Finding {
    /// Everything holds.
    Holds,
    /// Something does not hold.
    Broken(String),
    /// It could not be checked: a file that it needs was freed or is damaged, which the check of entries reports.
    Unknown,
}

impl Finding {
    /// Returns the finding of a function that fails with an [`AuditError`] where an invariant does not hold.
    fn of(result: &Result<()>) -> Self {
        match result {
            Ok(()) => Self::Holds,
            Err(error) if error.is::<AuditError>() => Self::Broken(error.to_string()),
            Err(_) => Self::Unknown,
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
                |spec, manifest| self.mask_finding(spec, manifest),
            ),
            self.check_each("pruning", "masks made again from the stored weights", freed, |spec, _| {
                self.pruning_finding(spec)
            }),
            self.check_each(
                "starts",
                "starting weights made again: θ₀ from the seed, tickets rewound to θ₀ or θₖ exactly",
                freed,
                |spec, _| self.start_finding(spec),
            ),
            self.check_each("weights", "pruned weights exactly 0, in stored final weights and snapshots", freed, {
                |spec, manifest| self.weights_finding(spec, manifest)
            }),
            self.check_each(
                "curves",
                "evaluations at the planned iterations, with finite losses",
                "",
                |spec, manifest| Finding::of(&self.audit_curve(spec, manifest)),
            ),
            self.check_each("weight statistics", "weights.json made again from the stored weights", freed, {
                |spec, manifest| self.stats_finding(spec, manifest)
            }),
        ]
    }

    /// Returns a check of each training run whose entry is whole. `left_out`: the reason why some could not be checked.
    fn check_each(
        &self,
        name: &'static str,
        about: &'static str,
        left_out: &str,
        finding: impl Fn(&TrainingSpec, &EntryManifest) -> Finding,
    ) -> Check {
        let mut check = Check::new(name, about, "training run");
        let mut unknown = 0;
        for (spec, manifest) in self.trainings() {
            match finding(spec, manifest) {
                Finding::Holds => check.pass(),
                Finding::Broken(what) => check.differ(TrainingId::of(spec).to_string(), what, DEFECT),
                Finding::Unknown => unknown += 1,
            }
        }
        check.note_left_out(unknown, left_out);
        check
    }

    /// Returns the mask of a training run whose entry is whole.
    fn mask(&self, spec: &TrainingSpec) -> Result<Mask> {
        self.store.mask(&spec.key)
    }

    fn mask_finding(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Finding {
        let Ok(mask) = self.mask(spec) else { return Finding::Unknown };
        if mask.kept_counts() != manifest.weights_kept {
            return Finding::Broken("its mask keeps other counts than its manifest says".to_owned());
        }
        Finding::of(&audit_mask(spec, self.context(), &mask))
    }

    fn pruning_finding(&self, spec: &TrainingSpec) -> Finding {
        match (prepare(spec, self.context()), self.mask(spec)) {
            (Ok((made, _)), Ok(stored)) if made == stored => Finding::Holds,
            (Ok(_), Ok(_)) => Finding::Broken("its mask is not the one that pruning makes".to_owned()),
            _ => Finding::Unknown,
        }
    }

    fn start_finding(&self, spec: &TrainingSpec) -> Finding {
        let audit = || {
            let mask = self.mask(spec)?;
            if spec.start == StartRule::Initial {
                audit_initial(spec, self.context(), &self.store.initial_weights(&spec.key)?)?;
            }
            audit_stored_start(spec, self.context(), &mask)
        };
        Finding::of(&audit())
    }

    fn weights_finding(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Finding {
        let Ok(mask) = self.mask(spec) else { return Finding::Unknown };
        let stored = manifest.files.keys().filter(|name| TrainingDir::can_be_freed(name));
        let states: Vec<Snapshot> = stored.filter_map(|name| self.state(spec, name).ok()).collect();
        if states.is_empty() {
            return Finding::Unknown;
        }
        Finding::of(&states.iter().try_for_each(|state| audit_end(&mask, state)))
    }

    /// Returns the stored state in the file `name` of a training run: its final weights, or a snapshot.
    fn state(&self, spec: &TrainingSpec, name: &str) -> Result<Snapshot> {
        match TrainingDir::iteration_of_snapshot(name) {
            Some(iteration) => self.store.snapshot(&spec.key, Iteration(iteration)),
            None => Ok(Snapshot::initial(self.store.final_weights(&spec.key)?)),
        }
    }

    /// Checks the iterations and losses of a curve.
    fn audit_curve(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Result<()> {
        let entry = self.store.runs.training_dir(&spec.key);
        let bytes = read_verified(&entry, manifest, TrainingDir::CURVE)?;
        let curve: Curve = serde_json::from_slice(&bytes.ok_or_else(|| anyhow!("no curve"))?)?;
        let last = match manifest.outcome {
            Outcome::Diverged { iteration } => iteration.saturating_sub(1),
            _ => self.study.last_iteration().0,
        };
        let (first, every) = (spec.start.iteration().0, self.study.experiment.train.evaluate_every);
        let is_due = |&iteration: &u64| {
            iteration == first || iteration == self.study.last_iteration().0 || iteration.is_multiple_of(every)
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

    fn stats_finding(&self, spec: &TrainingSpec, manifest: &EntryManifest) -> Finding {
        let made = self.mask(spec).and_then(|mask| weight_stats(spec, self.context(), &mask));
        let expected = match (made, &manifest.outcome) {
            (Ok(stats), Outcome::Done) => stats,
            (Ok(_), _) => None,
            (Err(_), _) => return Finding::Unknown,
        };
        let stored = manifest.files.get(TrainingDir::WEIGHT_STATS).map(|sum| sum.sha256.clone());
        let bytes = expected.map(|stats| serde_json::to_vec(&stats)).transpose();
        let is_equal = bytes.is_ok_and(|bytes| bytes.map(|bytes| crate::base::key::sha256(&bytes)) == stored);
        if is_equal {
            Finding::Holds
        } else {
            Finding::Broken("its statistics are not those of its weights".to_owned())
        }
    }
}
