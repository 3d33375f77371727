//! Paints a block of lines at the bottom of a terminal, again and again, below permanent lines. Independent of the text
//! of the lines.
//!
//! Terminals reflow lines when their width changes, so that a line of the block may take several rows. The painter
//! therefore keeps the width of each painted line and counts its rows at the present width of the terminal. No line is
//! padded with blanks, and none touches the last column, because it would take two rows in a window one column
//! narrower.

use crate::system::job_control::ContinueFlag;

/// A terminal to paint on.
pub(super) trait Terminal: Send {
    /// Returns the size of the window: (columns, rows).
    fn size(&self) -> (usize, usize);

    /// Writes text and escape sequences.
    fn write(&mut self, text: &str);

    /// Returns whether the process was stopped and continued since the last call, so that the cursor is below lines of
    /// the shell.
    fn take_continued(&mut self) -> bool;
}

/// The terminal of standard error.
pub(super) struct Stderr(ContinueFlag);

impl Stderr {
    /// Returns the terminal; from now on it notices when the process is continued.
    pub(super) fn new() -> Self {
        Self(ContinueFlag::on_signal())
    }
}

impl Terminal for Stderr {
    fn size(&self) -> (usize, usize) {
        // Size of a terminal that does not report its size (under `script`, or on a serial line).
        const DEFAULT: (usize, usize) = (80, 24);
        let size = terminal_size::terminal_size_of(std::io::stderr());
        size.map_or(DEFAULT, |(width, height)| (usize::from(width.0), usize::from(height.0)))
    }

    fn write(&mut self, text: &str) {
        use std::io::Write;
        // Errors are ignored: a closed terminal must not stop the run.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }

    fn take_continued(&mut self) -> bool {
        self.0.take()
    }
}

/// One line of the block, narrower than the window.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PaintedLine {
    /// Text with escape sequences for colours.
    pub(super) text: String,
    /// Number of columns.
    pub(super) width: usize,
}

/// A terminal and the block painted on it.
pub(super) struct Painter {
    terminal: Box<dyn Terminal>,
    /// The block on the screen.
    painted: Vec<PaintedLine>,
    /// Size of the window that the block was painted for: (columns, rows).
    size: (usize, usize),
}

impl Painter {
    /// Returns a painter with an empty block.
    pub(super) fn new(terminal: Box<dyn Terminal>) -> Self {
        Self { terminal, painted: Vec::new(), size: (0, 0) }
    }

    /// Returns the size of the window: (columns, rows).
    pub(super) fn size(&self) -> (usize, usize) {
        self.terminal.size()
    }

    /// Replaces the painted block by `block` if they differ, or the size of the window has changed.
    pub(super) fn draw(&mut self, block: Vec<PaintedLine>) {
        self.leave_block_if_continued();
        if self.painted != block || self.size != self.size() {
            self.replace("", block);
        }
    }

    /// Writes `text` as permanent lines, and `block` below them.
    pub(super) fn print(&mut self, text: &str, block: Vec<PaintedLine>) {
        self.leave_block_if_continued();
        self.replace(&format!("{text}\n"), block);
    }

    /// Clears the block.
    pub(super) fn clear(&mut self) {
        self.draw(Vec::new());
    }

    /// After the process was continued, leaves the painted block as it is: how many lines the shell has written below
    /// it is not known, and clearing upwards would clear those.
    fn leave_block_if_continued(&mut self) {
        if self.terminal.take_continued() {
            self.painted.clear();
        }
    }

    /// Clears the painted block and writes `text` and `block`, all in one write, so that no partial frame is visible.
    fn replace(&mut self, text: &str, mut block: Vec<PaintedLine>) {
        let (width, height) = self.size();
        let mut frame = String::new();
        if !self.painted.is_empty() {
            // The cursor is in the row below the block, so that the echo of a key press or the message of a killed
            // process overwrites no line of the block. Rows above the window cannot be cleared.
            let rows: usize = self.painted.iter().map(|line| line.width.div_ceil(width.max(1)).max(1)).sum();
            // Row by row: tmux copies rows that are cleared by one escape sequence to its history.
            frame.push_str("\r\x1b[2K");
            frame.push_str(&"\x1b[A\x1b[2K".repeat(rows.min(height.saturating_sub(1))));
        }
        frame.push_str(text);
        // If the block does not fit, its first lines are left out: the last line is the most important.
        block.drain(..block.len().saturating_sub(height.saturating_sub(1)));
        for line in &block {
            frame.push_str(&line.text);
            frame.push('\n');
        }
        self.terminal.write(&frame);
        self.painted = block;
        self.size = (width, height);
    }
}

#[cfg(test)]
pub(super) mod tests;
