//! What a mask has left of a network, in the numbers that figures are drawn from (the paper, Appendix F).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counts in bins of equal width; what lies outside of them is counted in none, but in the total.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Where the first bin begins.
    pub low: f64,
    /// Width of a bin.
    pub width: f64,
    /// How many values lie in each.
    pub counts: Vec<u64>,
    /// How many values there are.
    pub total: u64,
}

impl Histogram {
    /// The histogram of `values` in `bins` bins from `low` on.
    pub fn of(values: impl Iterator<Item = f64>, low: f64, width: f64, bins: usize) -> Self {
        let mut histogram = Self { low, width, counts: vec![0; bins], total: 0 };
        for value in values {
            let bin = ((value - low) / width).floor();
            if bin >= 0.0 && bin < bins as f64 {
                histogram.counts[bin as usize] += 1;
            }
            histogram.total += 1;
        }
        histogram
    }

    /// Adds the counts of another with the same bins.
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, n)| *sum += n);
    }

    /// Middle and density of each bin, without the empty ones at either end.
    fn density(&self) -> Vec<(f64, f64)> {
        let first = self.counts.iter().position(|&n| n > 0).unwrap_or(0);
        let last = self.counts.iter().rposition(|&n| n > 0).map_or(first, |last| last + 1);
        let middle = |bin: usize| self.low + (bin as f64 + 0.5) * self.width;
        let density = |n: u64| n as f64 / (self.total as f64 * self.width);
        (first..last).map(|bin| (middle(bin), density(self.counts[bin]))).collect()
    }
}

/// One weight tensor under a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerWeightStats {
    /// The layer's name.
    pub layer: String,
    /// Histograms by measure: see [`WeightRow::measure`].
    pub histograms: BTreeMap<String, Histogram>,
    /// Of each unit, most connected first, the share of its incoming connections that is kept; at [`RANKS`] ranks.
    pub incoming: Vec<f64>,
    /// The same of the inputs' outgoing connections.
    pub outgoing: Vec<f64>,
}

/// Ranks at which connections are told, from the most connected unit to the least.
pub const RANKS: usize = 51;

/// A network under a mask: `weights.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightStats(pub Vec<LayerWeightStats>);

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

    #[test]
    fn histograms_count_and_pool() {
        let mut one = Histogram::of([-2.0, -0.5, 0.0, 0.4, 9.0].into_iter(), -1.0, 0.5, 4);
        assert_eq!((one.counts.clone(), one.total), (vec![0, 1, 2, 0], 5), "bins begin at -1, -0.5, 0 and 0.5");
        one.add(&Histogram::of([0.1].into_iter(), -1.0, 0.5, 4));
        assert_eq!(one.density(), [(-0.25, 1.0 / 3.0), (0.25, 1.0)], "1 and 3 of 6, over a width of 0.5");
    }

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
