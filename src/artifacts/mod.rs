//! What is told and what is written: events, rows, and the files of an entry. Decides nothing.

mod entry_manifest;
mod round_group;
mod run_manifest;
mod weight_rows;
mod rows;
mod stability;
mod starts;
mod summary;
mod tensor_files;

pub use entry_manifest::{EntryManifest, FileChecksum, Timing};
pub use round_group::{RoundGroup, arms};
pub use rows::{CurveRow, LayerRow, RoundRow, TimingRow, from_csv, to_csv};
pub use run_manifest::{AuditSummary, CudaProvenance, RunManifest, TestImages, Versions};
pub use stability::StabilityRow;
pub use starts::{last_iteration, late_starts, start_note};
pub use summary::{SummaryRow, summary};
pub use tensor_files::{
    mask_from_bytes, mask_to_bytes, snapshot_from_bytes, snapshot_to_bytes, state_from_bytes, state_to_bytes,
};
pub use weight_rows::{WeightRow, weight_rows};
