//! Which trainings of a plan train in lockstep: a function of the plan and the number of lanes alone, never of what is
//! stored, so that a group has the same lanes whenever and wherever it is trained.

use std::collections::BTreeMap;

use super::plan::Plan;
use super::training::TrainingSpec;
use crate::base::key::ContentHash;

/// Trainings that train in lockstep, one in each lane.
#[derive(Clone, Debug)]
pub struct LockstepGroup<'a> {
    /// How many trainings must be done one after the other before these can begin.
    pub depth: usize,
    /// Which trainings, in the plan's order: the place of each is its lane.
    pub trainings: Vec<&'a TrainingSpec>,
}

/// The groups of `plan` with at most so many lanes, by their first trainings in the plan's order; trainings that share a
/// key are one.
///
/// What is equally deep in the graph, has the same engine and starts at the same iteration can train in lockstep; copies
/// with another order of the data only with each other, so that they change no group of a plan. So no
/// training waits for another of its group, and groups wait for each other as trainings do: never in a circle.
pub fn lockstep_groups(plan: &Plan, lanes: usize) -> Vec<LockstepGroup<'_>> {
    let mut depths: BTreeMap<&ContentHash, usize> = BTreeMap::new();
    let mut groups: Vec<LockstepGroup<'_>> = Vec::new();
    let mut last = BTreeMap::new();
    for training in &plan.trainings {
        if depths.contains_key(&training.key) {
            continue;
        }
        // Parents stand before children.
        let behind = |(key, _)| depths.get(key).map(|depth| depth + 1);
        let depth = training.dependencies().into_iter().filter_map(behind).max().unwrap_or(0);
        depths.insert(&training.key, depth);
        let alike = (depth, training.engine, training.start.iteration(), training.data_order);
        let place = last.get(&alike).copied().filter(|&place: &usize| groups[place].trainings.len() < lanes);
        let place = place.unwrap_or_else(|| {
            groups.push(LockstepGroup { depth, trainings: Vec::new() });
            groups.len() - 1
        });
        last.insert(alike, place);
        groups[place].trainings.push(training);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lottery::test_support::study;

    fn plan(sets: &[&str]) -> Plan {
        study(sets).plan
    }

    /// Each group's depth and its trainings as `arm round/replicate.repeat`.
    fn told(plan: &Plan, lanes: usize) -> Vec<String> {
        let name = |t: &&TrainingSpec| format!("{} {}/{}.{}", t.arm, t.round, t.replicate, t.repeat);
        let names = |group: &LockstepGroup<'_>| group.trainings.iter().map(name).collect::<Vec<_>>().join(", ");
        lockstep_groups(plan, lanes).iter().map(|group| format!("{}: {}", group.depth, names(group))).collect()
    }

    const TICKET: &str = "arms={ticket={mask='iterative',weights='rewind'}}";

    #[test]
    fn replicates_train_in_lockstep() {
        let plan = plan(&["replicates=5", "rounds=1", TICKET]);
        assert_eq!(
            told(&plan, 4),
            [
                "0: dense 0/1.1, dense 0/2.1, dense 0/3.1, dense 0/4.1",
                "1: ticket 1/1.1, ticket 1/2.1, ticket 1/3.1, ticket 1/4.1",
                "0: dense 0/5.1",
                "1: ticket 1/5.1",
            ]
        );
    }

    #[test]
    fn repeats_and_arms_that_wait_for_as_much_train_in_lockstep() {
        let more = "arms={ticket={mask='iterative',weights='rewind'},\
                    reinit={mask={of='ticket'},weights='reinit',repeats=3}}";
        let plan = plan(&["replicates=1", "rounds=2", more]);
        assert_eq!(
            told(&plan, 8),
            [
                "0: dense 0/1.1",
                "1: ticket 1/1.1",
                "2: ticket 2/1.1, reinit 1/1.1, reinit 1/1.2, reinit 1/1.3",
                "3: reinit 2/1.1, reinit 2/1.2, reinit 2/1.3",
            ]
        );
    }

    #[test]
    fn what_starts_elsewhere_or_takes_another_engine_is_another_group() {
        let late = "arms={ticket={mask='iterative',weights='rewind'},\
                    late={mask='iterative',weights='rewind',rewind_to='30it'}}";
        let apart = plan(&["replicates=1", "rounds=1", late]);
        assert_eq!(told(&apart, 8), ["0: dense 0/1.1", "1: ticket 1/1.1", "1: late 1/1.1"]);
        let large = ["network.architecture=lenet_300_100", "train.batch_size=60", "replicates=1", "rounds=1"];
        let grid = "arms={grid={mask={one_shot={cut=[0.01,0.99]}},weights='rewind'}}";
        assert_eq!(told(&plan(&[&large[..], &[grid]].concat()), 8)[1..], ["1: grid 1/1.1", "1: grid 2/1.1"]);
    }

    #[test]
    fn trainings_that_share_a_key_are_one() {
        let twice = "arms={ticket={mask='iterative',weights='rewind'},\
                     shot={mask={one_shot={like='ticket'}},weights='rewind'}}";
        let plan = plan(&["replicates=1", "rounds=1", twice]);
        assert_eq!(
            (plan.trainings.len(), told(&plan, 8)),
            (3, vec!["0: dense 0/1.1".into(), "1: ticket 1/1.1".into()])
        );
    }

    #[test]
    fn with_one_lane_every_training_is_a_group_in_the_plans_order() {
        let plan = plan(&[]);
        let keys: Vec<ContentHash> = lockstep_groups(&plan, 1).iter().map(|group| group.trainings[0].key).collect();
        assert_eq!(keys, plan.trainings.iter().map(|training| training.key).collect::<Vec<_>>());
    }

    #[test]
    fn no_group_waits_for_itself_and_none_for_one_as_deep() {
        let plan = plan(&["rounds=3"]);
        for lanes in [2, 3, 64] {
            let groups = lockstep_groups(&plan, lanes);
            assert_eq!(groups.iter().map(|group| group.trainings.len()).sum::<usize>(), plan.trainings.len());
            let depth =
                |key: &ContentHash| groups.iter().find(|g| g.trainings.iter().any(|t| t.key == *key)).unwrap().depth;
            for group in &groups {
                assert!(group.trainings.len() <= lanes);
                for (key, _) in group.trainings.iter().flat_map(|training| training.dependencies()) {
                    assert!(depth(key) < group.depth);
                }
            }
        }
    }
}
