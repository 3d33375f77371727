//! The layout of the bars: the lines of text for a window of a given size.

use super::eta::Eta;
use super::painter::PaintedLine;
use super::text;
use crate::base::format::duration;
use crate::runner::{Event, TrainingId};
use crate::system::env;

/// Largest width of a bar, in columns.
const BAR_WIDTH: usize = 20;
/// Smallest width of a bar, in columns; if the window is too narrow for it, lines have no bar.
const MIN_BAR_WIDTH: usize = 5;
/// Smallest width of the labels, in columns: the label of the whole run must fit.
const MIN_RUN_LABEL_WIDTH: usize = 18;
/// Largest number of bars of training runs, in a window of any height.
const MAX_BARS: usize = 20;

/// The state that the bars show.
#[derive(Default)]
pub(super) struct ProgressView {
    eta: Eta,
    /// Training run of each worker, by index of the worker, and the share of its iterations that are done, 0..=1;
    /// `None` for an idle worker.
    running: Vec<Option<(TrainingId, f64)>>,
    /// Number of iterations of the training run of each worker, by index of the worker.
    iterations: Vec<u64>,
    /// Whether to show bars: the run has started, has something to train, and is not finished.
    is_shown: bool,
    /// The line about the other process that this one waits for, while it waits.
    awaited: Option<String>,
    /// Largest width of a full and of a short label so far, in columns: the bars begin at the same column in every
    /// frame.
    label_widths: (usize, usize),
}

/// Widths of labels and bars, in columns; `bar` is 0 in a narrow window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    label: usize,
    bar: usize,
}

impl ProgressView {
    /// Updates the state from an event.
    pub(super) fn update(&mut self, event: &Event<'_>) {
        self.eta.update(event);
        match event {
            Event::RunStarted { iterations, workers, .. } => {
                self.is_shown = *iterations > 0;
                self.running = vec![None; *workers];
                self.iterations = vec![0; *workers];
            }
            Event::Started { worker, id, iterations, .. } => {
                self.awaited = None;
                self.label_widths.0 = self.label_widths.0.max(text::columns(&id.to_string()));
                self.label_widths.1 = self.label_widths.1.max(text::columns(&text::short(id)));
                if let Some(running) = self.running.get_mut(*worker) {
                    *running = Some(((*id).clone(), 0.0));
                    self.iterations[*worker] = *iterations;
                }
            }
            Event::Stepped { worker, iteration } => {
                if let Some(Some((_, share))) = self.running.get_mut(*worker) {
                    *share = (*iteration as f64 / self.iterations[*worker].max(1) as f64).min(1.0);
                }
            }
            Event::Ended { worker, .. } => {
                self.awaited = None;
                if let Some(running) = worker.and_then(|worker| self.running.get_mut(worker)) {
                    *running = None;
                }
            }
            Event::Waiting { holder, remaining } => self.awaited = Some(text::waiting(holder, *remaining)),
            Event::RunFinished => self.is_shown = false,
            Event::Message(_) => {}
        }
    }

    /// Returns the lines for a window of (columns, rows). The bar of the whole run is the last line and always shown;
    /// bars of training runs are shown as far as they fit.
    pub(super) fn lines(&self, (width, height): (usize, usize)) -> Vec<PaintedLine> {
        // Half of the window is for permanent lines. That half is also needed when the width of the window is halved
        // and each line takes two rows: rows that have scrolled off the top cannot be cleared. The row below the bars
        // is for the cursor.
        let usable = height.saturating_sub(1);
        let rows = (usable / 2).max(1).min(usable).min(MAX_BARS + 1);
        if !self.is_shown || rows == 0 {
            return Vec::new();
        }
        let columns = self.columns(width);
        let running: Vec<&(TrainingId, f64)> = self.running.iter().flatten().collect();
        let mut lines = Vec::new();
        // If not all bars fit, one row shows the number of the others.
        let free = rows - 1;
        let bars = if running.len() <= free { running.len() } else { free.saturating_sub(1) };
        for (label, share) in &running[..bars] {
            lines.push(columns.line(&columns.label(label), *share));
        }
        let hidden = running.len() - bars;
        if hidden > 0 && free > 0 {
            let text =
                if bars > 0 { format!("and {hidden} more in progress") } else { format!("{hidden} in progress") };
            lines.push(text_line(&text, width));
        } else if let (Some(waiting), true) = (&self.awaited, running.is_empty() && free > 0) {
            lines.push(text_line(waiting, width));
        }
        let run_label = self.run_label(columns.label, self.eta.seconds_left());
        lines.push(columns.line(&run_label, self.eta.share()));
        lines.retain(|line| line.width < width);
        lines
    }

    /// Returns the widths of labels and bars in a window of `width` columns.
    fn columns(&self, width: usize) -> Columns {
        // Two blanks before the label, one before the bar and one before the percentage; the last column stays free.
        let usable = width.saturating_sub("  ".len() + " ".len() + " 100%".len() + 1);
        let full = self.label_widths.0.max(MIN_RUN_LABEL_WIDTH);
        let short = self.label_widths.1.max(MIN_RUN_LABEL_WIDTH);
        for (label, min_bar) in [(full, BAR_WIDTH / 2), (short, MIN_BAR_WIDTH)] {
            if label + min_bar <= usable {
                return Columns { label, bar: BAR_WIDTH.min(usable - label) };
            }
        }
        Columns { label: (usable + 1).min(short), bar: 0 }
    }

    /// Returns the label of the whole run in `width` columns, with the remaining time if it is known.
    fn run_label(&self, width: usize, seconds_left: Option<f64>) -> String {
        let is_waiting = self.awaited.is_some() && self.running.iter().all(Option::is_none);
        let Some(time) = seconds_left.filter(|_| !is_waiting).map(duration) else {
            return text::cut("all", width);
        };
        let forms = [format!("all, {time} left"), format!("{time} left"), time];
        let fitting = forms.iter().find(|form| text::columns(form) <= width);
        fitting.cloned().unwrap_or_else(|| text::cut(&forms[2], width))
    }
}

impl Columns {
    /// Returns the longest form of a label that fits.
    fn label(self, label: &TrainingId) -> String {
        let forms = [label.to_string(), text::short(label)];
        let fitting = forms.into_iter().find(|form| text::columns(form) <= self.label);
        fitting.unwrap_or_else(|| text::cut_label(label, self.label))
    }

    /// Returns the line with a label, a bar of `share` (0..=1), and the percentage.
    fn line(self, text: &str, share: f64) -> PaintedLine {
        let Self { label, bar } = self;
        let percentage = format!("{:>3}%", (100.0 * share).floor());
        let width = "  ".len() + label + 1 + if bar > 0 { bar + 1 } else { 0 } + percentage.len();
        let bar = if bar > 0 { drawn_bar(bar, share) + " " } else { String::new() };
        PaintedLine { text: format!("  {text:<label$} {bar}{percentage}"), width }
    }
}

/// Returns a line with indented text, cut to the window.
fn text_line(text: &str, width: usize) -> PaintedLine {
    let text = format!("  {}", text::cut(text, width.saturating_sub(3)));
    PaintedLine { width: text::columns(&text), text }
}

/// Returns a bar such as `━━━━╸─────`, in colour unless `NO_COLOR` is set.
fn drawn_bar(columns: usize, share: f64) -> String {
    let halves = (share * 2.0 * columns as f64).floor() as usize;
    let done = "━".repeat(halves / 2);
    let half = if halves % 2 == 1 { "╸" } else { "" };
    let rest = "─".repeat(columns - halves.div_ceil(2));
    if env::no_color() { format!("{done}{half}{rest}") } else { format!("\x1b[36m{done}{half}\x1b[0;2m{rest}\x1b[0m") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_label_has_time_left_in_given_width() {
        let view = ProgressView::default();
        let label = |width| view.run_label(width, Some(46_740.0));
        assert_eq!(
            [label(22), label(21), label(16)],
            ["all, 12 h 59 min left", "all, 12 h 59 min left", "12 h 59 min left"]
        );
        assert_eq!([label(15), label(11), label(8)], ["12 h 59 min", "12 h 59 min", "12 h 59…"]);
        assert_eq!(view.run_label(22, None), "all", "no estimate yet");
        let waiting = ProgressView { awaited: Some("process 7".to_owned()), ..view };
        assert_eq!(waiting.run_label(22, Some(60.0)), "all", "how long another process takes is not known");
    }

    #[test]
    fn bar_is_drawn_in_halves_of_columns() {
        let blank =
            |share| drawn_bar(10, share).replace("\x1b[36m", "").replace("\x1b[0;2m", "").replace("\x1b[0m", "");
        assert_eq!([blank(0.0), blank(0.26), blank(1.0)], ["──────────", "━━╸───────", "━━━━━━━━━━"]);
    }
}
