//! `weights.csv`: the weight statistics of the networks of an arm at a round, pooled (the paper, Appendix F).

use serde::{Deserialize, Serialize};

use crate::lottery::{LayerWeightStats, WeightStats};

/// A row of `weights.csv`: the networks of an arm at a round, pooled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm.
    pub arm: String,
    /// Number of prunings.
    pub round: u32,
    /// The layer.
    pub layer: String,
    /// `initial`: initial values of the weights that are kept. `moved_kept`, `moved_pruned`: how far the weights that this
    /// mask keeps, or not, moved in the dense training. `grown_kept`, `grown_pruned`: by how much their magnitude grew
    /// there. `incoming`, `outgoing`: connections kept.
    pub measure: String,
    /// The middle of a bin; with connections the rank of the unit, 0 (most connected) to 1.
    pub x: f64,
    /// Density; with connections the share that is kept, 0..=1.
    pub y: f64,
    /// Networks pooled.
    pub n: usize,
}

/// The rows of networks that belong together: histograms added up, connections averaged by rank.
pub fn weight_rows(experiment: &str, arm: &str, round: u32, profiles: &[&WeightStats]) -> Vec<WeightRow> {
    let mut rows = Vec::new();
    let Some(first) = profiles.first() else { return rows };
    for (at, layer) in first.0.iter().enumerate() {
        let all: Vec<&LayerWeightStats> = profiles.iter().filter_map(|profile| profile.0.get(at)).collect();
        let mut add = |measure: &str, points: Vec<(f64, f64)>| {
            rows.extend(points.into_iter().map(|(x, y)| WeightRow {
                experiment: experiment.to_owned(),
                arm: arm.to_owned(),
                round,
                layer: layer.layer.clone(),
                measure: measure.to_owned(),
                x,
                y,
                n: all.len(),
            }));
        };
        for (measure, histogram) in &layer.histograms {
            let mut sum = histogram.clone();
            all[1..].iter().filter_map(|other| other.histograms.get(measure)).for_each(|other| sum.add(other));
            add(measure, sum.density());
        }
        let mean = |of: fn(&LayerWeightStats) -> &Vec<f64>| -> Vec<(f64, f64)> {
            let ranks = of(layer).len();
            let at = |rank: usize| all.iter().filter_map(|layer| of(layer).get(rank)).sum::<f64>() / all.len() as f64;
            (0..ranks).map(|rank| (rank as f64 / (ranks.max(2) - 1) as f64, at(rank))).collect()
        };
        add("incoming", mean(|layer| &layer.incoming));
        add("outgoing", mean(|layer| &layer.outgoing));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::histogram::Histogram;
    use std::collections::BTreeMap;

    #[test]
    fn connections_are_averaged_by_rank() {
        let profile = |shares: &[f64]| {
            let histograms = BTreeMap::from([("initial".into(), Histogram::of([0.1].into_iter(), 0.0, 1.0, 1))]);
            let incoming = shares.to_vec();
            WeightStats(vec![LayerWeightStats { layer: "a".into(), histograms, incoming, outgoing: vec![] }])
        };
        let (a, b) = (profile(&[1.0, 0.5, 0.0]), profile(&[0.5, 0.5, 0.5]));
        let rows = weight_rows("e", "arm", 3, &[&a, &b]);
        let incoming: Vec<(f64, f64, usize)> =
            rows.iter().filter(|row| row.measure == "incoming").map(|row| (row.x, row.y, row.n)).collect();
        assert_eq!(incoming, [(0.0, 0.75, 2), (0.5, 0.5, 2), (1.0, 0.25, 2)]);
        assert_eq!(rows[0].measure, "initial");
        assert!(weight_rows("e", "arm", 3, &[]).is_empty());
    }
}
