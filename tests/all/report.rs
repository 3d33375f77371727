//! `lth report`: the files it writes for synthetic runs, and its behaviour on damaged and incomplete runs.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Output;

use lth::plot::{Figure, HeatMap, Panel, Series};
use lth::report::{Cell, Page, PageElement, Run, RunAnalysis, Table, page};
use lth::system::paths::RunDir;

use crate::support::*;
use crate::synthetic_run::SyntheticRun;

const SMALL: SyntheticRun = SyntheticRun {
    arms: &[("ticket", 1, 0.0005), ("reinit", 2, 0.004)],
    replicates: 3,
    rounds: 3,
    evaluations: 21,
    with_weights: true,
};

fn report(words: &[&Path]) -> Output {
    lth().arg("report").args(words).output().unwrap()
}

/// Returns the files of a run's report by their names.
fn report_files(run_dir: &Path) -> std::collections::BTreeMap<String, String> {
    reproducible_files(run_dir).into_iter().filter(|(name, _)| name.starts_with("report/")).collect()
}

/// Returns the model of a page as text, an element per paragraph. Texts are in quotes, numbers are not, decisions and
/// statuses are in angle brackets.
fn page_text(page: &Page) -> String {
    format!("title: {}\n{}", page.title, elements_text(&page.elements))
}

fn elements_text(elements: &[PageElement]) -> String {
    let mut text = String::new();
    for element in elements {
        text.push('\n');
        match element {
            PageElement::Heading(level, title) => writeln!(text, "heading {level}: {title}").unwrap(),
            PageElement::Text(paragraph) => writeln!(text, "text: {paragraph}").unwrap(),
            PageElement::Answer(paragraph) => writeln!(text, "answer: {paragraph}").unwrap(),
            PageElement::List(items) => {
                for item in items {
                    writeln!(text, "- {item}").unwrap();
                }
            }
            PageElement::Table(table) => text += &table_text(table),
            PageElement::Figure(level, figure) => text += &figure_text(*level, figure),
            PageElement::Code(summary, code) => {
                writeln!(text, "code: {summary} ({} lines)", code.lines().count()).unwrap();
            }
            PageElement::Facts(facts) => {
                for (name, fact) in facts {
                    writeln!(text, "fact: {name}: {fact}").unwrap();
                }
            }
            PageElement::Folded(title, elements) => {
                writeln!(text, "folded: {title}\n{}", elements_text(elements)).unwrap();
            }
        }
    }
    text
}

fn table_text(table: &Table) -> String {
    let cell = |cell: &Cell| match cell {
        Cell::Text(text) => format!("\"{text}\""),
        Cell::Number(number) => number.clone(),
        Cell::Decision(_) | Cell::Status(_) => format!("<{}>", cell.as_str()),
        Cell::Missing => "missing".to_owned(),
    };
    let mut text = format!("table: {}\n", table.header.join(" | "));
    for row in &table.rows {
        writeln!(text, "  {}", row.iter().map(cell).collect::<Vec<_>>().join(" | ")).unwrap();
    }
    text
}

fn figure_text(level: usize, figure: &Figure) -> String {
    let mut text = format!("figure {level}: {}: {}\n  {}\n", figure.name, figure.title, figure.caption);
    for Panel { title, x, y, series, level, note, heat_map } in &figure.panels {
        let heading = format!("  panel: {title} {note}");
        writeln!(text, "{}", heading.trim_end()).unwrap();
        for (name, axis) in [("x", x), ("y", y)] {
            let window = axis.window.map_or(String::new(), |(low, high)| format!(", window {low:.4} to {high:.4}"));
            let ticks = if axis.ticks.is_empty() { String::new() } else { format!(", {} ticks", axis.ticks.len()) };
            writeln!(text, "    {name}: {} ({:?}, {:?}{window}{ticks})", axis.title, axis.unit, axis.scale).unwrap();
        }
        if let Some(level) = level {
            writeln!(text, "    level: {level:.4}").unwrap();
        }
        if let Some(HeatMap { rows, columns, .. }) = heat_map {
            writeln!(text, "    heat map: {} by {}", rows.join(", "), columns.join(", ")).unwrap();
        }
        for series in series {
            let Series { style, points, start, .. } = series;
            let start = if start.is_some() { " and a start" } else { "" };
            let bounds = points.iter().filter(|point| point.is_lower_bound).count();
            let bounds = if bounds > 0 { format!(", {bounds} lower bounds") } else { String::new() };
            let name = series.full_name();
            let n = points.iter().map(|point| point.n).min().unwrap_or_default();
            let style = format!(
                "colour {}, shade {}, dash {}, marker {} {:?}",
                style.colour, style.shade, style.dash, style.mark, style.marks
            );
            writeln!(text, "    series: {name} ({style}), {} points{start}, n = {n}{bounds}", points.len()).unwrap();
        }
    }
    text
}

#[test]
fn report_files_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("made_up-01234567");
    SMALL.write(&run_dir);
    let output = report(&[&run_dir]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("{}\n", run_dir.join("report/index.html").display()));
    let files = report_files(&run_dir);
    insta::assert_snapshot!("report_markdown", files["report/report.md"]);
    insta::assert_snapshot!("report_numbers", files["report/figures/weights_remaining.csv"]);
    let analysis = RunAnalysis::of(Run::open(RunDir(run_dir.clone())).unwrap()).unwrap();
    insta::assert_snapshot!("report_page", page_text(&page(&[analysis])));
    let names: Vec<&str> = files.keys().map(|name| name.strip_prefix("report/").unwrap()).collect();
    insta::assert_snapshot!("report_files", names.join("\n"));
    report(&[&run_dir]);
    assert_same(&report_files(&run_dir), &files);
}

#[test]
fn report_page_loads_nothing_and_its_figures_are_small() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("v");
    SyntheticRun { evaluations: 501, rounds: 24, ..SMALL }.write(&run_dir);
    assert!(report(&[&run_dir]).status.success());
    let files = report_files(&run_dir);
    let page = &files["report/index.html"];
    for foreign in ["<script", "http:", "https:", "<link", "<img", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("prefers-color-scheme:dark") && page.contains("name=\"viewport\""));
    assert!(page.contains("made up, &lt;not&gt; measured"), "what comes from files is no markup");
    for (name, text) in files.iter().filter(|(_, text)| text.starts_with("<svg")) {
        assert!(text.len() < 100_000, "{name}: {}", text.len());
        assert!(!text.contains("NaN") && !text.contains("inf"), "{name}");
    }
    for machine in ["abacus", "nowhere", "workers"] {
        assert!(!files.values().any(|text| text.contains(machine)), "the report must not depend on the {machine}");
    }
    let numbers = &files["report/figures/test_accuracy.csv"];
    let dense = numbers.lines().filter(|line| line.starts_with("Large tickets,dense 100%,")).count();
    assert_eq!(dense, 501, "the numbers are not thinned");
}

#[test]
fn report_skips_and_names_unreadable_runs() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let (good, empty, spoilt) = (place("good"), place("empty"), place("spoilt"));
    SMALL.write(&good);
    SMALL.write(&spoilt);
    fs::create_dir(&empty).unwrap();
    let rounds = fs::read_to_string(spoilt.join("rounds.csv")).unwrap();
    let write = |name: &str, text: &str| lth::system::files::write(&spoilt.join(name), text.as_bytes()).unwrap();
    write("rounds.csv", &rounds.replacen(",dense,", ",", 1));
    let none = report(&[&empty, &spoilt]);
    assert_eq!(none.status.code(), Some(1));
    let message = stderr(&none);
    assert!(message.contains("skipped: ") && message.contains(&empty.display().to_string()), "{message}");
    assert!(message.contains("spoilt/rounds.csv` is damaged") && message.contains("line 2 is no row"), "{message}");
    assert!(message.contains("error: there is nothing to report on"), "{message}");
    let out = place("out");
    let one = lth().arg("report").args([&empty, &good, &spoilt]).arg("--out").arg(&out).output().unwrap();
    assert!(one.status.success() && out.join("index.html").exists(), "{}", stderr(&one));
    assert!(!good.join("report").exists());
    write("rounds.csv", &rounds);
    let curves = fs::read_to_string(spoilt.join("curves.csv")).unwrap();
    write("curves.csv", &curves.replacen(",300,", ",three hundred,", 1));
    let message = stderr(&report(&[&spoilt]));
    assert!(
        message.contains("curves.csv` is damaged") && message.contains("`three hundred` is no number"),
        "{message}"
    );
}

/// Returns the report in Markdown on a synthetic run after `edit` changed the lines of its `rounds.csv`.
fn edited(edit: impl Fn(Vec<&str>) -> Vec<String>) -> String {
    let folder = tempfile::tempdir().unwrap();
    SMALL.write(folder.path());
    let path = folder.path().join("rounds.csv");
    let text = fs::read_to_string(&path).unwrap();
    lth::system::files::write(&path, (edit(text.lines().collect()).join("\n") + "\n").as_bytes()).unwrap();
    let output = report(&[folder.path()]);
    assert!(output.status.success(), "{}", stderr(&output));
    for (name, text) in report_files(folder.path()) {
        assert!(!text.contains("NaN"), "{name}");
    }
    fs::read_to_string(folder.path().join("report/report.md")).unwrap()
}

#[test]
fn report_on_incomplete_and_edited_runs() {
    let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let header_only = edited(|lines| owned(lines[..1].to_vec()));
    assert!(header_only.contains("No training run is complete."), "{header_only}");
    let of_replicate_1 = |line: &&str| line.contains(",replicate,") || line.split(',').nth(2) == Some("1");
    let single = edited(|lines| owned(lines.into_iter().filter(of_replicate_1).collect()));
    assert!(single.contains("Replicates: 1 only") && single.contains("inconclusive at 3 rounds"), "{single}");
    let diverged = edited(|lines| {
        let empty = |line: &str| {
            let mut fields: Vec<&str> = line.split(',').collect();
            fields[10..19].fill("");
            fields[24] = "diverged";
            fields.join(",")
        };
        lines.iter().enumerate().map(|(i, line)| if i == 0 { (*line).to_owned() } else { empty(line) }).collect()
    });
    assert!(
        diverged.contains("0 (+3 without result)") && diverged.contains("0 of 30 complete (30 diverged)"),
        "{diverged}"
    );
    let without_round_2 = |line: &&str| line.split(',').nth(4) != Some("2");
    let gap = edited(|lines| owned(lines.into_iter().filter(without_round_2).collect()));
    assert!(gap.contains("| ticket | 3 | 51.3%") && !gap.contains("| ticket | 2 |"), "{gap}");
    let strange = edited(|lines| {
        let mut lines = owned(lines);
        lines[1] = lines[1].replacen("1.0,", "NaN,", 1);
        lines[2] = lines[2].replacen("1.0,", "-3,", 1);
        lines[5] = lines[5].replacen("0.8", "0", 1);
        lines.push(lines[6].replace(",ticket,", ",a|b <i>*c*,"));
        lines
    });
    assert!(strange.contains("a\\|b \\<i\\>\\*c\\*"), "{strange}");
}

#[test]
fn report_on_several_runs_compares_them() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c/b"].map(|name| folder.path().join(name));
    SMALL.write(&a);
    SyntheticRun { rounds: 2, ..SMALL }.write(&b);
    SMALL.write(&c);
    let resolved = fs::read_to_string(c.join("resolved.toml")).unwrap().replace("lr = 0.0012", "lr = 0.01");
    lth::system::files::write(&c.join("resolved.toml"), resolved.as_bytes()).unwrap();
    let output = lth().current_dir(folder.path()).args(["report", "a", "b", "c/b"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "report/index.html\n");
    let figures = folder.path().join("report/figures");
    for name in ["runs_ticket.svg", "runs_reinit.csv", "a_layers.svg", "b_weights_remaining.svg", "b.2_layers.svg"] {
        assert!(figures.join(name).exists(), "{name}");
    }
    let page = fs::read_to_string(folder.path().join("report/report.md")).unwrap();
    assert!(page.contains("| run | train.lr |\n|---|---:|\n| a | 0.0012 |\n| b | 0.0012 |\n| b.2 | 0.01 |"), "{page}");
    assert!(page.starts_with("# made\\_up: 3 runs by lr\n"), "{page}");
    let html = fs::read_to_string(folder.path().join("report/index.html")).unwrap();
    assert_eq!(html.matches("<details class=\"part\">").count(), 3, "the part on each run is folded");
    let note = "it was not used for early stopping";
    assert_eq!(page.matches(note).count(), 1, "a text on all runs is printed once");
}

#[test]
fn report_removes_figures_without_data() {
    let folder = tempfile::tempdir().unwrap();
    SMALL.write(folder.path());
    assert!(report(&[folder.path()]).status.success());
    let drawn = folder.path().join("report/figures/distance_moved.svg");
    assert!(drawn.exists());
    fs::remove_file(folder.path().join("weights.csv")).unwrap();
    assert!(report(&[folder.path()]).status.success());
    assert!(!drawn.exists());
}

#[test]
fn report_states_the_method_once_and_judges_no_claim_of_another_setting() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["a", "b"].map(|name| folder.path().join(name));
    for run in &runs {
        SMALL.write(run);
    }
    let out = folder.path().join("report");
    let output = report(&[&runs[0], &runs[1], Path::new("--out"), &out]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fs::read_to_string(out.join("report.md")).unwrap();
    assert_eq!(text.matches("\n## Method\n").count(), 1, "{text}");
    assert!(
        text.contains("of the paper: none is testable here. Other setting: 2,000 iterations here, 50,000"),
        "{text}"
    );
    assert!(text.contains("| other setting |"), "the numbers are shown: {text}");
    // The statements on training accuracy, which are no claims of the paper, have a status too, but no figure.
    let judged = |line: &&str| line.contains("held |") && line.contains("Figure");
    assert_eq!(text.lines().find(judged), None, "{text}");
}

#[test]
fn show_prints_the_headline_and_has_verdicts_in_json() {
    let folder = tempfile::tempdir().unwrap();
    SMALL.write(folder.path());
    let show = |args: &[&str]| {
        let output = lth().arg("show").arg(folder.path()).args(args).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let text = show(&[]);
    assert!(text.contains("points more accurate than the same mask reinitialized (95% lower bound "), "{text}");
    assert!(text.contains("Compared with the dense network at 3 rounds (80.0% to 51.3% of the weights), "), "{text}");
    let json: serde_json::Value = serde_json::from_str(&show(&["--json"])).unwrap();
    let verdicts = json["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), 3);
    let over_reinit = &verdicts[2]["conditions"][2];
    assert_eq!((&over_reinit["condition"], &over_reinit["answer"]), (&"over_reinit".into(), &"yes".into()));
    assert!(over_reinit["difference"]["low"].as_f64().unwrap() > 0.0 && over_reinit["holm_p_yes"].is_number());
}
