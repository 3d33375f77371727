//! Data sets: images as bytes, verified and split. Independent of tensors and of the terminal.

// A data set: facts, images, splits.
mod class_selection;
mod dataset;
mod image_counts;
mod info;
mod load;
mod pixel_stats;
mod split;
mod strokes;

// The files of the built-in data sets.
mod builtin;
mod dataset_dir;
mod dirs;
mod junk;
mod names;
mod not_found;
mod partial_test;
mod status;

// Custom data.
mod custom;
mod custom_idx;
mod image_folder;

// File formats.
mod bounded;
mod cifar;
mod cifar_python;
mod container;
mod gzip;
mod idx;
mod pickle;
mod png_image;

// Downloads.
mod download;
mod fetch;

// Corrupted images.
pub mod corruption;

// Summaries.
mod contact_sheet;
mod summary;

pub use contact_sheet::{contact_sheet, is_contact_sheet};
pub use corruption::Corruption;
pub use dataset::{Dataset, Normalization, Split};
pub use dirs::{data_dir_argument, folder};
pub use fetch::{FetchOptions, FetchProgress, Fetched, NoMirror, fetch};
pub use image_counts::{ImageCounts, WHOLE_VALIDATION};
pub use info::{DatasetInfo, RawImages};
pub use load::{Unreadable, inspect, load};
pub use not_found::NotFound;
pub use status::{DatasetReport, DatasetStatus, FileReport, FileStatus, names, problem, status};
pub use summary::{DatasetSummary, SplitSummary};
