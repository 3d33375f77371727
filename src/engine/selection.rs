//! The choice of the engine for each training run: of the engines that support it, the one with the lowest estimated
//! step cost.

use super::registry::{EngineKind, Unsupported};
use super::trainer::TrainerSpec;
use super::workload::Workload;
use crate::base::units::Nanoseconds;
use crate::config::EngineChoice;

/// Selects the engine of each training run of an experiment. The argument `kept` of its methods is the number of kept
/// weights of each prunable layer, in the network's order.
#[derive(Clone, Debug)]
pub struct EngineSelector {
    /// The requested engine, or every engine that supports the experiment.
    candidates: Vec<EngineKind>,
    /// The sizes of the network and its batches.
    workload: Workload,
}

impl EngineSelector {
    /// Returns the selector of an experiment that trains `lanes` networks in lockstep.
    ///
    /// # Errors
    /// Fails if the requested engine does not support the experiment.
    pub fn new(choice: EngineChoice, spec: &TrainerSpec, lanes: usize) -> Result<Self, Unsupported> {
        let supports = |kind: &EngineKind| kind.engine().supports(spec, lanes);
        let candidates = match requested(choice) {
            Some(kind) => {
                supports(&kind)?;
                vec![kind]
            }
            None => EngineKind::ALL.into_iter().filter(|kind| supports(kind).is_ok()).collect(),
        };
        Ok(Self { candidates, workload: Workload::new(spec) })
    }

    /// Returns the engine of a training run: the candidate with the cheapest step. The cost of evaluations is not
    /// counted, because the engines' evaluations cost the same at about the number of weights at which their steps do.
    pub fn select(&self, kept: &[u64]) -> EngineKind {
        let cost = |kind: &EngineKind| self.step_cost(*kind, kept).0;
        let cheapest = self.candidates.iter().copied().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        // The dense engine supports every training run, so there is always a candidate.
        cheapest.unwrap_or(EngineKind::Dense)
    }

    /// Returns the estimated time of one optimizer step.
    pub fn step_cost(&self, kind: EngineKind, kept: &[u64]) -> Nanoseconds {
        kind.engine().step_cost(&self.workload, kept)
    }

    /// Returns the estimated time per image of an evaluation of many images.
    pub fn evaluation_cost(&self, kind: EngineKind, kept: &[u64]) -> Nanoseconds {
        kind.engine().evaluation_cost(&self.workload, kept)
    }
}

/// Returns the engine that a configuration requests; `None` if the cheapest is to be selected.
fn requested(choice: EngineChoice) -> Option<EngineKind> {
    match choice {
        EngineChoice::Auto => None,
        EngineChoice::Dense => Some(EngineKind::Dense),
        EngineChoice::Sparse => Some(EngineKind::Sparse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigDocument, Dtype, read};
    use crate::engine::registry::Conflict;
    use crate::network::build;

    /// `LeNet-300-100` in batches of 60.
    fn spec(dtype: Dtype) -> TrainerSpec {
        let sets = ["network.architecture=lenet_300_100", "train.batch_size=60"].map(str::to_owned);
        let text = include_str!("../../configs/smoke.toml");
        let mut experiment = read(&ConfigDocument::parse("smoke.toml", text, &sets).unwrap()).unwrap();
        experiment.train.dtype = dtype;
        TrainerSpec::new(build(&experiment.network, [1, 28, 28], 10).unwrap(), &experiment, None)
    }

    fn selector(choice: EngineChoice, dtype: Dtype) -> EngineSelector {
        EngineSelector::new(choice, &spec(dtype), 1).unwrap()
    }

    /// Returns the kept weights per layer if every layer keeps `percent` %.
    fn kept(percent: u64) -> [u64; 3] {
        [235_200, 30_000, 1_000].map(|size| size * percent / 100)
    }

    #[test]
    fn auto_selects_dense_for_dense_networks_and_sparse_for_sparse_ones() {
        let auto = selector(EngineChoice::Auto, Dtype::Float32);
        assert_eq!(
            [100, 20, 3].map(|percent| auto.select(&kept(percent))),
            [EngineKind::Dense, EngineKind::Sparse, EngineKind::Sparse]
        );
        // The sparse engine is selected up to one density, where its step costs as much as the dense engine's.
        let break_even = (1..=100).filter(|&percent| auto.select(&kept(percent)) == EngineKind::Sparse).max().unwrap();
        assert!((65..76).contains(&break_even), "{break_even} %: measured between 64 and 80");
        assert!((1..=break_even).all(|percent| auto.select(&kept(percent)) == EngineKind::Sparse));
    }

    #[test]
    fn requested_engine_is_selected_at_any_cost() {
        assert_eq!(selector(EngineChoice::Dense, Dtype::Float32).select(&kept(1)), EngineKind::Dense);
        assert_eq!(selector(EngineChoice::Sparse, Dtype::Float32).select(&kept(100)), EngineKind::Sparse);
    }

    #[test]
    fn unsupported_engine_is_not_selected_and_refused_if_requested() {
        assert_eq!(selector(EngineChoice::Auto, Dtype::Float64).select(&kept(1)), EngineKind::Dense);
        let on_gpu = TrainerSpec { gpu: Some(0), ..spec(Dtype::Float32) };
        assert_eq!(EngineSelector::new(EngineChoice::Auto, &on_gpu, 1).unwrap().select(&kept(1)), EngineKind::Dense);
        let lanes = EngineSelector::new(EngineChoice::Auto, &spec(Dtype::Float32), 2).unwrap();
        assert_eq!(lanes.select(&kept(1)), EngineKind::Dense);
        let conflict = |spec: &TrainerSpec, lanes| {
            EngineSelector::new(EngineChoice::Sparse, spec, lanes)
                .map_err(|unsupported| unsupported.conflict)
                .unwrap_err()
        };
        assert_eq!(conflict(&spec(Dtype::Float64), 2), Conflict::Dtype { supported: Dtype::Float32 });
        assert_eq!(conflict(&on_gpu, 1), Conflict::Device { supported: "cpu" });
        assert_eq!(conflict(&spec(Dtype::Float32), 2), Conflict::Lanes { supported: 1 });
    }

    #[test]
    fn cost_is_the_sum_of_its_parts() {
        // The numbers are the engines' constants, written out: keys depend on the estimates, so a change must be
        // noticed.
        let auto = selector(EngineChoice::Auto, Dtype::Float32);
        // Weights of the first layer, and of the two others.
        let first = 235_200.0;
        let inner = 31_000.0;
        let dense = 60.0 * 13e-3 * (2.0 * first + 3.0 * inner) + 0.55 * (first + inner);
        assert!((auto.step_cost(EngineKind::Dense, &kept(10)).0 / dense - 1.0).abs() < 1e-12);
        let sparse = 0.1 * (2.9 * first + 4.2 * inner) + 20.0 * 784.0;
        assert!((auto.step_cost(EngineKind::Sparse, &kept(10)).0 / sparse - 1.0).abs() < 1e-12);
        let evaluation = (0.1 * 1.15 * (first + inner) + 5.0 * 784.0) / 64.0;
        assert!((auto.evaluation_cost(EngineKind::Sparse, &kept(10)).0 / evaluation - 1.0).abs() < 1e-12);
    }

    // regression: the sparse cost ignored how often a weight is used, which is 1 in linear layers only
    #[test]
    fn cost_counts_every_multiply_add_of_a_weight() {
        let linear = Workload::new(&spec(Dtype::Float32));
        let mut conv = linear.clone();
        conv.layers.iter_mut().for_each(|layer| layer.macs_per_weight = 100);
        for kind in EngineKind::ALL {
            let ratio = kind.engine().step_cost(&conv, &kept(50)).0 / kind.engine().step_cost(&linear, &kept(50)).0;
            assert!(ratio > 50.0 && ratio < 100.0, "{kind:?}: {ratio}");
        }
    }
}
