//! The sizes in the paper: the percentage of weights that remain after each round, for its six networks, by `lth plan`.

use crate::support::*;

/// The percentage of weights that remain after each round, with the pruning rates of Frankle & Carbin 2019, Figure 2:
/// (round, [Lenet, Conv-2, Conv-4, Conv-6 (2.26 million weights), ResNet-20, VGG-19]).
const PAPER_SIZES: [(u64, [&str; 6]); 20] = [
    (1, ["80.04", "80.10", "81.08", "82.54", "80.24", "80.01"]),
    (2, ["64.06", "64.16", "65.84", "68.20", "64.43", "64.01"]),
    (3, ["51.28", "51.41", "53.55", "56.39", "51.78", "51.21"]),
    (4, ["41.05", "41.20", "43.63", "46.68", "41.66", "40.98"]),
    (5, ["32.87", "33.02", "35.61", "38.67", "33.56", "32.79"]),
    (6, ["26.32", "26.47", "29.13", "32.07", "27.09", "26.23"]),
    (7, ["21.07", "21.23", "23.88", "26.61", "21.91", "20.99"]),
    (8, ["16.88", "17.03", "19.62", "22.11", "17.76", "16.80"]),
    (9, ["13.52", "13.66", "16.16", "18.38", "14.44", "13.44"]),
    (10, ["10.83", "10.97", "13.35", "15.29", "11.79", "10.76"]),
    (11, ["8.68", "8.81", "11.06", "12.74", "9.67", "8.61"]),
    (12, ["6.95", "7.08", "9.18", "10.62", "7.97", "6.90"]),
    (13, ["5.57", "5.69", "7.65", "8.86", "6.61", "5.52"]),
    (14, ["4.47", "4.57", "6.40", "7.39", "5.53", "4.42"]),
    (15, ["3.58", "3.68", "5.37", "6.18", "4.66", "3.54"]),
    (16, ["2.87", "2.97", "4.51", "5.17", "3.96", "2.84"]),
    (18, ["1.85", "1.93", "3.23", "3.62", "2.96", "1.83"]),
    (19, ["1.49", "1.56", "2.75", "3.03", "2.61", "1.47"]),
    (20, ["1.19", "1.26", "2.34", "2.54", "2.32", "1.18"]),
    (24, ["0.50", "0.54", "1.28", "1.27", "1.65", "0.50"]),
];

/// The networks in the order of [`PAPER_SIZES`]: a configuration, and all weights.
const NETWORKS: [(&str, u64); 6] = [
    ("lenet_mnist", 266_200),
    ("paper/fig5_conv2", 4_300_992),
    ("paper/fig5_conv4", 2_425_024),
    ("paper/fig5_conv6", 2_261_184),
    ("paper/fig8_resnet20", 270_896),
    ("paper/fig7_vgg19", 20_024_000),
];

/// Returns the estimate of the winning ticket at a round.
fn row(plan: &serde_json::Value, round: u64) -> &serde_json::Value {
    let rows = plan["rounds"].as_array().unwrap();
    rows.iter().find(|row| row["arm"] == "winning_ticket" && row["round"] == round).unwrap()
}

#[test]
fn sizes_of_paper_networks_are_exact() {
    for (column, (config, total)) in NETWORKS.into_iter().enumerate() {
        let runs = tempfile::tempdir().unwrap();
        let path = format!("{}/configs/{config}.toml", env!("CARGO_MANIFEST_DIR"));
        let plan = plan_of(&path, runs.path(), &[]);
        let dense = plan["rounds"].as_array().unwrap().iter().find(|row| row["arm"] == "dense").unwrap();
        assert_eq!(dense["weights_kept"].as_u64(), Some(total), "{config}");
        for (round, percents) in PAPER_SIZES {
            let percent = 100.0 * row(&plan, round)["weights_remaining"].as_f64().unwrap();
            assert_eq!(format!("{percent:.2}"), percents[column], "{config}, round {round}");
        }
    }
}
