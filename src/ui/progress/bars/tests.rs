use std::path::Path;

use super::super::painter::tests::FakeTerminal;
use super::*;
use crate::base::curve::{Evaluation, Score};
use crate::base::outcome::Outcome;
use crate::runner::{TrainingId, TrainingResult};

/// Compares a text with the golden file of the test. Golden files have no line `expression:`.
macro_rules! assert_golden {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

/// Iterations of each training run.
const EACH: u64 = 100;

fn label(n: usize) -> TrainingId {
    TrainingId { arm: "winning_ticket".into(), replicate: n as u32 + 1, repeat: 1, round: 2, other_lanes: 0 }
}

fn result(outcome: Outcome) -> TrainingResult {
    let test = Score { loss: 0.1, accuracy: 0.9435 };
    let point = Evaluation { iteration: EACH, train: Score::default(), validation: Score::default(), test };
    TrainingResult { outcome, weights_remaining: 0.217, last: Some(point), seconds: Some(3.2) }
}

/// Returns the bars of a run of 57 training runs and the terminal that they are drawn on.
fn started_bars(workers: usize, width: usize, height: usize) -> (Bars, FakeTerminal) {
    let terminal = FakeTerminal::new(width, height);
    let bars = Bars::new(Box::new(terminal.clone()));
    bars.on_event(&Event::RunStarted {
        experiment: "quickstart",
        trainings: 57,
        stored: 0,
        iterations: 57 * EACH,
        cost: (57 * EACH) as f64,
        workers,
        engine_text: "dense on cpu",
        run_dir: Path::new("runs/quickstart-baf434dd"),
    });
    for worker in 0..workers {
        start(&bars, worker);
    }
    (bars, terminal)
}

fn start(bars: &Bars, worker: usize) {
    bars.on_event(&Event::Started { worker, id: &label(worker), iterations: EACH, cost: EACH as f64 });
    bars.on_event(&Event::Stepped { worker, iteration: EACH / 2 });
}

fn end(bars: &Bars, worker: usize, ended: usize) {
    let result = result(Outcome::Done);
    bars.on_event(&Event::Ended {
        worker: Some(worker),
        id: &label(worker),
        result: &result,
        cost: EACH as f64,
        ended,
        trainings: 57,
        repeats: None,
    });
}

fn draw(bars: &Bars) {
    bars.shared.lock().draw();
}

#[test]
fn bars_in_window_of_80_columns() {
    let (bars, terminal) = started_bars(2, 80, 24);
    end(&bars, 0, 1);
    start(&bars, 0);
    draw(&bars);
    assert_golden!(terminal.rows().join("\n"));
}

#[test]
fn bars_in_window_of_40_columns() {
    let (bars, terminal) = started_bars(2, 40, 24);
    end(&bars, 0, 1);
    start(&bars, 0);
    bars.on_event(&Event::Message(
        "winning_ticket round 2 replicate 3: what is stored is damaged, and is trained again",
    ));
    let failed = result(Outcome::Failed { cause: "could not write `runs/store/0123456789abcdef/done.json`".into() });
    bars.on_event(&Event::Ended {
        worker: Some(1),
        id: &label(1),
        result: &failed,
        cost: EACH as f64,
        ended: 2,
        trainings: 57,
        repeats: None,
    });
    draw(&bars);
    assert_golden!(terminal.rows().join("\n"));
}

#[test]
fn bars_in_window_of_20_columns() {
    let (bars, terminal) = started_bars(2, 20, 24);
    end(&bars, 0, 1);
    draw(&bars);
    assert_golden!(terminal.rows().join("\n"));
}

#[test]
fn bars_of_sixteen_workers_in_low_window() {
    let (bars, terminal) = started_bars(16, 80, 10);
    draw(&bars);
    let visible = terminal.visible_rows();
    let bars_of_workers = visible.iter().filter(|row| row.contains("round 2 replicate")).count();
    assert_eq!((bars_of_workers, visible.len()), (2, 7), "half of the window is for permanent lines: {visible:#?}");
    assert_eq!(visible[5], "  and 14 more in progress");
    assert!(visible[6].starts_with("  all ") && visible[6].ends_with(" 14%"), "{visible:#?}");
    for height in [9, 4, 3, 2] {
        terminal.resize(80, height);
        draw(&bars);
        assert!(
            terminal.visible_rows().last().is_some_and(|row| row.starts_with("  all ")),
            "{height}: {:#?}",
            terminal.visible_rows()
        );
    }
}

/// Returns the rows on a terminal after a run whose window is resized to each of `windows`, sizes in (columns, rows).
fn rows_after_resizes(windows: &[(usize, usize)]) -> Vec<String> {
    let (bars, terminal) = started_bars(4, 80, 24);
    for (n, (width, height)) in windows.iter().enumerate() {
        end(&bars, n % 4, n + 1);
        draw(&bars);
        terminal.resize(*width, *height);
        draw(&bars);
        start(&bars, n % 4);
        end(&bars, n % 4, 30 + n);
        start(&bars, n % 4);
    }
    bars.on_event(&Event::RunFinished);
    terminal.resize(200, 50);
    let rows = terminal.rows();
    for n in 0..windows.len() {
        for count in [n + 1, 30 + n] {
            let lines = rows.iter().filter(|row| row.starts_with(&format!("[{count:>2}/57]"))).count();
            assert_eq!(lines, 1, "each line occurs once: [{count:>2}/57] in {rows:#?}");
        }
    }
    rows
}

// regression: bars of MultiProgress left ghosts of themselves when the window was resized
#[test]
fn bars_leave_no_ghosts_when_window_is_resized() {
    let windows =
        [(80, 24), (40, 24), (100, 24), (50, 24), (50, 12), (25, 12), (120, 12), (120, 6), (60, 6), (200, 50)];
    let rows = rows_after_resizes(&windows);
    assert!(rows.iter().all(|row| !row.contains(['━', '─']) && !row.ends_with("in progress")), "no ghosts: {rows:#?}");
}

// regression: bars of MultiProgress overwrote permanent lines when the window was resized
#[test]
fn bars_lose_no_line_when_window_is_resized() {
    rows_after_resizes(&[
        (60, 10),
        (20, 6),
        (200, 50),
        (8, 3),
        (30, 2),
        (100, 24),
        (3, 2),
        (1, 1),
        (80, 24),
        (10, 24),
        (80, 3),
    ]);
}

#[test]
fn bars_show_awaited_process() {
    let (bars, terminal) = started_bars(1, 40, 24);
    end(&bars, 0, 1);
    bars.on_event(&Event::Waiting { holder: "process 4711 on a-machine-with-a-long-name", remaining: 3 });
    draw(&bars);
    let rows = terminal.rows();
    assert_eq!(rows[rows.len() - 2], "  waiting for process 4711 on a-machin…");
    start(&bars, 0);
    draw(&bars);
    assert!(!terminal.rows().join("\n").contains("waiting"), "{:#?}", terminal.rows());
}

#[test]
fn bars_are_cleared_when_run_breaks_off() {
    let (bars, terminal) = started_bars(3, 80, 24);
    draw(&bars);
    assert_eq!(terminal.rows().len(), 3 + 3 + 1);
    drop(bars);
    assert_eq!(terminal.rows().len(), 3, "only the header stays");
    let bars = Bars::new(Box::new(terminal.clone()));
    bars.on_event(&Event::RunFinished);
    bars.on_event(&Event::Message("a line after the end"));
    assert_eq!(terminal.rows()[3..], ["a line after the end"]);
}

// regression: after Ctrl-Z and `fg`, the next frame cleared lines of the shell and left the old bars
#[test]
fn bars_are_drawn_below_lines_of_shell_after_continue() {
    let shell = ["^Z", "[1]+  Stopped                 lth run quickstart.toml", "$ fg", "lth run quickstart.toml"];
    let (bars, terminal) = started_bars(2, 80, 24);
    draw(&bars);
    let before = terminal.rows();
    terminal.stop_and_continue(&(shell.join("\n") + "\n"));
    terminal.resize(100, 24);
    draw(&bars);
    let block = terminal.rows().split_off(before.len() + shell.len());
    assert_eq!(block.len(), 3, "{:#?}", terminal.rows());
    end(&bars, 0, 1);
    start(&bars, 0);
    draw(&bars);
    let rows = terminal.rows();
    assert_eq!(rows[..before.len()], before, "the lines before the stop stay");
    assert_eq!(rows[before.len()..][..shell.len()], shell);
    assert!(rows[before.len() + shell.len()].starts_with("[ 1/57]"), "{rows:#?}");
    bars.on_event(&Event::RunFinished);
    assert_eq!(terminal.rows().len(), before.len() + shell.len() + 1, "the bars are cleared: {:#?}", terminal.rows());
}
