//! The training runs of a plan that train in lockstep: a function of the plan and the number of lanes, never of what is
//! stored, so that a group has the same lanes whenever and wherever it is trained.

use std::collections::BTreeMap;

use super::plan::Plan;
use super::training::TrainingSpec;
use crate::base::key::ContentHash;

/// Training runs that train in lockstep, one in each lane of a trainer.
#[derive(Clone, Debug)]
pub struct LockstepGroup<'a> {
    /// Length of the longest dependency path: the training runs, one after the other, that must end before these can
    /// begin.
    pub depth: usize,
    /// The training runs in the plan's order; the position of each is its lane.
    pub trainings: Vec<&'a TrainingSpec>,
}

/// Returns the groups of `plan` with at most `lane_count` lanes each, in the order of their first training runs.
/// Training runs that share a key are one.
///
/// Training runs can train in lockstep if they have the same depth in the dependency graph, the same engine, the same
/// first and last iteration, and the same data order, and if all of them train weights, or all of them scores of one kind.
/// By the depth, no training run depends on another of its group, and the dependencies between groups have no cycle. By
/// the data order, copies with another one (see [`TrainingSpec::with_other_data_order`]) do not change the groups of the
/// plan.
pub fn lockstep_groups(plan: &Plan, lane_count: usize) -> Vec<LockstepGroup<'_>> {
    let mut depths: BTreeMap<&ContentHash, usize> = BTreeMap::new();
    let mut groups: Vec<LockstepGroup<'_>> = Vec::new();
    // The last group for each combination of these.
    let mut open_groups = BTreeMap::new();
    for training in &plan.trainings {
        if depths.contains_key(&training.key) {
            continue;
        }
        // Parents come before children.
        let depth_after = |(key, _)| depths.get(key).map(|depth| depth + 1);
        let depth = training.dependencies().into_iter().filter_map(depth_after).max().unwrap_or(0);
        depths.insert(&training.key, depth);
        let iterations = (training.start.iteration(), training.last_iteration);
        let kind = (depth, training.engine, training.supermask(), iterations, training.data_order);
        let open = open_groups.get(&kind).copied().filter(|&group: &usize| groups[group].trainings.len() < lane_count);
        let group = open.unwrap_or_else(|| {
            groups.push(LockstepGroup { depth, trainings: Vec::new() });
            groups.len() - 1
        });
        open_groups.insert(kind, group);
        groups[group].trainings.push(training);
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

    /// Each group's depth and its training runs as `arm round/replicate.repeat`.
    fn described(plan: &Plan, lane_count: usize) -> Vec<String> {
        let name = |t: &&TrainingSpec| format!("{} {}/{}.{}", t.arm, t.round, t.replicate, t.repeat);
        let names = |group: &LockstepGroup<'_>| group.trainings.iter().map(name).collect::<Vec<_>>().join(", ");
        lockstep_groups(plan, lane_count).iter().map(|group| format!("{}: {}", group.depth, names(group))).collect()
    }

    const TICKET: &str = "arms={ticket={mask='iterative',weights='rewind'}}";

    #[test]
    fn replicates_are_grouped_up_to_the_number_of_lanes() {
        let plan = plan(&["replicates=5", "rounds=1", TICKET]);
        assert_eq!(
            described(&plan, 4),
            [
                "0: dense 0/1.1, dense 0/2.1, dense 0/3.1, dense 0/4.1",
                "1: ticket 1/1.1, ticket 1/2.1, ticket 1/3.1, ticket 1/4.1",
                "0: dense 0/5.1",
                "1: ticket 1/5.1",
            ]
        );
    }

    #[test]
    fn repeats_and_arms_of_equal_depth_share_a_group() {
        let arms = "arms={ticket={mask='iterative',weights='rewind'},\
                    reinit={mask={of='ticket'},weights='reinit',repeats=3}}";
        let plan = plan(&["replicates=1", "rounds=2", arms]);
        assert_eq!(
            described(&plan, 8),
            [
                "0: dense 0/1.1",
                "1: ticket 1/1.1",
                "2: ticket 2/1.1, reinit 1/1.1, reinit 1/1.2, reinit 1/1.3",
                "3: reinit 2/1.1, reinit 2/1.2, reinit 2/1.3",
            ]
        );
    }

    #[test]
    fn lockstep_groups_share_engine_and_starting_iteration() {
        let late = "arms={ticket={mask='iterative',weights='rewind'},\
                    late={mask='iterative',weights='rewind',rewind_to='30it'}}";
        let with_late = plan(&["replicates=1", "rounds=1", late]);
        assert_eq!(described(&with_late, 8), ["0: dense 0/1.1", "1: ticket 1/1.1", "1: late 1/1.1"]);
        let large = ["network.architecture=lenet_300_100", "train.batch_size=60", "replicates=1", "rounds=1"];
        let grid = "arms={grid={mask={one_shot={cut=[0.01,0.99]}},weights='rewind'}}";
        assert_eq!(described(&plan(&[&large[..], &[grid]].concat()), 8)[1..], ["1: grid 1/1.1", "1: grid 2/1.1"]);
    }

    #[test]
    fn lockstep_counts_training_runs_that_share_a_key_once() {
        let twice = "arms={ticket={mask='iterative',weights='rewind'},\
                     shot={mask={one_shot={like='ticket'}},weights='rewind'}}";
        let plan = plan(&["replicates=1", "rounds=1", twice]);
        assert_eq!(
            (plan.trainings.len(), described(&plan, 8)),
            (3, vec!["0: dense 0/1.1".into(), "1: ticket 1/1.1".into()])
        );
    }

    #[test]
    fn lockstep_with_one_lane_keeps_the_order_of_the_plan() {
        let plan = plan(&[]);
        let keys: Vec<ContentHash> = lockstep_groups(&plan, 1).iter().map(|group| group.trainings[0].key).collect();
        assert_eq!(keys, plan.trainings.iter().map(|training| training.key).collect::<Vec<_>>());
    }

    #[test]
    fn lockstep_groups_depend_only_on_lower_depths() {
        let plan = plan(&["rounds=3"]);
        for lane_count in [2, 3, 64] {
            let groups = lockstep_groups(&plan, lane_count);
            assert_eq!(groups.iter().map(|group| group.trainings.len()).sum::<usize>(), plan.trainings.len());
            let depth =
                |key: &ContentHash| groups.iter().find(|g| g.trainings.iter().any(|t| t.key == *key)).unwrap().depth;
            for group in &groups {
                assert!(group.trainings.len() <= lane_count);
                for (key, _) in group.trainings.iter().flat_map(|training| training.dependencies()) {
                    assert!(depth(key) < group.depth);
                }
            }
        }
    }
}
