//! The plan: the experiment as a graph of training runs. Everything that a run trains is a function of this value.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::plan_builder::{PlanBuilder, TrainingCoords};
use super::resolved::ResolvedExperiment;
use super::rules::{MaskRule, StartRule};
use super::training::TrainingSpec;
use super::validate_arms::ValidArms;
use crate::base::key::ContentHash;
use crate::config::{DENSE_ARM, Diagnostic, Experiment};
use crate::engine::EngineKind;

/// The name of the arm of the dense networks.
pub const DENSE: &str = DENSE_ARM;

/// Every training run of an experiment, each after those it depends on.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The training runs in the order of the rows of all CSV files.
    pub trainings: Vec<TrainingSpec>,
}

impl Plan {
    /// Builds the plan: per replicate the dense network, then every arm round by round.
    ///
    /// # Errors
    /// Fails if a round would prune nothing, or if an arm would start at the last iteration or after it.
    pub(super) fn build(
        experiment: &Experiment,
        arms: &ValidArms,
        resolved: &ResolvedExperiment,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut builder = PlanBuilder::new(experiment, arms, resolved)?;
        for replicate in 1..=experiment.replicates {
            let dense = builder.add(DENSE, TrainingCoords::dense(replicate), MaskRule::Dense, StartRule::Initial);
            for arm in 0..builder.arms.len() {
                for repeat in 1..=builder.arms[arm].arm.repeats {
                    let mut previous = dense;
                    for round in builder.arms[arm].rounds.clone() {
                        let coords = TrainingCoords { arm: Some(arm), replicate, repeat, round };
                        let mask = builder.mask(coords, previous, dense);
                        let start = builder.start(coords, &mask, dense);
                        previous = builder.add(builder.arms[arm].name, coords, mask, start);
                    }
                }
            }
        }
        Ok(Self { trainings: builder.trainings })
    }

    /// Returns the hash of the plan: the keys of its training runs and the names of their arms. It identifies a run.
    pub fn id(&self) -> ContentHash {
        let row = |t: &TrainingSpec| json!([t.arm, t.replicate, t.repeat, t.round, t.key]);
        ContentHash::of_json(&Value::Array(self.trainings.iter().map(row).collect()))
    }

    /// Returns the engines of its training runs as text for messages, such as `dense and sparse`.
    pub fn engines(&self) -> String {
        let is_used = |kind: &EngineKind| self.trainings.iter().any(|training| training.engine == *kind);
        let names: Vec<&str> = EngineKind::ALL.into_iter().filter(is_used).map(EngineKind::as_str).collect();
        names.join(" and ")
    }

    /// Returns the training runs with these keys, each key once, in the order of the plan.
    pub fn with_keys(&self, keys: &BTreeSet<ContentHash>) -> Vec<&TrainingSpec> {
        let mut missing = keys.clone();
        self.trainings.iter().filter(|spec| missing.remove(&spec.key)).collect()
    }

    /// Returns the first training run with this key.
    pub fn get(&self, key: &ContentHash) -> Option<&TrainingSpec> {
        self.trainings.iter().find(|training| training.key == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{resolve, study};
    use super::*;

    fn plan(sets: &[&str]) -> Plan {
        study(sets).plan
    }

    fn keys(plan: &Plan) -> Vec<String> {
        plan.trainings.iter().map(|training| training.key.to_string()).collect()
    }

    /// Returns the number of training runs of `b` that are in `a`.
    fn shared_count(a: &Plan, b: &Plan) -> usize {
        b.trainings.iter().filter(|training| a.get(&training.key).is_some()).count()
    }

    #[test]
    fn plan_has_training_runs_after_those_they_depend_on() {
        let plan = plan(&[]);
        assert_eq!(plan.trainings.len(), 2 * (1 + 2 + 2 * 2 + 2));
        for (index, training) in plan.trainings.iter().enumerate() {
            let before = &plan.trainings[..index];
            assert!(
                training.dependencies().iter().all(|(key, _)| before.iter().any(|t| t.key == **key)),
                "{training:?}"
            );
        }
    }

    #[test]
    fn settings_without_effect_do_not_change_keys() {
        let base = keys(&plan(&[]));
        assert_eq!(keys(&plan(&["run.engine=dense"])), base, "an engine that is chosen anyway");
        assert_eq!(keys(&plan(&["name=other", "run.workers=7", "data.dir=elsewhere", "report.margin=2.5"])), base);
        // A key depends on the rules of an arm, not on its name.
        let renamed = plan(&["arms={t={mask=\"iterative\",weights=\"rewind\"}}"]);
        assert_eq!(shared_count(&plan(&[]), &renamed), renamed.trainings.len());
        assert_ne!(renamed.id(), plan(&[]).id());
    }

    #[test]
    fn settings_that_change_results_change_keys() {
        let base = plan(&[]);
        for set in [
            "seed=2",
            "train.lr=0.1",
            "train.evaluate_every=30",
            "train.dtype=float64",
            "network.init=kaiming_normal",
            "data.normalize=l2",
            "data.train_limit=100",
            "data.draw_seed=2",
            "network.architecture={mlp={hidden=[32]}}",
        ] {
            assert_eq!(shared_count(&base, &plan(&[set])), 0, "{set}");
        }
        // A pruning rate changes the keys of pruned training runs only.
        assert_eq!(shared_count(&base, &plan(&["prune.rate.linear=0.5"])), 2);
    }

    #[test]
    fn keys_change_only_where_validation_images_changed() {
        // 1,500 images, 300 of them for validation; earlier versions reduced these to 25 with 100 training images, and
        // gave both experiments the same key content.
        let mark = |sets: &[&str]| plan(sets).trainings[0].content.value()["data"].get("whole_validation").cloned();
        assert_eq!(mark(&["data.train_limit=100"]), Some(json!(true)));
        assert_eq!(mark(&["data.train_limit=1200"]), None, "all training images: the same images as before");
        assert_eq!(mark(&[]), None);
    }

    #[test]
    fn keys_are_pinned() {
        // A change here makes all stored results unreachable: raise FORMAT if that is meant.
        let plan = plan(&["replicates=1", "rounds=1"]);
        let short: Vec<_> = plan.trainings.iter().map(|t| format!("{} {}", t.arm, t.key.short())).collect();
        insta::assert_snapshot!(short.join("\n"));
    }

    #[test]
    fn rounds_that_prune_nothing_are_refused() {
        let refused = |sets: &[&str]| resolve(sets).err().map(|mistakes| mistakes[0].key.clone());
        assert_eq!(refused(&["rounds=40"]).as_deref(), Some("rounds"));
        assert_eq!(refused(&["prune.exclude=[\"linear\",\"output\"]"]).as_deref(), Some("prune"));
        assert_eq!(refused(&["rounds=40", "arms={a={mask=\"dense\",weights=\"reinit\"}}"]), None);
    }

    /// A network and rates for which the sparse engine is chosen from round 1 on.
    const LARGE: [&str; 4] = [
        "network.architecture=lenet_300_100",
        "train.batch_size=60",
        "prune.rate={linear=0.9,output=0.9}",
        "replicates=1",
    ];

    fn large(more: &[&str]) -> Plan {
        plan(&[&LARGE[..], more].concat())
    }

    #[test]
    fn keys_contain_the_engine() {
        let engines = |plan: &Plan| plan.trainings.iter().map(|t| (t.round.0 > 0, t.engine)).collect::<Vec<_>>();
        let auto = large(&[]);
        assert!(engines(&auto).iter().all(|&(pruned, engine)| pruned == (engine == EngineKind::Sparse)));
        assert_eq!(auto.engines(), "dense and sparse");
        for training in &auto.trainings {
            assert_eq!(training.content.value()["engine"], training.engine.as_str());
        }
        // Scope `global` gives the same engines; a grid has the engine of the counts of each entry.
        assert_eq!(engines(&large(&["prune={scope=\"global\",rate={all=0.9}}"])), engines(&auto));
        let grid = large(&[r#"arms={grid={mask={one_shot={cut=[0.01,0.99]}},weights="rewind"}}"#]);
        let grid_engines: Vec<EngineKind> = grid.trainings.iter().map(|training| training.engine).collect();
        assert_eq!(grid_engines, [EngineKind::Dense, EngineKind::Dense, EngineKind::Sparse]);
        // With one engine for all, a training run keeps its key if it and its parents had that engine anyway.
        let dense = large(&["run.engine=dense"]);
        let sparse = large(&["run.engine=sparse"]);
        assert_eq!(dense.engines(), "dense");
        assert_eq!(sparse.engines(), "sparse");
        assert_eq!(shared_count(&auto, &dense), 1);
        assert_eq!(shared_count(&auto, &sparse), 0);
        assert_eq!(shared_count(&dense, &sparse), 0);
        assert_eq!(large(&["train.dtype=float64"]).engines(), "dense");
    }

    #[test]
    fn more_replicates_and_rounds_keep_existing_keys() {
        let base = plan(&["replicates=1", "rounds=1"]);
        assert_eq!(shared_count(&base, &plan(&[])), base.trainings.len());
    }

    #[test]
    fn keys_are_equal_for_two_names_of_an_architecture() {
        let named = plan(&["network.architecture=lenet_300_100"]);
        assert_eq!(keys(&named), keys(&plan(&["network.architecture={mlp={hidden=[300,100]}}"])));
        let layers = "[{linear={out=300}},\"relu\",{linear={out=100}},\"relu\",{linear={out=10}}]";
        assert_eq!(keys(&named), keys(&plan(&[&format!("network={{layers={layers}}}")])));
    }

    #[test]
    fn dense_masks_have_one_round() {
        let plan = plan(&[
            "arms={fresh={mask=\"dense\",weights=\"reinit\"},again={mask={of=\"fresh\"},weights=\"reinit\"}}",
            "replicates=1",
        ]);
        let rows: Vec<_> = plan.trainings.iter().map(|t| (t.arm.as_str(), t.round.0)).collect();
        assert_eq!(rows, [("dense", 0), ("fresh", 0), ("again", 0)]);
    }
}
