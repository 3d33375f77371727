//! What is learned from: images as bytes, split and verified. Knows no tensor and no terminal.

mod cifar;
mod cifar_python;
mod dataset;
mod download;
mod fetch;
mod gzip;
mod idx;
mod images;
mod junk;
mod load;
mod names;
mod not_found;
mod official;
mod own;
mod own_idx;
mod packed;
mod pickle;
mod picture;
mod source;
mod sheet;
mod shelf;
mod split;
mod strokes;
mod summary;
mod survey;

pub use dataset::{Dataset, Normalization, Split};
pub use fetch::{FetchOptions, FetchProgress, Fetched, NoMirror, fetch};
pub use load::{Unreadable, default_folder, folder, load};
pub use not_found::NotFound;
pub use sheet::{contact_sheet, is_contact_sheet};
pub use source::DatasetInfo;
pub use summary::{DatasetSummary, SplitSummary};
pub use survey::{Availability, DatasetStatus, FileReport, FileStatus, names, status};
