//! `weights.csv`: weight statistics of an arm at a round, pooled over its networks (Frankle & Carbin 2019, Appendix F).

use serde::{Deserialize, Serialize};

use crate::base::category::Category;
use crate::base::histogram::Histogram;
use crate::lottery::{LayerWeightStats, WeightMeasure, WeightStats};

/// A row of `weights.csv`: one point of one measure of one layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WeightRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// The layer's name.
    pub layer: String,
    /// The measure.
    pub measure: Category<WeightMeasure>,
    /// For a histogram, the middle of a bin, in the unit of the weights. For connections, the rank of the unit, from 0
    /// (most connected) to 1 (least connected).
    pub x: f64,
    /// For a histogram, the density. For connections, the share that is kept, 0..=1.
    pub y: f64,
    /// Number of networks that are pooled.
    pub n: usize,
}

/// Returns the rows of the networks of an arm at a round: histograms are added up, connections averaged rank by rank.
pub fn weight_rows(experiment: &str, arm: &str, round: u32, networks: &[&WeightStats]) -> Vec<WeightRow> {
    let mut rows = Vec::new();
    let Some(first) = networks.first() else { return rows };
    for (index, layer) in first.0.iter().enumerate() {
        let layers: Vec<&LayerWeightStats> = networks.iter().filter_map(|network| network.0.get(index)).collect();
        for (measure, points) in layer_points(&layers) {
            rows.extend(points.into_iter().map(|(x, y)| WeightRow {
                experiment: experiment.to_owned(),
                arm: arm.to_owned(),
                round,
                layer: layer.layer.clone(),
                measure: measure.clone(),
                x,
                y,
                n: layers.len(),
            }));
        }
    }
    rows
}

/// A measure with its points (x, y).
type MeasurePoints = (Category<WeightMeasure>, Vec<(f64, f64)>);

/// Returns the points of each measure of a layer. `layers`: the layer in each network; the first one has the measures.
fn layer_points(layers: &[&LayerWeightStats]) -> Vec<MeasurePoints> {
    let mut measures = Vec::new();
    let Some((first, others)) = layers.split_first() else { return measures };
    for (measure, histogram) in &first.histograms {
        let mut sum: Histogram = histogram.clone();
        for other in others.iter().filter_map(|other| other.histograms.get(measure)) {
            sum.add(other);
        }
        measures.push((measure.clone(), sum.density()));
    }
    let incoming: Vec<&[f64]> = layers.iter().map(|layer| layer.incoming.as_slice()).collect();
    let outgoing: Vec<&[f64]> = layers.iter().map(|layer| layer.outgoing.as_slice()).collect();
    measures.push((WeightMeasure::Incoming.into(), mean_by_rank(&incoming)));
    measures.push((WeightMeasure::Outgoing.into(), mean_by_rank(&outgoing)));
    measures
}

/// Returns the mean share at each rank, with ranks scaled to 0..=1. `networks`: the shares of each network by rank, of
/// equal length.
fn mean_by_rank(networks: &[&[f64]]) -> Vec<(f64, f64)> {
    let ranks = networks.first().map_or(0, |shares| shares.len());
    let mean = |rank: usize| networks.iter().filter_map(|shares| shares.get(rank)).sum::<f64>() / networks.len() as f64;
    (0..ranks).map(|rank| (rank as f64 / (ranks.max(2) - 1) as f64, mean(rank))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn connections_are_averaged_by_rank() {
        let network = |shares: &[f64]| {
            let histogram = Histogram::of([0.1].into_iter(), 0.0, 1.0, 1);
            let histograms = BTreeMap::from([(WeightMeasure::Initial.into(), histogram)]);
            let incoming = shares.to_vec();
            WeightStats(vec![LayerWeightStats { layer: "a".into(), histograms, incoming, outgoing: vec![] }])
        };
        let networks = [network(&[1.0, 0.5, 0.0]), network(&[0.5, 0.5, 0.5])];
        let rows = weight_rows("e", "arm", 3, &[&networks[0], &networks[1]]);
        let incoming = rows.iter().filter(|row| row.measure.is(WeightMeasure::Incoming));
        let points: Vec<(f64, f64, usize)> = incoming.map(|row| (row.x, row.y, row.n)).collect();
        assert_eq!(points, [(0.0, 0.75, 2), (0.5, 0.5, 2), (1.0, 0.25, 2)]);
        assert!(rows[0].measure.is(WeightMeasure::Initial));
        assert!(weight_rows("e", "arm", 3, &[]).is_empty());
    }
}
