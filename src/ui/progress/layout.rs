//! The bars as lines of text: what is said of the work in a window of some size.

use super::eta::Eta;
use super::painter::PaintedLine;
use super::text;
use crate::base::format::duration;
use crate::runner::{Event, TrainingId};
use crate::system::env;

/// A longer bar tells no more.
const BAR_WIDTH: usize = 20;
/// A shorter one tells less than the words that could stand there.
const MIN_BAR_WIDTH: usize = 5;
/// Room for the names: what the bar of all says must fit.
const MIN_NAME_WIDTH: usize = 18;
/// More bars than this nobody reads, however high the window.
const MAX_BARS: usize = 20;

/// What the bars show.
#[derive(Default)]
pub(super) struct ProgressView {
    tally: Eta,
    /// What each worker is at, and how far it is: 0..=1.
    at_work: Vec<Option<(TrainingId, f64)>>,
    /// Iterations of the training that each worker is at.
    lengths: Vec<u64>,
    /// Whether there is anything to show: work has begun and is not over.
    is_shown: bool,
    /// Who is waited for.
    waiting: Option<String>,
    /// The widest label so far, in full and short: the bars begin at the same column however they come and go.
    names: (usize, usize),
}

/// Columns of the names and of the bars; no bar in a narrow window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Columns {
    names: usize,
    bar: usize,
}

impl ProgressView {
    /// Takes in what happened.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        self.tally.tell(event);
        match event {
            Event::RunStarted { iterations, workers, .. } => {
                self.is_shown = *iterations > 0;
                self.at_work = vec![None; *workers];
                self.lengths = vec![0; *workers];
            }
            Event::Started { worker, label, iterations, .. } => {
                self.waiting = None;
                self.names.0 = self.names.0.max(text::columns(&label.to_string()));
                self.names.1 = self.names.1.max(text::columns(&text::short(label)));
                if let Some(at_work) = self.at_work.get_mut(*worker) {
                    *at_work = Some(((*label).clone(), 0.0));
                    self.lengths[*worker] = *iterations;
                }
            }
            Event::Stepped { worker, iteration } => {
                if let Some(Some((_, share))) = self.at_work.get_mut(*worker) {
                    *share = (*iteration as f64 / self.lengths[*worker].max(1) as f64).min(1.0);
                }
            }
            Event::Ended { worker, .. } => {
                self.waiting = None;
                if let Some(at_work) = worker.and_then(|worker| self.at_work.get_mut(worker)) {
                    *at_work = None;
                }
            }
            Event::Waiting { holder } => self.waiting = Some((*holder).to_owned()),
            Event::RunFinished => self.is_shown = false,
            Event::Message(_) => {}
        }
    }

    /// The lines for a window of this many columns and rows: the bar of all is the last and always there, the others
    /// as far as there is room.
    pub(super) fn lines(&self, (width, height): (usize, usize)) -> Vec<PaintedLine> {
        // Half of the window is for the lines that stay, and it is room to wrap into where the window is halved: what has
        // gone off the top cannot be cleared. Below the bars the cursor has a row of its own.
        let room = height.saturating_sub(1);
        let rows = (room / 2).max(1).min(room).min(MAX_BARS + 1);
        if !self.is_shown || rows == 0 {
            return Vec::new();
        }
        let columns = self.columns(width);
        let at_work: Vec<&(TrainingId, f64)> = self.at_work.iter().flatten().collect();
        let mut lines = Vec::new();
        // Where they do not all fit, one row says how many more there are.
        let room = rows - 1;
        let bars = if at_work.len() <= room { at_work.len() } else { room.saturating_sub(1) };
        for (label, share) in &at_work[..bars] {
            lines.push(columns.line(&columns.name(label), *share));
        }
        let more = at_work.len() - bars;
        if more > 0 && room > 0 {
            let text = if bars > 0 { format!("and {more} more at work") } else { format!("{more} at work") };
            lines.push(plain(&text, width));
        } else if let (Some(holder), true) = (&self.waiting, at_work.is_empty() && room > 0) {
            lines.push(plain(&format!("waiting for {holder}"), width));
        }
        lines.push(columns.line(&self.all(columns.names, self.tally.seconds_left()), self.tally.share()));
        lines.retain(|line| line.width < width);
        lines
    }

    fn columns(&self, width: usize) -> Columns {
        // Two blanks before the names, one before the bar and one before the percents; the last column stays free.
        let room = width.saturating_sub("  ".len() + " ".len() + " 100%".len() + 1);
        let (full, short) = (self.names.0.max(MIN_NAME_WIDTH), self.names.1.max(MIN_NAME_WIDTH));
        for (names, least) in [(full, BAR_WIDTH / 2), (short, MIN_BAR_WIDTH)] {
            if names + least <= room {
                return Columns { names, bar: BAR_WIDTH.min(room - names) };
            }
        }
        Columns { names: (room + 1).min(short), bar: 0 }
    }

    /// What the bar of all says: how long the rest may take, where that is known.
    fn all(&self, room: usize, seconds_left: Option<f64>) -> String {
        let is_waiting = self.waiting.is_some() && self.at_work.iter().all(Option::is_none);
        let Some(left) = seconds_left.filter(|_| !is_waiting).map(duration) else {
            return text::cut("all", room);
        };
        let forms = [format!("all, {left} left"), format!("{left} left"), left];
        let fits = forms.iter().find(|form| text::columns(form) <= room);
        fits.cloned().unwrap_or_else(|| text::cut(&forms[2], room))
    }
}

impl Columns {
    fn name(self, label: &TrainingId) -> String {
        let (full, short) = (label.to_string(), text::short(label));
        let fits = [full, short].into_iter().find(|name| text::columns(name) <= self.names);
        fits.unwrap_or_else(|| text::cut_label(label, self.names))
    }

    fn line(self, name: &str, share: f64) -> PaintedLine {
        let Self { names, bar } = self;
        let percents = format!("{:>3}%", (100.0 * share).floor());
        let width = "  ".len() + names + 1 + if bar > 0 { bar + 1 } else { 0 } + percents.len();
        let bar = if bar > 0 { drawn_bar(bar, share) + " " } else { String::new() };
        PaintedLine { text: format!("  {name:<names$} {bar}{percents}"), width }
    }
}

fn plain(text: &str, width: usize) -> PaintedLine {
    let text = format!("  {}", text::cut(text, width.saturating_sub(3)));
    PaintedLine { width: text::columns(&text), text }
}

/// `━━━━╸─────`, in colour unless that is unwanted.
fn drawn_bar(columns: usize, share: f64) -> String {
    let halves = (share * 2.0 * columns as f64).floor() as usize;
    let (done, half) = ("━".repeat(halves / 2), if halves % 2 == 1 { "╸" } else { "" });
    let rest = "─".repeat(columns - halves.div_ceil(2));
    if env::no_color() { format!("{done}{half}{rest}") } else { format!("\x1b[36m{done}{half}\x1b[0;2m{rest}\x1b[0m") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_in_what_room_there_is() {
        let block = ProgressView::default();
        let all = |room| block.all(room, Some(46_740.0));
        assert_eq!([all(22), all(21), all(16)], ["all, 12 h 59 min left", "all, 12 h 59 min left", "12 h 59 min left"]);
        assert_eq!([all(15), all(11), all(8)], ["12 h 59 min", "12 h 59 min", "12 h 59…"]);
        assert_eq!(block.all(22, None), "all", "nothing to go by yet");
        let waiting = ProgressView { waiting: Some("process 7".to_owned()), ..block };
        assert_eq!(waiting.all(22, Some(60.0)), "all", "how long another process takes is not known");
    }

    #[test]
    fn bars_of_every_length() {
        let blank =
            |share| drawn_bar(10, share).replace("\x1b[36m", "").replace("\x1b[0;2m", "").replace("\x1b[0m", "");
        assert_eq!([blank(0.0), blank(0.26), blank(1.0)], ["──────────", "━━╸───────", "━━━━━━━━━━"]);
    }
}
