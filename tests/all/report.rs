//! `lth report`: what it writes from made-up runs, and what it makes of runs that are not as they should be.

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::made_up::MadeUp;
use crate::support::*;

const SMALL: MadeUp = MadeUp {
    arms: &[("ticket", 1, 0.0005), ("reinit", 2, 0.004)],
    replicates: 3,
    rounds: 3,
    evaluations: 21,
    with_weights: true,
};

fn report(words: &[&Path]) -> Output {
    lth().arg("report").args(words).output().unwrap()
}

/// The files of a report.
fn made(view: &Path) -> std::collections::BTreeMap<String, String> {
    promised(view).into_iter().filter(|(name, _)| name.starts_with("report/")).collect()
}

#[test]
fn a_report_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    let view = folder.path().join("made_up-01234567");
    SMALL.write(&view);
    let output = report(&[&view]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), format!("{}\n", view.join("report/index.html").display()));
    let files = made(&view);
    insta::assert_snapshot!("report_markdown", files["report/report.md"]);
    insta::assert_snapshot!("report_figure", files["report/figures/weights_remaining.svg"]);
    insta::assert_snapshot!("report_numbers", files["report/figures/weights_remaining.csv"]);
    insta::assert_snapshot!("report_page", files["report/index.html"]);
    let names: Vec<&str> = files.keys().map(|name| name.strip_prefix("report/").unwrap()).collect();
    insta::assert_snapshot!("report_files", names.join("\n"));
    report(&[&view]);
    assert_same(&made(&view), &files);
}

#[test]
fn a_page_stands_alone_and_nothing_in_it_is_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let view = folder.path().join("v");
    MadeUp { evaluations: 501, rounds: 24, ..SMALL }.write(&view);
    assert!(report(&[&view]).status.success());
    let files = made(&view);
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
    let dense = numbers.lines().filter(|line| line.starts_with("Large tickets,dense 100 %,")).count();
    assert_eq!(dense, 501, "the numbers are not thinned");
}

#[test]
fn runs_that_cannot_be_read_are_skipped_and_named() {
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
    let said = stderr(&none);
    assert!(said.contains("skipped: ") && said.contains(&empty.display().to_string()), "{said}");
    assert!(said.contains("spoilt/rounds.csv` is damaged") && said.contains("line 2 is no row"), "{said}");
    assert!(said.contains("error: there is nothing to report on"), "{said}");
    let out = place("out");
    let one = lth().arg("report").args([&empty, &good, &spoilt]).arg("--out").arg(&out).output().unwrap();
    assert!(one.status.success() && out.join("index.html").exists(), "{}", stderr(&one));
    assert!(!good.join("report").exists());
    write("rounds.csv", &rounds);
    let curves = fs::read_to_string(spoilt.join("curves.csv")).unwrap();
    write("curves.csv", &curves.replacen(",300,", ",three hundred,", 1));
    let said = stderr(&report(&[&spoilt]));
    assert!(said.contains("curves.csv` is damaged") && said.contains("`three hundred` is no number"), "{said}");
}

/// The report in Markdown on a made-up run whose `rounds.csv` was changed by hand.
fn edited(edit: impl Fn(Vec<&str>) -> Vec<String>) -> String {
    let folder = tempfile::tempdir().unwrap();
    SMALL.write(folder.path());
    let path = folder.path().join("rounds.csv");
    let text = fs::read_to_string(&path).unwrap();
    lth::system::files::write(&path, (edit(text.lines().collect()).join("\n") + "\n").as_bytes()).unwrap();
    let output = report(&[folder.path()]);
    assert!(output.status.success(), "{}", stderr(&output));
    for (name, text) in made(folder.path()) {
        assert!(!text.contains("NaN"), "{name}");
    }
    fs::read_to_string(folder.path().join("report/report.md")).unwrap()
}

#[test]
fn runs_that_are_not_whole_are_reported_as_what_they_are() {
    let owned = |lines: Vec<&str>| lines.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let header_only = edited(|lines| owned(lines[..1].to_vec()));
    assert!(header_only.contains("No training has come to its end yet."), "{header_only}");
    let of_replicate_1 = |line: &&str| line.contains(",replicate,") || line.split(',').nth(2) == Some("1");
    let single = edited(|lines| owned(lines.into_iter().filter(of_replicate_1).collect()));
    assert!(single.contains("1 replicate only") && single.contains("undecided at each of 3 rounds"), "{single}");
    let diverged = edited(|lines| {
        let empty = |line: &str| {
            let mut fields: Vec<&str> = line.split(',').collect();
            fields[10..19].fill("");
            fields[24] = "diverged";
            fields.join(",")
        };
        lines.iter().enumerate().map(|(i, line)| if i == 0 { (*line).to_owned() } else { empty(line) }).collect()
    });
    assert!(diverged.contains("0 (+3 without a result)") && diverged.contains("0 done, 30 diverged"), "{diverged}");
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
fn several_runs_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c/b"].map(|name| folder.path().join(name));
    SMALL.write(&a);
    MadeUp { rounds: 2, ..SMALL }.write(&b);
    SMALL.write(&c);
    let resolved = fs::read_to_string(c.join("resolved.toml")).unwrap().replace("lr = 0.0012", "lr = 0.01");
    lth::system::files::write(&c.join("resolved.toml"), resolved.as_bytes()).unwrap();
    let output = lth().current_dir(folder.path()).args(["report", "a", "b", "c/b"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output), "report/index.html\n");
    let figures = folder.path().join("report/figures");
    for name in ["runs_ticket.svg", "runs_reinit.csv", "a_density.svg", "b_weights_remaining.svg", "b.2_density.svg"] {
        assert!(figures.join(name).exists(), "{name}");
    }
    let page = fs::read_to_string(folder.path().join("report/report.md")).unwrap();
    assert!(
        page.contains("| value | a | b | b.2 |\n|---|---|---|---|\n| train.lr | 0.0012 | 0.0012 | 0.01 |"),
        "{page}"
    );
}

#[test]
fn figures_that_are_not_drawn_any_more_go() {
    let folder = tempfile::tempdir().unwrap();
    SMALL.write(folder.path());
    assert!(report(&[folder.path()]).status.success());
    let drawn = folder.path().join("report/figures/distance_moved.svg");
    assert!(drawn.exists());
    fs::remove_file(folder.path().join("weights.csv")).unwrap();
    assert!(report(&[folder.path()]).status.success());
    assert!(!drawn.exists());
}
