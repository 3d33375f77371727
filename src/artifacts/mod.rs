//! Files of runs and of store entries: their rows, tables and tensors, and how they are written and read. Contains no
//! policy, such as when a file is written or what is trained.

mod censoring;
mod checksummed_json;
mod entry_manifest;
mod first_seen;
mod landscape;
mod metrics;
mod plan_keys;
mod progress_snapshot;
mod robustness;
mod round_group;
mod rows;
mod run_checksums;
mod run_config;
mod run_labels;
mod run_lookup;
mod run_manifest;
mod source_tensors;
mod stability;
mod starts;
mod summary;
mod tensor_files;
mod tensorboard;
mod ticket;
mod weight_rows;

pub use censoring::LastEvaluations;
pub use checksummed_json::{ChecksumState, Checksummed, checksum_state, to_checksummed_json};
pub use entry_manifest::{EntryManifest, FileChecksum, ManifestError, Timing};
pub use first_seen::first_seen;
pub use landscape::{LandscapeCurve, LandscapeCurveRow, LandscapeRow};
pub use metrics::{
    DEAD_UNITS, EARLY_STOP_ITERATION, EARLY_STOP_TEST_ACCURACY, EARLY_STOP_TRAIN_ACCURACY,
    EARLY_STOP_VALIDATION_ACCURACY, EVER_KEPT, FINAL_TEST_ACCURACY, FINAL_TRAIN_ACCURACY, ITERATIONS_TO_EARLY_STOP,
    MASK_OVERLAP, METRICS, Metric, MetricDisplay, MetricTime, MetricUnit, SEARCH_ITERATIONS, SEARCH_MACS, TOTAL_MACS,
};
pub use plan_keys::{plan_keys, plan_keys_to_bytes};
pub use progress_snapshot::{
    InProgress, ProgressHeader, ProgressLabel, TrainingPlace, in_progress, newest_progress, progress_files,
    progress_from_bytes, progress_to_bytes, read_progress_header,
};
pub use robustness::{CalibrationRow, ClassAccuracyRow, RobustnessData, RobustnessRow};
pub use round_group::{RoundGroup, arms};
pub use rows::{CurveRow, DeviceKind, LayerRow, RoundRow, TimingRow, from_csv, to_csv};
pub use run_checksums::{RunChecksums, damaged, open_run_file, read_run_file};
pub use run_config::{ConfigDifference, ConfigValues, config_differences, config_values, distinguishing_differences};
pub use run_labels::{RunLabels, value_text};
pub use run_lookup::{NoSuchRun, experiment_name, find_runs, find_single_run, list_runs, started};
pub use run_manifest::{
    AuditSummary, CudaProvenance, RunCommand, RunManifest, TestImageCounts, Versions, resume_command,
};
pub use source_tensors::file_contents;
pub use stability::StabilityRow;
pub use starts::{last_iteration, late_starts, start_note};
pub use summary::{SummaryRow, summary, summary_columns, summary_to_csv};
pub use tensor_files::{
    StoredFloat, mask_from_bytes, mask_to_bytes, snapshot_from_bytes, snapshot_to_bytes, tensors_from_bytes,
    tensors_to_bytes,
};
pub use tensorboard::event_files;
pub use ticket::{
    InferenceTiming, InputMap, Ticket, TicketCheck, TicketInfo, TicketLayer, TicketOrigin, TicketScore, TicketSizes,
    VerifiedScore, WeightHistogram, is_ticket,
};
pub use weight_rows::{WeightRow, weight_rows};
