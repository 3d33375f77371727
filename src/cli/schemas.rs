//! The outputs that other programs read: the JSON of commands and the files of a run, as JSON Schemas and as a
//! reference in Markdown. Both are made from the types that are written, so that they agree with the output.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::events::EventLine;
use super::json::{
    CleanResult, DataShowResult, InitResult, MeasuringResult, ReportResult, RmResult, RunResult, ShowResult,
    SweepResult, TicketEvaluationResult, VerifyResult,
};
use super::release_manifest::ReleaseManifest;
use super::ticket::json::{
    TicketBenchResult, TicketCompactResult, TicketExportResult, TicketResult, TicketVerifyResult,
};
use crate::artifacts::{
    CalibrationRow, Checksummed, ClassAccuracyRow, CurveRow, LandscapeCurveRow, LandscapeRow, LayerRow, RobustnessRow,
    RoundRow, RunManifest, StabilityRow, TimingRow, WeightRow, summary_columns,
};
use crate::config::{ResolvedValue, object_reference_markdown};
use crate::data::DatasetReport;
use crate::report::{RunComparison, RunOverview};
use crate::runner::{Estimate, JobList, SweepEstimate};
use crate::ui::Diagnosis;

/// An output of the program.
struct Output {
    /// The name for `lth generate schema --of`.
    name: &'static str,
    /// The heading of its section in the reference.
    heading: &'static str,
    schema: fn() -> Value,
}

/// Returns an output of the type `T`.
const fn output<T: JsonSchema>(name: &'static str, heading: &'static str) -> Output {
    // The schema of what is written: a field that may be missing only in files of earlier versions is required.
    let schema = || SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<T>().to_value();
    Output { name, heading, schema }
}

/// Every output: first the JSON of commands, then the files of a run.
const OUTPUTS: [Output; 41] = [
    output::<RunResult>("run", "`lth run --json`"),
    output::<SweepResult>("sweep", "the last line of `lth run --json` for a sweep"),
    output::<MeasuringResult>("stability", "`lth stability --json`"),
    output::<MeasuringResult>("landscape", "`lth landscape --json`"),
    output::<TicketExportResult>("ticket-export", "`lth ticket export --json`"),
    output::<TicketResult>("ticket-show", "`lth ticket show --json`"),
    output::<TicketVerifyResult>("ticket-verify", "`lth ticket verify --json`"),
    output::<TicketCompactResult>("ticket-compact", "`lth ticket compact --json`"),
    output::<TicketBenchResult>("ticket-bench", "`lth ticket bench --json`"),
    output::<MeasuringResult>("evaluate", "`lth evaluate RUN --json`"),
    output::<TicketEvaluationResult>("evaluate-tickets", "`lth evaluate FILE --json`"),
    output::<EventLine>("events", "`--events FILE`"),
    output::<Estimate>("plan", "`lth plan --json`"),
    output::<SweepEstimate>("plan-sweep", "`lth plan --json` for a sweep"),
    output::<JobList>("jobs", "`lth plan --jobs --json`"),
    output::<BTreeMap<String, ResolvedValue>>("check", "`lth check --json`"),
    output::<ShowResult<'_>>("show", "`lth show --json`"),
    output::<Vec<RunOverview>>("runs", "`lth runs --json`"),
    output::<RunComparison>("compare", "`lth compare --json`"),
    output::<ReportResult>("report", "`lth report --json`"),
    output::<RmResult>("rm", "`lth rm --json`"),
    output::<CleanResult>("clean", "`lth clean --json`"),
    output::<VerifyResult>("verify", "`lth verify --json`"),
    output::<ReleaseManifest>("release-manifest", "`lth verify --manifest`"),
    output::<InitResult>("init", "`lth init --json`"),
    output::<Vec<DatasetReport>>("data-check", "`lth data check --json`"),
    output::<DataShowResult<'_>>("data-show", "`lth data show --json`"),
    output::<Diagnosis>("doctor", "`lth doctor --json`"),
    output::<Checksummed<RunManifest>>("manifest", "`run.json`"),
    output::<RoundRow>("rounds.csv", "`rounds.csv`"),
    output::<CurveRow>("curves.csv", "`curves.csv`"),
    output::<LayerRow>("layers.csv", "`layers.csv`"),
    output::<TimingRow>("timings.csv", "`timings.csv`"),
    output::<WeightRow>("weights.csv", "`weights.csv`"),
    output::<StabilityRow>("stability.csv", "`stability.csv`"),
    output::<LandscapeRow>("landscape.csv", "`landscape.csv`"),
    output::<LandscapeCurveRow>("landscape_curves.csv", "`landscape_curves.csv`"),
    output::<RobustnessRow>("robustness.csv", "`robustness.csv`"),
    output::<CalibrationRow>("calibration.csv", "`calibration.csv`"),
    output::<ClassAccuracyRow>("class_accuracy.csv", "`class_accuracy.csv`"),
    Output { name: "summary.csv", heading: "`summary.csv`", schema: summary_schema },
];

/// Returns the names of all outputs.
pub(super) fn names() -> Vec<&'static str> {
    OUTPUTS.iter().map(|output| output.name).collect()
}

/// Returns the schema of an output; `None` if there is no output of this name.
pub(super) fn schema(name: &str) -> Option<Value> {
    OUTPUTS.iter().find(|output| output.name == name).map(|output| (output.schema)())
}

/// Returns the reference of all outputs as Markdown.
pub(super) fn reference_markdown() -> String {
    let mut text = String::from(
        "\n# Every field of JSON and every column of CSV\n\n\
         Made from the same types that the program writes. `null` in JSON and an empty cell in CSV stand for a missing\n\
         value; accuracies, errors and shares are numbers from 0 to 1; times are ISO 8601 in UTC. Later versions may add\n\
         fields and columns; they rename and remove none. `lth generate schema --of OUTPUT` prints the JSON Schema.\n",
    );
    for output in &OUTPUTS {
        text.push_str(&object_reference_markdown(output.heading, &(output.schema)()));
    }
    text
}

/// Returns the schema of `summary.csv`, whose columns are made from the metrics.
fn summary_schema() -> Value {
    let column = |(name, meaning): (String, String)| {
        let kind = match name.as_str() {
            "experiment" | "arm" => "string",
            "round" | "n" | "without_result" => "integer",
            _ => "number",
        };
        (name, json!({ "description": meaning, "type": kind }))
    };
    let properties: serde_json::Map<String, Value> = summary_columns().into_iter().map(column).collect();
    json!({
        "title": "SummaryRow",
        "description": "A row of `summary.csv`: the metrics of an arm at a round, over its training runs.",
        "type": "object",
        "properties": properties,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifacts::{summary_to_csv, to_csv};

    /// Returns the names of the properties of an output.
    fn properties(name: &str) -> Vec<String> {
        schema(name).unwrap()["properties"].as_object().unwrap().keys().cloned().collect()
    }

    fn header(csv: &[u8]) -> Vec<String> {
        String::from_utf8_lossy(csv).lines().next().unwrap_or_default().split(',').map(str::to_owned).collect()
    }

    #[test]
    fn every_column_is_a_property() {
        assert_eq!(properties("rounds.csv"), header(&to_csv::<RoundRow>(&[]).unwrap()));
        assert_eq!(properties("curves.csv"), header(&to_csv::<CurveRow>(&[]).unwrap()));
        assert_eq!(properties("layers.csv"), header(&to_csv::<LayerRow>(&[]).unwrap()));
        assert_eq!(properties("timings.csv"), header(&to_csv::<TimingRow>(&[]).unwrap()));
        assert_eq!(properties("weights.csv"), header(&to_csv::<WeightRow>(&[]).unwrap()));
        assert_eq!(properties("stability.csv"), header(&to_csv::<StabilityRow>(&[]).unwrap()));
        assert_eq!(properties("landscape.csv"), header(&to_csv::<LandscapeRow>(&[]).unwrap()));
        assert_eq!(properties("landscape_curves.csv"), header(&to_csv::<LandscapeCurveRow>(&[]).unwrap()));
        assert_eq!(properties("robustness.csv"), header(&to_csv::<RobustnessRow>(&[]).unwrap()));
        assert_eq!(properties("calibration.csv"), header(&to_csv::<CalibrationRow>(&[]).unwrap()));
        assert_eq!(properties("class_accuracy.csv"), header(&to_csv::<ClassAccuracyRow>(&[]).unwrap()));
        assert_eq!(properties("summary.csv"), header(&summary_to_csv(&[]).unwrap()));
    }

    #[test]
    fn every_property_has_a_description_and_a_row_in_the_reference() {
        let reference = reference_markdown();
        for output in &OUTPUTS {
            let schema = (output.schema)();
            let objects = schema["$defs"].as_object().into_iter().flat_map(|defs| defs.values()).chain([&schema]);
            for (name, property) in objects.filter_map(|object| object["properties"].as_object()).flatten() {
                let described = property.get("description").is_some_and(|text| text.as_str() != Some(""));
                assert!(described, "{}: {name} has no description", output.name);
                assert!(reference.contains(&format!("{name}` |")), "{}: {name}", output.name);
            }
            assert!(reference.contains(&format!("## {}\n", output.heading)), "{}", output.name);
        }
    }
}
