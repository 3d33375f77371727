//! Checks of arms that need the network: what they ask for cannot be trained or pruned.

use super::resolved::ResolvedExperiment;
use crate::base::format::with_thousands;
use crate::base::units::Round;
use crate::config::{Diagnostic, Dtype, EarlyBird, EngineChoice, Experiment, Supermask};
use crate::network::Network;
use crate::prune::RemainingCounts;

/// Largest number of masks that an early-bird mask is drawn from: the weights of each are stored.
const MAX_MASKS: u64 = 1000;

/// Reports a target of gradual pruning that keeps more weights than the mask at the start, in all or in a layer. `key` is
/// the path of the table.
pub(super) fn denser_than_start(
    start: &RemainingCounts,
    target: &RemainingCounts,
    round: Round,
    key: &str,
    network: &Network,
) -> Option<Diagnostic> {
    let layers = start.layers.iter().flatten().zip(target.layers.iter().flatten()).zip(network.weights());
    let mut denser_layers = layers.filter(|((start, target), _)| target > start);
    let (of, start, target) = match denser_layers.next() {
        Some(((start, target), weight)) => (format!("`{}`", weight.layer), *start, *target),
        None if target.kept > start.kept => ("the mask".to_owned(), start.kept, target.kept),
        None => return None,
    };
    let [start, target] = [start, target].map(with_thousands);
    let message = format!(
        "at round {round}, {of} starts with {start} weights and would have to end with {target}: `gmp` only prunes"
    );
    Some(
        Diagnostic::new(key, message)
            .hint("begin with a larger mask, or choose a smaller target or another allocation"),
    )
}

/// Reports an experiment in which no trainer can train the scores of the arm `name`.
pub(super) fn cannot_train_scores(
    name: &str,
    supermask: Supermask,
    experiment: &Experiment,
    resolved: &ResolvedExperiment,
) -> Option<Diagnostic> {
    let excluded = excluded_layers(resolved);
    if supermask == Supermask::Bernoulli && !excluded.is_empty() {
        let message = format!(
            "`bernoulli` trains the masks of all layers, and `[prune]` keeps {} whole",
            excluded.iter().map(|layer| format!("`{layer}`")).collect::<Vec<_>>().join(", ")
        );
        let hint = "use `edge_popup`, or exclude no layer and give each a rate above 0";
        return Some(Diagnostic::new(format!("arms.{name}.mask_updates"), message).hint(hint));
    }
    if experiment.run.engine == EngineChoice::Sparse {
        let message =
            format!("the sparse trainer cannot be used: it trains weights, and the arm `{name}` trains scores");
        return Some(Diagnostic::new("run.engine", message).hint("set `run.engine` to `dense` or `auto`"));
    }
    (experiment.train.dtype == Dtype::Float64).then(|| {
        let message = format!("scores are trained in float32, and the arm `{name}` trains them");
        Diagnostic::new("train.dtype", message).hint("leave `train.dtype` out")
    })
}

/// Reports an early-bird mask of the arm `name` that could never be drawn, and one that would be compared too often.
pub(super) fn too_few_masks(
    name: &str,
    mask: &EarlyBird,
    experiment: &Experiment,
    resolved: &ResolvedExperiment,
) -> Option<Diagnostic> {
    let every = mask.every.to_iterations(resolved.iterations_per_epoch).max(1);
    let masks = experiment.train.iterations / every + 1;
    let key = format!("arms.{name}.mask.early_bird.every");
    if masks < u64::from(mask.window) {
        let iterations = experiment.train.iterations;
        let message = format!(
            "{} iterations have {masks} masks for `{name}`, one every {every} iterations, and {} in a row are compared",
            with_thousands(iterations),
            mask.window
        );
        let most = (iterations / u64::from(mask.window - 1)).max(1);
        return Some(Diagnostic::new(key, message).hint(format!("at most `every = \"{most}it\"`; or train longer")));
    }
    (masks > MAX_MASKS).then(|| {
        let message = format!("{masks} masks would be compared, and the weights of each kept until then");
        Diagnostic::new(key, message).hint(format!("at most {MAX_MASKS}: compare less often"))
    })
}

/// Returns the names of the layers that `[prune]` keeps whole.
pub(super) fn excluded_layers(resolved: &ResolvedExperiment) -> Vec<String> {
    let layers = resolved.network.weights().iter().zip(resolved.pruning.included());
    layers.filter(|(_, included)| !included).map(|(weight, _)| weight.layer.clone()).collect()
}

/// Reports the first round that would prune nothing. `counts`: by round from 0.
pub(super) fn rounds_without_effect(counts: &[RemainingCounts]) -> Option<Diagnostic> {
    let round = (1..counts.len()).find(|&round| counts[round].kept == counts[round - 1].kept)?;
    let kept = counts[round].kept;
    let message = format!("round {round} would prune nothing: {kept} weights remain");
    Some(if kept == 0 {
        Diagnostic::new("rounds", message).hint(format!("set `rounds` to {} or lower `prune.rate`", round - 1))
    } else if round == 1 {
        Diagnostic::new("prune", message).hint("raise `prune.rate` or exclude less")
    } else {
        Diagnostic::new("rounds", message).hint(format!("set `rounds` to {} or raise `prune.rate`", round - 1))
    })
}
