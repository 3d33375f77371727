//! The paper as a graph of trainings. Everything the program does is a function of this value.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::arms;
use super::setting::Setting;
use super::training::{Content, MaskRule, Shared, StartRule, Training};
use crate::base::key::Key;
use crate::config::{Arm, Experiment, MaskFrom, Problem, WeightsFrom};
use crate::prune::Counts;

/// Changes when the meaning of a key's content changes: old results are then not mistaken for new ones.
const FORMAT: u32 = 1;

/// The arm that the dense trainings belong to.
pub const DENSE: &str = "dense";

/// Every training of an experiment, each behind those it needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of all files made from them.
    pub trainings: Vec<Training>,
}

impl Plan {
    /// Draws the plan: per replicate the dense network, then every arm round by round.
    ///
    /// # Errors
    /// Arms that do not fit together, and rounds that would prune nothing.
    pub fn draw(experiment: &Experiment, setting: &Setting) -> Result<Self, Vec<Problem>> {
        let arms = arms::in_order(&experiment.arms)?;
        let rounds = arms::rounds(&experiment.arms, experiment.rounds);
        let mut sketch = Sketch::new(experiment, setting);
        if rounds.values().any(|rounds| *rounds.end() > 0) {
            check_rounds(&sketch.counts)?;
        }
        let all = sketch.counts[0].clone();
        for replicate in 1..=experiment.replicates {
            let dense = sketch.add(DENSE, (replicate, 1, 0), MaskRule::Dense, StartRule::Initial, all.clone());
            for (name, arm) in &arms {
                for repeat in 1..=arm.repeats {
                    let mut previous = dense;
                    for round in rounds[name].clone() {
                        let mask = sketch.mask(arm, &previous, (replicate, repeat, round));
                        let start = match arm.weights {
                            WeightsFrom::Rewind => StartRule::Rewind { dense },
                            WeightsFrom::Reinit => StartRule::Reinit,
                        };
                        let counts = sketch.counts[round as usize].clone();
                        previous = sketch.add(name, (replicate, repeat, round), mask, start, counts);
                    }
                }
            }
        }
        Ok(Self { trainings: sketch.trainings })
    }

    /// The hash of the plan: what is trained, and under which names.
    pub fn id(&self) -> Key {
        let row = |t: &Training| json!([t.arm, t.replicate, t.repeat, t.round, t.key]);
        Key::of(&Value::Array(self.trainings.iter().map(row).collect()))
    }

    /// The first training with this key.
    pub fn get(&self, key: &Key) -> Option<&Training> {
        self.trainings.iter().find(|training| training.key == *key)
    }
}

/// What determines the numbers of every training of an experiment alike.
fn shared(experiment: &Experiment, setting: &Setting) -> Value {
    let Experiment { seed, network, train, data, .. } = experiment;
    json!({
        "format": FORMAT,
        "data": {
            "source": setting.source.identity, "validation": data.validation, "normalize": data.normalize,
            "train_limit": data.train_limit, "test_limit": data.test_limit,
        },
        "network": setting.network,
        "init": [network.init, network.init_std],
        "train": train,
        "engine": setting.engine,
        "device": setting.device,
        "seed": seed,
    })
}

/// A plan being drawn.
struct Sketch {
    shared: Arc<Shared>,
    pruning: Value,
    /// Weights kept after each round: the same for every arm, since every mask descends from the same schedule.
    counts: Vec<Counts>,
    trainings: Vec<Training>,
    by_place: BTreeMap<(String, u32, u32, u32), Key>,
}

impl Sketch {
    fn new(experiment: &Experiment, setting: &Setting) -> Self {
        let all: Vec<u64> = setting.network.sizes();
        let mut counts = vec![Counts { kept: all.iter().sum(), layers: Some(all.clone()) }];
        for round in 0..experiment.rounds as usize {
            counts.push(setting.pruning.next(&counts[round], &all));
        }
        let pruning = serde_json::to_value(&experiment.prune).unwrap_or_default();
        let shared = Arc::new(Shared::new(shared(experiment, setting)));
        Self { shared, pruning, counts, trainings: Vec::new(), by_place: BTreeMap::new() }
    }

    fn mask(&self, arm: &Arm, previous: &Key, (replicate, repeat, round): (u32, u32, u32)) -> MaskRule {
        // An arm without repeats serves every repeat of those that refer to it.
        let of = |name: &String| {
            let at = |repeat| self.by_place.get(&(name.clone(), replicate, repeat, round));
            *at(repeat).or_else(|| at(1)).expect("arms are drawn behind those they refer to, with the same rounds")
        };
        match &arm.mask {
            MaskFrom::Dense => MaskRule::Dense,
            MaskFrom::Iterative => MaskRule::Prune { parent: *previous },
            MaskFrom::Of(name) => MaskRule::Of { parent: of(name) },
            MaskFrom::Random(name) => MaskRule::Random { like: of(name) },
        }
    }

    fn add(
        &mut self,
        arm: &str,
        (replicate, repeat, round): (u32, u32, u32),
        mask: MaskRule,
        start: StartRule,
        counts: Counts,
    ) -> Key {
        let own = json!({
            "replicate": replicate,
            "repeat": repeat,
            "round": round,
            "mask": mask.content(&self.pruning),
            "start": start.content(),
        });
        let content = Content { shared: Arc::clone(&self.shared), own };
        let key = content.key();
        self.by_place.insert((arm.to_owned(), replicate, repeat, round), key);
        let training = Training { key, content, arm: arm.to_owned(), replicate, repeat, round, mask, start, counts };
        self.trainings.push(training);
        key
    }
}

/// Refuses a round that would prune nothing.
fn check_rounds(counts: &[Counts]) -> Result<(), Vec<Problem>> {
    let Some(round) = (1..counts.len()).find(|&round| counts[round].kept == counts[round - 1].kept) else {
        return Ok(());
    };
    let message = format!("round {round} would prune nothing: {} weights are left", counts[round].kept);
    Err(vec![if round == 1 {
        Problem::new("prune", message).hint("raise `prune.rate` or exclude less")
    } else {
        Problem::new("rounds", message).hint(format!("set `rounds` to {} or raise `prune.rate`", round - 1))
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Document, read};

    const TEXT: &str = include_str!("../../configs/smoke.toml");

    fn plan(sets: &[&str]) -> Plan {
        let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
        let experiment = read(&Document::parse("smoke.toml", TEXT, &sets).unwrap()).unwrap();
        let setting = Setting::new(&experiment, "dense").unwrap();
        Plan::draw(&experiment, &setting).unwrap()
    }

    fn keys(plan: &Plan) -> Vec<String> {
        plan.trainings.iter().map(|training| training.key.to_string()).collect()
    }

    /// How many trainings of `b` are in `a` already.
    fn shared(a: &Plan, b: &Plan) -> usize {
        b.trainings.iter().filter(|training| a.get(&training.key).is_some()).count()
    }

    #[test]
    fn every_training_stands_behind_those_it_needs() {
        let plan = plan(&[]);
        assert_eq!(plan.trainings.len(), 2 * (1 + 2 + 2 * 2 + 2));
        for (at, training) in plan.trainings.iter().enumerate() {
            let before = &plan.trainings[..at];
            assert!(training.needs().iter().all(|(key, _)| before.iter().any(|t| t.key == **key)), "{training:?}");
        }
    }

    #[test]
    fn what_changes_no_number_changes_no_key() {
        let all = keys(&plan(&[]));
        assert_eq!(keys(&plan(&["name=other", "run.workers=7", "data.dir=elsewhere", "report.margin=2.5"])), all);
        // Arms are told apart by what they do, not by their names.
        let renamed = plan(&["arms={t={mask=\"iterative\",weights=\"rewind\"}}"]);
        assert_eq!(shared(&plan(&[]), &renamed), renamed.trainings.len());
        assert_ne!(renamed.id(), plan(&[]).id());
    }

    #[test]
    fn what_changes_a_number_changes_every_key_it_touches() {
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
            assert_eq!(shared(&base, &plan(&[set])), 0, "{set}");
        }
        // Pruning touches the masks that descend from it: the dense networks stay.
        assert_eq!(shared(&base, &plan(&["prune.rate.linear=0.5"])), 2);
    }

    #[test]
    fn keys_are_pinned() {
        // A change here orphans everything that anybody has in a store: raise FORMAT if that is meant.
        let plan = plan(&["replicates=1", "rounds=1"]);
        let short: Vec<_> = plan.trainings.iter().map(|t| format!("{} {}", t.arm, t.key.short())).collect();
        insta::assert_snapshot!(short.join("\n"));
    }

    #[test]
    fn rounds_that_would_prune_nothing_are_refused() {
        let refused = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|&set| set.to_owned()).collect();
            let experiment = read(&Document::parse("smoke.toml", TEXT, &sets).unwrap()).unwrap();
            let setting = Setting::new(&experiment, "dense").unwrap();
            Plan::draw(&experiment, &setting).err().map(|problems| problems[0].key.clone())
        };
        assert_eq!(refused(&["rounds=40"]).as_deref(), Some("rounds"));
        assert_eq!(refused(&["prune.exclude=[\"linear\",\"output\"]"]).as_deref(), Some("prune"));
        assert_eq!(refused(&["rounds=40", "arms={a={mask=\"dense\",weights=\"reinit\"}}"]), None);
    }

    #[test]
    fn replicates_rounds_and_arms_are_added_to_what_is_there() {
        let base = plan(&["replicates=1", "rounds=1"]);
        assert_eq!(shared(&base, &plan(&[])), base.trainings.len());
    }

    #[test]
    fn the_same_architecture_under_two_names_is_one() {
        let named = plan(&["network.architecture=lenet_300_100"]);
        assert_eq!(keys(&named), keys(&plan(&["network.architecture={mlp={hidden=[300,100]}}"])));
        let layers = "[{linear={out=300}},\"relu\",{linear={out=100}},\"relu\",{linear={out=10}}]";
        assert_eq!(keys(&named), keys(&plan(&[&format!("network={{layers={layers}}}")])));
    }

    #[test]
    fn an_arm_on_a_dense_mask_has_one_round() {
        let plan = plan(&[
            "arms={fresh={mask=\"dense\",weights=\"reinit\"},again={mask={of=\"fresh\"},weights=\"reinit\"}}",
            "replicates=1",
        ]);
        let rows: Vec<_> = plan.trainings.iter().map(|t| (t.arm.as_str(), t.round)).collect();
        assert_eq!(rows, [("dense", 0), ("fresh", 0), ("again", 0)]);
    }
}
