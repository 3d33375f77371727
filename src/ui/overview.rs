//! The text of `lth runs`.

use super::table::{cut_lines, fits, render, stdout_width};
use crate::artifacts::InProgress;
use crate::base::format::{accuracy, bytes, count_of, percent, with_thousands};
use crate::report::{BestRound, Cell, RunList, RunOverview, Table};
use crate::system::local_time;

/// A column of the table of runs.
#[derive(Clone, Copy, PartialEq)]
enum Column {
    Name,
    Label,
    Started,
    State,
    Done,
    Best,
    Size,
}

/// The columns by the width of the terminal: the widest set that fits is shown.
const LAYOUTS: [&[Column]; 5] = [
    &[Column::Name, Column::Started, Column::State, Column::Done, Column::Best, Column::Size, Column::Label],
    &[Column::Name, Column::Started, Column::State, Column::Done, Column::Size, Column::Label],
    &[Column::Name, Column::Started, Column::State, Column::Done, Column::Label],
    &[Column::Name, Column::Started, Column::State, Column::Label],
    &[Column::Name, Column::Label],
];

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Name => "run",
            Self::Label => "differs in",
            Self::Started => "started",
            Self::State => "state",
            Self::Done => "done",
            Self::Best => "best round by validation accuracy",
            Self::Size => "size",
        }
    }

    fn cell(self, run: &RunOverview) -> Cell {
        match self {
            Self::Name => Cell::text(&run.name),
            Self::Label => label_cell(run),
            Self::Started => {
                run.started.map_or(Cell::Missing, |started| Cell::text(local_time::date_and_minute(started)))
            }
            Self::State => Cell::text(run.state.as_str()),
            Self::Done => {
                let planned = run
                    .trainings
                    .map_or_else(String::new, |trainings| format!(" of {}", with_thousands(trainings as u64)));
                Cell::number(format!("{}{planned}{}", with_thousands(run.done as u64), in_progress(run)))
            }
            Self::Best => run.best.as_ref().map_or(Cell::Missing, |best| Cell::text(best_text(best))),
            Self::Size => Cell::number(bytes(run.bytes)),
        }
    }
}

/// Returns the number of training runs in progress, and the share of their iterations that is done; empty if there are
/// none.
fn in_progress(run: &RunOverview) -> String {
    let sum = |count: fn(&InProgress) -> u64| run.in_progress.iter().map(count).sum::<u64>();
    let (done, all) = (sum(|training| training.iteration), sum(|training| training.last_iteration));
    let percent = (100 * done).checked_div(all);
    percent.map_or_else(String::new, |percent| format!(" (+{} at {percent}%)", run.in_progress.len()))
}

/// Returns the cell of what tells a run from the others, and of the run that supersedes it.
fn label_cell(run: &RunOverview) -> Cell {
    let superseded = run.superseded_by.as_ref().map(|newer| format!("superseded by {newer}"));
    let archived = run.archived.then(|| "archived".to_owned());
    let parts: Vec<String> = superseded.into_iter().chain(archived).chain(run.label.clone()).collect();
    if parts.is_empty() { Cell::Missing } else { Cell::text(parts.join("; ")) }
}

/// Returns a table with a line for each run, the newest last, made to fit the width of the terminal, and the number of
/// runs that are left out.
pub fn overviews(list: &RunList) -> String {
    overviews_within(list, stdout_width())
}

/// Like [`overviews`], but for a terminal of `width` characters.
fn overviews_within(list: &RunList, width: usize) -> String {
    let has_labels = list.listed.iter().any(|run| label_cell(run) != Cell::Missing);
    let text = |columns: &[Column]| {
        let columns: Vec<Column> =
            columns.iter().copied().filter(|column| has_labels || *column != Column::Label).collect();
        let mut table = Table::new(columns.iter().map(|column| column.title()));
        table.rows = list.listed.iter().map(|run| columns.iter().map(|column| column.cell(run)).collect()).collect();
        let has_size = columns.contains(&Column::Size);
        let note = "done: training runs\nsize: files of the run and of its training runs, which other runs may share\n";
        let has_progress = columns.contains(&Column::Done) && list.listed.iter().any(|run| !run.in_progress.is_empty());
        let progress_note = "(+2 at 50%): 2 more are in progress, with half of their iterations saved\n";
        render(&table) + if has_size { note } else { "" } + if has_progress { progress_note } else { "" }
    };
    let texts: Vec<String> = LAYOUTS.iter().map(|columns| text(columns)).collect();
    let widest = texts.iter().find(|text| fits(text, width));
    // If no table fits, the labels, which come last, are cut; the dates stay as long as half of the width is left.
    let table =
        widest.cloned().unwrap_or_else(|| cut_lines(&text(if width < 60 { LAYOUTS[4] } else { LAYOUTS[3] }), width));
    if list.listed.is_empty() { left_out(list, width) } else { table + &left_out(list, width) }
}

/// Returns a line with the number of runs that are left out, of at most `width` characters if possible; empty if there
/// are none.
fn left_out(list: &RunList, width: usize) -> String {
    let counts = [(list.superseded, "superseded run"), (list.archived, "archived run")];
    let parts: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count_of(n as u64, noun)).collect();
    if parts.is_empty() {
        return String::new();
    }
    let text = format!("{} (--all shows them)\n", parts.join(" and "));
    if fits(&text, width) { text } else { format!("{} more: --all\n", list.superseded + list.archived) }
}

/// Formats the round with the best validation accuracy.
fn best_text(best: &BestRound) -> String {
    let remaining = percent(best.weights_remaining);
    let accuracy = accuracy(best.validation_accuracy);
    format!("{accuracy}% {} {} ({remaining} remaining, n = {})", best.arm, best.round, best.n)
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::report::RunState;

    fn run(id: &str, label: Option<&str>) -> RunOverview {
        RunOverview {
            name: format!("my_lenet-{id}"),
            state: RunState::Interrupted,
            in_progress: Vec::new(),
            done: 12,
            trainings: Some(48),
            best: Some(BestRound {
                arm: "winning_ticket".into(),
                round: 3,
                weights_remaining: 0.512,
                validation_accuracy: 0.975,
                n: 3,
            }),
            bytes: 1_234_567,
            written: None,
            // The date depends on the time zone of the machine.
            started: None,
            settings: Map::new(),
            label: label.map(str::to_owned),
            superseded_by: None,
            archived: false,
        }
    }

    #[test]
    fn runs_fit_the_terminal() {
        let labels = ["lr 1.2e-3, rate 0.2", "lr 1.2e-3, rate 0.4, optimizer sgd, momentum 0.9, batch_size 128"];
        let listed = vec![run("11111111", Some(labels[0])), run("22222222", Some(labels[1]))];
        let list = RunList { listed, superseded: 2, archived: 1 };
        for width in [200, 80, 60, 40] {
            assert!(fits(&overviews_within(&list, width), width), "{}", overviews_within(&list, width));
        }
        insta::assert_snapshot!([200, 80, 40].map(|width| overviews_within(&list, width)).join("---\n"));
    }

    #[test]
    fn runs_that_do_not_differ_have_no_column_for_it() {
        let list = RunList { listed: vec![run("11111111", None)], superseded: 0, archived: 0 };
        let text = overviews_within(&list, 200);
        assert!(!text.contains("differs in") && !text.contains("--all"), "{text}");
        let none = RunList { listed: Vec::new(), superseded: 0, archived: 2 };
        assert_eq!(overviews_within(&none, 80), "2 archived runs (--all shows them)\n");
    }
}
