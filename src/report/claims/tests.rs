//! Claims evaluated on made-up rows.

use std::collections::BTreeSet;

use super::super::test_fixtures::{experiment, of_length, rows};
use super::*;
use crate::base::outcome::OutcomeKind;

const LENET: [&str; 6] = [
    "data={dataset=\"mnist\"}",
    "network={architecture=\"lenet_300_100\"}",
    "train.iterations=50000",
    "train.batch_size=60",
    "train.lr=1.2e-3",
    "train.evaluate_every=100",
];

fn lenet(sets: &[&str]) -> Experiment {
    experiment(&[&LENET, sets].concat())
}

/// Returns the rows of an arm at a round with a share of the weights, trained for 50,000 iterations; `values` are early stops and test accuracies, one
/// pair per replicate.
fn arm(name: &str, round: u32, share: f64, values: &[(u64, f64)]) -> Vec<RoundRow> {
    let with_share = |row: RoundRow| RoundRow { weights_remaining: share, ..row };
    of_length(50_000, rows(name, round, values)).into_iter().map(with_share).collect()
}

const DENSE_VALUES: [(u64, f64); 3] = [(8000, 0.979), (9000, 0.980), (8500, 0.981)];
const FAST: [(u64, f64); 3] = [(5000, 0.983), (5500, 0.984), (5100, 0.984)];
const SLOW: [(u64, f64); 3] = [(12000, 0.975), (13000, 0.974), (12500, 0.976)];

fn run() -> Vec<RoundRow> {
    [
        arm("dense", 0, 1.0, &DENSE_VALUES),
        arm("winning_ticket", 7, 0.2107, &FAST),
        arm("random_reinit", 7, 0.2107, &SLOW),
    ]
    .concat()
}

fn claim(rows: &[RoundRow], experiment: &Experiment, id: &str) -> ClaimRow {
    claims_of_rows(rows, experiment).into_iter().find(|row| row.id == id).unwrap()
}

#[test]
fn claim_file_is_consistent() {
    let entries = ClaimFile::load();
    let ids: BTreeSet<&str> = entries.claims.iter().map(|claim| claim.id.as_str()).collect();
    assert_eq!(ids.len(), entries.claims.len(), "ids are unique");
    for setting in &entries.settings {
        let architecture = serde_json::from_value::<crate::config::Architecture>(setting.architecture.clone().into());
        assert!(architecture.is_ok(), "{}: no network is called `{}`", setting.name, setting.architecture);
    }
    for claim in &entries.claims {
        assert!(entries.setting(claim).is_some(), "{}", claim.id);
        assert!(claim.at_least.is_some() || claim.at_most.is_some(), "{} claims nothing", claim.id);
        assert!(claim.at.is_none() || claim.between.is_none(), "{} has one place", claim.id);
        assert!(claim.at.into_iter().chain(claim.between.into_iter().flatten()).all(|p| p > 0.0 && p <= 1.0));
        let words = [&claim.text, &claim.source, &claim.paper];
        assert!(words.iter().all(|text| !text.is_empty()), "{}", claim.id);
    }
}

#[test]
fn claims_follow_from_the_bounds() {
    let rows = run();
    let lenet = lenet(&[]);
    let speed = claim(&rows, &lenet, "lenet_21_speed");
    assert_eq!((speed.status, speed.reason.as_str()), (ClaimStatus::Held, ""));
    // Differences −3,000, −3,500, −3,400; means 8,500 and 5,200.
    assert_eq!(speed.here, "−3,300 iterations (−3,746 to −2,854), 1.63 times as fast, n = 3");
    assert_eq!(speed.differences, [""; 0]);
    let accuracy = claim(&rows, &lenet, "lenet_21_reinit_accuracy");
    assert_eq!(accuracy.status, ClaimStatus::Held);
    assert_eq!(accuracy.here, "+0.87 points (+0.67 to +1.06), n = 3", "2.92 · 0.1155 / √3 = 0.195");
    let dense = claim(&rows, &lenet, "lenet_dense");
    assert_eq!(dense.here, "98.00% (97.83 to 98.17), n = 3", "deviation 0.1: 2.92 · 0.1 / √3 = 0.17");
    assert_eq!(dense.status, ClaimStatus::Held, "inside 97.8 to 98.2");
    let slow = [arm("dense", 0, 1.0, &DENSE_VALUES), arm("winning_ticket", 7, 0.21, &SLOW)].concat();
    assert_eq!(claim(&slow, &lenet, "lenet_21_speed").status, ClaimStatus::NotHeld);
    let same = [arm("dense", 0, 1.0, &DENSE_VALUES), arm("winning_ticket", 7, 0.21, &DENSE_VALUES)].concat();
    let equal = claim(&same, &lenet, "lenet_21_speed");
    assert_eq!((equal.status, equal.here.split(' ').next()), (ClaimStatus::Inconclusive, Some("0")));
}

#[test]
fn claims_are_inconclusive_with_one_replicate() {
    let is_first = |row: &RoundRow| row.replicate == 1;
    let rows: Vec<RoundRow> = run().into_iter().filter(is_first).collect();
    let all = claims_of_rows(&rows, &lenet(&[]));
    assert!(all.iter().all(|row| matches!(row.status, ClaimStatus::Inconclusive | ClaimStatus::NotTested)), "{all:?}");
    let speed = claim(&rows, &lenet(&[]), "lenet_21_speed");
    assert_eq!(speed.here, "−3,000 iterations, 1.60 times as fast, n = 1");
    assert_eq!(speed.reason, "one replicate has no spread");
}

#[test]
fn claims_without_results_are_not_tested() {
    let rows = run();
    let full = lenet(&[]);
    let missing = claim(&rows, &full, "lenet_13_accuracy");
    assert_eq!((missing.status, missing.here.as_str()), (ClaimStatus::NotTested, "–"));
    assert_eq!(missing.reason, "no round near 13.5% (nearest 21.1%)");
    assert_eq!(claim(&[], &full, "lenet_dense").reason, "dense has no results");
    let diverged: Vec<RoundRow> =
        rows.iter().map(|row| RoundRow { outcome: OutcomeKind::Diverged.into(), ..row.clone() }).collect();
    assert_eq!(claim(&diverged, &full, "lenet_21_speed").status, ClaimStatus::NotTested);
}

#[test]
fn claims_in_another_setting_are_not_judged() {
    // regression: claims were called held or not held at another number of iterations.
    let short = lenet(&["train.iterations=5000", "train.lr=0.1"]);
    for id in ["lenet_dense", "lenet_21_reinit_accuracy", "lenet_21_speed"] {
        let row = claim(&run(), &short, id);
        assert_eq!((row.status, row.reason.as_str()), (ClaimStatus::OtherSetting, ""), "{id}");
        let differences = [
            "5,000 iterations here, 50,000 iterations in the paper",
            "adam with lr 0.1 here, adam with lr 0.0012 in the paper",
        ];
        assert_eq!(row.differences, differences);
        assert_ne!(row.here, "–", "the numbers are shown");
    }
    assert_eq!(claim(&run(), &short, "lenet_13_accuracy").status, ClaimStatus::NotTested, "there is no such round");
}

#[test]
fn claims_name_the_round_if_its_share_is_not_the_papers() {
    let here = |share| {
        let rows = [arm("dense", 0, 1.0, &DENSE_VALUES), arm("winning_ticket", 7, share, &FAST)].concat();
        claim(&rows, &lenet(&[]), "lenet_21_speed").here
    };
    assert!(here(0.217).ends_with(", n = 3, at 21.7% (paper 21.1%)"), "{}", here(0.217));
    assert!(here(0.2107).ends_with(", n = 3"), "{}", here(0.2107));
}

#[test]
fn claims_on_censored_early_stops_are_not_tested() {
    // The last two evaluations are at 49,900 and 50,000.
    let status = |stop: u64, id: &str| {
        let values = FAST.map(|(_, accuracy)| (stop, accuracy));
        let rows = [
            arm("dense", 0, 1.0, &DENSE_VALUES),
            arm("winning_ticket", 7, 0.2107, &values),
            arm("random_reinit", 7, 0.2107, &SLOW),
        ];
        claim(&rows.concat(), &lenet(&[]), id).status
    };
    assert_eq!(status(49_900, "lenet_21_speed"), ClaimStatus::NotTested);
    assert_eq!(status(49_800, "lenet_21_speed"), ClaimStatus::NotHeld);
    assert_eq!(status(50_000, "lenet_21_reinit_accuracy"), ClaimStatus::Held, "an accuracy is one all the same");
}

#[test]
fn claims_name_differences_from_the_paper() {
    let sets = ["prune={scope=\"global\"}", "network.init=kaiming_normal", "data.train_limit=1000"];
    let differences = claim(&run(), &lenet(&sets), "lenet_21_speed").differences.join("; ");
    let expected = "initial weights kaiming_normal here, initial weights glorot_normal in the paper; \
                    scope global here, scope layerwise in the paper; \
                    1,000 training images here, all of them in the paper";
    assert_eq!(differences, expected);
    let sets = ["train.schedule=cosine", "train.warmup=1ep", "train.clip_norm=1", "train.label_smoothing=0.1"];
    let differences = claim(&run(), &lenet(&sets), "lenet_21_speed").differences.join("; ");
    let expected = "schedule cosine here, schedule constant in the paper; \
                    a warm-up over 1ep here, none in the paper; \
                    gradients clipped at 1 here, none in the paper; label smoothing 0.1 here, none in the paper";
    assert_eq!(differences, expected);
}

#[test]
fn claims_are_those_about_the_network_data_set_and_arms() {
    let count = |sets: &[&str]| claims_of_rows(&run(), &lenet(sets)).len();
    let all = count(&[]);
    assert_eq!(count(&["network={architecture={mlp={hidden=[300,100]}}}"]), all, "the same network by another name");
    assert_eq!(count(&["network={architecture={mlp={hidden=[300]}}}"]), 0);
    assert_eq!(count(&["data={dataset=\"fashion_mnist\"}"]), 0);
    assert_eq!(count(&["arms={}"]), 1, "the dense network's own");
    let ticket = "arms={t={mask=\"iterative\",weights=\"rewind\"}}";
    assert!((2..all).contains(&count(&[ticket])));
}

#[test]
fn claims_about_many_rounds_need_all_of_them_or_strict_bounds() {
    let shares = [0.5, 0.25, 0.1, 0.02];
    let tickets = |values: &[(u64, f64)]| {
        let rounds = (1..).zip(shares).flat_map(|(round, share)| arm("winning_ticket", round, share, values));
        arm("dense", 0, 1.0, &DENSE_VALUES).into_iter().chain(rounds).collect::<Vec<_>>()
    };
    let lenet = lenet(&[]);
    let good = tickets(&FAST);
    let some = claim(&good, &lenet, "lenet_final_accuracy");
    assert_eq!((some.status, some.here.as_str()), (ClaimStatus::Held, "+0.37 to +0.37 points in 4 rounds, n = 3"));
    // Every train accuracy is 1: no two accuracies differ, so that neither their spread nor their resolution is known.
    let learned = claim(&good, &lenet, "lenet_final_train_accuracy");
    assert_eq!(
        (learned.status, learned.here.as_str()),
        (ClaimStatus::Inconclusive, "100.00 to 100.00% in 4 rounds, n = 3")
    );
    assert_eq!(learned.reason, "all values are equal: no variation");
    let mut nearly = good.clone();
    nearly[3].final_train_accuracy = Some(0.9998);
    assert_eq!(claim(&nearly, &lenet, "lenet_final_train_accuracy").status, ClaimStatus::Held);
    let few: Vec<RoundRow> = nearly.into_iter().filter(|row| row.round < 3).collect();
    let few = claim(&few, &lenet, "lenet_final_train_accuracy");
    assert_eq!(
        (few.status, few.reason.as_str()),
        (ClaimStatus::Inconclusive, "the smallest round here has 25.0% of the weights")
    );
    let bad = tickets(&SLOW);
    assert_eq!(claim(&bad, &lenet, "lenet_final_accuracy").status, ClaimStatus::NotHeld);
}

/// `resnet20` as in the paper, but for the drops of its learning rate.
const RESNET: [&str; 9] = [
    "data={dataset=\"cifar10\"}",
    "network={architecture=\"resnet18_lth\"}",
    "train={iterations=30000,batch_size=128,optimizer=\"sgd\",lr=0.1,momentum=0.9,weight_decay=1e-4}",
    "prune={scope=\"global\",rate={all=0.2},exclude=[\"output\",\"shortcut\"]}",
    "arms={winning_ticket={mask=\"iterative\",weights=\"rewind\"},random_reinit={mask={of=\"winning_ticket\"},weights=\"reinit\"}}",
    "train.evaluate_every=100",
    "rounds=10",
    "replicates=3",
    "name=deep",
];

#[test]
fn claims_about_a_learning_rate_are_shown_only_with_that_rate() {
    let deep = |sets: &[&str]| experiment(&[&RESNET, sets].concat());
    let ticket_rows =
        |share, accuracies: [f64; 3]| arm("winning_ticket", 8, share, &accuracies.map(|accuracy| (30_000, accuracy)));
    let dense = arm("dense", 0, 1.0, &[0.904, 0.905, 0.906].map(|accuracy| (30_000, accuracy)));
    let rows = [dense, ticket_rows(0.1776, [0.876, 0.877, 0.878])].concat();
    let ids =
        |experiment: &Experiment| claims_of_rows(&rows, experiment).into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(&deep(&[])), ["resnet_20_high_reinit", "resnet_20_high_below_dense"]);
    assert_eq!(ids(&deep(&["train.lr=0.01"])), ["resnet_20_low_accuracy"]);
    assert_eq!(ids(&deep(&["train.lr=0.03"])), [""; 0], "the paper warms up to this rate");
    let below = claim(&rows, &deep(&[]), "resnet_20_high_below_dense");
    assert_eq!(below.status, ClaimStatus::OtherSetting, "{below:?}");
    let differences = |sets: &[&str]| claim(&rows, &deep(sets), "resnet_20_high_below_dense").differences.join("; ");
    assert!(differences(&[]).contains("no milestones here, milestones 20,000 and 25,000 in the paper"));
    assert!(!differences(&[]).contains("momentum") && !differences(&[]).contains("scope"));
    assert!(differences(&["train.momentum=0.5"]).contains("momentum 0.5 here, momentum 0.9 in the paper"));
    let papers = ["train.schedule=multi_step", "train.milestones=[\"20000it\",\"25000it\"]"];
    assert_eq!(claim(&rows, &deep(&papers), "resnet_20_high_below_dense").status, ClaimStatus::Held);
    let warm = deep(&[&papers[..], &["train.lr=0.03", "train.warmup=20000it"]].concat());
    assert_eq!(ids(&warm), ["resnet_20_warm_accuracy", "resnet_20_warm_above_dense"]);
    let warm = claim(&rows, &warm, "resnet_20_warm_accuracy");
    assert_eq!(warm.reason, "no round near 27.1% (nearest 17.8%)");
    let short = claim(&rows, &deep(&["train.iterations=3000"]), "resnet_20_high_below_dense");
    assert_eq!(short.status, ClaimStatus::OtherSetting);
}
