//! Tables, for people and for a README.

use std::fmt::Write as _;

/// On which side the cells of a column are flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// A table: columns with their heads, rows of cells. An empty cell in a row of its own continues the row
/// above; markdown has no such rows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) const fn new(columns: Vec<(&'static str, Side)>) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// With columns that are as wide as they must be.
    pub(super) fn text(&self) -> String {
        let head = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for row in rows {
            let mut line = String::new();
            for ((cell, &(_, side)), &width) in row.iter().zip(&self.columns).zip(&widths) {
                let _ = match side {
                    Side::Left => write!(line, "{cell:<width$}  "),
                    Side::Right => write!(line, "{cell:>width$}  "),
                };
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// As markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        let heads: Vec<&str> = self.columns.iter().map(|&(name, _)| name).collect();
        let _ = writeln!(text, "| {} |", heads.join(" | "));
        let rules = self.columns.iter().map(|(_, side)| match side {
            Side::Left => "---",
            Side::Right => "---:",
        });
        let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(vec![("name", Side::Left), ("steps", Side::Right)]);
        table.row(vec!["M-N1".to_owned(), "1,234,567".to_owned()]);
        table.row(vec!["a|b".to_owned(), "8".to_owned()]);
        assert_eq!(table.text(), "name      steps\nM-N1  1,234,567\na|b           8\n");
        assert_eq!(table.markdown(), "| name | steps |\n|---|---:|\n| M-N1 | 1,234,567 |\n| a\\|b | 8 |\n");
    }
}
