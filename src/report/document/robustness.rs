//! The section on robustness, calibration and accuracy by class.

use super::super::analysis::RunAnalysis;
use super::super::roles::ArmRole;
use super::{PageElement, test_note};
use crate::artifacts::RobustnessData;
use crate::report::class_accuracy::{self, MAX_CLASSES};
use crate::report::robustness::{measures_note, robustness_table};
use crate::report::robustness_comparison::{DECIDED, sentences, table};
use crate::report::roles::arm_roles;

/// Returns the section on a run under a heading of `level`; empty if nothing was measured.
pub(super) fn robustness(analysis: &RunAnalysis, level: usize) -> Vec<PageElement> {
    let roles = arm_roles(&analysis.run, analysis.experiment.as_ref());
    section(&analysis.robustness, &roles, &test_note(analysis), level)
}

/// Returns the section on networks whose arms have `roles`, under a heading of `level`; empty if nothing was measured.
/// `test_note`: a sentence on the test images with a space before it, or nothing.
pub(super) fn section(data: &RobustnessData, roles: &[ArmRole], test_note: &str, level: usize) -> Vec<PageElement> {
    if data.calibration.is_empty() {
        return Vec::new();
    }
    let explanation = format!(
        "Final weights under their masks, on test images as they are, corrupted (mean accuracy over the kinds and their \
         five levels) and attacked (mean accuracy over ε, a norm in units of pixels in [0, 1]). The calibration error is \
         the expected calibration error: the mean over images of |accuracy − mean confidence| in the one of 15 equal bins \
         of confidence that the image is in (Guo et al. 2017). Mean (minimum–maximum) over n training runs. {}{}",
        measures_note(data),
        test_note
    );
    let mut elements = vec![
        PageElement::Heading(level, "Robustness and calibration".to_owned()),
        PageElement::Text(explanation),
        PageElement::Table(robustness_table(data)),
    ];
    let differences = table(data, roles);
    if !differences.rows.is_empty() {
        elements.push(PageElement::Heading(level + 1, "Tickets compared".to_owned()));
        elements.push(PageElement::List(sentences(data, roles)));
        elements.push(PageElement::Text(format!(
            "Mean of the paired differences over n replicates (one-sided 95% lower and upper bounds by Student's t); \
             {DECIDED}: not 0 after Holm's correction for both directions at all rounds of the comparison, and undecided \
             otherwise. A network that is more accurate on images as they are is usually more accurate on changed images \
             too: compare with the differences in test accuracy. Networks are not trained against attacks."
        )));
        elements.push(PageElement::Table(differences));
    }
    let classes = class_accuracy::table(&data.classes);
    if !classes.rows.is_empty() {
        elements.push(PageElement::Heading(level + 1, "Accuracy by class".to_owned()));
        elements.push(PageElement::Text(format!(
            "Test accuracy of each class minus that of the dense network of the same replicate, in points: mean \
             (minimum–maximum) over n training runs. Of more than {MAX_CLASSES} classes, those with the lowest means."
        )));
        elements.push(PageElement::Table(classes));
    }
    elements
}
