//! The description of an exported ticket: the metadata of its file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::run_manifest::Versions;
use crate::base::curve::{Evaluation, Score};
use crate::base::key::ContentHash;
use crate::data::{ImageCounts, Normalization, Split};
use crate::network::NetworkDescription;

/// Everything that the file of a ticket says about its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketInfo {
    /// Version of the format of the file.
    pub format: u32,
    /// Whether units without effect were removed, so that the tensors are smaller than in training.
    pub is_compact: bool,
    /// The network whose tensors the file has, as modules of `torch.nn`.
    pub network: NetworkDescription,
    /// The map from the bytes of an image to the inputs of the network.
    pub inputs: InputMap,
    /// Loss and accuracy of the trained network on each split.
    pub scores: Vec<TicketScore>,
    /// The training run.
    pub training: TicketOrigin,
    /// SHA-256 of the names, types, shapes and bytes of the tensors of the file: see
    /// [`Ticket::to_bytes`](super::Ticket::to_bytes).
    pub tensors_sha256: String,
}

/// The map from the bytes of an image to the inputs of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InputMap {
    /// `byte · scale + offset`, for each channel.
    Affine {
        /// The factor of each channel.
        scale: Vec<f64>,
        /// The input that byte 0 gives, for each channel.
        offset: Vec<f64>,
    },
    /// The bytes of an image divided by their Euclidean norm.
    UnitNorm {},
}

impl InputMap {
    /// Returns the map of a data set with `channels` channels.
    pub fn of(normalization: &Normalization, channels: usize) -> Self {
        let (scale, offset) = match normalization {
            Normalization::Affine { scale, offset } => (vec![*scale; channels], vec![*offset; channels]),
            Normalization::PerChannel(maps) => maps.iter().copied().unzip(),
            Normalization::PerImage(_) => return Self::UnitNorm {},
        };
        Self::Affine { scale, offset }
    }
}

/// Loss and accuracy of a ticket on a split of the data that it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketScore {
    /// `final` for the trained weights of the file; `early_stop` for the weights with the lowest validation loss, which
    /// the file does not have.
    pub weights: String,
    /// The iteration that the weights are of.
    pub iteration: u64,
    /// The split: `train`, `validation` or `test`.
    pub split: String,
    /// Number of images of the split.
    pub images: u32,
    /// Share of images that are classified correctly, 0..=1.
    pub accuracy: f64,
    /// Mean cross-entropy per image, in nats.
    pub loss: f64,
}

/// The words for the weights of the file in [`TicketScore::weights`].
const FINAL: &str = "final";

impl TicketScore {
    /// Returns the scores of the final weights, and those at the early stop, on each split.
    pub fn of(last: &Evaluation, early_stop: Option<&Evaluation>, images: ImageCounts) -> Vec<Self> {
        let scores = |weights: &'static str, evaluation: &Evaluation| {
            let Evaluation { iteration, train, validation, test } = *evaluation;
            let splits = [(train, images.train_accuracy_on), (validation, images.validation), (test, images.test)];
            Split::ALL.into_iter().zip(splits).map(move |(split, (Score { loss, accuracy }, images))| Self {
                weights: weights.to_owned(),
                iteration,
                split: split.as_str().to_owned(),
                images,
                accuracy,
                loss,
            })
        };
        let early_stop = early_stop.into_iter().flat_map(|evaluation| scores("early_stop", evaluation));
        scores(FINAL, last).chain(early_stop).collect()
    }

    /// Returns the score of the weights that the file has on a split.
    pub fn of_final(scores: &[Self], split: Split) -> Option<&Self> {
        scores.iter().find(|score| score.weights == FINAL && score.split == split.as_str())
    }
}

/// The training run that a ticket is of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TicketOrigin {
    /// The experiment's name.
    pub experiment: String,
    /// The name of the run's folder.
    pub run: String,
    /// The arm's name.
    pub arm: String,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The repeat of the arm within the replicate, from 1.
    pub repeat: u32,
    /// The round, from 0 (dense).
    pub round: u32,
    /// Number of conv and linear weights that the mask keeps.
    pub weights_kept: u64,
    /// Number of conv and linear weights of the network.
    pub weights_total: u64,
    /// The iteration that training started at.
    pub start_iteration: u64,
    /// The engine that trained the network.
    pub engine: String,
    /// The kind of device: `cpu` or `cuda`.
    pub device: String,
    /// The processor or GPU, as the run records it; `None` if the run has no record.
    pub hardware: Option<String>,
    /// Versions of the software that trained the network; `None` if the run has no record.
    pub versions: Option<Versions>,
    /// The key of the training run: the hash of `content`.
    #[schemars(with = "String")]
    pub key: ContentHash,
    /// Everything that determines the numbers of the training run.
    pub content: Value,
    /// SHA-256 of the files of the training run in the store, by file name.
    pub files: BTreeMap<String, String>,
    /// The configuration of the run with every default filled in, as TOML.
    pub config: String,
}
