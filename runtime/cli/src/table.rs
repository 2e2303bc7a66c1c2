//! Lists as columns.

use std::fmt;

use console::measure_text_width;

use crate::output::Paint;

/// Rows under a heading, each column as wide as its widest cell.
pub(crate) struct Table<const N: usize> {
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table without rows.
    pub(crate) fn new(heading: [&str; N], paint: Paint) -> Self {
        Self { rows: vec![heading.map(|word| paint.dim(word))] }
    }

    /// Adds a row. The cells may hold colours, and no line ends.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            self.rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let n_spaces = width - measure_text_width(cell) + 2;
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', n_spaces));
            }
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_seen() {
        let paint = Paint { is_on: false };
        let mut table = Table::new(["NAME", "STATUS", "OPEN"], paint);
        table.row(["a".into(), Paint { is_on: true }.red("failed"), String::new()]);
        table.row(["a longer name".into(), "ok".into(), "2".into()]);
        let expected = "\
NAME           STATUS  OPEN
a              \x1b[31mfailed\x1b[0m
a longer name  ok      2";
        assert_eq!(table.to_string(), expected);
    }
}
