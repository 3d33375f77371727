use std::sync::{Arc, Mutex};

use super::*;

/// A terminal in memory that reflows its lines when it is resized, as tmux and most others do.
#[derive(Clone)]
pub(in crate::ui) struct FakeTerminal(Arc<Mutex<Grid>>);

/// The contents of a [`FakeTerminal`].
struct Grid {
    width: usize,
    height: usize,
    /// All rows, including those that have scrolled off the top.
    rows: Vec<Row>,
    /// Row of the cursor, as an index of `rows`.
    row: usize,
    column: usize,
    /// Whether the process was continued since the painter last asked.
    continued: bool,
}

#[derive(Clone, Default)]
struct Row {
    text: Vec<char>,
    /// Whether the line continues in the next row.
    continues: bool,
}

impl FakeTerminal {
    pub(in crate::ui) fn new(width: usize, height: usize) -> Self {
        Self(Arc::new(Mutex::new(Grid {
            width,
            height,
            rows: vec![Row::default()],
            row: 0,
            column: 0,
            continued: false,
        })))
    }

    pub(in crate::ui) fn resize(&self, width: usize, height: usize) {
        self.0.lock().unwrap().resize(width, height);
    }

    /// Stops the process, lets the shell write `text`, and continues the process.
    pub(in crate::ui) fn stop_and_continue(&self, text: &str) {
        let mut grid = self.0.lock().unwrap();
        grid.write(text);
        grid.continued = true;
    }

    /// Returns all rows, including those that have scrolled off the top.
    pub(in crate::ui) fn rows(&self) -> Vec<String> {
        let grid = self.0.lock().unwrap();
        let mut rows: Vec<String> = grid.rows.iter().map(|row| row.text.iter().collect()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// Returns the visible rows.
    pub(in crate::ui) fn visible_rows(&self) -> Vec<String> {
        let top = self.0.lock().unwrap().top();
        self.rows().split_off(top.min(self.rows().len()))
    }
}

impl Terminal for FakeTerminal {
    fn size(&self) -> (usize, usize) {
        let grid = self.0.lock().unwrap();
        (grid.width, grid.height)
    }

    fn write(&mut self, text: &str) {
        self.0.lock().unwrap().write(text);
    }

    fn take_continued(&mut self) -> bool {
        std::mem::take(&mut self.0.lock().unwrap().continued)
    }
}

impl Grid {
    fn top(&self) -> usize {
        self.rows.len().saturating_sub(self.height)
    }

    fn write(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.down(false),
                '\x1b' => {
                    assert_eq!(rest.next(), Some('['), "{text:?}");
                    let code: String = rest.by_ref().take_while_inclusive(|c| !c.is_ascii_alphabetic());
                    match code.as_str() {
                        "A" => self.row = self.row.saturating_sub(1).max(self.top()),
                        "2K" => self.clear_row(),
                        code => assert!(code.ends_with('m'), "{code} in {text:?}"),
                    }
                }
                c => {
                    if self.column == self.width {
                        self.down(true);
                    }
                    let row = &mut self.rows[self.row].text;
                    row.resize(row.len().max(self.column + 1), ' ');
                    row[self.column] = c;
                    self.column += 1;
                }
            }
        }
    }

    fn clear_row(&mut self) {
        self.rows[self.row] = Row::default();
        if let Some(above) = self.row.checked_sub(1) {
            self.rows[above].continues = false;
        }
    }

    fn down(&mut self, continues: bool) {
        self.rows[self.row].continues = continues;
        self.row += 1;
        self.column = 0;
        if self.row == self.rows.len() {
            self.rows.push(Row::default());
        }
    }

    /// Joins the rows of each line and breaks them at the new width. The cursor stays at the beginning of its line.
    fn resize(&mut self, width: usize, height: usize) {
        assert_eq!(self.column, 0, "between two frames the cursor is at the beginning of a row");
        let mut lines: Vec<(Vec<char>, bool)> = Vec::new();
        let mut is_new = true;
        for (index, row) in self.rows.iter().enumerate() {
            if is_new {
                lines.push((Vec::new(), false));
            }
            let line = lines.last_mut().unwrap();
            line.0.extend(&row.text);
            line.1 |= index == self.row;
            is_new = !row.continues;
        }
        self.rows.clear();
        for (text, has_cursor) in lines {
            if has_cursor {
                self.row = self.rows.len();
            }
            let count = text.len().div_ceil(width).max(1);
            let row = |index: usize| Row {
                text: text[index * width..text.len().min((index + 1) * width)].to_vec(),
                continues: index + 1 < count,
            };
            self.rows.extend((0..count).map(row));
        }
        (self.width, self.height) = (width, height);
    }
}

/// Like [`Iterator::take_while`], but with the element that ends it.
trait TakeWhileInclusive: Iterator<Item = char> {
    fn take_while_inclusive(self, continues: impl Fn(&char) -> bool) -> String;
}

impl<I: Iterator<Item = char>> TakeWhileInclusive for I {
    fn take_while_inclusive(mut self, continues: impl Fn(&char) -> bool) -> String {
        let mut taken = String::new();
        for c in &mut self {
            taken.push(c);
            if !continues(&c) {
                break;
            }
        }
        taken
    }
}

fn line(text: &str) -> PaintedLine {
    PaintedLine { text: format!("\x1b[36m{text}\x1b[0m"), width: text.chars().count() }
}

#[test]
fn painter_keeps_block_below_printed_lines() {
    let terminal = FakeTerminal::new(20, 10);
    let mut painter = Painter::new(Box::new(terminal.clone()));
    painter.print("one", vec![line("a"), line("b")]);
    painter.draw(vec![line("a!"), line("b")]);
    assert_eq!(terminal.rows(), ["one", "a!", "b"]);
    painter.print("a line that is longer than the window", vec![line("c")]);
    assert_eq!(terminal.rows(), ["one", "a line that is longe", "r than the window", "c"]);
    painter.clear();
    assert_eq!(terminal.rows(), ["one", "a line that is longe", "r than the window"]);
}

// regression: a line of the block that the terminal had wrapped left its first rows on the screen
#[test]
fn painter_clears_wrapped_block_whole() {
    let terminal = FakeTerminal::new(40, 12);
    let mut painter = Painter::new(Box::new(terminal.clone()));
    let block = |width: usize| vec![line(&"a".repeat(width)), line(&"b".repeat(width))];
    painter.print("one", block(39));
    terminal.resize(20, 12);
    assert_eq!(terminal.rows().len(), 5, "the terminal has made two rows of each line");
    painter.print("two", block(19));
    assert_eq!(terminal.rows(), ["one", "two", &"a".repeat(19), &"b".repeat(19)]);
    terminal.resize(100, 12);
    painter.print("three", block(99));
    painter.clear();
    assert_eq!(terminal.rows(), ["one", "two", "three"]);
}

#[test]
fn painter_block_never_fills_window() {
    let terminal = FakeTerminal::new(20, 3);
    let mut painter = Painter::new(Box::new(terminal.clone()));
    let block = || ["a", "b", "c", "d"].map(line).to_vec();
    for n in ["1", "2", "3", "4"] {
        painter.print(n, block());
    }
    assert_eq!(terminal.rows(), ["1", "2", "3", "4", "c", "d"], "the last lines matter most");
    assert_eq!(terminal.visible_rows(), ["c", "d"]);
    painter.clear();
    assert_eq!(terminal.rows(), ["1", "2", "3", "4"]);
}
