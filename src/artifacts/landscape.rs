//! `landscape.csv` and `landscape_curves.csv`: the training loss around the starting and the final weights of training
//! runs.

use serde::{Deserialize, Serialize};

use crate::base::category::{Categorical, Category};

/// A row of `landscape.csv`: one training run, whose starting and final weights `lth landscape` has measured.
///
/// Losses are mean cross-entropies over `images` training images. Weights are the conv and linear weights that the mask
/// keeps. A value that is not defined or not finite is an empty cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LandscapeRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// Number of conv and linear weights that the mask keeps.
    pub weights_kept: u64,
    /// Euclidean norm of the starting weights.
    pub start_norm: f64,
    /// Euclidean distance from the starting weights to the final weights.
    pub distance: f64,
    /// `distance` / `start_norm`.
    pub relative_distance: Option<f64>,
    /// Euclidean norm of the gradient of the mean training loss with respect to the weights, at the start.
    pub gradient_norm: Option<f64>,
    /// `gradient_norm` / the square root of `weights_kept`: the root mean square of the gradient.
    pub gradient_rms: Option<f64>,
    /// Training loss at the final weights, in nats.
    pub end_loss: Option<f64>,
    /// Sharpness: the mean increase of the training loss from the final weights to the final weights ± 0.5 times a
    /// filter-normalized random direction, over both signs and all directions, in nats.
    pub sharpness: Option<f64>,
    /// The largest training loss on the straight line from the starting to the final weights, minus the larger of the
    /// losses at its ends, in nats.
    pub barrier: Option<f64>,
    /// The largest increase of the training loss from a point of that line to a later one, in nats; 0 if the loss never
    /// increases.
    pub rise: Option<f64>,
    /// Number of networks on the line, both ends included.
    pub points: usize,
    /// Number of random directions.
    pub directions: usize,
    /// Number of training images that losses and gradients are means over.
    pub images: usize,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

/// The set of networks that a row of `landscape_curves.csv` belongs to: the column `curve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LandscapeCurve {
    /// The straight line from the starting weights, at α = 0, to the final weights, at α = 1.
    Line,
    /// The final weights plus α times a filter-normalized random direction.
    Direction,
}

impl Categorical for LandscapeCurve {
    const ALL: &'static [Self] = &[Self::Line, Self::Direction];

    fn as_str(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Direction => "direction",
        }
    }
}

/// A row of `landscape_curves.csv`: one network near the weights of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LandscapeCurveRow {
    /// The experiment's name.
    pub experiment: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// Index of the mask size, from 0 (dense): the number of prunings with iterative pruning, the number of the entry
    /// with a grid.
    pub round: u32,
    /// Kept / all weights, 0..=1.
    pub weights_remaining: f64,
    /// The set of networks: `line`, from the starting to the final weights, or `direction`, around the final weights.
    pub curve: Category<LandscapeCurve>,
    /// The random direction, from 1; 0 on the line.
    pub direction: usize,
    /// On the line the position, from 0 (start) to 1 (end); along a direction the multiple of it that is added.
    pub alpha: f64,
    /// Mean cross-entropy per training image, in nats; empty if it is not finite.
    pub train_loss: Option<f64>,
    /// Accuracy on training images, 0..=1.
    pub train_accuracy: f64,
    /// The key of the training run, hexadecimal.
    pub key: String,
}

#[cfg(test)]
mod tests {
    use super::super::to_csv;
    use super::*;

    #[test]
    fn columns_are_pinned() {
        let header = |csv: Vec<u8>| String::from_utf8(csv).unwrap().lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            header(to_csv::<LandscapeRow>(&[]).unwrap()),
            "experiment,arm,replicate,repeat,round,weights_remaining,weights_kept,start_norm,distance,\
             relative_distance,gradient_norm,gradient_rms,end_loss,sharpness,barrier,rise,points,directions,images,key"
        );
        assert_eq!(
            header(to_csv::<LandscapeCurveRow>(&[]).unwrap()),
            "experiment,arm,replicate,repeat,round,weights_remaining,curve,direction,alpha,train_loss,train_accuracy,\
             key"
        );
    }
}
