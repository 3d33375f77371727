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

pub use dataset::{Dataset, Inputs, Split};
pub use fetch::{Fetch, Fetched, NoMirror, Progress, fetch};
pub use load::{Unreadable, default_folder, folder, load};
pub use not_found::NotFound;
pub use sheet::{is_sheet, sheet};
pub use source::Source;
pub use summary::{Part, Summary};
pub use survey::{Condition, FileReport, State, Survey, names, survey};
