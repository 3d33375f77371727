//! What is learned from: images as bytes, split and verified. Knows no tensor and no terminal.

mod cifar;
mod cifar_python;
mod dataset;
mod download;
mod fetch;
mod gzip;
mod idx;
mod image_folder;
mod junk;
mod load;
mod names;
mod not_found;
mod builtin;
mod custom;
mod custom_idx;
mod container;
mod pickle;
mod png_image;
mod info;
mod contact_sheet;
mod dataset_dir;
mod split;
mod strokes;
mod summary;
mod status;

pub use contact_sheet::{contact_sheet, is_contact_sheet};
pub use dataset::{Dataset, Normalization, Split};
pub use fetch::{FetchOptions, FetchProgress, Fetched, NoMirror, fetch};
pub use info::DatasetInfo;
pub use load::{Unreadable, default_folder, folder, load};
pub use not_found::NotFound;
pub use status::{Availability, DatasetStatus, FileReport, FileStatus, names, status};
pub use summary::{DatasetSummary, SplitSummary};
