//! Tables with typed cells. The look of a cell, in a page or in the terminal, follows from its type and never from its
//! text: the name of an arm may be the word for a decision, such as `ticket`.

use super::claims::ClaimStatus;
use super::verdict::Decision;

/// A table: a header, and rows of as many cells as the header has titles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Titles of the columns.
    pub header: Vec<String>,
    /// Cells of the rows, in the order of `header`.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Title of a column of reasons: long texts, which a page shows on a line of their own below each row.
    pub(super) const REASON: &str = "why";

    /// Returns the index of the column of reasons; `None` if the table has none.
    pub(super) fn reason_column(&self) -> Option<usize> {
        self.header.iter().position(|title| title == Self::REASON)
    }

    /// Returns whether a column has numbers, and no texts; `false` if all its cells are missing.
    pub(super) fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        let is_number = |cell: &Cell| matches!(cell, Cell::Number(_));
        cells.clone().any(is_number) && cells.all(|cell| is_number(cell) || *cell == Cell::Missing)
    }

    /// Returns a table without rows.
    pub fn new<T: Into<String>>(header: impl IntoIterator<Item = T>) -> Self {
        Self { header: header.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }
}

/// A cell of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A name or a text.
    Text(String),
    /// A number, which its unit, range or a remark may follow.
    Number(String),
    /// The decision of a verdict.
    Decision(Decision),
    /// The status of a claim.
    Status(ClaimStatus),
    /// No value, written as a dash.
    Missing,
}

impl Cell {
    /// Returns a cell of text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Returns a cell of a number.
    #[expect(clippy::needless_pass_by_value, reason = "callers pass numbers and texts of numbers alike, by value")]
    pub fn number(number: impl ToString) -> Self {
        Self::Number(number.to_string())
    }

    /// Returns a cell of a number, or [`Missing`](Self::Missing).
    pub fn optional<T: ToString>(number: Option<T>) -> Self {
        number.map_or(Self::Missing, Self::number)
    }

    /// Returns the text of the cell.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) => text,
            Self::Decision(decision) => decision.as_str(),
            Self::Status(status) => status.as_str(),
            Self::Missing => "–",
        }
    }
}
