//! Analysis of runs and reports on them. Reads the files of runs; of the store only the sizes of its entries.
//! Independent of engines, data sets and the terminal.
//!
//! [`Run`] reads the files, [`RunAnalysis`] adds verdicts, claims and figures, and [`files`] writes the report.

mod accuracy_rise;
mod analysis;
mod arm_round;
mod checkpoints;
mod class_accuracy;
mod claims;
mod compare;
mod condition;
mod curves;
mod document;
mod equal_iterations;
mod figures;
mod headline;
mod landscape;
mod landscape_table;
mod method;
mod overview;
mod paired;
mod published;
mod rank_correlation;
mod render;
mod result_row;
mod robustness;
mod robustness_comparison;
mod roles;
mod run;
mod run_difference;
mod run_names;
mod stability;
mod statistics;
mod table;
#[cfg(test)]
mod test_fixtures;
mod transfer;
mod verdict;

pub use analysis::RunAnalysis;
pub use claims::{ClaimRow, ClaimStatus, claims};
pub use compare::{RunComparison, RunDifferences, compare};
pub use condition::{Answer, Censoring, Condition, ConditionTest, Obstacle};
pub use document::{Page, PageElement, TicketFile, page};
pub use headline::answer_lines;
pub use landscape_table::short_landscape_table;
pub use overview::{BestRound, RunList, RunOverview, without_superseded};
pub use published::{PublishedComparison, published_table, published_warning};
pub use render::{files, ticket_robustness_files};
pub use result_row::{ResultRow, results_to_csv};
pub use robustness::{measures_note, robustness_table};
pub use roles::{ForeignArm, measured_arms};
pub use run::{Run, RunState, experiment_of, resolved_config};
pub use run_difference::{DifferenceRow, MetricDifference, difference_text};
pub use run_names::run_names;
pub use stability::stability_table;
pub use statistics::Interval;
pub use table::{Cell, Table};
pub use verdict::{Decision, Verdict, verdicts};
