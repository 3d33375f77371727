//! A block of lines at the bottom of a terminal that is drawn again and again, below lines that stay. Knows nothing of
//! what they say.
//!
//! Terminals lay lines out anew when their width changes, so that a line of the block may have become several. What was
//! drawn is therefore remembered by its width, and its rows are counted at the width the terminal has now. No line is
//! filled up with blanks and none touches the last column, which would make it two where the window shrinks by one.

/// What is drawn on.
pub(super) trait Terminal: Send {
    /// Columns and rows.
    fn size(&self) -> (usize, usize);

    /// Sends text and escapes.
    fn write(&mut self, text: &str);
}

/// The terminal behind stderr.
pub(super) struct Stderr;

impl Terminal for Stderr {
    fn size(&self) -> (usize, usize) {
        // What a terminal has that does not tell (under `script`, or on a serial line).
        const USUAL: (usize, usize) = (80, 24);
        let told = terminal_size::terminal_size_of(std::io::stderr());
        told.map_or(USUAL, |(width, height)| (usize::from(width.0), usize::from(height.0)))
    }

    fn write(&mut self, text: &str) {
        use std::io::Write;
        // Whether anybody listens is not our concern.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// One line of the block, narrower than the window.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PaintedLine {
    /// Its text, with escapes for colour.
    pub(super) text: String,
    /// The columns it takes.
    pub(super) width: usize,
}

/// A terminal and what of the block is on it.
pub(super) struct Painter {
    terminal: Box<dyn Terminal>,
    drawn: Vec<PaintedLine>,
    /// The size it was drawn for.
    size: (usize, usize),
}

impl Painter {
    /// Nothing is drawn yet.
    pub(super) fn new(terminal: Box<dyn Terminal>) -> Self {
        Self { terminal, drawn: Vec::new(), size: (0, 0) }
    }

    /// Columns and rows.
    pub(super) fn size(&self) -> (usize, usize) {
        self.terminal.size()
    }

    /// Draws the block in place of what is there of it, if that is another.
    pub(super) fn draw(&mut self, block: Vec<PaintedLine>) {
        if self.drawn != block || self.size != self.size() {
            self.replace("", block);
        }
    }

    /// Writes lines that stay, above the block.
    pub(super) fn print(&mut self, text: &str, block: Vec<PaintedLine>) {
        self.replace(&format!("{text}\n"), block);
    }

    /// Clears the block.
    pub(super) fn clear(&mut self) {
        self.draw(Vec::new());
    }

    /// All in one write, so that no half of it is seen.
    fn replace(&mut self, text: &str, mut block: Vec<PaintedLine>) {
        let (width, height) = self.size();
        let mut frame = String::new();
        if !self.drawn.is_empty() {
            // The cursor stands in the row below the block: what a key press or a dying process writes there tears
            // nothing. Above the first row of the window nothing can be cleared.
            let rows: usize = self.drawn.iter().map(|line| line.width.div_ceil(width.max(1)).max(1)).sum();
            // Row by row: tmux keeps what is cleared from the first row to the end in its history.
            frame.push_str("\r\x1b[2K");
            frame.push_str(&"\x1b[A\x1b[2K".repeat(rows.min(height.saturating_sub(1))));
        }
        frame.push_str(text);
        // What no longer fits is left out from the top: the last line matters most.
        block.drain(..block.len().saturating_sub(height.saturating_sub(1)));
        for line in &block {
            frame.push_str(&line.text);
            frame.push('\n');
        }
        self.terminal.write(&frame);
        (self.drawn, self.size) = (block, (width, height));
    }
}

#[cfg(test)]
pub(super) mod tests;
