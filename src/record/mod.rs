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

pub use done::{EntryManifest, FileChecksum, Timing};
pub use event::{Event, EventSink, TrainingId, TrainingResult};
pub use group::{RoundGroup, arms};
pub use manifest::{AuditSummary, CudaProvenance, RunManifest, TestImages, Versions};
pub use profile::{Histogram, LayerWeightStats, RANKS, WeightRow, WeightStats, weight_rows};
pub use rows::{CurveRow, LayerRow, RoundRow, TimingRow, from_csv, to_csv};
pub use stability::StabilityRow;
pub use starts::{last_iteration, late_starts, start_note};
pub use summary::{SummaryRow, summary};
pub use tensors::{
    mask_from_bytes, mask_to_bytes, snapshot_from_bytes, snapshot_to_bytes, state_from_bytes, state_to_bytes,
};
