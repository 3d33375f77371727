//! What is told and what is written: events, rows, and the files of an entry. Decides nothing.

mod done;
mod event;
mod group;
mod manifest;
mod profile;
mod rows;
mod stability;
mod starts;
mod summary;
mod tensors;

pub use done::{Done, FileSum, Timing};
pub use event::{Event, Label, Result, Sink};
pub use group::{Group, arms};
pub use manifest::{Audit, Cuda, Manifest, TestImages, Versions};
pub use profile::{Histogram, LayerProfile, Profile, RANKS, WeightRow, weight_rows};
pub use rows::{CurveRow, LayerRow, RoundRow, TimingRow, from_csv, to_csv};
pub use stability::StabilityRow;
pub use starts::{last_iteration, late_starts, start_note};
pub use summary::{SummaryRow, summary};
pub use tensors::{
    mask_from_bytes, mask_to_bytes, snapshot_from_bytes, snapshot_to_bytes, state_from_bytes, state_to_bytes,
};
