//! The part of the terminal that is drawn anew: always the last rows, on standard error.

use std::io;

use console::{Term, measure_text_width, truncate_str};

/// Rows that can be taken back.
pub(crate) struct Screen {
    term: Term,
    drawn: Vec<String>,
    /// What `drawn` and the lines written behind it take up.
    n_rows: usize,
}

impl Screen {
    pub(crate) fn new() -> Self {
        Self { term: Term::stderr(), drawn: Vec::new(), n_rows: 0 }
    }

    /// Replaces everything drawn so far. Rows that are too long are cut; of too many, the last stay.
    pub(crate) fn draw(&mut self, rows: &[String]) -> io::Result<()> {
        let (height, width) = self.term.size();
        let rows = fitting(rows, usize::from(height), usize::from(width));
        if rows == self.drawn && self.n_rows == rows.len() {
            return Ok(());
        }
        self.clear()?;
        for row in &rows {
            self.term.write_line(row)?;
        }
        self.n_rows = rows.len();
        self.drawn = rows;
        self.term.flush()
    }

    /// Writes a line behind what is drawn, to be taken back with it.
    pub(crate) fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.n_rows += self.rows_of(line);
        self.term.write_line(line)
    }

    /// Writes a prompt and reads what is typed behind it; None at the end of the input.
    pub(crate) fn read_line(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.term.write_str(prompt)?;
        self.term.flush()?;
        let mut typed = String::new();
        let n_bytes = io::stdin().read_line(&mut typed)?;
        if n_bytes == 0 {
            self.term.write_line("")?;
        }
        let typed = typed.trim_end_matches(['\r', '\n']).to_owned();
        self.n_rows += self.rows_of(&format!("{prompt}{typed}"));
        Ok((n_bytes > 0).then_some(typed))
    }

    /// Takes back everything drawn so far.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.term.clear_last_lines(self.n_rows)?;
        self.n_rows = 0;
        self.drawn.clear();
        Ok(())
    }

    /// Replaces everything drawn so far by a line that stays.
    pub(crate) fn keep(&mut self, line: &str) -> io::Result<()> {
        self.clear()?;
        self.term.write_line(line)
    }

    /// How many rows a line takes up, broken at the edge.
    fn rows_of(&self, line: &str) -> usize {
        let width = usize::from(self.term.size().1).max(1);
        measure_text_width(line).div_ceil(width).max(1)
    }
}

/// The last rows that fit, each cut to the width, with a note in place of those above.
fn fitting(rows: &[String], height: usize, width: usize) -> Vec<String> {
    // The cursor stands on the row below the last one.
    let n_rows_max = height.saturating_sub(1).max(2);
    let cut = |row: &String| truncate_str(row, width.saturating_sub(1).max(1), "…").into_owned();
    if rows.len() <= n_rows_max {
        return rows.iter().map(cut).collect();
    }
    let n_hidden = rows.len() - n_rows_max + 1;
    let note = format!("… {n_hidden} rows above");
    std::iter::once(note).chain(rows[n_hidden..].iter().map(cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_said() {
        let rows: Vec<String> = ["one", "two is long", "three", "four"].map(String::from).into();
        assert_eq!(fitting(&rows, 24, 80), rows);
        assert_eq!(fitting(&rows, 4, 8), ["… 2 rows above", "three", "four"]);
        assert_eq!(fitting(&rows[1..2], 24, 8), ["two is…"]);
    }
}
