//! Makes the masks again that are made by gradients or activations on the training images.

use std::sync::Arc;

use anyhow::Result;

use super::super::context::RunContext;
use super::super::events::TrainingId;
use super::super::store::Unavailable;
use super::check::{Check, OTHER_NUMBERS};
use super::verifier::Verifier;
use crate::lottery::{PrepareContext, prepare};

/// Makes the mask of each training run again whose scores need the training images, and compares it with the stored one.
/// `None` if the process is to stop.
///
/// # Errors
/// Fails if the data cannot be loaded.
pub fn remake_gradient_masks(verifier: &Verifier<'_>, context: &RunContext<'_>) -> Result<Option<Check>> {
    let mut check = Check::new("scores", "masks made again from gradients or activations", "training run");
    let study = verifier.study;
    let trainings: Vec<_> =
        verifier.trainings().into_iter().filter(|(spec, _)| study.needs_probe(&spec.mask)).collect();
    if trainings.is_empty() {
        return Ok(Some(check));
    }
    let probe = context.trainers.probe(&Arc::new(context.trainers.dataset()?));
    let prepare_context = PrepareContext { study, artifacts: verifier.store, probe: probe.as_ref() };
    let mut freed = 0;
    for (spec, _) in trainings {
        if context.cancel.is_cancelled() {
            return Ok(None);
        }
        let id = || TrainingId::of(spec).to_string();
        match prepare(spec, prepare_context) {
            Ok(made) if made.mask == verifier.store.start_mask(spec)? => check.pass(),
            Ok(_) => check.differ(id(), "its mask is not the one that its scores make".to_owned(), OTHER_NUMBERS),
            Err(error) if error.is::<Unavailable>() => freed += 1,
            Err(error) => check.differ(id(), format!("{error:#}"), OTHER_NUMBERS),
        }
    }
    check.note_left_out(freed, "weights that they need were freed");
    Ok(Some(check))
}
